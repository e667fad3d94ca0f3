//! Facts of the machine's own: `*.fact` files of a directory, programs or data, JSON or INI.

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::{Facts, entries};
use crate::cx::Cx;
use crate::result::os_error;

/// One fact a file; what can't be read is a text that says so, and a warning.
pub fn collect(cx: &mut Cx<'_>, facts: &mut Facts) {
    let mut local = Facts::new();
    let dir = cx.string("fact_path");
    if !dir.is_empty() {
        let mut names: Vec<String> = entries(&dir).into_iter().filter(|n| n.ends_with(".fact")).collect();
        names.sort();
        for name in names {
            let path = format!("{}/{name}", dir.trim_end_matches('/'));
            let key = name.trim_end_matches(".fact").to_string();
            let value = one(cx, &path).unwrap_or_else(|problem| {
                cx.warn(problem.clone());
                Value::String(problem)
            });
            local.insert(key, value);
        }
    }
    facts.insert("local".into(), Value::Object(local));
}

fn one(cx: &mut Cx<'_>, path: &str) -> Result<Value, String> {
    let meta = std::fs::metadata(path)
        .map_err(|e| format!("Could not stat fact ({path}): {}", os_error(&e, Some(path))))?;
    let bytes = if meta.permissions().mode() & 0o100 != 0 {
        let done = cx
            .exec(&[path])
            .map_err(|e| format!("Could not execute fact script ({path}): {}", os_error(&e, None)))?;
        if done.rc != 0 {
            return Err(format!(
                "Failure executing fact script ({path}), rc: {}, err: {}",
                done.rc,
                done.stderr()
            ));
        }
        done.out
    } else {
        std::fs::read(path).unwrap_or_default()
    };
    let Ok(text) = String::from_utf8(bytes) else { return Ok(json!({})) };
    if text.is_empty() {
        return Ok(json!({}));
    }
    match serde_json::from_str(&text) {
        Ok(value) => Ok(value),
        Err(_) => ini(&text, path),
    }
}

/// An INI file as Python's ConfigParser reads it: lower-case keys, indented lines continue, `%(name)s`.
fn ini(text: &str, path: &str) -> Result<Value, String> {
    let broken = || format!("error loading facts as JSON or ini - please check content: {path}");
    let mut sections: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut defaults: Vec<(String, String)> = Vec::new();
    let mut current: Option<usize> = None; // None: DEFAULT or no section yet
    let mut any = false;
    let mut open = false;
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with(['#', ';']) {
            continue;
        }
        let pairs = match current {
            Some(at) => &mut sections[at].1,
            None => &mut defaults,
        };
        if bare.is_empty() {
            if open && let Some((_, value)) = pairs.last_mut() {
                value.push('\n');
            }
            continue;
        }
        if line.starts_with([' ', '\t']) && open {
            if let Some((_, value)) = pairs.last_mut() {
                value.push('\n');
                value.push_str(bare);
            }
            continue;
        }
        if bare.starts_with('[')
            && let Some(end) = bare.find(']').filter(|end| *end > 1)
        {
            let name = &bare[1..end];
            (any, open) = (true, false);
            if name == "DEFAULT" {
                current = None;
                continue;
            }
            if sections.iter().any(|(n, _)| n == name) {
                return Err(broken());
            }
            sections.push((name.to_string(), Vec::new()));
            current = Some(sections.len() - 1);
            continue;
        }
        let Some(at) = bare.find(['=', ':']).filter(|at| any && *at > 0) else { return Err(broken()) };
        let key = bare[..at].trim().to_lowercase();
        if pairs.iter().any(|(k, _)| *k == key) {
            return Err(broken());
        }
        pairs.push((key, bare[at + 1..].trim().to_string()));
        open = true;
    }
    let mut out = Facts::new();
    for (name, pairs) in &sections {
        let mut map = Facts::new();
        let all = pairs.iter().chain(defaults.iter().filter(|(k, _)| !pairs.iter().any(|(own, _)| own == k)));
        let all: Vec<(String, String)> =
            all.map(|(k, v)| (k.clone(), v.trim_end_matches('\n').to_string())).collect();
        for (key, raw) in &all {
            let value = interpolate(raw, key, name, &all, 0).map_err(|why| {
                format!("error loading facts as ini - please check content: {path} ({why})")
            })?;
            map.insert(key.clone(), value.into());
        }
        out.insert(name.clone(), Value::Object(map));
    }
    Ok(Value::Object(out))
}

/// `%%` and `%(name)s`, in ConfigParser's words where it can't be done.
fn interpolate(
    raw: &str,
    key: &str,
    section: &str,
    all: &[(String, String)],
    depth: usize,
) -> Result<String, String> {
    if depth > 10 {
        return Err(format!(
            "Recursion limit exceeded in value substitution: option {} in section {} contains an interpolation key which cannot be substituted in 10 steps. Raw value: {}",
            crate::py::repr_str(key),
            crate::py::repr_str(section),
            crate::py::repr_str(raw)
        ));
    }
    let (mut out, mut rest) = (String::new(), raw);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        let here = &rest[at..];
        if let Some(after) = here.strip_prefix("%%") {
            out.push('%');
            rest = after;
            continue;
        }
        let Some(body) = here.strip_prefix("%(") else {
            return Err(format!("'%' must be followed by '%' or '(', found: {}", crate::py::repr_str(here)));
        };
        let Some((name, after)) = body.split_once(")s") else {
            return Err(format!("bad interpolation variable reference {}", crate::py::repr_str(here)));
        };
        let wanted = name.to_lowercase();
        let Some((_, value)) = all.iter().find(|(k, _)| *k == wanted) else {
            return Err(format!(
                "Bad value substitution: option {} in section {} contains an interpolation key {} which is not a valid option name. Raw value: {}",
                crate::py::repr_str(key),
                crate::py::repr_str(section),
                crate::py::repr_str(&wanted),
                crate::py::repr_str(raw)
            ));
        };
        out.push_str(&interpolate(value, key, section, all, depth + 1)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ini_as_configparser() {
        let value = ini("# c\n[A b]\nK A: v1\n  more\n\nX=\n[DEFAULT]\nQ=%%5\n", "f").unwrap();
        assert_eq!(value, json!({"A b": {"k a": "v1\nmore", "x": "", "q": "%5"}}));
        assert_eq!(ini("[a]\nk=%(b)s!\nb=1", "f").unwrap(), json!({"a": {"k": "1!", "b": "1"}}));
        assert!(
            ini("k=1", "f").is_err()
                && ini("[a]\nk=1\nk=2", "f").is_err()
                && ini("[a]\nlonely", "f").is_err()
        );
        assert!(
            ini("[a]\nv = x % y", "f")
                .unwrap_err()
                .ends_with("('%' must be followed by '%' or '(', found: '% y')")
        );
    }
}
