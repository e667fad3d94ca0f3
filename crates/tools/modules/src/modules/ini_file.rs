//! `community.general.ini_file`: options of an INI file's section, whose other lines stay as they are.

use std::fs;
use std::ops::Range;

use super::edit;
use crate::cx::Cx;
use crate::files::{Diff, FileArgs};
use crate::map;
use crate::result::{Fail, Map, Reply};

/// What of the module is here: the first section of a name, all of whose lines of the option are meant.
pub fn covers(params: &Map) -> bool {
    params.get("exclusive").is_none_or(|v| *v == true)
        && params.get("section_has_values").is_none_or(|v| v.is_null())
}

const BLANK: [char; 2] = [' ', '\t'];

/// A line that sets the option, or would if it weren't commented out.
struct Setting<'a> {
    active: bool,
    value: &'a str,
}

fn setting<'a>(line: &'a str, option: &str) -> Option<Setting<'a>> {
    let line = line.trim_end_matches('\n').trim_start_matches(BLANK);
    let bare = line.strip_prefix(['#', ';']);
    let rest = bare.unwrap_or(line).trim_start_matches(BLANK).strip_prefix(option)?.trim_start_matches(BLANK);
    let value = if rest.is_empty() { rest } else { rest.strip_prefix('=')?.trim_start_matches(BLANK) };
    Some(Setting { active: bare.is_none(), value })
}

/// How the module was asked to write.
struct Style<'a> {
    option: &'a str,
    /// `=` with or without spaces.
    sign: &'static str,
    /// Commented lines of the option are taken for it.
    inactive: bool,
    /// Spaces beside the sign alone are no difference.
    ignore_spaces: bool,
    /// An option may stand alone; then its lines aren't replaced.
    alone: bool,
}

impl Style<'_> {
    fn line(&self, value: Option<&str>) -> String {
        match value {
            Some(value) => format!("{}{}{value}\n", self.option, self.sign),
            None => format!("{}\n", self.option),
        }
    }

    fn find<'l>(&self, line: &'l str) -> Option<Setting<'l>> {
        setting(line, self.option).filter(|found| found.active || self.inactive)
    }

    /// Writes a line anew; whether that changed it.
    fn update(&self, line: &mut String, new: String) -> bool {
        let same = if self.ignore_spaces {
            let squeezed = |text: &str| match text.split_once('=') {
                Some((key, value)) => {
                    format!("{}={}", key.trim_matches(BLANK), value.trim_start_matches(BLANK))
                }
                None => text.to_string(),
            };
            squeezed(line) == squeezed(&new)
        } else {
            *line == new
        };
        if !same {
            *line = new;
        }
        !same
    }
}

/// The lines of a section without its header; none where the file hasn't it. Before the first header lies what
/// belongs to no section.
fn find_section(lines: &[String], name: &str) -> Option<Range<usize>> {
    let header = |line: &str| {
        let inner = line.strip_prefix('[').map(str::trim_start).and_then(|rest| rest.strip_prefix(name));
        inner.is_some_and(|rest| rest.trim_start().starts_with(']'))
    };
    let start = if name.is_empty() { 0 } else { lines.iter().position(|line| header(line))? + 1 };
    let end = lines[start..].iter().position(|line| line.starts_with('['));
    Some(start..end.map_or(lines.len(), |end| start + end))
}

/// Whether a new option goes after this line: not after blank lines and comments at a section's end.
fn is_content(line: &str) -> bool {
    let line = line.trim_start_matches(BLANK);
    !(line.trim().is_empty() || line.starts_with(['#', ';']))
}

/// Sets the option's values in a section's lines; what was done, nothing where all is as wanted.
fn set(lines: &mut Vec<String>, style: &Style<'_>, values: &[String]) -> &'static str {
    let mut message = "";
    let mut wanted: Vec<&str> = Vec::new();
    for value in values {
        if !wanted.contains(&value.as_str()) {
            wanted.push(value);
        }
    }
    let mut kept = vec![false; lines.len()];
    let mut stands_alone = false;
    for (line, kept) in lines.iter_mut().zip(&mut kept) {
        let Some(found) = style.find(line) else { continue };
        let new = if values.is_empty() && style.alone {
            style.line(None)
        } else if let Some(at) = wanted.iter().position(|value| *value == found.value) {
            style.line(Some(wanted.remove(at)))
        } else {
            continue;
        };
        *kept = true;
        if style.update(line, new) {
            message = "option changed";
        }
        if values.is_empty() {
            stands_alone = true;
            break;
        }
    }
    if !style.alone {
        for (line, kept) in lines.iter_mut().zip(&mut kept) {
            if wanted.is_empty() {
                break;
            }
            if !*kept && style.find(line).is_some() {
                *kept = true;
                if style.update(line, style.line(Some(wanted.remove(0)))) {
                    message = "option changed";
                }
            }
        }
        let before = lines.len();
        let mut kept = kept.iter();
        lines.retain(|line| {
            let kept = *kept.next().unwrap_or(&true);
            kept || style.find(line).is_none()
        });
        if lines.len() != before {
            message = "option changed";
        }
    }
    let mut new: Vec<String> = wanted.iter().map(|value| style.line(Some(value))).collect();
    if values.is_empty() && style.alone && !stands_alone {
        new.push(style.line(None));
    }
    if !new.is_empty() {
        message = "option added";
        let at = lines.iter().rposition(|line| is_content(line)).map_or(0, |at| at + 1);
        lines.splice(at..at, new);
    }
    message
}

/// Changes all lines; what was done.
fn change(cx: &Cx<'_>, lines: &mut Vec<String>, values: &[String]) -> &'static str {
    let (section, option) = (cx.string("section").trim().to_string(), cx.text("option"));
    let style = Style {
        option: option.as_deref().unwrap_or_default(),
        sign: if cx.bool("no_extra_spaces") { "=" } else { " = " },
        inactive: cx.flag("modify_inactive_option").unwrap_or(true),
        ignore_spaces: cx.bool("ignore_spaces"),
        alone: cx.bool("allow_no_value"),
    };
    let found = find_section(lines, &section);
    if cx.str("state") == Some("absent") {
        let Some(range) = found else { return "" };
        if option.is_none() {
            lines.drain(range.start - usize::from(!section.is_empty())..range.end);
            return "section removed";
        }
        let before = lines.len();
        let mut at = 0;
        lines.retain(|line| {
            at += 1;
            !range.contains(&(at - 1)) || setting(line, style.option).is_none_or(|found| !found.active)
        });
        return if lines.len() == before { "" } else { "option changed" };
    }
    let Some(range) = found else {
        lines.push(format!("[{section}]\n"));
        if option.is_none() {
            return "only section added";
        }
        let new = values.iter().map(|value| style.line(Some(value)));
        lines.extend(new);
        if values.is_empty() {
            lines.push(style.line(None));
        }
        return "section and option added";
    };
    if option.is_none() {
        return "";
    }
    let mut inside = lines[range.clone()].to_vec();
    let message = set(&mut inside, &style, values);
    lines.splice(range, inside);
    message
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let values = match cx.str("value") {
        Some(value) => vec![value.to_string()],
        None => cx.list("values"),
    };
    if cx.str("state") == Some("present") && values.is_empty() && !cx.bool("allow_no_value") {
        return Err(Fail::msg(
            "Parameter 'value(s)' must be defined if state=present and allow_no_value=False.",
        ));
    }
    let path = cx.string("path");
    let target = if cx.bool("follow") { crate::sys::path::realpath(&path) } else { path.clone() };
    let existed = fs::metadata(&target).is_ok();
    if !existed && !cx.bool("create") {
        return Err(Fail::msg(format!("Destination {path} does not exist!")).with("rc", 257));
    }
    if !existed && !cx.check {
        edit::make_parents(&target)?;
    }
    let before = if existed { edit::read(&target)? } else { Vec::new() };
    let text = String::from_utf8(before.clone())
        .map_err(|_| Fail::hand_over("the file is not text in UTF-8"))?
        .replace("\r\n", "\n");
    let mut lines: Vec<String> =
        text.trim_start_matches('\u{feff}').split_inclusive('\n').map(str::to_string).collect();
    match lines.last_mut() {
        Some(last) if !last.ends_with('\n') => last.push('\n'),
        Some(_) => {}
        // As the reference: an empty file begins with an empty line.
        None => lines.push("\n".into()),
    }
    let message = change(cx, &mut lines, &values);
    let changed = !message.is_empty();
    let after = lines.concat().into_bytes();
    let mut result = map! { "msg" => if changed { message } else { "OK" }, "path" => path.as_str() };
    if changed && !cx.check {
        let copy = edit::save(cx, &target, &after)?;
        if !copy.is_empty() {
            result.insert("backup_file".into(), copy.into());
        }
    }
    if cx.diff {
        let after = if changed { &after } else { &before };
        result.insert("diff".into(), edit::content_diff(cx, &path, &before, after));
    }
    let attributes =
        (existed || !cx.check) && FileArgs::of(cx).apply(cx, &path, Some(&mut Diff::default()))?;
    result.insert("changed".into(), (changed || attributes).into());
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::{Style, find_section, set, setting};

    #[test]
    fn lines_of_an_option() {
        assert!(setting("  k = v\n", "k").is_some_and(|s| s.active && s.value == "v"));
        assert!(setting("# k=v\n", "k").is_some_and(|s| !s.active));
        assert!(setting("k\n", "k").is_some_and(|s| s.value.is_empty()));
        assert!(setting("k2=v\n", "k").is_none() && setting("k : v\n", "k").is_none());
    }

    #[test]
    fn values_take_the_lines_that_are_there() {
        let lines = |text: &str| text.split_inclusive('\n').map(str::to_string).collect::<Vec<_>>();
        let style = Style { option: "x", sign: " = ", inactive: true, ignore_spaces: false, alone: false };
        let mut section = lines("x = 9\nflag\nx = 10\n\n# end\n");
        assert_eq!(set(&mut section, &style, &["10".into(), "11".into()]), "option changed");
        assert_eq!(section.concat(), "x = 11\nflag\nx = 10\n\n# end\n");
        assert_eq!(set(&mut section, &style, &["11".into(), "10".into(), "1".into()]), "option added");
        assert_eq!(section.concat(), "x = 11\nflag\nx = 10\nx = 1\n\n# end\n");
        assert_eq!(set(&mut section, &style, &["11".into(), "10".into(), "1".into()]), "");
        let file = lines("a=1\n[ s ]\nb=1\n[t]\n");
        assert_eq!((find_section(&file, "s"), find_section(&file, "")), (Some(2..3), Some(0..1)));
        assert_eq!(find_section(&file, "u"), None);
    }
}
