//! Device nodes of a container's own, and which devices its processes may use.

use std::path::{Path, PathBuf};

use pileus_base::{Error, Result};
use serde_json::{Value, json};

use super::values::Fields as _;

/// What every container may do: make any node, and use those that its `/dev` has.
const DEFAULT_RULES: [&str; 10] = [
    "c *:* m",
    "b *:* m",
    "c 1:3 rwm",
    "c 1:5 rwm",
    "c 1:7 rwm",
    "c 1:8 rwm",
    "c 1:9 rwm",
    "c 5:0 rwm",
    "c 5:2 rwm",
    "c 136:* rwm",
];

/// The device nodes to make besides the usual ones.
///
/// # Errors
/// 400 where a path isn't there or is no device.
pub(super) fn nodes(host: &Value) -> Result<Vec<Value>> {
    let mut nodes = Vec::new();
    if host.flag("Privileged") {
        below(Path::new("/dev"), Path::new("/dev"), &mut nodes);
    }
    for device in host.list("Devices") {
        let source = PathBuf::from(device.text("PathOnHost"));
        let target = match device.text("PathInContainer") {
            "" => source.clone(),
            path => PathBuf::from(path),
        };
        let real = std::fs::canonicalize(&source).unwrap_or_else(|_| source.clone());
        if real.is_dir() {
            below(&real, &target, &mut nodes);
        } else {
            let node = node(&real, &target).ok_or_else(|| missing(&source))?;
            nodes.retain(|n| n["path"] != node["path"]);
            nodes.push(node);
        }
    }
    Ok(nodes)
}

fn missing(path: &Path) -> Error {
    Error::bad_request(format!(
        "error gathering device information while adding custom device {:?}: no such file or directory",
        path.display().to_string()
    ))
}

fn node(source: &Path, target: &Path) -> Option<Value> {
    let stat = rustix::fs::lstat(source).ok()?;
    let typ = match rustix::fs::FileType::from_raw_mode(stat.st_mode) {
        rustix::fs::FileType::CharacterDevice => "c",
        rustix::fs::FileType::BlockDevice => "b",
        _ => return None,
    };
    Some(json!({
        "path": target, "type": typ,
        "major": rustix::fs::major(stat.st_rdev), "minor": rustix::fs::minor(stat.st_rdev),
        "fileMode": stat.st_mode & 0o7777, "uid": stat.st_uid, "gid": stat.st_gid,
    }))
}

/// Every device below a directory, but for what a container has its own of.
fn below(source: &Path, target: &Path, nodes: &mut Vec<Value>) {
    let Ok(entries) = std::fs::read_dir(source) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (path, at) = (entry.path(), target.join(&name));
        let own = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev", "console", "ptmx", "tty"];
        let usual = ["null", "zero", "full", "random", "urandom"];
        let Some(name) = name.to_str() else { continue };
        if own.contains(&name) || usual.contains(&name) {
            continue;
        }
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            below(&path, &at, nodes);
        } else if let Some(node) = node(&path, &at) {
            nodes.push(node);
        }
    }
}

/// The rules, in the order in which they are applied.
///
/// # Errors
/// 400 where a rule isn't of the form `c 1:3 rwm`.
pub(super) fn rules(host: &Value, nodes: &[Value]) -> Result<Vec<Value>> {
    if host.flag("Privileged") {
        return Ok(vec![json!({ "allow": true, "access": "rwm" })]);
    }
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    for rule in DEFAULT_RULES {
        rules.push(parse(rule)?);
    }
    for node in nodes {
        let asked = host.list("Devices").iter().find(|d| {
            let at = if d.text("PathInContainer").is_empty() { "PathOnHost" } else { "PathInContainer" };
            Path::new(node.text("path")).starts_with(d.text(at))
        });
        let access = asked.map(|d| d.text("CgroupPermissions")).filter(|a| !a.is_empty()).unwrap_or("rwm");
        rules.push(json!({
            "allow": true, "type": node["type"], "major": node["major"], "minor": node["minor"],
            "access": access,
        }));
    }
    for rule in host.strings("DeviceCgroupRules") {
        rules.push(parse(&rule)?);
    }
    Ok(rules)
}

/// A rule as Docker and the kernel write it.
pub(super) fn parse(rule: &str) -> Result<Value> {
    let invalid = || Error::bad_request(format!("invalid device cgroup rule format: '{rule}'"));
    let words: Vec<_> = rule.split_whitespace().collect();
    let [typ @ ("a" | "b" | "c"), numbers, access] = words[..] else { return Err(invalid()) };
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    if access.is_empty() || access.len() > 3 || !access.chars().all(|c| "rwm".contains(c)) {
        return Err(invalid());
    }
    let mut out = json!({ "allow": true, "type": typ, "access": access });
    for (key, text) in [("major", major), ("minor", minor)] {
        if text != "*" {
            out[key] = text.parse::<u32>().map_err(|_| invalid())?.into();
        }
    }
    Ok(out)
}
