//! Mounts as they are asked for: `Binds` and `Mounts`, read alike.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::Value;

use crate::engine::networks::options;

/// A mount asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// `bind`, `volume`, `tmpfs`.
    pub kind: &'static str,
    /// A path of the host, or a volume's name; empty for an anonymous one.
    pub source: String,
    pub destination: String,
    /// As it was written.
    pub mode: String,
    pub writable: bool,
    pub propagation: String,
    /// Whether a volume is seeded.
    pub copy: bool,
    /// Whether a missing directory is made.
    pub create: bool,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

impl Asked {
    pub fn anonymous(destination: String) -> Self {
        Self {
            kind: "volume",
            source: String::new(),
            destination,
            mode: String::new(),
            writable: true,
            propagation: String::new(),
            copy: true,
            create: false,
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}

/// A path without `.`, `..`, double and trailing slashes.
pub(super) fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn destination(path: &str, whole: &str) -> Result<String> {
    if !path.starts_with('/') {
        return Err(Error::bad_request(format!(
            "invalid volume specification: '{whole}': invalid mount config for type \"bind\": invalid mount path: '{path}' mount path must be absolute"
        )));
    }
    match clean(path) {
        root if root == "/" => Err(Error::bad_request(format!(
            "invalid volume specification: '{whole}': invalid mount config for type \"bind\": invalid specification: destination can't be '/'"
        ))),
        path => Ok(path),
    }
}

/// `[src:]dst[:mode]`.
///
/// # Errors
/// 400 in the reference's words.
pub(super) fn bind(text: &str) -> Result<Asked> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, to, mode) = match parts[..] {
        [to] => ("", to, ""),
        [to, mode] if to.starts_with('/') && !mode.starts_with('/') && mode_is(mode) => ("", to, mode),
        [source, to] => (source, to, ""),
        [source, to, mode] => (source, to, mode),
        _ => return Err(Error::bad_request(format!("invalid volume specification: '{text}'"))),
    };
    if parts.len() > 1 && parts[0].is_empty() {
        return Err(Error::bad_request(format!("invalid volume specification: '{text}'")));
    }
    if !mode.is_empty() && !mode_is(mode) {
        return Err(Error::bad_request(format!("invalid mode: {mode}")));
    }
    let has = |word: &str| mode.split(',').any(|m| m == word);
    let path = source.starts_with('/');
    let propagation = mode.split(',').find(|m| PROPAGATIONS.contains(m)).unwrap_or("");
    let mut asked = Asked::anonymous(destination(to, text)?);
    asked.kind = if path { "bind" } else { "volume" };
    asked.source = if path { clean(source) } else { source.to_owned() };
    asked.mode = mode.to_owned();
    asked.writable = !has("ro");
    asked.copy = !has("nocopy");
    asked.create = true;
    if path {
        asked.propagation = if propagation.is_empty() { "rprivate".into() } else { propagation.to_owned() };
    } else if parts.len() > 1 && mode.is_empty() {
        asked.mode = "z".into();
    }
    Ok(asked)
}

const PROPAGATIONS: &[&str] = &["private", "rprivate", "shared", "rshared", "slave", "rslave"];

fn mode_is(mode: &str) -> bool {
    let known = ["ro", "rw", "z", "Z", "nocopy", "copy", "consistent", "cached", "delegated"];
    mode.split(',').all(|m| known.contains(&m) || PROPAGATIONS.contains(&m))
}

/// One of `Mounts`.
///
/// # Errors
/// 400 in the reference's words.
pub(super) fn mount(value: &Value) -> Result<Asked> {
    let text = |name: &str| value[name].as_str().unwrap_or("").to_owned();
    let kind = text("Type");
    let bad = |why: String| Error::bad_request(format!("invalid mount config for type \"{kind}\": {why}"));
    let target = text("Target");
    if target.is_empty() {
        return Err(bad("field Target must not be empty".into()));
    }
    if !target.starts_with('/') {
        return Err(bad(format!("invalid mount path: '{target}' mount path must be absolute")));
    }
    let target = clean(&target);
    if target == "/" {
        return Err(bad("invalid specification: destination can't be '/'".into()));
    }
    let mut asked = Asked::anonymous(target);
    asked.source = text("Source");
    asked.writable = value["ReadOnly"] != Value::Bool(true);
    let given = |name: &str| value[name].as_object().is_some_and(|o| !o.is_empty());
    let others = [("BindOptions", "bind"), ("VolumeOptions", "volume"), ("TmpfsOptions", "tmpfs")];
    if let Some((name, _)) = others.iter().find(|(name, of)| *of != kind && given(name)) {
        return Err(bad(format!("field {name} must not be specified")));
    }
    match &*kind {
        "bind" => {
            asked.kind = "bind";
            if asked.source.is_empty() {
                return Err(bad("field Source must not be empty".into()));
            }
            if !asked.source.starts_with('/') {
                return Err(bad(format!(
                    "invalid mount path: '{}' mount path must be absolute",
                    asked.source
                )));
            }
            asked.source = clean(&asked.source);
            let options = &value["BindOptions"];
            asked.create = options["CreateMountpoint"] == Value::Bool(true);
            let propagation = options["Propagation"].as_str().filter(|p| !p.is_empty()).unwrap_or("rprivate");
            if !PROPAGATIONS.contains(&propagation) {
                return Err(bad(format!("invalid propagation mode: {propagation}")));
            }
            asked.propagation = propagation.to_owned();
        }
        "volume" => {
            let volume = &value["VolumeOptions"];
            let driver = volume["DriverConfig"]["Name"].as_str().unwrap_or("");
            if !matches!(driver, "" | "local") {
                return Err(Error::not_found(format!(
                    "error looking up volume plugin {driver}: plugin \"{driver}\" not found"
                )));
            }
            if asked.source.is_empty() && !asked.writable {
                return Err(bad("must not set ReadOnly mode when using anonymous volumes".into()));
            }
            if volume["Subpath"].as_str().is_some_and(|s| !s.is_empty()) {
                return Err(Error::not_implemented("VolumeOptions.Subpath is not supported"));
            }
            asked.mode = "z".into();
            asked.copy = volume["NoCopy"] != Value::Bool(true);
            asked.options = options(&volume["DriverConfig"]["Options"]);
            asked.labels = options(&volume["Labels"]);
        }
        "tmpfs" => {
            asked.kind = "tmpfs";
            if !asked.source.is_empty() {
                return Err(bad("field Source must not be specified".into()));
            }
        }
        _ => {
            return Err(Error::bad_request(format!(
                "invalid mount config for type \"{kind}\": mount type unknown"
            )));
        }
    }
    Ok(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_have_up_to_three_parts() {
        let asked = bind("/a/../b:/c/:ro,rshared").unwrap();
        assert_eq!((asked.kind, &*asked.source, &*asked.destination), ("bind", "/b", "/c"));
        assert!(!asked.writable);
        assert_eq!(asked.propagation, "rshared");
        assert_eq!(bind("data:/x").unwrap().kind, "volume");
        assert_eq!(bind("/x").unwrap().source, "");
        for bad in ["/a:/b:what", "a:b", "/a:/", ":/a", "a:b:c:d"] {
            assert!(bind(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mounts_are_of_three_types() {
        let of = |v: Value| mount(&v).map(|a| a.kind);
        assert_eq!(of(serde_json::json!({"Type": "tmpfs", "Target": "/x"})).unwrap(), "tmpfs");
        let e = of(serde_json::json!({"Type": "bind", "Target": "/x"})).unwrap_err();
        assert_eq!(e.message(), "invalid mount config for type \"bind\": field Source must not be empty");
        assert!(of(serde_json::json!({"Type": "npipe", "Target": "/x"})).is_err());
    }
}
