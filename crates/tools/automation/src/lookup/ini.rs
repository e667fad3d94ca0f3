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
    for line in text.lines() {
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
            None => return Err(Error::new(format!("Source contains parsing errors: {t:?}"))),
        };
        let k = if case { k.to_owned() } else { k.to_lowercase() };
        match out.last_mut() {
            Some((_, values)) => {
                values.retain(|(n, _)| *n != k);
                values.push((k, v));
            }
            None => return Err(Error::new("File contains no section headers.")),
        }
    }
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
                        ]
                        .contains(&k) =>
                    {
                        options.push((k.to_owned(), v.to_owned()));
                    }
                    _ => words.push(w),
                }
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
        let path =
            cx.find("files", &file).ok_or_else(|| Error::new(format!("Could not find the file {file}")))?;
        let text = cx.world.files.loader().text(&path)?.text;
        let case = flag("case_sensitive");
        let sections = parse(&text, properties, case, flag("allow_no_value"))?;
        let values: Vec<&(String, Option<String>)> = {
            let defaults = sections.iter().filter(|(n, _)| n == "DEFAULT").flat_map(|(_, v)| v);
            let own = sections.iter().filter(|(n, _)| *n == section).flat_map(|(_, v)| v);
            own.chain(defaults).collect()
        };
        if !sections.iter().any(|(n, _)| *n == section) {
            match get("default") {
                Some(d) => {
                    out.push(Value::from(d));
                    continue;
                }
                None => return Err(Error::new(format!("No section {section:?} in file").replace('"', "'"))),
            }
        }
        if flag("re") {
            let scope = pileus_jinja::Dict::new();
            scope.insert("pattern", key.as_str());
            for (k, v) in values {
                scope.insert("name", k.as_str());
                let hit = cx
                    .world
                    .engine()
                    .expression(&pileus_jinja::Str::trusted("name is match(pattern)"), &scope)
                    .map_err(Error::from)?;
                if hit.truth().map_err(Error::from)? {
                    out.push(v.as_deref().map_or(Value::None, Value::from));
                }
            }
            continue;
        }
        let wanted = if case { key.clone() } else { key.to_lowercase() };
        match values.iter().find(|(k, _)| *k == wanted) {
            Some((_, v)) => out.push(v.as_deref().map_or(Value::None, Value::from)),
            None => out.push(Value::from(get("default").unwrap_or_default())),
        }
    }
    Ok(out)
}
