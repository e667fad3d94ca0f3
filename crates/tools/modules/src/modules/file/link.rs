//! `state: link` and `state: hard`.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use serde_json::Value;

use super::times::Times;
use super::{initial_diff, os_fail, state_of};
use crate::cx::Cx;
use crate::files::write::unique;
use crate::files::{Diff, FileArgs};
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::path;

fn reply(dest: &str, src: &str, changed: bool, diff: &Diff) -> Map {
    map! {"dest" => dest, "src" => src, "changed" => changed, "diff" => diff.to_value()}
}

/// Puts a new link in the place of whatever is there, at once.
fn put(path: &str, prev: &str, make: impl Fn(&str) -> std::io::Result<()>) -> std::io::Result<()> {
    if prev == "absent" {
        return make(path);
    }
    let dir = match path::dirname(path) {
        "" => ".",
        dir => dir,
    };
    let temp = path::join(dir, &format!(".{}.{}.tmp", std::process::id(), unique()));
    if prev == "directory" {
        fs::remove_dir(path)?;
    }
    let done = make(&temp).and_then(|()| fs::rename(&temp, path));
    // Linking a file to itself leaves the temporary name behind.
    let _ = fs::remove_file(&temp);
    done
}

/// A symbolic link.
pub fn symbolic(
    cx: &mut Cx<'_>,
    path: &str,
    src: Option<String>,
    follow: bool,
    force: bool,
    times: &Times,
) -> Reply {
    let prev = state_of(path);
    let src = match src {
        Some(src) => src,
        None if follow && prev == "link" => {
            fs::read_link(path).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default()
        }
        None if prev == "link" => return attributes(cx, path, prev, times),
        None => return Err(Fail::msg("src is required for creating new symlinks")),
    };
    let base = if prev == "directory" { path } else { path::dirname(path) };
    let target = path::join(base, &src);
    if !force && fs::metadata(&target).is_err() {
        let text = format!(
            "src file does not exist, use 'force=yes' if you really want to create the link: {target}"
        );
        return Err(Fail::msg(text).with("path", path).with("src", src));
    }
    match prev {
        "directory" if !force => {
            return Err(Fail::msg(format!("refusing to convert from directory to symlink for {path}"))
                .with("path", path));
        }
        "directory" if fs::read_dir(path).is_ok_and(|mut d| d.next().is_some()) => {
            return Err(Fail::msg(format!("the directory {path} is not empty, refusing to convert it"))
                .with("path", path));
        }
        "file" | "hard" if !force => {
            return Err(Fail::msg(format!("refusing to convert from {prev} to symlink for {path}"))
                .with("path", path));
        }
        _ => {}
    }
    let mut diff = initial_diff(path, "link", prev);
    let mut changed = prev != "link";
    if !changed {
        let old = fs::read_link(path).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
        if old != src {
            diff.note("src", old, src.as_str());
            changed = true;
        }
    }
    if changed && !cx.check {
        put(path, prev, |at| symlink(&src, at)).map_err(|e| os_fail("Error while linking", &e, path))?;
    }
    if cx.check && !path::lexists(path) {
        return Ok(reply(path, &src, changed, &diff));
    }
    let args = FileArgs::of(cx);
    if follow && fs::metadata(path).is_err() {
        cx.warn("Cannot set fs attributes on a non-existent symlink target. follow should be set to False to avoid this.");
    } else {
        let at = if follow { path::realpath(path) } else { path.to_string() };
        changed |= args.apply(cx, &at, Some(&mut diff))?;
        changed |= times.set(cx, &at, &mut diff)?;
    }
    Ok(reply(path, &src, changed, &diff))
}

/// A hard link.
pub fn hard(cx: &mut Cx<'_>, path: &str, src: Option<String>, force: bool, times: &Times) -> Reply {
    let prev = state_of(path);
    let Some(src) = src else {
        if prev == "hard" {
            return attributes(cx, path, prev, times);
        }
        return Err(Fail::msg("src is required for creating new hardlinks"));
    };
    let Ok(source) = fs::metadata(&src) else {
        return Err(Fail::msg("src does not exist").with("dest", path).with("src", src));
    };
    let mut diff = initial_diff(path, "hard", prev);
    let same = fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (source.dev(), source.ino()));
    let refuse = |text: &str| Err(Fail::msg(text).with("dest", path).with("src", src.as_str()));
    let changed = match prev {
        "absent" => true,
        "link" => {
            let old = fs::read_link(path).map(|t| t.to_string_lossy().into_owned()).unwrap_or_default();
            diff.note("src", old, src.as_str());
            true
        }
        "hard" if same => false,
        "hard" if !force => return refuse("Cannot link, different hard link exists at destination"),
        "file" if !force => return refuse("Cannot link, file exists at destination"),
        "directory" if !force => return refuse("Cannot link: different hard link exists at destination"),
        "directory" => return refuse("Error while replacing: [Errno 39] Directory not empty"),
        _ => true,
    };
    let mut changed = changed;
    if changed && !cx.check {
        put(path, prev, |at| fs::hard_link(&src, at))
            .map_err(|e| os_fail("Error while linking", &e, path))?;
    }
    if cx.check && !path::lexists(path) {
        return Ok(reply(path, &src, changed, &diff));
    }
    changed |= FileArgs::of(cx).apply(cx, path, Some(&mut diff))?;
    changed |= times.set(cx, path, &mut diff)?;
    Ok(reply(path, &src, changed, &diff))
}

/// Attributes of a link whose source isn't given.
fn attributes(cx: &mut Cx<'_>, path: &str, state: &str, times: &Times) -> Reply {
    let mut diff = initial_diff(path, state, state);
    let mut changed = FileArgs::of(cx).apply(cx, path, Some(&mut diff))?;
    changed |= times.set(cx, path, &mut diff)?;
    let mut map = reply(path, "", changed, &diff);
    map.insert("src".into(), Value::Null);
    Ok(map)
}
