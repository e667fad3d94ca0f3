//! `file`: files, directories, links and their attributes.

mod absent;
mod directory;
pub mod glob;
mod link;
mod times;
mod touch;

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::cx::Cx;
use crate::files::{Diff, FileArgs};
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::{path, users};
use times::Times;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let recurse = cx.bool("recurse");
    let src = cx.str("src").map(str::to_string);
    let mut path = cx.string("path");
    let mut state = cx.str("state").map(str::to_string);
    if state.is_none() {
        let prev = state_of(&path);
        let chosen = if prev != "absent" {
            prev
        } else if recurse {
            "directory"
        } else {
            "file"
        };
        state = Some(chosen.to_string());
        cx.params.insert("state".into(), chosen.into());
    }
    let state = state.unwrap_or_default();
    if cx.bool("_diff_peek") {
        return Ok(peek(&path));
    }
    if recurse && state != "directory" {
        return Err(Fail::msg("recurse option requires state to be 'directory'").with("path", path));
    }
    if src.is_some() && !matches!(state.as_str(), "link" | "hard") {
        return Err(Fail::msg("src option requires state to be 'link' or 'hard'").with("path", path));
    }
    if !matches!(state.as_str(), "link" | "absent") && fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
        let basename = match (cx.text("_original_basename"), &src) {
            (Some(name), _) => Some(name),
            (None, Some(src)) => Some(path::basename(src).to_string()),
            _ => None,
        };
        if let Some(name) = basename.filter(|n| !n.is_empty()) {
            path = path::join(&path, &name);
            cx.params.insert("path".into(), path.clone().into());
        }
    }
    let times = Times::of(cx, &state)?;
    if cx.check && state != "absent" {
        foretell(cx);
    }
    let follow = cx.flag("follow").unwrap_or(true);
    let force = cx.bool("force");
    match state.as_str() {
        "file" => plain(cx, &path, follow, &times),
        "directory" => directory::ensure(cx, &path, follow, recurse, &times),
        "touch" => touch::ensure(cx, &path, follow, &times),
        "link" => link::symbolic(cx, &path, src, follow, force, &times),
        "hard" => link::hard(cx, &path, src, force, &times),
        _ => absent::ensure(cx, &path),
    }
}

/// Check mode's warnings: an owner or group that isn't there may be made before the real run.
fn foretell(cx: &mut Cx<'_>) {
    for (key, kind, id) in [("owner", "user", "uid"), ("group", "group", "gid")] {
        let Some(name) = cx.str(key).map(str::to_string) else { continue };
        let number = name.trim().parse::<i64>().ok();
        let there = match (key, number) {
            ("owner", Some(n)) => u32::try_from(n).is_ok_and(|n| users::by_uid(n).is_some()),
            (_, Some(n)) => u32::try_from(n).is_ok_and(|n| users::group_by_gid(n).is_some()),
            ("owner", None) => users::by_name(&name).is_some(),
            (_, None) => users::group_by_name(&name).is_some(),
        };
        if !there {
            let with = number.map_or(name, |n| format!("with {id} {n}"));
            cx.warn(format!("failed to look up {kind} {with}. Create {kind} up to this point in real play"));
        }
    }
}

/// What is at a path: `file`, `hard`, `directory`, `link` or `absent`.
pub fn state_of(path: &str) -> &'static str {
    match fs::symlink_metadata(path) {
        Err(_) => "absent",
        Ok(m) if m.is_symlink() => "link",
        Ok(m) if m.is_dir() => "directory",
        Ok(m) if m.nlink() > 1 => "hard",
        Ok(_) => "file",
    }
}

/// The diff before anything happens.
fn initial_diff(path: &str, state: &str, prev: &str) -> Diff {
    let mut diff = Diff::default();
    diff.note("path", path, path);
    if prev != state {
        diff.note("state", prev, state);
        if state == "absent" {
            let mut content = Map::new();
            if prev == "directory" {
                content = listing(path);
            }
            if !content.is_empty() {
                diff.before.insert("path_content".into(), Value::Object(content));
            }
        }
    }
    diff
}

/// Directories and files below a path, as the diff of a removal shows them.
fn listing(path: &str) -> Map {
    let (mut dirs, mut files) = (Vec::new(), Vec::new());
    let mut queue = vec![path.to_string()];
    while let Some(dir) = queue.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries.flatten() {
            let full = path::join(&dir, &entry.file_name().to_string_lossy());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => {
                    queue.push(full.clone());
                    dirs.push(full);
                }
                Ok(kind) if kind.is_symlink() && fs::metadata(&full).is_ok_and(|m| m.is_dir()) => {
                    dirs.push(full)
                }
                _ => files.push(full),
            }
        }
    }
    map! {"directories" => dirs, "files" => files}
}

/// The content a diff can't show: what the controller asks before it makes one.
fn peek(path: &str) -> Map {
    let mut binary = false;
    if let Ok(file) = fs::File::open(path) {
        let mut head = Vec::new();
        if std::io::Read::read_to_end(&mut std::io::Read::take(file, 8192), &mut head).is_ok() {
            binary = head.contains(&0);
        }
    }
    map! {"path" => path, "changed" => false, "appears_binary" => binary}
}

/// The result of a state.
fn reply(key: &str, path: &str, changed: bool, diff: &Diff) -> Map {
    let mut map = Map::new();
    map.insert(key.into(), path.into());
    map.insert("changed".into(), changed.into());
    map.insert("diff".into(), diff.to_value());
    map
}

fn plain(cx: &mut Cx<'_>, given: &str, follow: bool, times: &Times) -> Reply {
    let mut path = given.to_string();
    let mut prev = state_of(&path);
    if follow && prev == "link" {
        path = path::realpath(&path);
        prev = state_of(&path);
    }
    if !matches!(prev, "file" | "hard") {
        return Err(Fail::msg(format!("file ({path}) is {prev}, cannot continue"))
            .with("path", path)
            .with("state", prev));
    }
    let mut diff = initial_diff(&path, "file", prev);
    let mut changed = FileArgs::of(cx).apply(cx, &path, Some(&mut diff))?;
    changed |= times.set(cx, &path, &mut diff)?;
    Ok(reply("path", &path, changed, &diff))
}

/// The failure of a system call on a path.
fn os_fail(what: &str, e: &std::io::Error, path: &str) -> Fail {
    Fail::msg(format!("{what}: {}", crate::result::os_error(e, Some(path)).replacen(": '", ": b'", 1)))
        .with("path", json!(path))
}

#[cfg(test)]
mod tests;
