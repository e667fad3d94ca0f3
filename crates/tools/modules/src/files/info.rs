//! What every result with a `path` or `dest` says about that path.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::result::Map;
use crate::sys::{users, xattr};

/// Adds uid, gid, owner, group, mode, state and size of the result's path.
pub fn add_path_info(result: &mut Map) {
    let path = match result.get("path").or_else(|| result.get("dest")).and_then(|p| p.as_str()) {
        Some(path) if !path.is_empty() => path.to_string(),
        _ => return,
    };
    if !Path::new(&path).exists() {
        return;
    }
    let Ok(meta) = std::fs::symlink_metadata(&path) else { return };
    result.insert("uid".into(), meta.uid().into());
    result.insert("gid".into(), meta.gid().into());
    result.insert("owner".into(), users::user_name(meta.uid()).into());
    result.insert("group".into(), users::group_name(meta.gid()).into());
    result.insert("mode".into(), format!("0{:03o}", meta.permissions().mode() & 0o7777).into());
    let state = if meta.is_symlink() {
        "link"
    } else if meta.is_dir() {
        "directory"
    } else if meta.nlink() > 1 {
        "hard"
    } else {
        "file"
    };
    result.insert("state".into(), state.into());
    if xattr::selinux_enabled()
        && let Some(context) = xattr::context(&path)
    {
        result.insert("secontext".into(), context.into());
    }
    result.insert("size".into(), meta.len().into());
}
