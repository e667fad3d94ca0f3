//! What the modules that edit a text file share: reading it, the diff, writing it, attributes after it.

use std::fs;

use serde_json::{Value, json};

use crate::cx::Cx;
use crate::files::{Diff, FileArgs, backup, validate, write};
use crate::result::{Fail, os_error};
use crate::sys::path;

/// The lines of a file with their ends.
pub fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}

/// A line without its end.
pub fn chomp(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| *b != b'\n' && *b != b'\r').map_or(0, |at| at + 1);
    &line[..end]
}

/// Reads a file that may have to be made.
pub fn read(path: &str) -> Result<Vec<u8>, Fail> {
    fs::read(path).map_err(|e| Fail::msg(os_error(&e, Some(path))))
}

/// Makes the missing directories above a new file.
pub fn make_parents(file: &str) -> Result<(), Fail> {
    let dir = path::dirname(file);
    if dir.is_empty() || fs::metadata(dir).is_ok() {
        return Ok(());
    }
    fs::create_dir_all(dir)
        .map_err(|e| Fail::msg(format!("Error creating {dir} ({})", os_error(&e, Some(dir)))))
}

/// Keeps the old file aside when asked, validates and writes the new content; the backup's name.
pub fn save(cx: &mut Cx<'_>, file: &str, bytes: &[u8]) -> Result<String, Fail> {
    let copy =
        if cx.bool("backup") && fs::metadata(file).is_ok() { backup::backup(file)? } else { String::new() };
    validate::validate(cx, bytes)?;
    write::replace(cx, &path::realpath(file), bytes)?;
    Ok(copy)
}

/// Sets the file's attributes after the edit and says so in the message.
pub fn attributes(
    cx: &Cx<'_>,
    file: &str,
    changed: bool,
    message: &str,
    diff: &mut Diff,
) -> Result<(bool, String), Fail> {
    if !FileArgs::of(cx).apply(cx, file, Some(diff))? {
        return Ok((changed, message.to_string()));
    }
    let joint = if changed { " and " } else { "" };
    Ok((true, format!("{message}{joint}ownership, perms or SE linux context changed")))
}

/// The diff of an edited file's content; outside of diff mode it names the file only.
pub fn content_diff(cx: &Cx<'_>, file: &str, before: &[u8], after: &[u8]) -> Value {
    let shown = |bytes: &[u8]| if cx.diff { crate::py::text(bytes) } else { String::new() };
    json!({
        "before": shown(before),
        "after": shown(after),
        "before_header": format!("{file} (content)"),
        "after_header": format!("{file} (content)"),
    })
}

/// The two diffs of an edited file: its content and its attributes.
pub fn diffs(cx: &Cx<'_>, file: &str, before: &[u8], after: &[u8], attributes: &Diff) -> Value {
    let mut second = if attributes.before.is_empty() && attributes.after.is_empty() {
        json!({})
    } else {
        attributes.to_value()
    };
    for key in ["before_header", "after_header"] {
        second[key] = format!("{file} (file attributes)").into();
    }
    json!([content_diff(cx, file, before, after), second])
}
