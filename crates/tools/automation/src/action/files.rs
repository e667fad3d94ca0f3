//! Actions that bring files over or back: fetch, script, raw, assemble, unarchive.

use std::fs;
use std::path::Path;

use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json};

use crate::Error;
use crate::connection::Output;
use crate::playbook::split::split_args;

use super::remote::{self, connect, lost};
use super::{Cx, Failure, Outcome, copy};

/// The name of a user by number; the number where it has none.
pub fn user_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let found = passwd.lines().find_map(|l| {
        let mut f = l.split(':');
        let name = f.next()?;
        (f.nth(1)? == uid.to_string()).then(|| name.to_owned())
    });
    found.unwrap_or_else(|| uid.to_string())
}

fn output(o: &Output) -> Dict {
    let d = Dict::new();
    d.insert("changed", true);
    d.insert("rc", i64::from(o.rc));
    d.insert("stdout", String::from_utf8_lossy(&o.stdout).into_owned());
    d.insert("stderr", String::from_utf8_lossy(&o.stderr).into_owned());
    if o.rc != 0 {
        d.insert("failed", true);
        d.insert("msg", "non-zero return code");
    }
    d
}

fn exports(cx: &Cx<'_>) -> String {
    cx.fields.environment.iter().map(|(k, v)| format!("{k}={} ", crate::connection::quote(v))).collect()
}

/// `raw`.
pub fn raw(cx: &mut Cx<'_>) -> Outcome {
    if cx.fields.check {
        let d = Dict::new();
        d.insert("skipped", true);
        return Ok(d);
    }
    let text = cx.text("_raw_params").unwrap_or_default();
    let (c, as_user) = connect(cx)?;
    let env = exports(cx);
    let text = match cx.text("executable") {
        Some(exe) => format!("{env}{exe} -c {}", crate::connection::quote(&text)),
        None if !env.is_empty() => format!("{env}/bin/sh -c {}", crate::connection::quote(&text)),
        None => text,
    };
    let o = c.exec(&text, &[], as_user.as_ref(), None).map_err(lost)?;
    Ok(output(&o))
}

/// `script`.
pub fn script(cx: &mut Cx<'_>) -> Outcome {
    let text = cx.text("_raw_params").or_else(|| cx.text("cmd")).unwrap_or_default();
    let (c, as_user) = connect(cx)?;
    let there = |path: &str| -> Result<bool, Failure> {
        let o = c
            .exec(&format!("test -e {}", crate::connection::quote(path)), &[], as_user.as_ref(), None)
            .map_err(lost)?;
        Ok(o.rc == 0)
    };
    let skip = |msg: String| {
        let d = Dict::new();
        d.insert("skipped", true);
        d.insert("msg", msg);
        d
    };
    if let Some(p) = cx.text("creates")
        && there(&p)?
    {
        return Ok(skip(format!("{p} exists, matching creates option")));
    }
    if let Some(p) = cx.text("removes")
        && !there(&p)?
    {
        return Ok(skip(format!("{p} does not exist, matching removes option")));
    }
    let words = split_args(&text).map_err(Failure::Error)?;
    let Some(first) = words.first() else {
        return Err(Failure::msg("no command given"));
    };
    let name = crate::playbook::split::unquote(first.trim()).to_owned();
    let path = cx.find("files", &name)?;
    if cx.fields.check {
        let d = Dict::new();
        d.insert("changed", true);
        return Ok(d);
    }
    let (data, _) = cx.world.files.loader().bytes(&path).map_err(Failure::Error)?;
    let local = c.transport() == "local" && as_user.is_none();
    let base = path.rsplit('/').next().unwrap_or("script").to_owned();
    let target = remote::temporary(&base);
    c.put(&mut &*data, &target, Some(0o700), as_user.as_ref()).map_err(lost)?;
    let rest = text.trim_start()[first.trim_end().len()..].trim_start().to_owned();
    let quoted = crate::connection::quote(&target);
    let mut line = match cx.text("executable") {
        Some(exe) => format!("{exe} {quoted} {rest}"),
        None => format!("{quoted} {rest}"),
    };
    line = format!("{}{line}", exports(cx));
    if let Some(dir) = cx.text("chdir") {
        line = format!("cd {} && {line}", crate::connection::quote(&dir));
    }
    let o = c.exec(line.trim_end(), &[], as_user.as_ref(), None).map_err(lost);
    if local {
        let _ = fs::remove_file(&target);
    } else {
        let _ = c.exec(&format!("rm -f {quoted}"), &[], as_user.as_ref(), None);
    }
    Ok(output(&o?))
}

/// `fetch`.
pub fn fetch(cx: &mut Cx<'_>) -> Outcome {
    if cx.fields.check {
        let d = Dict::new();
        d.insert("skipped", true);
        d.insert("msg", "check mode not (yet) supported for this module");
        return Ok(d);
    }
    let (flat, fail, validate) =
        (cx.flag("flat", false)?, cx.flag("fail_on_missing", true)?, cx.flag("validate_checksum", true)?);
    let (Some(src), Some(dest)) = (cx.text("src"), cx.text("dest")) else {
        return Err(Failure::msg("src and dest are required"));
    };
    let _ = validate;
    for k in ["src", "dest"] {
        if let Some(v) = cx.args.get(k)
            && !matches!(v, Value::Str(_))
        {
            return Err(Failure::msg(format!(
                "Invalid type supplied for {} option, it must be a string",
                if k == "src" { "source" } else { "dest" }
            )));
        }
    }
    let mut args = Map::new();
    args.insert("path".into(), src.as_str().into());
    args.insert("follow".into(), true.into());
    args.insert("checksum_algorithm".into(), "sha1".into());
    let mut r = remote::native(cx, "stat", &args)?.unwrap_or_default();
    let stat = match r.remove("stat") {
        Some(Json::Object(m)) => m,
        _ => Map::new(),
    };
    let truth = |k: &str| stat.get(k).and_then(Json::as_bool).unwrap_or(false);
    let missing = |msg: &str| {
        let d = Dict::new();
        d.insert("changed", false);
        d.insert("file", src.as_str());
        d.insert("msg", if fail { msg.to_owned() } else { format!("{msg}, ignored") });
        if fail {
            d.insert("failed", true);
        }
        d
    };
    if !truth("exists") {
        return Ok(missing("the remote file does not exist, not transferring"));
    }
    if truth("isdir") {
        return Ok(missing("remote file is a directory, fetch cannot work on directories"));
    }
    let base = src.rsplit('/').next().unwrap_or_default();
    let target = if flat {
        if dest.ends_with('/') {
            crate::source::paths::unfrack_from(&format!("{dest}{base}"), &cx.world.files.base())
        } else {
            let p = crate::source::paths::unfrack_from(&dest, &cx.world.files.base());
            if Path::new(&p).is_dir() {
                return Err(Failure::msg("dest is an existing directory, use a trailing slash if you want to fetch src into that directory".to_string()));
            }
            p
        }
    } else {
        let name = cx.host;
        crate::source::paths::unfrack_from(
            &format!("{}/{name}/{}", dest.trim_end_matches('/'), src.trim_start_matches('/')),
            &cx.world.files.base(),
        )
    };
    let (c, as_user) = connect(cx)?;
    let mut data = Vec::new();
    c.get(&src, &mut data, as_user.as_ref()).map_err(lost)?;
    let sum = |b: &[u8]| {
        use sha1::{Digest, Sha1};
        Sha1::digest(b).iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let new = sum(&data);
    let old = fs::read(&target).ok().map(|b| sum(&b));
    let d = Dict::new();
    let changed = old.as_deref() != Some(new.as_str());
    if changed {
        if let Some(dir) = Path::new(&target).parent() {
            fs::create_dir_all(dir)
                .map_err(|e| Failure::msg(format!("Unable to create directory {}: {e}", dir.display())))?;
        }
        fs::write(&target, &data).map_err(|e| Failure::msg(format!("Failed to fetch the file: {e}")))?;
    } else {
        d.insert("file", src.as_str());
    }
    d.insert("changed", changed);
    d.insert("dest", target);
    d.insert("checksum", new.as_str());
    let md5 = stat.get("md5").cloned().unwrap_or(Json::Null);
    d.insert("md5sum", Value::from(md5));
    if changed {
        d.insert(
            "remote_checksum",
            stat.get("checksum").map(Value::from).unwrap_or_else(|| Value::from(new)),
        );
        d.insert("remote_md5sum", Value::None);
    }
    Ok(d)
}

/// `assemble`.
pub fn assemble(cx: &mut Cx<'_>) -> Outcome {
    if cx.flag("remote_src", true)? {
        return remote::module(cx, "assemble");
    }
    let (Some(src), Some(_)) = (cx.text("src"), cx.text("dest")) else {
        return Err(Failure::msg("src and dest are required"));
    };
    let path = cx.find("files", &src)?;
    if !Path::new(&path).is_dir() {
        return Err(Failure::msg(format!("Source ({path}) is not a directory")));
    }
    let delimiter = cx.text("delimiter");
    let hidden = cx.flag("ignore_hidden", false)?;
    let regexp = cx.text("regexp");
    let mut names: Vec<String> = fs::read_dir(&path)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    let mut out: Vec<u8> = Vec::new();
    let (mut add_delimiter, mut add_newline) = (false, false);
    for n in names {
        if hidden && n.starts_with('.') {
            continue;
        }
        if let Some(r) = &regexp {
            let scope = Dict::new();
            scope.insert("r", r.as_str());
            scope.insert("n", n.as_str());
            let hit = cx.world.engine().expression(&pileus_jinja::Str::trusted("n is search(r)"), &scope)?;
            if !hit.truth()? {
                continue;
            }
        }
        let full = format!("{path}/{n}");
        if !Path::new(&full).is_file() {
            continue;
        }
        let (data, _) = cx.world.files.loader().bytes(&full).map_err(Failure::Error)?;
        if add_newline {
            out.push(b'\n');
        }
        if add_delimiter && let Some(d) = &delimiter {
            let d = d.replace("\\n", "\n").replace("\\t", "\t");
            out.extend(d.as_bytes());
            if !d.ends_with('\n') {
                out.push(b'\n');
            }
        }
        add_newline = !data.ends_with(b"\n");
        out.extend(data);
        add_delimiter = true;
    }
    for key in ["src", "delimiter", "ignore_hidden", "regexp", "remote_src", "decrypt"] {
        cx.args.remove(key);
    }
    copy::bytes(cx, &out, "assembled", None)
}

/// `unarchive`.
pub fn unarchive(cx: &mut Cx<'_>) -> Outcome {
    if cx.flag("remote_src", false)? || !cx.flag("copy", true)? {
        cx.args.remove("decrypt");
        return remote::module(cx, "unarchive");
    }
    let (Some(src), Some(_)) = (cx.text("src"), cx.text("dest")) else {
        return Err(Failure::msg("src (or content) and dest are required"));
    };
    if src.contains("://") {
        return remote::module(cx, "unarchive");
    }
    let path = cx.find("files", &src)?;
    let (c, as_user) = connect(cx)?;
    if let Some(creates) = cx.text("creates") {
        let o = c
            .exec(&format!("test -e {}", crate::connection::quote(&creates)), &[], as_user.as_ref(), None)
            .map_err(lost)?;
        if o.rc == 0 {
            let d = Dict::new();
            d.insert("skipped", true);
            d.insert("msg", format!("skipped, since {creates} exists"));
            return Ok(d);
        }
    }
    cx.args.remove("decrypt");
    cx.args.remove("copy");
    cx.args.insert("remote_src", true);
    if c.transport() == "local" && as_user.is_none() {
        cx.args.insert("src", path);
        return remote::module(cx, "unarchive");
    }
    let mut file = fs::File::open(&path).map_err(|e| Failure::Error(Error::new(format!("{path}: {e}"))))?;
    let target = remote::temporary(path.rsplit('/').next().unwrap_or("archive"));
    c.put(&mut file, &target, Some(0o600), as_user.as_ref()).map_err(lost)?;
    cx.args.insert("src", target.as_str());
    let out = remote::module(cx, "unarchive");
    let _ = c.exec(&format!("rm -f {}", crate::connection::quote(&target)), &[], as_user.as_ref(), None);
    out
}
