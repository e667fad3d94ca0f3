//! Lookups of files, of templates in files, of programs' output.

use std::process::{Command, Stdio};

use pileus_jinja::Value;

use crate::Error;
use crate::playbook::keyword::items;
use crate::source::paths;

use super::data::flat;
use super::{Cx, Found};

fn missing(what: &str, name: &str) -> Error {
    Error::new(format!("Unable to access the {what} '{name}'."))
        .because(Error::new("File not found. Use -vvvvv to see paths searched."))
}

/// `file`: contents of files.
pub fn file(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let name = t.to_text().map_err(Error::from)?;
        let path = cx.find("files", &name).ok_or_else(|| missing("file", &name))?;
        let mut text = cx.world.files.loader().text(&path)?.text;
        if cx.flag("lstrip", false) {
            text = text.trim_start().to_owned();
        }
        if cx.flag("rstrip", true) {
            text = text.trim_end().to_owned();
        }
        out.push(Value::from(text));
    }
    Ok(out)
}

/// `unvault`: contents, decrypted, as they are.
pub fn unvault(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let name = t.to_text().map_err(Error::from)?;
        let path = cx
            .find("files", &name)
            .ok_or_else(|| Error::new(format!("Unable to find file matching \"{name}\"")))?;
        out.push(Value::from(cx.world.files.loader().text(&path)?.text));
    }
    Ok(out)
}

/// `fileglob`: files that match.
pub fn fileglob(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let term = t.to_text().map_err(Error::from)?;
        let (dir, pattern) = term.rsplit_once('/').map_or((None, term.as_str()), |(d, p)| (Some(d), p));
        let mut dirs = Vec::new();
        match dir {
            Some(d) if d.starts_with(['/', '~']) => dirs.push(paths::unfrack(d)),
            Some("") => dirs.push("/".into()),
            Some(d) => dirs.extend(cx.find("files", d)),
            None => {
                for p in cx.search_path() {
                    if let Some(up) = p.strip_suffix("/tasks") {
                        dirs.push(format!("{up}/files"));
                    }
                    dirs.push(format!("{p}/files"));
                    dirs.push(p);
                }
            }
        }
        for d in dirs {
            // in the directory's own order, as the reference has them
            let found: Vec<String> = std::fs::read_dir(&d)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|e| e.path().is_file())
                .filter_map(|e| e.file_name().into_string().ok())
                .filter(|n| glob(pattern, n))
                .map(|n| format!("{d}/{n}"))
                .collect();
            if !found.is_empty() {
                out.extend(found.into_iter().map(Value::from));
                break;
            }
        }
    }
    Ok(out)
}

/// Shell-like matching of one name: `*`, `?`, `[…]`; a leading dot only by a dot.
pub fn glob(pattern: &str, name: &str) -> bool {
    fn at(p: &[char], t: &[char]) -> bool {
        match p.split_first() {
            None => t.is_empty(),
            Some(('*', rest)) => (0..=t.len()).any(|i| at(rest, &t[i..])),
            Some(('?', rest)) => !t.is_empty() && at(rest, &t[1..]),
            Some(('[', rest)) => {
                let Some(end) = rest.iter().skip(1).position(|c| *c == ']').map(|i| i + 1) else {
                    return t.first() == Some(&'[') && at(rest, &t[1..]);
                };
                let Some((c, tail)) = t.split_first() else { return false };
                let (set, negated) = match rest[..end].split_first() {
                    Some(('!', s)) => (s, true),
                    _ => (&rest[..end], false),
                };
                let mut hit = false;
                let mut i = 0;
                while i < set.len() {
                    if i + 2 < set.len() && set[i + 1] == '-' {
                        hit |= (set[i]..=set[i + 2]).contains(c);
                        i += 3;
                    } else {
                        hit |= set[i] == *c;
                        i += 1;
                    }
                }
                hit != negated && at(&rest[end + 1..], tail)
            }
            Some((c, rest)) => t.first() == Some(c) && at(rest, &t[1..]),
        }
    }
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    at(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>())
}

fn split(v: &Value) -> Vec<String> {
    match v {
        Value::List(_) | Value::Tuple(_) => items(v).iter().flat_map(split).collect(),
        Value::None => Vec::new(),
        other => {
            let s = other.to_text().unwrap_or_default();
            s.split([',', ';']).map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
        }
    }
}

/// `first_found`: the first file that is there.
pub fn first_found(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut candidates: Vec<String> = Vec::new();
    let mut skip = cx.flag("skip", false);
    let spread = |files: &[String], dirs: &[String]| -> Vec<String> {
        if dirs.is_empty() {
            return files.to_vec();
        }
        dirs.iter()
            .flat_map(|d| {
                files.iter().map(move |f| if f.starts_with('/') { f.clone() } else { format!("{d}/{f}") })
            })
            .collect()
    };
    let own_files = cx.options.get("files").map(|v| split(&v)).unwrap_or_default();
    let own_paths = cx.options.get("paths").map(|v| split(&v)).unwrap_or_default();
    candidates.extend(spread(&own_files, &own_paths));
    for t in flat(terms) {
        match &t {
            Value::Dict(d) => {
                let files = d.get("files").map(|v| split(&v)).unwrap_or_default();
                let dirs = d.get("paths").map(|v| split(&v)).unwrap_or_default();
                skip = crate::truth::of(d.get("skip"), skip);
                candidates.extend(spread(&files, &dirs));
            }
            Value::Str(s) => candidates.extend(spread(&[s.to_string()], &own_paths)),
            Value::None => {}
            other => {
                return Err(Error::new(format!(
                    "Invalid term supplied. A string, dict or list is required, not '{}').",
                    other.type_name()
                )));
            }
        }
    }
    let folder = match cx.scope.get("ansible_first_found_folder") {
        Some(v) => v.to_text().unwrap_or_else(|_| "files".into()),
        None => "files".into(),
    };
    for c in &candidates {
        let found = cx
            .find(&folder, c)
            .or_else(|| ["files", "templates", "vars", "tasks"].iter().find_map(|f| cx.find(f, c)));
        if let Some(p) = found {
            return Ok(vec![Value::from(p)]);
        }
    }
    if skip {
        return Ok(Vec::new());
    }
    Err(Error::new("No file was found when using first_found."))
}

/// The shell's word for running text.
fn shell(text: &str, cx: &Cx<'_>) -> Result<std::process::Output, Error> {
    Command::new("/bin/sh")
        .arg("-c")
        .arg(text)
        .current_dir(cx.world.files.base())
        .stdin(Stdio::inherit())
        .stderr(Stdio::inherit())
        .stdout(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .map_err(|e| Error::new(format!("lookup_plugin.pipe({text}) failed: {e}")))
}

/// `pipe`: a command's output.
pub fn pipe(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let text = t.to_text().map_err(Error::from)?;
        let done = shell(&text, cx)?;
        if !done.status.success() {
            return Err(Error::new(format!(
                "lookup_plugin.pipe({text}) returned {}",
                done.status.code().unwrap_or(-1)
            )));
        }
        out.push(Value::from(String::from_utf8_lossy(&done.stdout).trim_end().to_owned()));
    }
    Ok(out)
}

/// `lines`: a command's output by lines.
pub fn lines(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let text = t.to_text().map_err(Error::from)?;
        let done = shell(&text, cx)?;
        if !done.status.success() {
            return Err(Error::new(format!(
                "lookup_plugin.lines({text}) returned {}",
                done.status.code().unwrap_or(-1)
            )));
        }
        out.extend(String::from_utf8_lossy(&done.stdout).lines().map(Value::from));
    }
    Ok(out)
}

/// `template`: a template file, rendered.
pub fn template(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let name = t.to_text().map_err(Error::from)?;
        let path = cx.find("templates", &name).ok_or_else(|| {
            Error::new(format!("the template file {name} could not be found for the lookup"))
        })?;
        let extra = cx.options.get("template_vars").and_then(|v| v.as_dict().cloned()).unwrap_or_default();
        let options = crate::action::template::Settings {
            variable_start: cx.text("variable_start_string"),
            variable_end: cx.text("variable_end_string"),
            comment_start: cx.text("comment_start_string"),
            comment_end: cx.text("comment_end_string"),
            trim_blocks: cx.options.get("trim_blocks").map(|_| cx.flag("trim_blocks", true)),
            lstrip_blocks: cx.options.get("lstrip_blocks").map(|_| cx.flag("lstrip_blocks", false)),
            keep_newline: true,
            ..crate::action::template::Settings::default()
        };
        out.push(crate::action::template::value(cx.world, &path, &options, cx.scope, &extra)?);
    }
    Ok(out)
}

/// `url`: what an address answers.
pub fn url(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let url = t.to_text().map_err(Error::from)?;
        let mut args = serde_json::Map::new();
        args.insert("url".into(), url.as_str().into());
        args.insert("return_content".into(), true.into());
        for name in ["username", "password", "validate_certs", "headers", "timeout", "force_basic_auth"] {
            if let Some(v) = cx.options.get(name) {
                let key = match name {
                    "username" => "url_username",
                    "password" => "url_password",
                    other => other,
                };
                args.insert(key.into(), v.to_json());
            }
        }
        let mut fetch = crate::connection::fetch::exchange;
        let mut call = pileus_modules::Call::new("uri", args);
        call.fetch = Some(&mut fetch);
        let result = pileus_modules::run(call);
        if result.get("failed").and_then(serde_json::Value::as_bool).unwrap_or(false) {
            let why = result.get("msg").and_then(|m| m.as_str()).unwrap_or_default();
            let why = why.split_once("]: ").map_or(why, |(_, why)| why);
            let unreached = result.get("status").and_then(serde_json::Value::as_i64) == Some(-1);
            return Err(Error::new(match unreached {
                true => {
                    let why = why.strip_prefix("Request failed: ").unwrap_or(why);
                    format!("Failed lookup url for {url} : {why}")
                }
                false => format!("Received HTTP error for {url} : {why}"),
            }));
        }
        let body = result.get("content").and_then(|c| c.as_str()).unwrap_or_default();
        if cx.flag("split_lines", true) {
            out.extend(body.lines().map(Value::from));
        } else {
            out.push(Value::from(body));
        }
    }
    Ok(out)
}
