//! `ini`: values of INI and properties files.

use pileus_jinja::Value;

use crate::Error;

use super::{Cx, Found};

/// A section: its name and its options; those without a value are `None`.
type Section = (String, Vec<(String, Option<String>)>);

fn parse(text: &str, properties: bool, case: bool, empty: bool) -> Result<Vec<Section>, Error> {
    let mut out: Vec<Section> = Vec::new();
    if properties {
        out.push(("java_properties".into(), Vec::new()));
    }
    for (number, line) in text.lines().enumerate() {
        let t = line.trim();
        if t.is_empty() || t.starts_with(['#', ';']) || (properties && t.starts_with('!')) {
            continue;
        }
        if line.starts_with([' ', '\t'])
            && let Some((_, values)) = out.last_mut()
            && let Some((_, Some(v))) = values.last_mut()
        {
            v.push('\n');
            v.push_str(t);
            continue;
        }
        if let Some(name) = t.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            out.push((name.to_owned(), Vec::new()));
            continue;
        }
        let (k, v) = match t.find(['=', ':']) {
            Some(i) => (t[..i].trim(), Some(t[i + 1..].trim().to_owned())),
            None if empty => (t, None),
            None => {
                let shown = Value::from(format!("{line}\n")).repr();
                return Err(Error::new(format!(
                    "Source contains parsing errors: '<???>'\n\t[line {:2}]: {shown}",
                    number + 1
                )));
            }
        };
        let k = if case { k.to_owned() } else { k.to_lowercase() };
        match out.last_mut() {
            Some((section, values)) => {
                if values.iter().any(|(n, _)| *n == k) {
                    return Err(Error::new(format!(
                        "While reading from '<???>' [line {:2}]: option '{k}' in section '{section}' already exists",
                        number + 1
                    )));
                }
                values.push((k, v));
            }
            None => return Err(Error::new("File contains no section headers.")),
        }
    }
    Ok(out)
}

/// `%(name)s` in `text`, in place of which the value of that name stands; `%%` is `%`.
fn interpolate(text: &str, values: &[(String, Option<String>)], depth: u32) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(")s")) else {
            return Err(Error::new(format!("'%' must be followed by '%' or '(', found: '%{rest}'")));
        };
        let name = name.to_lowercase();
        let Some((_, Some(v))) = values.iter().find(|(k, _)| k.to_lowercase() == name) else {
            return Err(Error::new(format!(
                "Bad value substitution: the value {text:?} contains an interpolation key '{name}' which is not a valid option name."
            )));
        };
        if depth == 0 {
            return Err(Error::new("Recursion limit exceeded in value substitution"));
        }
        out.push_str(&interpolate(v, values, depth - 1)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// The lookup.
pub fn ini(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let term = t.to_text().map_err(Error::from)?;
        let (mut key, mut options) = (term.trim().to_owned(), Vec::new());
        // `key option=value …`, as with_ini has it
        if term.contains('=') || term.contains(' ') {
            let mut words = Vec::new();
            for w in term.split_whitespace() {
                match w.split_once('=') {
                    Some((k, v))
                        if [
                            "type",
                            "file",
                            "section",
                            "re",
                            "default",
                            "encoding",
                            "case_sensitive",
                            "allow_no_value",
                            "allow_none",
                            "interpolation",
                        ]
                        .contains(&k) =>
                    {
                        options.push((k.to_owned(), v.to_owned()));
                    }
                    Some((k, _))
                        if words.is_empty() && !k.is_empty() && k.chars().all(char::is_alphanumeric) =>
                    {
                        return Err(Error::new(format!("'{k}' is not a valid option.")));
                    }
                    _ => words.push(w),
                }
            }
            if words.is_empty() {
                return Err(Error::new(format!(
                    "No key to look up was provided as first term within string inline options: {term}"
                )));
            }
            key = words.join(" ");
        }
        let get =
            |n: &str| options.iter().find(|(k, _)| k == n).map(|(_, v)| v.clone()).or_else(|| cx.text(n));
        let flag = |n: &str| {
            get(n).is_some_and(|v| matches!(v.to_lowercase().as_str(), "true" | "yes" | "1" | "on"))
        };
        let file = get("file").unwrap_or_else(|| "ansible.ini".into());
        let properties = get("type").as_deref() == Some("properties");
        let section = if properties {
            "java_properties".to_owned()
        } else {
            get("section").unwrap_or_else(|| "global".into())
        };
        let path = cx.find("files", &file).ok_or_else(|| Error::new("Invalid filename None."))?;
        let text = cx.read(&path, get("encoding").as_deref())?;
        let case = flag("case_sensitive");
        let sections =
            parse(&text, properties, case, flag("allow_no_value") || flag("allow_none")).map_err(|e| {
                let name = file.rsplit('/').next().unwrap_or(&file);
                match e.brief().contains("already exists") {
                    true => Error::new(format!("Duplicate option in '{name}': {}", e.brief())),
                    false => e,
                }
            })?;
        if !sections.iter().any(|(n, _)| *n == section) {
            let name = file.rsplit('/').next().unwrap_or(&file);
            return Err(Error::new(format!("No section '{section}' in '{name}'.")));
        }
        // the defaults first; a section's own values take their places
        let mut values: Vec<(String, Option<String>)> = Vec::new();
        for (_, list) in sections.iter().filter(|(n, _)| n == "DEFAULT") {
            values.extend(list.iter().cloned());
        }
        for (k, v) in sections.iter().filter(|(n, _)| *n == section && n != "DEFAULT").flat_map(|(_, v)| v) {
            match values.iter_mut().find(|(n, _)| n == k) {
                Some(old) => old.1.clone_from(v),
                None => values.push((k.clone(), v.clone())),
            }
        }
        let plain = cx.options.contains("interpolation") && !cx.flag("interpolation", true);
        let shown = |v: &Option<String>| -> Result<Vec<Value>, Error> {
            Ok(match v {
                None => Vec::new(),
                Some(v) if plain => vec![Value::from(v)],
                Some(v) => vec![Value::from(interpolate(v, &values, 10)?)],
            })
        };
        if flag("re") {
            let scope = pileus_jinja::Dict::new();
            scope.insert("pattern", key.as_str());
            for (k, v) in &values {
                scope.insert("name", k.as_str());
                let hit = cx
                    .world
                    .engine()
                    .expression(&pileus_jinja::Str::trusted("name is match(pattern)"), &scope)
                    .map_err(Error::from)?;
                if hit.truth().map_err(Error::from)? {
                    out.extend(shown(v)?);
                }
            }
            continue;
        }
        let wanted = if case { key.clone() } else { key.to_lowercase() };
        match values.iter().find(|(k, _)| *k == wanted) {
            Some((_, v)) => out.extend(shown(v)?),
            None => out.push(Value::from(get("default").unwrap_or_default())),
        }
    }
    Ok(out)
}
