//! `state: touch`.

use std::fs::OpenOptions;

use super::times::Times;
use super::{initial_diff, os_fail, reply, state_of};
use crate::cx::Cx;
use crate::files::FileArgs;
use crate::result::{Fail, Reply};
use crate::sys::path::realpath;

/// Makes the file when absent, sets its times and attributes.
pub fn ensure(cx: &mut Cx<'_>, given: &str, follow: bool, times: &Times) -> Reply {
    let mut path = given.to_string();
    let mut prev = state_of(&path);
    if follow && prev == "link" {
        path = realpath(&path);
        prev = state_of(&path);
    }
    let mut diff = initial_diff(&path, "touch", prev);
    let mut changed = false;
    if prev == "absent" {
        changed = true;
        if cx.check {
            return Ok(reply("dest", &path, true, &diff));
        }
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| os_fail("Error, could not touch target", &e, &path))?;
    } else if !matches!(prev, "file" | "directory" | "hard" | "link") {
        let text = format!("Can only touch other files, directories, and hardlinks ({path} is {prev})");
        return Err(Fail::msg(text));
    }
    let set = FileArgs::of(cx).apply(cx, &path, Some(&mut diff));
    match set {
        Ok(set) => changed |= set,
        Err(fail) => {
            if prev == "absent" {
                // What we made goes again when its attributes can't be set.
                let _ = std::fs::remove_file(&path);
            }
            return Err(fail);
        }
    }
    changed |= times.set(cx, &path, &mut diff)?;
    Ok(reply("dest", &path, changed, &diff))
}
