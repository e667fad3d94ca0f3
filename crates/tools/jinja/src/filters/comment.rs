//! `comment`: a text as a comment of many languages (ansible.builtin.comment).

use super::Plain;
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[("comment", comment)];

fn comment(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let names = [
        "text",
        "style",
        "newline",
        "prefix",
        "prefix_count",
        "decoration",
        "postfix",
        "postfix_count",
        "beginning",
        "end",
    ];
    let b = a.bind("comment", &names, 1)?;
    let style = b.text(1, "plain")?;
    let (beginning, decoration, end) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => {
            return Err(Error::new(
                crate::ErrorKind::Plugin,
                format!("Invalid style {}.", crate::value::repr_str(other)),
            ));
        }
    };
    let newline = b.text(2, "\n")?;
    let decoration = b.text(5, decoration)?;
    let beginning = b.text(8, beginning)?;
    let end = b.text(9, end)?;
    let trimmed = decoration.trim_end().to_owned();
    let prefix = b.text(3, &trimmed)?;
    let postfix = b.text(6, &trimmed)?;
    let count = |i: usize| b.int(i, 1).map(|n| usize::try_from(n).unwrap_or(0));
    let mut out = String::new();
    if !beginning.is_empty() {
        out += &beginning;
        out += &newline;
    }
    if prefix == newline {
        out += &prefix.repeat(count(4)?);
    } else if !prefix.is_empty() {
        out += &format!("{prefix}{newline}").repeat(count(4)?);
    }
    let text = b.get(0);
    let Value::Str(text) = &text else {
        let name = text.type_name();
        return Err(Error::runtime(format!("'{name}' object has no attribute 'replace'")));
    };
    for (i, line) in text.split(newline.as_str()).enumerate() {
        if i > 0 {
            out += &newline;
            out += if line.is_empty() { decoration.trim_end() } else { &decoration };
        } else {
            out += &decoration;
        }
        out += line;
    }
    out += &format!("{newline}{postfix}").repeat(count(7)?);
    if !end.is_empty() {
        out += &newline;
        out += &end;
    }
    Ok(Value::str(out))
}
