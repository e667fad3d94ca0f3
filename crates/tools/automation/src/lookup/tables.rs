//! `csvfile`: a column of the row whose key column holds the term.

use pileus_jinja::Value;

use crate::Error;
use crate::playbook::split::{parse_kv, unquote};

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

/// The lookup.
pub fn csvfile(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let Value::Str(s) = t else { return Err(Error::new("the lookup csvfile wants text")) };
        let kv = parse_kv(s, false)?;
        let Some(key) = kv.remove("_raw_params").and_then(|v| v.to_text().ok()) else {
            return Err(Error::new("Search key is required but was not found"));
        };
        let key = unquote(&key).to_owned();
        let get = |n: &str| kv.get(n).and_then(|v| v.to_text().ok()).or_else(|| cx.text(n));
        let file = get("file").unwrap_or_else(|| "ansible.csv".into());
        let delimiter = match get("delimiter").as_deref() {
            None | Some("TAB" | "\\t" | "\t") => '\t',
            Some(d) => d.chars().next().unwrap_or('\t'),
        };
        let number = |n: &str, default: usize| -> Result<usize, Error> {
            get(n).map_or(Ok(default), |v| {
                v.parse().map_err(|_| Error::new(format!("invalid literal for int() with base 10: '{v}'")))
            })
        };
        let (col, keycol) = (number("col", 1)?, number("keycol", 0)?);
        let path = cx
            .find("files", &file)
            .ok_or_else(|| Error::new(format!("csvfile: Unable to find file {file}")))?;
        let text = cx.world.files.loader().text(&path)?.text;
        let found = rows(&text, delimiter).into_iter().find(|r| r.get(keycol).is_some_and(|c| *c == key));
        match found {
            Some(row) => match row.get(col) {
                Some(c) => out.push(Value::from(c)),
                None => return Err(Error::new("csvfile: list index out of range")),
            },
            None => out.extend(get("default").map(Value::from)),
        }
    }
    Ok(out)
}
