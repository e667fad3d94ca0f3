//! Home directories: what is above them, and one made of the skeleton for an account that has none.

use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

use crate::cx::Cx;
use crate::result::{Fail, os_error};
use crate::sys::path;
use crate::sys::users::Passwd;

/// Makes the directories above the home that is asked for: useradd makes only the last.
pub fn make_parents(cx: &Cx<'_>) -> Result<(), Fail> {
    let Some(home) = cx.text("home").filter(|_| cx.bool("create_home")) else { return Ok(()) };
    let parent = path::dirname(&home);
    if parent.is_empty() || fs::metadata(parent).is_ok() {
        return Ok(());
    }
    fs::create_dir_all(parent).map_err(|e| Fail::msg(os_error(&e, Some(parent))))
}

/// Makes an account's home of the skeleton.
pub fn make(cx: &Cx<'_>, user: &Passwd) -> Result<(), Fail> {
    let skeleton = cx.text("skeleton").unwrap_or_else(|| "/etc/skel".into());
    let describe = |e: std::io::Error| Fail::msg(os_error(&e, Some(&user.home)));
    fs::create_dir_all(&user.home).map_err(describe)?;
    copy(&skeleton, &user.home, user).map_err(describe)?;
    let mode = default_mode();
    fs::set_permissions(&user.home, fs::Permissions::from_mode(mode)).map_err(describe)?;
    lchown(&user.home, Some(user.uid), Some(user.gid)).map_err(describe)
}

/// The mode of homes: HOME_MODE or UMASK of login.defs(5).
fn default_mode() -> u32 {
    let text = fs::read_to_string("/etc/login.defs").unwrap_or_default();
    let octal = |key: &str| {
        let value = text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(key)).then(|| words.next()).flatten()
        });
        value.and_then(|v| u32::from_str_radix(v, 8).ok())
    };
    octal("HOME_MODE").unwrap_or_else(|| 0o777 & !octal("UMASK").unwrap_or(0o022))
}

/// Copies a tree and gives it to the user; a skeleton that isn't there is an empty one.
fn copy(from: &str, to: &str, user: &Passwd) -> std::io::Result<()> {
    let Ok(list) = fs::read_dir(from) else { return Ok(()) };
    for entry in list {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (source, target) = (path::join(from, &name), path::join(to, &name));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            copy(&source, &target, user)?;
            fs::set_permissions(&target, fs::metadata(&source)?.permissions())?;
        } else if kind.is_file() {
            fs::copy(&source, &target)?;
        }
        if path::lexists(&target) {
            lchown(&target, Some(user.uid), Some(user.gid))?;
        }
    }
    Ok(())
}
