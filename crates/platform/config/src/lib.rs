//! Layered configuration: a type's defaults, then a TOML file, then the environment.
//!
//! Every key of the file is also `PILEUS_SECTION__KEY`: `[identity] token_ttl_s` is
//! `PILEUS_IDENTITY__TOKEN_TTL_S`. A key that the type doesn't have is an error that names it. What the
//! sections are is the composition root's affair.

#![forbid(unsafe_code)]

use std::path::Path;

use pileus_base::{Error, Result};
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// What environment variables begin with.
const PREFIX: &str = "PILEUS_";

/// Reads `file` (where given) and `environment`, and makes a `T` of them.
///
/// # Errors
/// 400 that names the file or variable, and the key.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T> {
    let mut table = Table::new();
    if let Some(path) = file {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::wrap(format!("failed to read the configuration `{}`", path.display()), e))?;
        table = text.parse().map_err(|e: toml::de::Error| {
            Error::bad_request(format!("the configuration `{}` is not TOML", path.display())).caused_by(e)
        })?;
    }
    let mut variables: Vec<_> = environment.filter_map(|(k, v)| Some((key(&k)?, k, v))).collect();
    variables.sort();
    for ((section, key), name, text) in variables {
        let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
        let Value::Table(section) = section else {
            return Err(Error::bad_request(format!(
                "{name} names a section, but the file has a value there"
            )));
        };
        section.insert(key, value(&text));
    }
    T::deserialize(Value::Table(table)).map_err(|e: toml::de::Error| {
        let whence = file.map_or_else(|| "the environment".into(), |p| format!("`{}`", p.display()));
        Error::bad_request(format!("the configuration from {whence} is wrong: {}", e.message()))
    })
}

/// `PILEUS_A__B` → (`a`, `b`). Single words (`PILEUS_STATE_DIR`) are flags' affair.
fn key(name: &str) -> Option<(String, String)> {
    let (section, key) = name.strip_prefix(PREFIX)?.split_once("__")?;
    Some((section.to_ascii_lowercase(), key.to_ascii_lowercase()))
}

/// A TOML value where it is one (`5`, `true`, `["a"]`), else text.
fn value(text: &str) -> Value {
    let parsed = format!("v = {text}").parse::<Table>().ok();
    parsed.and_then(|mut t| t.remove("v")).unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Config {
        identity: Identity,
    }
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Identity {
        token_ttl_s: u32,
        region: String,
    }

    fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> + use<> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
    }

    #[test]
    fn the_environment_wins_and_unknown_keys_are_named() {
        let pairs =
            [("PILEUS_IDENTITY__TOKEN_TTL_S", "60"), ("PILEUS_IDENTITY__REGION", "a b"), ("PATH", "x")];
        let config: Config = load(None, env(&pairs)).unwrap();
        assert_eq!(config.identity, Identity { token_ttl_s: 60, region: "a b".into() });
        let e = load::<Config>(None, env(&[("PILEUS_IDENTITY__COLOUR", "red")])).unwrap_err();
        assert!(e.message().contains("colour"), "{e}");
        assert!(load::<Config>(Some(Path::new("/no/such/file")), env(&[])).is_err());
    }
}
