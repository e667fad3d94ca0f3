//! Tests on what a value is marked with, by the names that ansible-core's own tests use for them.

use super::Plain;
use crate::{Args, Error, ErrorKind, State, Value};

pub(super) const TESTS: &[(&str, Plain)] = &[
    ("ansible._protomatter.tagged", |_, a| Ok(!of(&a.first()).is_empty())),
    ("ansible._protomatter.tagged_with", tagged_with),
];

/// Those that take what cannot be decrypted.
pub(super) const RAW: &[(&str, Plain)] =
    &[("vault_encrypted", |s, a| Ok(s.read(a.first()).ciphertext().is_some()))];

/// The names of the marks of `v`, in order.
pub(crate) fn of(v: &Value) -> Vec<&'static str> {
    let mut out = Vec::new();
    if v.origin().is_some() {
        out.push("Origin");
    }
    if matches!(v, Value::Str(s) if s.is_trusted()) {
        out.push("TrustedAsTemplate");
    }
    if v.ciphertext().is_some() {
        out.push("VaultedValue");
    }
    out
}

fn tagged_with(_: &State<'_>, a: Args) -> Result<bool, Error> {
    let b = a.bind("tagged_with", &["value", "tag_name"], 2)?;
    let name = b.get(1).to_text()?;
    match name.as_str() {
        "Origin" | "TrustedAsTemplate" | "VaultedValue" => Ok(of(&b.get(0)).contains(&name.as_str())),
        other => Err(Error::new(ErrorKind::Plugin, format!("Unknown tag type '{other}'."))),
    }
}
