//! `csvfile`: a column of the row whose key column holds the term.

use pileus_jinja::Value;

use crate::Error;
use crate::playbook::split::{parse_kv, unquote};

use super::options::{self, Own};
use super::{Cx, Found};

/// The rows of a text of separated values, with quotes.
fn rows(text: &str, delimiter: char) -> Vec<Vec<String>> {
    let mut out = vec![vec![String::new()]];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(row) = out.last_mut() else { break };
        let Some(cell) = row.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.is_empty() => quoted = true,
            c if c == delimiter && !quoted => row.push(String::new()),
            '\n' if !quoted => out.push(vec![String::new()]),
            '\r' if !quoted => {}
            c => cell.push(c),
        }
    }
    out.retain(|r| r.len() > 1 || r.first().is_some_and(|c| !c.is_empty()));
    out
}

const NAMES: [&str; 6] = ["file", "col", "keycol", "delimiter", "default", "encoding"];

/// The lookup.
pub fn csvfile(terms: &[Value], cx: &Cx<'_>) -> Found {
    let missing = || Error::new("Search key is required but was not found");
    if terms.is_empty() {
        return Err(missing());
    }
    let mut out = Vec::new();
    for t in terms {
        let Value::Str(s) = t else {
            return Err(Error::new(format!("'{}' object has no attribute 'split'", t.type_name())));
        };
        let mut own = Own::new();
        let mut key = None;
        for (k, v) in parse_kv(s, false)?.items() {
            match (k.to_text()?, v.to_text()?) {
                (k, v) if k == "_raw_params" => key = Some(unquote(&v).to_owned()),
                (k, v) if NAMES.contains(&k.as_str()) => own.push((k, v)),
                (k, _) => return Err(Error::new(format!("'{k}' is not a valid option"))),
            }
        }
        let key = key.ok_or_else(missing)?;
        let get = |n: &str| options::text(n, &own, cx);
        let file = get("file").unwrap_or_else(|| "ansible.csv".into());
        let delimiter = match get("delimiter").as_deref() {
            None | Some("TAB" | "\\t" | "\t") => '\t',
            Some(d) => match d.chars().collect::<Vec<_>>().as_slice() {
                [one] => *one,
                _ => return Err(Error::new("\"delimiter\" must be a 1-character string")),
            },
        };
        let number = |n: &str, default: i64| -> Result<usize, Error> {
            let i = options::int("csvfile", n, "int", &own, cx)?.unwrap_or(default);
            usize::try_from(i).map_err(|_| Error::new("list index out of range"))
        };
        let (col, keycol) = (number("col", 1)?, number("keycol", 0)?);
        let path = cx
            .find("files", &file)
            .ok_or_else(|| Error::new("expected str, bytes or os.PathLike object, not NoneType"))?;
        let text = cx.read(&path, get("encoding").as_deref())?;
        let beyond = || Error::new("list index out of range");
        let mut found = None;
        for row in rows(&text, delimiter) {
            if *row.get(keycol).ok_or_else(beyond)? == key {
                found = Some(row.get(col).ok_or_else(beyond)?.clone());
                break;
            }
        }
        match (found, own.iter().any(|(k, _)| k == "default"), cx.options.get("default")) {
            (Some(cell), _, _) => out.push(Value::from(cell)),
            (None, false, Some(v)) if v.is_sequence() => out.extend(v.to_vec()?),
            (None, false, Some(v)) => out.push(v),
            (None, ..) => out.extend(get("default").map(Value::from)),
        }
    }
    Ok(out)
}
