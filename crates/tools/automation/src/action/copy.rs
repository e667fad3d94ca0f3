//! `copy`: files, directories or text, brought to the host and put in place by its `copy` module.

use std::fs;
use std::io::Read;
use std::path::Path;

use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json};

use crate::Error;

use super::remote::{self, connect};
use super::{Cx, Failure, Outcome};

fn sha1(bytes: &[u8]) -> String {
    use sha1::{Digest, Sha1};
    Sha1::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// The action.
pub fn copy(cx: &mut Cx<'_>) -> Outcome {
    let content = cx.args.get("content").filter(|v| !v.is_none());
    let src = cx.text("src");
    let Some(dest) = cx.text("dest") else {
        return Err(Failure::msg("dest is required"));
    };
    if src.is_none() && content.is_none() {
        return Err(Failure::msg("src (or content) is required"));
    }
    if src.is_some() && content.is_some() {
        return Err(Failure::msg("src and content are mutually exclusive"));
    }
    if content.is_some() && dest.ends_with('/') {
        return Err(Failure::msg("can not use content with a dir as dest"));
    }
    if cx.flag("remote_src", false)? {
        return remote::module(cx, "copy");
    }
    cx.args.remove("decrypt");
    if let Some(content) = content {
        let text = match &content {
            Value::Dict(_) | Value::List(_) => crate::callback::json::dumps(&content, None, false),
            other => other.to_text().map_err(Error::from)?,
        };
        cx.args.remove("content");
        return bytes(cx, text.as_bytes(), &format!(".{}", "ansible_content"), None);
    }
    let src = src.unwrap_or_default();
    let path = cx.find("files", &src)?;
    let path = if src.ends_with('/') && !path.ends_with('/') { format!("{path}/") } else { path };
    if Path::new(&path).is_dir() {
        return directory(cx, &path, &dest);
    }
    let (data, _) = cx.world.files.loader().bytes(&path).map_err(Failure::Error)?;
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    bytes(cx, &data, &name, Some(&path))
}

/// The arguments that are about the file, not about copying.
fn file_args(cx: &Cx<'_>) -> Map<String, Json> {
    let mut out = Map::new();
    for key in [
        "mode",
        "owner",
        "group",
        "seuser",
        "serole",
        "selevel",
        "setype",
        "attributes",
        "unsafe_writes",
        "follow",
    ] {
        if let Some(v) = cx.args.get(key).filter(|v| !v.is_none()) {
            out.insert(key.into(), v.to_json());
        }
    }
    out
}

/// The mode `preserve` stands for.
fn preserved(args: &mut Map<String, Json>, key: &str, from: Option<&str>) {
    use std::os::unix::fs::PermissionsExt;
    if args.get(key).and_then(Json::as_str) == Some("preserve")
        && let Some(meta) = from.and_then(|f| fs::metadata(f).ok())
    {
        args.insert(key.into(), format!("0{:03o}", meta.permissions().mode() & 0o7777).into());
    }
}

fn result(map: Map<String, Json>) -> Dict {
    match Value::from(Json::Object(map)) {
        Value::Dict(d) => d,
        _ => Dict::new(),
    }
}

fn must(cx: &Cx<'_>, name: &str, args: &Map<String, Json>) -> Result<Map<String, Json>, Failure> {
    remote::native(cx, name, args)?
        .ok_or_else(|| Failure::Error(Error::new(format!("the module {name} cannot run on this host"))))
}

/// Puts `data` where the task's `dest` says. `name` names the file where `dest` is a directory; `from` is its path here.
pub fn bytes(cx: &mut Cx<'_>, data: &[u8], name: &str, from: Option<&str>) -> Outcome {
    let Some(dest) = cx.text("dest") else {
        return Err(Failure::msg("dest is required"));
    };
    let sum = sha1(data);
    let follow = cx.flag("follow", false)?;
    if let Some(wanted) = cx.text("checksum")
        && wanted != sum
    {
        let d = Dict::new();
        d.insert("msg", "Copied file does not match the expected checksum. Transfer failed.");
        d.insert("expected_checksum", wanted);
        d.insert("checksum", sum);
        return Err(Failure::Result(d));
    }
    let stat = |cx: &Cx<'_>, path: &str, follow: bool| -> Result<Map<String, Json>, Failure> {
        let mut args = Map::new();
        args.insert("path".into(), path.into());
        args.insert("follow".into(), follow.into());
        args.insert("get_checksum".into(), true.into());
        args.insert("checksum_algorithm".into(), "sha1".into());
        args.insert("get_mime".into(), false.into());
        args.insert("get_attributes".into(), false.into());
        let mut r = must(cx, "stat", &args)?;
        if r.get("failed").and_then(Json::as_bool) == Some(true) {
            return Err(Failure::Result(result(r)));
        }
        Ok(match r.remove("stat") {
            Some(Json::Object(m)) => m,
            _ => Map::new(),
        })
    };
    let truth = |m: &Map<String, Json>, k: &str| m.get(k).and_then(Json::as_bool).unwrap_or(false);
    let mut target = if dest.ends_with('/') { format!("{dest}{name}") } else { dest.clone() };
    let mut now = stat(cx, &target, follow)?;
    if truth(&now, "exists") && truth(&now, "isdir") {
        target = format!("{}/{name}", target.trim_end_matches('/'));
        now = stat(cx, &target, follow)?;
    }
    if truth(&now, "exists") && !cx.flag("force", true)? {
        let d = Dict::new();
        d.insert("changed", false);
        d.insert("dest", target);
        if let Some(f) = from {
            d.insert("src", f);
        }
        return Ok(d);
    }
    let same = truth(&now, "exists")
        && now.get("checksum").and_then(Json::as_str) == Some(&sum)
        && (!truth(&now, "islnk") || follow);
    if same {
        let mut args = file_args(cx);
        preserved(&mut args, "mode", from);
        args.insert("path".into(), target.as_str().into());
        args.insert("state".into(), "file".into());
        args.insert("recurse".into(), false.into());
        if truth(&now, "islnk") {
            args.insert("follow".into(), true.into());
        }
        let d = result(must(cx, "file", &args)?);
        d.insert("checksum", sum);
        d.insert("dest", target);
        return Ok(d);
    }
    let mut args = file_args(cx);
    preserved(&mut args, "mode", from);
    for key in ["backup", "force", "validate", "directory_mode"] {
        if let Some(v) = cx.args.get(key).filter(|v| !v.is_none()) {
            args.insert(key.into(), v.to_json());
        }
    }
    let (c, as_user) = connect(cx)?;
    let local = c.transport() == "local" && as_user.is_none();
    // where the bytes wait: a file of ours here, or one on the host
    let (waiting, _guard, remote) = if local {
        let lost = |e: std::io::Error| Failure::Error(Error::new(e.to_string()));
        let dir = tempfile::Builder::new().prefix("ansible-tmp-").tempdir().map_err(lost)?;
        // called as the reference calls it, with the ending that `validate` may look at
        let ending = Path::new(name).extension().or_else(|| Path::new(&target).extension());
        let ending = ending.map_or_else(String::new, |e| format!(".{}", e.to_string_lossy()));
        let path = dir.path().join(format!(".source{ending}"));
        fs::write(&path, data).map_err(lost)?;
        let noted = crate::interrupt::Temporary::note(dir.path());
        (path.display().to_string(), Some((dir, noted)), false)
    } else {
        let path = remote::temporary(&sum[..16]);
        c.put(&mut { data }, &path, Some(0o600), as_user.as_ref()).map_err(remote::lost)?;
        (path, None, true)
    };
    args.insert("src".into(), waiting.as_str().into());
    args.insert("dest".into(), dest.as_str().into());
    args.insert("_original_basename".into(), name.into());
    let outcome = must(cx, "copy", &args);
    if remote {
        let mut gone = Map::new();
        gone.insert("path".into(), waiting.as_str().into());
        gone.insert("state".into(), "absent".into());
        // it is in the way of nobody
        let _ = remote::native(cx, "file", &gone);
    }
    let d = result(outcome?);
    if cx.fields.diff && !d.contains("diff") {
        let diff = difference(cx, &target, &now, data, from, name);
        d.insert("diff", diff);
    }
    if !d.contains("checksum") {
        d.insert("checksum", sum);
    }
    Ok(d)
}

/// The difference that `--diff` shows.
fn difference(
    cx: &Cx<'_>,
    target: &str,
    now: &Map<String, Json>,
    data: &[u8],
    from: Option<&str>,
    name: &str,
) -> Value {
    let d = Dict::new();
    let exists = now.get("exists").and_then(Json::as_bool).unwrap_or(false);
    let mut before = Vec::new();
    if exists && let Ok((c, as_user)) = connect(cx) {
        if c.transport() == "local" && as_user.is_none() {
            if let Ok(mut f) = fs::File::open(target) {
                let _ = f.read_to_end(&mut before);
            }
        } else {
            let _ = c.get(target, &mut before, as_user.as_ref());
        }
    }
    if before.contains(&0) {
        d.insert("dst_binary", 1i64);
    } else {
        d.insert("before", String::from_utf8_lossy(&before).into_owned());
        d.insert("before_header", if exists { Value::from(target) } else { Value::None });
    }
    if data.contains(&0) {
        d.insert("src_binary", 1i64);
    } else {
        d.insert("after", String::from_utf8_lossy(data).into_owned());
        d.insert("after_header", from.unwrap_or(name));
    }
    if !exists {
        d.remove("before_header");
    }
    Value::list(vec![Value::Dict(d)])
}

/// Copies a directory, file by file.
fn directory(cx: &mut Cx<'_>, src: &str, dest: &str) -> Outcome {
    let base = if src.ends_with('/') {
        String::new()
    } else {
        src.rsplit('/').next().unwrap_or_default().to_owned()
    };
    let root = src.trim_end_matches('/');
    let mut files = Vec::new();
    let mut dirs = Vec::new();
    let mut links = Vec::new();
    let follow_local = cx.flag("local_follow", true)?;
    gather(root, "", follow_local, &mut files, &mut dirs, &mut links);
    let out = Dict::new();
    let mut changed = false;
    let join = |rel: &str| {
        let mut p = dest.trim_end_matches('/').to_owned();
        for part in [base.as_str(), rel] {
            if !part.is_empty() {
                p.push('/');
                p.push_str(part);
            }
        }
        p
    };
    let outer = cx.args.copy();
    for rel in &files {
        let from = format!("{root}/{rel}");
        let (data, _) = cx.world.files.loader().bytes(&from).map_err(Failure::Error)?;
        let target = join(rel);
        let args = outer.copy();
        args.insert("dest", target.as_str());
        args.remove("src");
        // folders of the way
        let parent = Path::new(&target).parent().map(|p| p.display().to_string()).unwrap_or_default();
        changed |= folder(cx, &outer, &parent, false)?;
        cx.args = args;
        let name = rel.rsplit('/').next().unwrap_or_default().to_owned();
        let r = bytes(cx, &data, &name, Some(&from))?;
        changed |= crate::execute::result::flag(&r, "changed");
        if crate::execute::result::flag(&r, "failed") {
            return Ok(r);
        }
    }
    for rel in dirs {
        changed |= folder(cx, &outer, &join(&rel), true)?;
    }
    for (rel, to) in links {
        let mut args = Map::new();
        args.insert("path".into(), join(&rel).into());
        args.insert("src".into(), to.into());
        args.insert("state".into(), "link".into());
        args.insert("force".into(), true.into());
        args.insert("follow".into(), false.into());
        let r = must(cx, "file", &args)?;
        changed |= r.get("changed").and_then(Json::as_bool).unwrap_or(false);
    }
    out.insert("changed", changed);
    out.insert("dest", join(""));
    out.insert("src", src);
    Ok(out)
}

fn folder(cx: &Cx<'_>, outer: &Dict, path: &str, _own: bool) -> Result<bool, Failure> {
    let mut args = Map::new();
    args.insert("path".into(), path.into());
    args.insert("state".into(), "directory".into());
    args.insert("recurse".into(), false.into());
    if let Some(m) = outer.get("directory_mode").filter(|v| !v.is_none()) {
        args.insert("mode".into(), m.to_json());
    }
    for key in ["owner", "group"] {
        if let Some(v) = outer.get(key).filter(|v| !v.is_none()) {
            args.insert(key.into(), v.to_json());
        }
    }
    let r = must(cx, "file", &args)?;
    if r.get("failed").and_then(Json::as_bool) == Some(true) {
        return Err(Failure::Result(result(r)));
    }
    Ok(r.get("changed").and_then(Json::as_bool).unwrap_or(false))
}

fn gather(
    root: &str,
    rel: &str,
    follow: bool,
    files: &mut Vec<String>,
    dirs: &mut Vec<String>,
    links: &mut Vec<(String, String)>,
) {
    let dir = if rel.is_empty() { root.to_owned() } else { format!("{root}/{rel}") };
    let mut names: Vec<String> = fs::read_dir(&dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    for n in names {
        let r = if rel.is_empty() { n } else { format!("{rel}/{n}") };
        let full = format!("{root}/{r}");
        let p = Path::new(&full);
        if !follow && p.is_symlink() {
            if let Ok(to) = fs::read_link(p) {
                links.push((r, to.display().to_string()));
            }
        } else if p.is_dir() {
            dirs.push(r.clone());
            gather(root, &r, follow, files, dirs, links);
        } else {
            files.push(r);
        }
    }
}
