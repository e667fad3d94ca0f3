//! `state: directory`, with all missing parents, and `recurse`.

use std::fs;
use std::io::ErrorKind;

use super::times::Times;
use super::{initial_diff, os_fail, reply, state_of};
use crate::cx::Cx;
use crate::files::{Diff, FileArgs};
use crate::result::{Fail, Reply};
use crate::sys::path::{join, realpath};

/// Makes the directory when absent and sets attributes.
pub fn ensure(cx: &mut Cx<'_>, given: &str, follow: bool, recurse: bool, times: &Times) -> Reply {
    let mut path = given.to_string();
    let mut prev = state_of(&path);
    if follow && prev == "link" {
        path = realpath(&path);
        prev = state_of(&path);
    }
    let mut diff = initial_diff(&path, "directory", prev);
    let args = FileArgs::of(cx);
    let mut changed = false;
    if prev == "absent" {
        if cx.check {
            return Ok(reply("path", &path, true, &diff));
        }
        changed = make(cx, &path, &args, times, &mut diff)?;
    } else if prev != "directory" {
        return Err(Fail::msg(format!("{path} already exists as a {prev}")).with("path", path));
    }
    changed |= args.apply(cx, &path, Some(&mut diff))?;
    changed |= times.set(cx, &path, &mut diff)?;
    if recurse {
        changed |= below(cx, &path, follow, &args, times)?;
    }
    Ok(reply("path", &path, changed, &diff))
}

/// Makes each missing part of the path; every new one gets the attributes.
fn make(cx: &Cx<'_>, path: &str, args: &FileArgs, times: &Times, diff: &mut Diff) -> Result<bool, Fail> {
    let mut current = if path.starts_with('/') { "/".to_string() } else { String::new() };
    let mut changed = false;
    for part in path.split('/').filter(|p| !p.is_empty()) {
        current = join(&current, part);
        if fs::metadata(&current).is_ok() {
            continue;
        }
        match fs::create_dir(&current) {
            Ok(()) => changed = true,
            Err(e)
                if e.kind() == ErrorKind::AlreadyExists
                    && fs::metadata(&current).is_ok_and(|m| m.is_dir()) => {}
            Err(e) => {
                return Err(os_fail(
                    &format!("There was an issue creating {current} as requested"),
                    &e,
                    &current,
                )
                .with("path", path));
            }
        }
        changed |= args.apply(cx, &current, Some(diff))?;
        changed |= times.set(cx, &current, diff)?;
    }
    Ok(changed)
}

/// Sets attributes on everything below a directory.
fn below(cx: &Cx<'_>, dir: &str, follow: bool, args: &FileArgs, times: &Times) -> Result<bool, Fail> {
    let mut changed = false;
    let entries = fs::read_dir(dir).map_err(|e| {
        os_fail(&format!("Could not recursively set attributes on {dir}. Original error was"), &e, dir)
    })?;
    for entry in entries.flatten() {
        let path = join(dir, &entry.file_name().to_string_lossy());
        let Ok(kind) = entry.file_type() else { continue };
        let mut unseen = Diff::default();
        changed |= args.apply(cx, &path, Some(&mut unseen))?;
        if !kind.is_symlink() {
            changed |= times.set(cx, &path, &mut unseen)?;
            if kind.is_dir() {
                changed |= below(cx, &path, follow, args, times)?;
            }
        } else if follow && let Ok(meta) = fs::metadata(&path) {
            let target = realpath(&path);
            if meta.is_dir()
                && !dir.starts_with(&format!("{}/", target.trim_end_matches('/')))
                && target != dir
            {
                changed |= below(cx, &target, follow, args, times)?;
            }
            changed |= args.apply(cx, &target, Some(&mut unseen))?;
            changed |= times.set(cx, &target, &mut unseen)?;
        }
    }
    Ok(changed)
}
