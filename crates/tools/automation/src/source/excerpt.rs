//! The lines around a place in a file, with a mark under the column.

use std::fmt::Write as _;
use std::fs;

use pileus_jinja::Origin;

/// Lines shown before the one meant.
const BEFORE: usize = 2;
/// Columns of a shown line, its number included.
const WIDTH: usize = 120;
const CUT: &str = "...";

/// `Origin: file:line:column`, and the source there unless `redacted`.
pub fn around(origin: &Origin, redacted: bool) -> String {
    let head = format!("Origin: {origin}");
    if redacted {
        return format!("{head}\n\n(source not shown: content redacted)");
    }
    if origin.line == 0 || !origin.file.starts_with('/') {
        return head;
    }
    match lines(origin) {
        Ok(body) => format!("{head}\n\n{body}"),
        Err(why) => format!("{head}\n\n(source not shown: {why})"),
    }
}

/// The line of a place, as written.
pub fn line_of(file: &str, line: u32) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().nth((line as usize).checked_sub(1)?).map(str::to_owned)
}

fn lines(origin: &Origin) -> Result<String, &'static str> {
    let bytes = fs::read(&*origin.file).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => "FileNotFoundError",
        std::io::ErrorKind::PermissionDenied => "PermissionError",
        std::io::ErrorKind::IsADirectory => "IsADirectoryError",
        _ => "OSError",
    })?;
    let text = String::from_utf8(bytes).map_err(|_| "UnicodeDecodeError")?;
    if text.starts_with("$ANSIBLE_VAULT") {
        return Err("content encrypted");
    }
    let target = origin.line as usize;
    let first = target.saturating_sub(1 + BEFORE);
    let shown: Vec<&str> = text.lines().skip(first).take(target - first).collect();
    if shown.len() != target - first {
        return Err("file truncated");
    }
    let label = target.to_string().len();
    let room = WIDTH - label - 1;
    let mut usable = room;
    let mut out = String::new();
    let mut last = 0;
    for (i, line) in shown.iter().enumerate() {
        let mut line = line.replace('\t', " ");
        if line.chars().count() > room {
            line = line.chars().take(room - CUT.len()).collect::<String>() + CUT;
            usable = room - CUT.len();
        }
        last = line.chars().count();
        let gap = if line.is_empty() { "" } else { " " };
        let _ = writeln!(out, "{:>label$}{gap}{line}", first + i + 1);
    }
    let column = origin.column as usize;
    if column == 0 {
        let _ = write!(out, "{:label$} {}", "", "^".repeat(last));
    } else if column <= usable {
        let mark = format!("column {column}");
        let at = column - 1;
        if at + 2 + mark.len() > room {
            let _ = write!(out, "{:label$} {}{mark} ^", "", " ".repeat(at.saturating_sub(mark.len() + 1)));
        } else {
            let _ = write!(out, "{:label$} {}^ {mark}", "", " ".repeat(at));
        }
    }
    Ok(out.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_the_column() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "a: 1\nb: [1, 2\nc: 3\n").unwrap();
        let name = file.path().to_str().unwrap();
        let origin = Origin { file: name.into(), line: 3, column: 2, sealed: None };
        assert_eq!(
            around(&origin, false),
            format!("Origin: {name}:3:2\n\n1 a: 1\n2 b: [1, 2\n3 c: 3\n   ^ column 2")
        );
        let past = Origin { file: name.into(), line: 9, column: 1, sealed: None };
        assert!(around(&past, false).ends_with("(source not shown: file truncated)"));
    }
}
