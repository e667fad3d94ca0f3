//! `blockinfile`: a block of lines between two markers.

use std::fs;

use super::edit::{self, chomp};
use crate::cx::Cx;
use crate::files::Diff;
use crate::map;
use crate::re;
use crate::result::{Fail, Reply};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    cx.keep_diff = true;
    let path = cx.string("path");
    if fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
        return Err(Fail::msg(format!("Path {path} is a directory !")).with("rc", 256));
    }
    let existed = fs::metadata(&path).is_ok();
    if !existed && !cx.bool("create") {
        return Err(Fail::msg(format!("Path {path} does not exist !")).with("rc", 257));
    }
    if !existed && !cx.check {
        edit::make_parents(&path)?;
    }
    let original = if existed { Some(edit::read(&path)?) } else { None };
    let before = original.clone().unwrap_or_default();
    let block = cx.string("block");
    let present = cx.string("state") == "present";
    if !present && !existed {
        return Ok(map! {"changed" => false, "msg" => format!("File {path} not present")});
    }
    let marker = cx.string("marker");
    let marker_line = |mark: &str| [marker.replace("{mark}", mark).as_bytes(), b"\n"].concat();
    let (begin, end) = (marker_line(&cx.string("marker_begin")), marker_line(&cx.string("marker_end")));
    let mut lines = edit::lines(&before);
    let block_lines = if present && !block.is_empty() {
        let mut all = vec![begin.clone()];
        // Each line keeps its own end.
        let text = if block.ends_with('\n') { block.clone() } else { format!("{block}\n") };
        all.extend(edit::lines(text.as_bytes()));
        all.push(end.clone());
        all
    } else {
        Vec::new()
    };
    let at = place(cx, &mut lines, &begin, &end)?;
    let at = at.min(lines.len());
    if at > 0 && !block_lines.is_empty() && !lines[at - 1].ends_with(b"\n") {
        lines[at - 1].push(b'\n');
    }
    let mut insert = block_lines;
    if !insert.is_empty() {
        if cx.bool("prepend_newline") && at > 0 && lines[at - 1] != b"\n" {
            insert.insert(0, b"\n".to_vec());
        }
        if cx.bool("append_newline") && lines.get(at).is_some_and(|l| l != b"\n") {
            insert.push(b"\n".to_vec());
        }
    }
    lines.splice(at..at, insert);
    let mut after = lines.concat();
    if !after.is_empty() && !after.ends_with(b"\n") && before.ends_with(b"\n") {
        after.push(b'\n');
    }
    let (changed, message) = if original.as_deref() == Some(after.as_slice()) {
        (false, "")
    } else if original.is_none() {
        (true, "File created")
    } else if present && !block.is_empty() {
        (true, "Block inserted")
    } else {
        (true, "Block removed")
    };
    let mut copy = None;
    if changed && !cx.check {
        let name = edit::save(cx, &path, &after)?;
        copy = (!name.is_empty()).then_some(name);
    }
    if cx.check && !existed {
        let diff = edit::content_diff(cx, &path, &before, &after);
        return Ok(map! {"changed" => changed, "msg" => message, "diff" => diff});
    }
    let mut attributes = Diff::default();
    let (changed, message) = edit::attributes(cx, &path, changed, message, &mut attributes)?;
    let mut result = map! {
        "changed" => changed, "msg" => message, "diff" => edit::diffs(cx, &path, &before, &after, &attributes),
    };
    if let Some(copy) = copy {
        result.insert("backup_file".into(), copy.into());
    }
    Ok(result)
}

/// Whether a pattern asks for multi-line mode: it then sees the whole file, not a line at a time.
fn spans_lines(pattern: &str) -> bool {
    pattern
        .strip_prefix("(?")
        .and_then(|rest| rest.split_once(')'))
        .is_some_and(|(flags, _)| flags.chars().all(|c| c.is_ascii_alphabetic()) && flags.contains('m'))
}

/// Takes an existing block out and says where the new one goes.
fn place(cx: &Cx<'_>, lines: &mut Vec<Vec<u8>>, begin: &[u8], end: &[u8]) -> Result<usize, Fail> {
    let (begin, end) = (chomp(begin), chomp(end));
    let last = |wanted: &[u8]| lines.iter().rposition(|l| chomp(l) == wanted);
    match (last(begin), last(end)) {
        (Some(first), Some(second)) => {
            // Markers in the wrong order: the lines between them go all the same.
            let (low, high) = (first.min(second), first.max(second));
            lines.drain(low..=high);
            return Ok(low);
        }
        (Some(only), None) | (None, Some(only)) if cx.string("marker_begin") == cx.string("marker_end") => {
            return Ok(only);
        }
        _ => {}
    }
    let (pattern, after) = match (cx.str("insertbefore"), cx.str("insertafter")) {
        (Some("BOF"), _) => return Ok(0),
        (None, Some("EOF") | None) => return Ok(lines.len()),
        (Some(pattern), _) => (pattern, false),
        (None, Some(pattern)) => (pattern, true),
    };
    let regex = re::bytes(pattern).map_err(|e| Fail::msg(format!("Invalid regular expression: {e}")))?;
    if spans_lines(pattern) {
        let text = lines.concat();
        let Some(found) = regex.search(&text) else { return Ok(lines.len()) };
        // The line that the match ends (or starts) in.
        let at = if after { found.end() } else { found.start() };
        let line = text[..at].iter().filter(|b| **b == b'\n').count();
        return Ok(if after { line + 1 } else { line });
    }
    let found = lines.iter().rposition(|l| regex.is_match(l));
    Ok(match found {
        Some(at) if after => at + 1,
        Some(at) => at,
        None => lines.len(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Call, Map, run};

    fn edit(text: &str, mut args: Value) -> (Map, String) {
        let path = std::env::temp_dir().join(format!("pileus-block-{}", crate::files::write::unique()));
        std::fs::write(&path, text).unwrap();
        args["path"] = path.to_string_lossy().into_owned().into();
        let Value::Object(args) = args else { panic!("an object") };
        let result = run(Call::new("blockinfile", args));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (result, text)
    }

    #[test]
    fn blocks_come_change_and_go() {
        let (first, text) = edit("a\nb", json!({"block": "x\ny"}));
        assert_eq!(text, "a\nb\n# BEGIN ANSIBLE MANAGED BLOCK\nx\ny\n# END ANSIBLE MANAGED BLOCK\n");
        assert_eq!(first["msg"], "Block inserted");
        let (again, same) = edit(&text, json!({"block": "x\ny"}));
        assert_eq!((&again["changed"], &same), (&false.into(), &text));
        let (_, text) = edit(&text, json!({"block": "z", "insertbefore": "BOF"}));
        assert_eq!(text, "a\nb\n# BEGIN ANSIBLE MANAGED BLOCK\nz\n# END ANSIBLE MANAGED BLOCK\n");
        let (gone, text) = edit(&text, json!({"state": "absent"}));
        assert_eq!((text.as_str(), &gone["msg"]), ("a\nb\n", &"Block removed".into()));
        let (_, text) = edit("a\nb\n", json!({"block": "x", "insertafter": "^a", "marker": "// {mark}"}));
        assert_eq!(text, "a\n// BEGIN\nx\n// END\nb\n");
    }
}
