//! `include_vars`: variables of files and directories, while the play runs.

use std::path::Path;

use pileus_jinja::{Dict, Value};

use crate::playbook::keyword::items;
use crate::vars::merge;
use crate::{Error, display};

use super::{Cx, Failure, Outcome};

const KNOWN: [&str; 11] = [
    "_raw_params",
    "depth",
    "dir",
    "extensions",
    "file",
    "files_matching",
    "free_form",
    "hash_behaviour",
    "ignore_files",
    "ignore_unknown_extensions",
    "name",
];

const NOWHERE: &str = "Could not find file on the Ansible Controller.\nIf you are using a module and expect the file to exist on the remote, see the remote_src option";

/// The action.
pub fn include_vars(cx: &mut Cx<'_>) -> Outcome {
    let bad: Vec<String> = cx
        .args
        .keys()
        .iter()
        .filter_map(|k| k.to_text().ok())
        .filter(|k| !KNOWN.contains(&k.as_str()))
        .collect();
    if let Some(bad) = bad.first() {
        return Err(Failure::msg(format!("{bad} is not a valid option in include_vars")));
    }
    let deep = cx.text("hash_behaviour").map_or(cx.world.merge_hashes, |b| b == "merge");
    let extensions: Vec<String> = match cx.args.get("extensions") {
        Some(Value::Str(s)) => s.split(',').map(|e| e.trim().to_owned()).collect(),
        Some(v) => items(&v).iter().filter_map(|v| v.to_text().ok()).collect(),
        None => vec!["yaml".into(), "yml".into(), "json".into()],
    };
    let matching = cx.text("files_matching");
    let ignored: Vec<String> = match cx.args.get("ignore_files") {
        Some(Value::Str(s)) => s.split_whitespace().map(str::to_owned).collect(),
        Some(v @ Value::List(_)) => items(&v).iter().filter_map(|v| v.to_text().ok()).collect(),
        Some(Value::Dict(_)) => return Err(Failure::msg("{} must be a list".replace("{}", "ignore_files"))),
        _ => Vec::new(),
    };
    let skip_unknown = cx.flag("ignore_unknown_extensions", false)?;
    let facts = Dict::new();
    let mut used: Vec<Value> = Vec::new();
    let mut secret = false;
    if let Some(dir) = cx.text("dir") {
        if cx.args.contains("file") || cx.args.contains("_raw_params") {
            return Err(mixed().into());
        }
        let depth =
            cx.args.get("depth").and_then(|v| v.as_int().or_else(|| v.as_str()?.parse().ok())).unwrap_or(0);
        let dir = directory(cx, &dir);
        if !Path::new(&dir).is_dir() {
            let why =
                if Path::new(&dir).exists() { "is not a directory" } else { "directory does not exist" };
            return Err(failed(&facts, &used, &format!("{dir} {why}")));
        }
        let mut files = Vec::new();
        walk(&dir, depth, 1, &mut files);
        for f in files {
            let name = f.rsplit('/').next().unwrap_or(&f).to_owned();
            if let Some(p) = &matching
                && !matches(cx, p, &name)?
            {
                continue;
            }
            if ignored.iter().any(|p| matches(cx, p, &name).unwrap_or(false)) {
                continue;
            }
            let ext =
                Path::new(&name).extension().map(|e| e.to_string_lossy().into_owned()).unwrap_or_default();
            let known = extensions.iter().any(|e| e.trim_start_matches('.') == ext);
            if !known {
                if skip_unknown {
                    continue;
                }
                if cx.task.frame.role.is_some() && dir.ends_with("/vars") && name.starts_with("main.") {
                    continue;
                }
                return Err(failed(
                    &facts,
                    &used,
                    &format!("{f} does not have a valid extension: {}", extensions.join(", ")),
                ));
            }
            // a directory's files replace each other's variables, whatever becomes of older ones
            secret |= load(cx, &f, &facts, &mut used, false)?;
        }
    } else {
        if cx.args.contains("dir") {
            return Err(mixed().into());
        }
        let raw = cx.text("_raw_params").or_else(|| cx.text("file"));
        let Some(name) = raw.map(|r| r.trim_end_matches('\n').to_owned()) else {
            display::warning("Invalid request to find a file that matches a \"null\" value");
            return Err(failed(&facts, &used, NOWHERE));
        };
        let path = cx.find("vars", &name).map_err(|f| match f {
            Failure::Result(d) | Failure::Raised(d) => {
                failed(&facts, &used, &d.get("msg").and_then(|m| m.to_text().ok()).unwrap_or_default())
            }
            other => other,
        })?;
        let base = Path::new(&path).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let ext = Path::new(&base).extension().map(|e| e.to_string_lossy().into_owned());
        if let Some(ext) = ext
            && !extensions.iter().any(|e| e.trim_start_matches('.') == ext)
            && cx.args.contains("extensions")
        {
            return Err(failed(
                &facts,
                &used,
                &format!("{path} does not have a valid extension: {}", extensions.join(", ")),
            ));
        }
        secret |= load(cx, &path, &facts, &mut used, deep)?;
    }
    let facts = match cx.text("name") {
        Some(name) => {
            let outer = Dict::new();
            outer.insert(name, Value::Dict(facts));
            outer
        }
        None => facts,
    };
    if deep {
        let old: Dict = facts
            .keys()
            .into_iter()
            .filter_map(|k| Some((k.clone(), cx.vars.stored(k.as_str()?)?)))
            .collect();
        merge::into(&old, &facts, true);
        for (k, v) in old.items() {
            facts.insert(k, v);
        }
    }
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("ansible_facts", Value::Dict(facts));
    d.insert("ansible_included_var_files", Value::list(used));
    // what a vault hid stays hidden
    d.insert("_ansible_no_log", secret);
    Ok(d)
}

fn mixed() -> Error {
    Error::new("You are mixing file only and dir only arguments, these are incompatible")
}

fn directory(cx: &Cx<'_>, dir: &str) -> String {
    if dir.starts_with(['/', '~']) {
        return crate::source::paths::unfrack(dir);
    }
    if let Some(role) = &cx.task.frame.role {
        let in_vars = if dir == "vars" || dir.starts_with("vars/") {
            format!("{}/{dir}", role.path)
        } else {
            format!("{}/vars/{dir}", role.path)
        };
        if Path::new(&in_vars).is_dir() {
            return in_vars;
        }
        return format!("{}/{dir}", role.path);
    }
    let beside = format!("{}/{dir}", cx.task.frame.directory);
    if Path::new(&beside).is_dir() {
        beside
    } else {
        crate::source::paths::unfrack_from(dir, &cx.world.files.base())
    }
}

fn walk(dir: &str, depth: i64, level: i64, out: &mut Vec<String>) {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    let (mut files, mut dirs) = (Vec::new(), Vec::new());
    for n in names {
        let full = format!("{dir}/{n}");
        if Path::new(&full).is_dir() { dirs.push(full) } else { files.push(full) }
    }
    out.extend(files);
    if depth == 0 || level < depth {
        for d in dirs {
            walk(&d, depth, level + 1, out);
        }
    }
}

fn matches(cx: &Cx<'_>, pattern: &str, name: &str) -> Result<bool, Failure> {
    let scope = Dict::new();
    scope.insert("pattern", pattern);
    scope.insert("name", name);
    let v = cx.world.engine().expression(&pileus_jinja::Str::trusted("name is search(pattern)"), &scope)?;
    Ok(v.truth()?)
}

fn failed(facts: &Dict, used: &[Value], message: &str) -> Failure {
    let d = Dict::new();
    d.insert("ansible_facts", Value::Dict(facts.clone()));
    d.insert("ansible_included_var_files", Value::list(used.to_vec()));
    d.insert("message", message);
    d.insert("changed", false);
    Failure::Result(d)
}

/// Reads one file; whether it was encrypted.
fn load(cx: &Cx<'_>, path: &str, facts: &Dict, used: &mut Vec<Value>, deep: bool) -> Result<bool, Failure> {
    match cx.world.files.load(path) {
        Ok(Value::Dict(d)) => merge::into(facts, &d, deep),
        Ok(Value::None) => {}
        Ok(_) => return Err(failed(facts, used, &format!("{path} must be stored as a dictionary/hash"))),
        Err(e) => return Err(failed(facts, used, &e.brief())),
    }
    used.push(Value::from(path));
    Ok(std::fs::read(path).is_ok_and(|bytes| crate::vault::is_encrypted(&bytes)))
}
