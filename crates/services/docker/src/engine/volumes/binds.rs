//! Mounts as they are asked for: `Binds` and `Mounts`, read alike.

use std::collections::BTreeMap;

use pileus_base::{Error, Result};
use serde_json::Value;

use super::mount::clean;
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
    /// The part of a volume that is mounted; empty for all of it.
    pub subpath: String,
    /// Words that [`super::mount::OPTIONS`] keeps.
    pub words: Vec<&'static str>,
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
            subpath: String::new(),
            words: Vec::new(),
            options: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
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
    let invalid = || Error::bad_request(format!("invalid volume specification: '{text}'"));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, to, mode) = match parts[..] {
        [to] => ("", to, ""),
        // A volume without a name has no mode.
        [_, mode] if mode_is(mode) => return Err(invalid()),
        [source, to] => (source, to, ""),
        [source, to, mode] => (source, to, mode),
        _ => return Err(invalid()),
    };
    if parts[0].is_empty() {
        return Err(invalid());
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
    // Of each kind, one at most.
    let kinds =
        [&["ro", "rw"][..], &["z", "Z"], &["nocopy"], &["consistent", "cached", "delegated"], PROPAGATIONS];
    let of = |word: &str| kinds.iter().position(|all| all.contains(&word));
    let mut seen = Vec::new();
    mode.split(',').all(|word| match of(word) {
        Some(kind) if !seen.contains(&kind) => {
            seen.push(kind);
            true
        }
        _ => false,
    })
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
    let extra = |name: &str| match value[name].is_object() {
        true => Err(bad(format!("field {name} must not be specified"))),
        false => Ok(()),
    };
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
            extra("VolumeOptions")?;
            asked.source = clean(&asked.source);
            let options = &value["BindOptions"];
            let on = |name: &str| options[name] == Value::Bool(true);
            if on("NonRecursive") {
                asked.words.push("bind");
            }
            if on("ReadOnlyForceRecursive")
                && (asked.writable || on("NonRecursive") || on("ReadOnlyNonRecursive"))
            {
                return Err(bad(if asked.writable {
                    "mount must be read-only to use ReadOnlyForceRecursive".into()
                } else {
                    "ReadOnlyForceRecursive conflicts with NonRecursive and ReadOnlyNonRecursive".into()
                }));
            }
            if !asked.writable && !on("NonRecursive") && !on("ReadOnlyNonRecursive") {
                asked.words.push("rro");
            }
            asked.create = options["CreateMountpoint"] == Value::Bool(true);
            let propagation = options["Propagation"].as_str().filter(|p| !p.is_empty()).unwrap_or("rprivate");
            if !PROPAGATIONS.contains(&propagation) {
                return Err(bad(format!("invalid propagation mode: {propagation}")));
            }
            asked.propagation = propagation.to_owned();
        }
        "volume" => {
            extra("BindOptions")?;
            let volume = &value["VolumeOptions"];
            let driver = volume["DriverConfig"]["Name"].as_str().unwrap_or("");
            if !matches!(driver, "" | "local") {
                return Err(Error::not_found(format!(
                    "create {}: error looking up volume plugin {driver}: plugin \"{driver}\" not found",
                    asked.source
                )));
            }
            if asked.source.is_empty() && !asked.writable {
                return Err(bad("must not set ReadOnly mode when using anonymous volumes".into()));
            }
            let subpath = volume["Subpath"].as_str().unwrap_or("");
            if !subpath.is_empty() && asked.source.is_empty() {
                return Err(bad("must not set Subpath when using anonymous volumes".into()));
            }
            if !subpath.is_empty() && !local(subpath) {
                return Err(bad("subpath must be a relative path within the volume".into()));
            }
            asked.subpath = subpath.to_owned();
            asked.mode = "z".into();
            asked.copy = volume["NoCopy"] != Value::Bool(true);
            asked.options = options(&volume["DriverConfig"]["Options"]);
            asked.labels = options(&volume["Labels"]);
        }
        "tmpfs" => {
            asked.kind = "tmpfs";
            extra("BindOptions")?;
            let mode = value["TmpfsOptions"]["Mode"].as_u64().unwrap_or(0);
            if mode & !0o7777 != 0 {
                return Err(bad(format!("invalid mode specified: \"{mode:o}\"")));
            }
            if value["TmpfsOptions"]["SizeBytes"].as_i64().is_some_and(|n| n < 0) {
                return Err(bad("invalid tmpfs size: it can not be negative".into()));
            }
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

/// Whether a path is relative and stays where it begins (Go's `filepath.IsLocal`).
fn local(path: &str) -> bool {
    let mut depth = 0i32;
    !path.starts_with('/')
        && path.split('/').all(|part| {
            depth += match part {
                "" | "." => 0,
                ".." => -1,
                _ => 1,
            };
            depth >= 0
        })
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
        for bad in ["/a:/b:what", "a:b", "/a:/", ":/a", "a:b:c:d", "/a:ro", "/a:/b:ro,rw", ""] {
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
        let part = |source: &str, path: &str| serde_json::json!({"Type": "volume", "Source": source, "Target": "/x", "VolumeOptions": {"Subpath": path}});
        assert_eq!(mount(&part("v", "a/../b")).unwrap().subpath, "a/../b");
        for bad in [part("", "a"), part("v", "/a"), part("v", "a/../../b")] {
            assert!(mount(&bad).is_err(), "{bad}");
        }
        let ro = serde_json::json!({"Type": "bind", "Source": "/s", "Target": "/x", "ReadOnly": true});
        assert_eq!(mount(&ro).unwrap().words, ["rro"]);
    }
}
