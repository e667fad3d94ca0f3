//! Typed identifiers: a `ServerId` can't be passed where a `PortId` is wanted.
//!
//! Most are UUIDs printed with dashes. Keystone's are free text (32 hex digits, or `default`).

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// Declares newtypes over [`Uuid`].
#[macro_export]
macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ::uuid::Uuid);
        impl $name {
            /// A fresh random id.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self { Self(::uuid::Uuid::new_v4()) }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { self.0.fmt(f) }
        }
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { self.0.fmt(f) }
        }
        impl ::std::str::FromStr for $name {
            type Err = $crate::Error;
            /// Accepts the dashed and the plain form, as OpenStack does.
            fn from_str(s: &str) -> $crate::Result<Self> { $crate::ids::parse_uuid(s).map(Self) }
        }
    )*};
}

/// Declares newtypes over shared text.
#[macro_export]
macro_rules! text_id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, ::serde::Serialize, ::serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub ::std::sync::Arc<str>);
        impl $name {
            /// A fresh random id of 32 hex digits.
            #[allow(clippy::new_without_default)]
            pub fn new() -> Self { Self($crate::ids::hex_id()) }
            /// The text.
            pub fn as_str(&self) -> &str { &self.0 }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { f.write_str(&self.0) }
        }
        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result { f.write_str(&self.0) }
        }
        impl From<&str> for $name {
            fn from(s: &str) -> Self { Self(s.into()) }
        }
        impl From<String> for $name {
            fn from(s: String) -> Self { Self(s.into()) }
        }
    )*};
}

uuid_id! {
    /// A Glance image.
    ImageId;
    /// A Neutron network.
    NetworkId;
    /// A Neutron subnet.
    SubnetId;
    /// A Neutron port.
    PortId;
    /// A Neutron security group.
    SecurityGroupId;
    /// A Nova server.
    ServerId;
    /// A Heat stack.
    StackId;
    /// A Placement resource provider.
    ProviderId;
    /// A job.
    JobId;
}

text_id! {
    /// A Keystone project.
    ProjectId;
    /// A Keystone user.
    UserId;
    /// A Keystone domain.
    DomainId;
}

/// 32 random hex digits, Keystone's form of an id.
pub fn hex_id() -> Arc<str> {
    Uuid::new_v4().simple().to_string().into()
}

/// Reads a UUID in dashed or plain form; no braces, no `urn:`.
pub fn parse_uuid(s: &str) -> Result<Uuid> {
    if matches!(s.len(), 32 | 36)
        && s.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        && let Ok(id) = Uuid::parse_str(s)
    {
        return Ok(id);
    }
    Err(Error::bad_request(format!("'{s}' is not a valid UUID.")))
}

/// Whether `s` has the form of a UUID.
pub fn is_uuid(s: &str) -> bool {
    parse_uuid(s).is_ok()
}

/// The id of one request, as `x-openstack-request-id` shows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId(pub Arc<str>);

impl RequestId {
    /// `req-` and a fresh UUID.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self(format!("req-{}", Uuid::new_v4()).into())
    }
}
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl FromStr for RequestId {
    type Err = Error;
    fn from_str(s: &str) -> Result<Self> {
        let tail = s.strip_prefix("req-").ok_or_else(|| Error::bad_request("not a request id"))?;
        parse_uuid(tail).map(|_| Self(s.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_are_read_in_both_forms_and_nothing_else() {
        let id = Uuid::new_v4();
        assert_eq!(parse_uuid(&id.to_string()).unwrap(), id);
        assert_eq!(parse_uuid(&id.simple().to_string()).unwrap(), id);
        for bad in ["", "x", "{936da01f-9abd-4d9d-80c7-02af85c822a8}", "demo-net", "../../etc/passwd"] {
            assert!(parse_uuid(bad).is_err(), "{bad}");
        }
    }
}
