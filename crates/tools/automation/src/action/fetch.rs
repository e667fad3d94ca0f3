//! `fetch`: a file of the host, brought to the controller.

use std::fs;
use std::path::Path;

use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json};

use super::remote::{self, connect, lost};
use super::{Cx, Failure, Outcome};
use crate::connection::{Become, Connection};
use crate::source::paths::unfrack_from;

/// Runs the action.
///
/// # Errors
/// Arguments that are wrong, a file that can't be read there or written here, a host that is away.
pub fn fetch(cx: &mut Cx<'_>) -> Outcome {
    if cx.fields.check {
        let d = Dict::new();
        d.insert("changed", false);
        d.insert("skipped", true);
        d.insert("msg", "check mode not (yet) supported for this module");
        return Ok(d);
    }
    let (flat, fail, validate) =
        (cx.flag("flat", false)?, cx.flag("fail_on_missing", true)?, cx.flag("validate_checksum", true)?);
    for (key, shown) in [("src", "source"), ("dest", "dest")] {
        if cx.args.get(key).is_some_and(|v| !matches!(v, Value::Str(_) | Value::None)) {
            return Err(Failure::msg(format!(
                "Invalid type supplied for {shown} option, it must be a string"
            )));
        }
    }
    let (Some(src), Some(dest)) = (cx.text("src"), cx.text("dest")) else {
        return Err(Failure::msg("src and dest are required"));
    };
    let (c, as_user) = connect(cx)?;
    let src = expanded(&c, as_user.as_ref(), src)?;
    let mut data = Vec::new();
    if let Err(e) = c.get(&src, &mut data, as_user.as_ref()) {
        return match unreadable(cx, &src)? {
            Some(why) => missing(&why, fail),
            None => Err(lost(e)),
        };
    }
    let target = target(cx, &src, &dest, flat)?;
    let new = sha1(&data);
    let changed = fs::read(&target).ok().map(|b| sha1(&b)).as_deref() != Some(new.as_str());
    let d = Dict::new();
    if changed {
        if let Some(dir) = Path::new(&target).parent() {
            fs::create_dir_all(dir)
                .map_err(|e| Failure::msg(format!("Unable to create directory {}: {e}", dir.display())))?;
        }
        fs::write(&target, &data).map_err(|e| Failure::msg(format!("Failed to fetch the file: {e}")))?;
        let written = fs::read(&target).ok().map(|b| sha1(&b));
        if validate && written.as_deref() != Some(new.as_str()) {
            return Err(Failure::msg("checksum mismatch"));
        }
    } else {
        d.insert("file", src.as_str());
    }
    d.insert("changed", changed);
    d.insert("md5sum", pileus_modules::md5(&data));
    d.insert("dest", target);
    d.insert("checksum", new.as_str());
    if changed {
        d.insert("remote_checksum", new.as_str());
        d.insert("remote_md5sum", Value::None);
    }
    Ok(d)
}

/// The path with the home that its `~` or `~user` stands for on the host; as it is where there is no such user.
fn expanded(c: &Connection, as_user: Option<&Become>, src: String) -> Result<String, Failure> {
    let end = src.find('/').unwrap_or(src.len());
    let (user, rest) = src.split_at(end);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !user.strip_prefix('~').is_some_and(|name| name.chars().all(plain)) {
        return Ok(src);
    }
    let output = c.exec(&format!("echo {user}"), &[], as_user, None).map_err(lost)?;
    let home = String::from_utf8_lossy(&output.stdout);
    match home.trim_end().rsplit('\n').next().filter(|h| h.starts_with('/')) {
        Some(home) => Ok(format!("{home}{rest}")),
        None => Ok(src),
    }
}

fn sha1(bytes: &[u8]) -> String {
    use sha1::{Digest, Sha1};
    Sha1::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Why the file there can't be read, in `slurp`'s words; `None` where it can.
fn unreadable(cx: &Cx<'_>, src: &str) -> Result<Option<String>, Failure> {
    let mut args = Map::new();
    args.insert("src".into(), src.into());
    let told = remote::native(cx, "slurp", &args)?.unwrap_or_default();
    if told.get("failed").and_then(Json::as_bool) != Some(true) {
        return Ok(None);
    }
    Ok(Some(told.get("msg").and_then(Json::as_str).unwrap_or_default().to_owned()))
}

/// The result for a file that isn't there, is a directory or must not be read.
fn missing(why: &str, fail: bool) -> Outcome {
    let known = if why.starts_with("File not found") {
        Some("the remote file does not exist")
    } else if why.starts_with("Source is a directory") {
        Some("remote file is a directory, fetch cannot work on directories")
    } else {
        None
    };
    let d = Dict::new();
    d.insert("changed", false);
    match known {
        Some(known) if !fail || why.starts_with("File not found") => {
            d.insert("msg", format!("{known}, not transferring, ignored"));
        }
        Some(known) => {
            d.insert("msg", known);
        }
        None => {
            d.insert("msg", why);
        }
    }
    if fail || known.is_none() {
        d.insert("failed", true);
    }
    Ok(d)
}

/// Where the file goes.
fn target(cx: &Cx<'_>, src: &str, dest: &str, flat: bool) -> Result<String, Failure> {
    let base = cx.world.files.base();
    let target = if !flat {
        let (dir, host) = (dest.trim_end_matches('/'), cx.host);
        unfrack_from(&format!("{dir}/{host}/{}", src.trim_start_matches('/')), &base)
    } else if dest.ends_with('/') {
        unfrack_from(&format!("{dest}{}", src.rsplit('/').next().unwrap_or_default()), &base)
    } else {
        let path = unfrack_from(dest, &base);
        if Path::new(&path).is_dir() {
            return Err(Failure::msg(
                "dest is an existing directory, use a trailing slash if you want to fetch src into that directory",
            ));
        }
        path
    };
    if Path::new(&target).is_dir() {
        return Err(Failure::msg(format!(
            "calculated dest '{target}' is an existing directory, use another path that does not point to an existing directory"
        )));
    }
    Ok(target)
}
