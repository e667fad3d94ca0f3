//! Tests on what a value is marked with, by the names that ansible-core's own tests use for them.

use super::Plain;
use crate::{Error, ErrorKind, State, Value};

pub(super) const TESTS: &[(&str, Plain)] =
    &[("ansible._protomatter.tagged_with", |s, a| tagged_with(s, &a.first(), a.pos.get(1)))];

/// `TrustedAsTemplate`: its text may be rendered. `Origin`: where it was written is known.
fn tagged_with(state: &State<'_>, value: &Value, tag: Option<&Value>) -> Result<bool, Error> {
    let value = state.read(value.clone());
    match tag.and_then(Value::as_str) {
        Some("TrustedAsTemplate") => Ok(matches!(&value, Value::Str(s) if s.is_trusted())),
        Some("Origin") => Ok(value.origin().is_some()),
        other => {
            let name = other.unwrap_or_default();
            Err(Error::new(ErrorKind::Plugin, format!("Unknown tag type '{name}'.")))
        }
    }
}
