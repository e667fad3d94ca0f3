//! `state: absent`.

use std::fs;
use std::io::ErrorKind;

use super::{initial_diff, os_fail, state_of};
use crate::cx::Cx;
use crate::map;
use crate::result::Reply;

/// Removes a file, a link, or a directory with all that is in it.
pub fn ensure(cx: &mut Cx<'_>, path: &str) -> Reply {
    let prev = state_of(path);
    if prev == "absent" {
        return Ok(map! {"path" => path, "changed" => false, "state" => "absent"});
    }
    let diff = initial_diff(path, "absent", prev);
    if !cx.check {
        let (removed, what) = if prev == "directory" {
            (fs::remove_dir_all(path), "rmtree failed")
        } else {
            (fs::remove_file(path), "unlinking failed")
        };
        match removed {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(os_fail(what, &e, path)),
        }
    }
    Ok(map! {"path" => path, "changed" => true, "diff" => diff.to_value(), "state" => "absent"})
}
