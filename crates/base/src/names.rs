//! Names of things on a host. Every one carries the instance id, so that parallel daemons never collide
//! and every leak has an owner.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Result};

/// Eight hex digits, made with the state directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// A fresh one.
    pub fn generate() -> Self {
        Self(Uuid::new_v4().simple().to_string()[..8].to_owned())
    }
    /// Reads eight lower-case hex digits.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        let ok = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if ok { Ok(Self(text.to_owned())) } else { Err(Error::bad_request("not an instance id")) }
    }
    /// The eight digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// A link's name: `p`, four digits of the instance, a letter for what it is, nine of the thing's id.
    /// 15 characters, the kernel's limit.
    pub fn link(&self, letter: char, thing: Uuid) -> String {
        format!("p{}{letter}{}", &self.0[..4], &thing.simple().to_string()[..9])
    }
    /// The cgroup below which everything of this instance lives.
    pub fn cgroup(&self) -> String {
        format!("pileus-{}", self.0)
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Checks a user-given name: at most `max` characters and no control character.
///
/// # Errors
/// 400 that names `field`.
pub fn check_name(field: &str, value: &str, max: usize) -> Result<()> {
    if value.chars().count() > max {
        return Err(Error::bad_request(format!(
            "Invalid input for field/attribute {field}. Value: {value}. '{value}' is too long"
        )));
    }
    if value.chars().any(|c| c == '\0' || (c.is_control() && c != '\t')) {
        return Err(Error::bad_request(format!(
            "Invalid input for field/attribute {field}. Value contains a control character."
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_name_fits_the_kernel() {
        let id = InstanceId::parse("0badcafe").unwrap();
        let name = id.link('t', Uuid::nil());
        assert_eq!(name, "p0badt000000000");
        assert_eq!(name.len(), 15);
        assert!(InstanceId::parse("0BADCAFE").is_err());
    }
}
