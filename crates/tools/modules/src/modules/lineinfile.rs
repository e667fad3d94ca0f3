//! `lineinfile`: one line of a text file, there or not there.

use std::fs;

use super::edit::{self, chomp};
use crate::cx::Cx;
use crate::files::Diff;
use crate::map;
use crate::re::{self, Match, Regex};
use crate::result::{Fail, Reply};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    cx.keep_diff = true;
    let path = cx.string("path");
    let (regexp, search) =
        (cx.str("regexp").map(str::to_string), cx.str("search_string").map(str::to_string));
    let caret = " If this is desired, use '^' to match every line in the file and avoid this warning.";
    for (name, value, hint) in [("regular expression", &regexp, caret), ("search string", &search, "")] {
        if value.as_deref() == Some("") {
            cx.warn(format!("The {name} is an empty string, which will match every line in the file. This may have unintended consequences, such as replacing the last line in the file rather than appending.{hint}"));
        }
    }
    if fs::metadata(&path).is_ok_and(|m| m.is_dir()) {
        return Err(Fail::msg(format!("Path {path} is a directory !")).with("rc", 256));
    }
    let line = cx.str("line").map(str::to_string);
    if cx.string("state") == "present" {
        if cx.bool("backrefs") && regexp.is_none() {
            return Err(Fail::msg("regexp is required with backrefs=true"));
        }
        let Some(line) = line else { return Err(Fail::msg("line is required with state=present")) };
        return present(cx, &path, &line);
    }
    if regexp.is_none() && search.is_none() && line.is_none() {
        return Err(Fail::msg("one of line, search_string, or regexp is required with state=absent"));
    }
    absent(cx, &path, line.as_deref())
}

fn compile(pattern: &str) -> Result<Regex, Fail> {
    re::bytes(pattern).map_err(|e| Fail::msg(format!("Invalid regular expression {pattern:?}: {e}")))
}

fn contains(line: &[u8], text: &[u8]) -> bool {
    text.is_empty() || line.windows(text.len()).any(|w| w == text)
}

/// Where a new line goes.
enum Place {
    Start,
    End,
    After(Regex),
    Before(Regex),
}

fn place(cx: &Cx<'_>) -> Result<Place, Fail> {
    Ok(match (cx.str("insertbefore"), cx.str("insertafter")) {
        (Some("BOF"), _) | (_, Some("BOF")) => Place::Start,
        (Some(pattern), _) => Place::Before(compile(pattern)?),
        (None, Some("EOF") | None) => Place::End,
        (None, Some(pattern)) => Place::After(compile(pattern)?),
    })
}

/// What a pass over the file found.
#[derive(Default)]
struct Found {
    /// The line that matches, and the match.
    matched: Option<(usize, Option<Match>)>,
    /// The place the insertion pattern points at.
    insert: Option<usize>,
    /// The line is there as it is.
    exact: Option<usize>,
}

fn look(cx: &Cx<'_>, lines: &[Vec<u8>], line: &[u8], place: &Place) -> Result<Found, Fail> {
    let regexp = cx.str("regexp").map(compile).transpose()?;
    let search = cx.str("search_string").map(|s| s.as_bytes().to_vec());
    let first_only = cx.bool("firstmatch");
    let mut found = Found::default();
    for (number, current) in lines.iter().enumerate() {
        let hit = match (&regexp, &search) {
            (Some(regex), _) => regex.search(current).map(Some),
            (None, Some(text)) => contains(current, text).then_some(None),
            (None, None) => None,
        };
        if chomp(current) == line {
            found.exact = Some(number);
        }
        if let Some(hit) = hit {
            found.matched = Some((number, hit));
            if first_only {
                break;
            }
        } else if found.exact == Some(number) && regexp.is_none() && search.is_none() {
            if first_only {
                break;
            }
        } else {
            match place {
                Place::After(regex) if regex.is_match(current) => found.insert = Some(number + 1),
                Place::Before(regex) if regex.is_match(current) => found.insert = Some(number),
                _ => continue,
            }
            if first_only {
                break;
            }
        }
    }
    Ok(found)
}

fn present(cx: &mut Cx<'_>, path: &str, line: &str) -> Reply {
    let existed = fs::metadata(path).is_ok();
    if !existed && !cx.bool("create") {
        return Err(Fail::msg(format!("Destination {path} does not exist !")).with("rc", 257));
    }
    if !existed && !cx.check {
        edit::make_parents(path)?;
    }
    let before = if existed { edit::read(path)? } else { Vec::new() };
    let mut lines = edit::lines(&before);
    let place = place(cx)?;
    let found = look(cx, &lines, line.as_bytes(), &place)?;
    let message = change(cx, &mut lines, line, &place, &found)?;
    let after: Vec<u8> = lines.concat();
    let changed = !message.is_empty();
    let mut copy = String::new();
    if changed && !cx.check {
        copy = edit::save(cx, path, &after)?;
    }
    if cx.check && !existed {
        return Ok(map! {
            "changed" => changed, "msg" => message, "backup" => copy,
            "diff" => edit::content_diff(cx, path, &before, &after),
        });
    }
    let mut attributes = Diff::default();
    let (changed, message) = edit::attributes(cx, path, changed, message, &mut attributes)?;
    Ok(map! {
        "changed" => changed, "msg" => message, "backup" => copy,
        "diff" => edit::diffs(cx, path, &before, &after, &attributes),
    })
}

fn replace(old: &mut Vec<u8>, new: Vec<u8>) -> &'static str {
    if *old == new {
        return "";
    }
    *old = new;
    "line replaced"
}

/// Changes the lines; the message, empty when nothing changed.
fn change(
    cx: &Cx<'_>,
    lines: &mut Vec<Vec<u8>>,
    line: &str,
    place: &Place,
    found: &Found,
) -> Result<&'static str, Fail> {
    let with_end = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        if !bytes.ends_with(b"\n") {
            bytes.push(b'\n');
        }
        bytes
    };
    if let Some((number, hit)) = &found.matched {
        let new = match hit {
            Some(m) if cx.bool("backrefs") => {
                let regex = compile(cx.str("regexp").unwrap_or_default())?;
                regex.expand(&lines[*number], m, line).map_err(Fail::msg)?
            }
            _ => line.as_bytes().to_vec(),
        };
        return Ok(replace(&mut lines[*number], with_end(&new)));
    }
    if cx.bool("backrefs") {
        return Ok("");
    }
    // The line may be there although nothing matches: a second run must not add it again.
    if let Some(number) = found.exact {
        return Ok(replace(&mut lines[number], with_end(line.as_bytes())));
    }
    let new = [line.as_bytes(), b"\n"].concat();
    let end_last = |lines: &mut Vec<Vec<u8>>| {
        if let Some(last) = lines.last_mut()
            && !last.ends_with(b"\n")
            && !last.ends_with(b"\r")
        {
            last.push(b'\n');
        }
    };
    let same = |lines: &[Vec<u8>], at: usize| lines.get(at).is_some_and(|l| chomp(l) == line.as_bytes());
    match (place, found.insert) {
        (Place::Start, _) => lines.insert(0, new),
        (Place::After(_), Some(at)) => {
            end_last(lines);
            if same(lines, at) {
                return Ok("");
            }
            lines.insert(at, new);
        }
        (Place::Before(_), Some(at)) => {
            if at > 0 && same(lines, at - 1) {
                return Ok("");
            }
            lines.insert(at, new);
        }
        _ => {
            end_last(lines);
            lines.push(new);
        }
    }
    Ok("line added")
}

fn absent(cx: &mut Cx<'_>, path: &str, line: Option<&str>) -> Reply {
    if fs::metadata(path).is_err() {
        return Ok(map! {"changed" => false, "msg" => "file not present"});
    }
    let before = edit::read(path)?;
    let lines = edit::lines(&before);
    let regexp = cx.str("regexp").map(compile).transpose()?;
    let search = cx.str("search_string").map(str::to_string);
    let wanted = line.map(str::as_bytes);
    let goes = |current: &[u8]| match (&regexp, &search) {
        (Some(regex), _) => regex.is_match(current),
        (None, Some(text)) => contains(current, text.as_bytes()),
        (None, None) => wanted == Some(chomp(current)),
    };
    let kept: Vec<Vec<u8>> = lines.iter().filter(|l| !goes(l)).cloned().collect();
    let removed = lines.len() - kept.len();
    let after = kept.concat();
    let changed = removed > 0;
    let mut copy = String::new();
    if changed && !cx.check {
        copy = edit::save(cx, path, &after)?;
    }
    let message = if changed { format!("{removed} line(s) removed") } else { String::new() };
    let mut attributes = Diff::default();
    let (changed, message) = edit::attributes(cx, path, changed, &message, &mut attributes)?;
    Ok(map! {
        "changed" => changed, "found" => removed, "msg" => message, "backup" => copy,
        "diff" => edit::diffs(cx, path, &before, &after, &attributes),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Call, Map, run};

    fn edit(text: &str, mut args: Value) -> (Map, String) {
        let path = std::env::temp_dir().join(format!("pileus-line-{}", crate::files::write::unique()));
        std::fs::write(&path, text).unwrap();
        args["path"] = path.to_string_lossy().into_owned().into();
        let Value::Object(args) = args else { panic!("an object") };
        let result = run(Call::new("lineinfile", args));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        (result, text)
    }

    #[test]
    fn lines_come_go_and_change() {
        for (before, args, after, message) in [
            ("a\nb\n", json!({"line": "c"}), "a\nb\nc\n", "line added"),
            ("a\nb", json!({"line": "c"}), "a\nb\nc\n", "line added"),
            ("a\nb", json!({"line": "b"}), "a\nb\n", "line replaced"),
            ("a\nb\n", json!({"line": "b", "search_string": "zz"}), "a\nb\n", ""),
            ("a=1\nb=2\n", json!({"regexp": "^a=", "line": "a=3"}), "a=3\nb=2\n", "line replaced"),
            ("a\nb\n", json!({"line": "x", "insertafter": "^a"}), "a\nx\nb\n", "line added"),
            ("a\nb\n", json!({"line": "x", "insertbefore": "BOF"}), "x\na\nb\n", "line added"),
            (
                "k=v\n",
                json!({"regexp": "(k)=(v)", "line": r"\2=\1", "backrefs": true}),
                "v=k\n",
                "line replaced",
            ),
            ("k\n", json!({"regexp": "zz", "line": r"\1", "backrefs": true}), "k\n", ""),
            ("a\nb\na\n", json!({"line": "a", "state": "absent"}), "b\n", "2 line(s) removed"),
        ] {
            let (result, text) = edit(before, args.clone());
            assert_eq!((text.as_str(), &result["msg"]), (after, &message.into()), "{args}: {result:?}");
        }
    }
}
