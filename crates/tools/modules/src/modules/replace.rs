//! `replace`: all matches of a pattern in a file, or in the part between two patterns.

use std::fs;

use super::edit;
use crate::cx::Cx;
use crate::files::Diff;
use crate::map;
use crate::re::{Flags, Regex};
use crate::result::{Fail, Reply};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let path = cx.string("path");
    if fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
        return Err(Fail::msg(format!("Path {path} is a directory !")).with("rc", 256));
    }
    if fs::metadata(&path).is_err() {
        return Err(Fail::msg(format!("Path {path} does not exist !")).with("rc", 257));
    }
    let encoding = cx.string("encoding");
    let raw = edit::read(&path)?;
    let before = decode(&raw, &encoding)?;
    let bad = |e: String| Fail::msg(format!("Unable to process regular expression: {e}"));
    let regex =
        Regex::new(&cx.string("regexp"), Flags { multi_line: true, ..Flags::default() }).map_err(bad)?;
    let section = match (cx.text("after"), cx.text("before")) {
        (Some(after), Some(before)) => Some(format!("{after}(?P<subsection>.*?){before}")),
        (Some(after), None) => Some(format!("{after}(?P<subsection>.*)")),
        (None, Some(before)) => Some(format!("(?P<subsection>.*){before}")),
        (None, None) => None,
    };
    let (start, end) = match &section {
        None => (0, before.len()),
        Some(pattern) => {
            let outer = Regex::new(pattern, Flags { dot_all: true, ..Flags::default() }).map_err(bad)?;
            let group = outer.group_index("subsection").unwrap_or(0);
            match outer.search(&before).and_then(|m| m.span(group)) {
                Some(span) => span,
                None => {
                    return Ok(map! {
                        "changed" => false, "rc" => 0,
                        "msg" => format!("Pattern for before/after params did not match the given file: {pattern}"),
                    });
                }
            }
        }
    };
    let (middle, count) = regex
        .replace_all(&before[start..end], &cx.string("replace"))
        .map_err(|e| Fail::msg(format!("Unable to process replace due to error: {e}")))?;
    let after = [&before[..start], &middle, &before[end..]].concat();
    let changed = count > 0 && after != before;
    let message = if changed { format!("{count} replacements made") } else { String::new() };
    let mut result = map! {"msg" => "", "changed" => changed, "rc" => 0};
    if changed {
        result.insert(
            "diff".into(),
            serde_json::json!({
                "before_header": path, "before": crate::py::text(&before),
                "after_header": path, "after": crate::py::text(&after),
            }),
        );
    }
    if changed && !cx.check {
        let copy = edit::save(cx, &path, &encode(&after, &encoding)?)?;
        if !copy.is_empty() {
            result.insert("backup_file".into(), copy.into());
        }
    }
    let (changed, message) = edit::attributes(cx, &path, changed, &message, &mut Diff::default())?;
    result.insert("changed".into(), changed.into());
    result.insert("msg".into(), message.into());
    Ok(result)
}

fn unknown(encoding: &str) -> Fail {
    Fail::msg(format!("Unable to read the contents of the file: unknown encoding: {encoding}"))
}

/// The file's text in UTF-8.
fn decode(raw: &[u8], encoding: &str) -> Result<Vec<u8>, Fail> {
    match encoding.to_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" | "us-ascii" => Ok(raw.to_vec()),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => {
            Ok(raw.iter().map(|b| *b as char).collect::<String>().into_bytes())
        }
        "utf-16" | "utf16" | "utf-16-le" | "utf-16le" => {
            let skip = usize::from(raw.starts_with(b"\xff\xfe")) * 2;
            let units: Vec<u16> =
                raw[skip..].chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
            Ok(String::from_utf16_lossy(&units).into_bytes())
        }
        _ => Err(unknown(encoding)),
    }
}

fn encode(text: &[u8], encoding: &str) -> Result<Vec<u8>, Fail> {
    match encoding.to_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" | "us-ascii" => Ok(text.to_vec()),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => crate::py::text(text)
            .chars()
            .map(|c| {
                u8::try_from(c as u32)
                    .map_err(|_| Fail::msg("'latin-1' codec can't encode a character of the text"))
            })
            .collect(),
        name @ ("utf-16" | "utf16" | "utf-16-le" | "utf-16le") => {
            let mark = if name.ends_with("le") { Vec::new() } else { vec![0xff, 0xfe] };
            let units = crate::py::text(text);
            Ok(mark.into_iter().chain(units.encode_utf16().flat_map(u16::to_le_bytes)).collect())
        }
        _ => Err(unknown(encoding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn all_matches_or_those_between() {
        let path = std::env::temp_dir().join(format!("pileus-replace-{}", crate::files::write::unique()));
        let call = |text: &str, mut args: Value| {
            std::fs::write(&path, text).unwrap();
            args["path"] = path.to_string_lossy().into_owned().into();
            let Value::Object(args) = args else { panic!("an object") };
            let result = crate::run(crate::Call::new("replace", args));
            (result, std::fs::read_to_string(&path).unwrap())
        };
        let (result, text) = call("a1\na2\n", json!({"regexp": r"^a(\d)$", "replace": r"b\1"}));
        assert_eq!((text.as_str(), &result["msg"]), ("b1\nb2\n", &"2 replacements made".into()));
        let (_, text) =
            call("x\n<\nx\n>\nx\n", json!({"regexp": "x", "replace": "y", "after": "<", "before": ">"}));
        assert_eq!(text, "x\n<\ny\n>\nx\n");
        let (result, _) = call("x\n", json!({"regexp": "x", "after": "nope"}));
        assert_eq!(
            result["msg"],
            "Pattern for before/after params did not match the given file: nope(?P<subsection>.*)"
        );
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn encodings() {
        assert_eq!(encode(&decode(b"\xe9", "latin-1").unwrap(), "latin-1").unwrap(), b"\xe9");
        assert!(decode(b"", "nope").is_err());
    }
}
