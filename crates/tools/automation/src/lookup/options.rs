//! Options of lookups: those that a term holds (`name=value`) go before those of the call.

use crate::Error;

use super::Cx;

/// Options that a term holds.
pub type Own = Vec<(String, String)>;

/// The option `name` as text.
pub fn text(name: &str, own: &Own, cx: &Cx<'_>) -> Option<String> {
    own.iter().rev().find(|(k, _)| k == name).map(|(_, v)| v.clone()).or_else(|| cx.text(name))
}

/// The option `name` of `plugin` as a number; `kind` is what its documentation calls that.
///
/// # Errors
/// Where it is none.
pub fn int(plugin: &str, name: &str, kind: &str, own: &Own, cx: &Cx<'_>) -> Result<Option<i64>, Error> {
    let Some(value) = text(name, own, cx) else { return Ok(None) };
    value.trim().parse().map(Some).map_err(|_| {
        Error::new(format!(
            "Config '{name}' for '{plugin}' lookup plugin from 'Direct' has an invalid value: Invalid value provided for '{kind}': '{value}'"
        ))
    })
}
