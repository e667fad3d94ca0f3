//! Actions that bring files over: script, raw, assemble, unarchive.

use std::fs;
use std::path::Path;

use pileus_jinja::Dict;

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
    if !cx.fields.environment.is_empty() {
        crate::display::warning("raw module does not support the environment keyword");
    }
    if cx.fields.check {
        return Ok(skipped(None));
    }
    let text = cx.text("_raw_params").unwrap_or_default();
    let (c, as_user) = connect(cx)?;
    let text = match cx.text("executable") {
        Some(exe) => format!("{exe} -c {}", crate::connection::quote(&text)),
        None => text,
    };
    let o = c.exec(&text, &[], as_user.as_ref(), None).map_err(lost)?;
    Ok(output(&o))
}

/// A skipped result.
fn skipped(msg: Option<String>) -> Dict {
    let d = Dict::new();
    d.insert("changed", false);
    d.insert("skipped", true);
    if let Some(msg) = msg {
        d.insert("msg", msg);
    }
    d
}

/// `script`.
pub fn script(cx: &mut Cx<'_>) -> Outcome {
    const KNOWN: [&str; 6] = ["_raw_params", "chdir", "cmd", "creates", "executable", "removes"];
    if cx.fields.async_s > 0 {
        return Err(Failure::msg("This action (script) does not support async."));
    }
    let names: Vec<String> = cx.args.keys().iter().filter_map(|k| k.to_text().ok()).collect();
    let mut bad: Vec<&str> = names.iter().map(String::as_str).filter(|k| !KNOWN.contains(k)).collect();
    if !bad.is_empty() {
        bad.sort_unstable();
        return Err(Failure::msg(format!(
            "Unsupported parameters for (script) module: {}. Supported parameters include: {}.",
            bad.join(", "),
            KNOWN.join(", ")
        )));
    }
    let Some(text) = cx.text("_raw_params").or_else(|| cx.text("cmd")) else {
        return Err(Failure::msg("one of the following is required: _raw_params, cmd"));
    };
    let (c, as_user) = connect(cx)?;
    let there = |path: &str| -> Result<bool, Failure> {
        let o = c
            .exec(&format!("test -e {}", crate::connection::quote(path)), &[], as_user.as_ref(), None)
            .map_err(lost)?;
        Ok(o.rc == 0)
    };
    if let Some(p) = cx.text("creates")
        && there(&p)?
    {
        return Ok(skipped(Some(format!("{p} exists, matching creates option"))));
    }
    if let Some(p) = cx.text("removes")
        && !there(&p)?
    {
        return Ok(skipped(Some(format!("{p} does not exist, matching removes option"))));
    }
    let words = split_args(&text).map_err(Failure::Error)?;
    let Some(first) = words.first() else {
        return Err(Failure::msg("no command given"));
    };
    let name = crate::playbook::split::unquote(first.trim()).to_owned();
    let path = cx.find("files", &name)?;
    if cx.fields.check {
        // With creates or removes the answer is known: the script would run.
        if cx.text("creates").is_none() && cx.text("removes").is_none() {
            return Ok(skipped(Some("Check mode is not supported for this task.".into())));
        }
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
    let (Some(src), Some(dest)) = (cx.text("src"), cx.text("dest")) else {
        return Err(Failure::msg("src (or content) and dest are required"));
    };
    let (c, as_user) = connect(cx)?;
    let here = c.transport() == "local" && as_user.is_none();
    let is = |test: &str, path: &str| {
        let line = format!("test {test} {}", crate::connection::quote(path));
        Ok::<_, Failure>(c.exec(&line, &[], as_user.as_ref(), None).map_err(lost)?.rc == 0)
    };
    if let Some(creates) = cx.text("creates") {
        let there = if here { fs::symlink_metadata(&creates).is_ok() } else { is("-e", &creates)? };
        if there {
            let d = Dict::new();
            d.insert("changed", false);
            d.insert("skipped", true);
            d.insert("msg", format!("skipped, since {creates} exists"));
            return Ok(d);
        }
    }
    // A `~` in the path is the module's to read; so is a target's missing directory, without one more question.
    if here && dest.starts_with('/') && !fs::metadata(&dest).is_ok_and(|m| m.is_dir()) {
        return Err(Failure::msg(format!("dest '{dest}' must be an existing dir")));
    }
    if cx.flag("remote_src", false)? || !cx.flag("copy", true)? || src.contains("://") {
        cx.args.remove("decrypt");
        return remote::module(cx, "unarchive");
    }
    let path = cx.find("files", &src)?;
    cx.args.remove("decrypt");
    cx.args.remove("copy");
    cx.args.insert("remote_src", true);
    if here {
        cx.args.insert("src", path);
        return remote::module(cx, "unarchive");
    }
    with_sent(cx, "unarchive", &path)
}

/// Runs a module whose `src` is the controller's file at `path`, which is on the target only for so long.
fn with_sent(cx: &mut Cx<'_>, module: &str, path: &str) -> Outcome {
    let (c, as_user) = connect(cx)?;
    let mut file = fs::File::open(path).map_err(|e| Failure::Error(Error::new(format!("{path}: {e}"))))?;
    let target = remote::temporary(path.rsplit('/').next().unwrap_or(module));
    c.put(&mut file, &target, Some(0o600), as_user.as_ref()).map_err(lost)?;
    cx.args.insert("src", target.as_str());
    let out = remote::module(cx, module);
    let _ = c.exec(&format!("rm -f {}", crate::connection::quote(&target)), &[], as_user.as_ref(), None);
    out
}

/// `uri`: a file to send that is on the controller is brought over first.
pub fn uri(cx: &mut Cx<'_>) -> Outcome {
    if cx.fields.check {
        let d = Dict::new();
        d.insert("skipped", true);
        d.insert("changed", false);
        d.insert("msg", "This action (uri) does not support check mode.");
        return Ok(d);
    }
    let there = cx.flag("remote_src", false)?;
    let Some(src) = cx.text("src").filter(|_| !there) else { return remote::module(cx, "uri") };
    let path = cx.find("files", &src)?;
    let (c, as_user) = connect(cx)?;
    if c.transport() == "local" && as_user.is_none() {
        cx.args.insert("src", path);
        return remote::module(cx, "uri");
    }
    with_sent(cx, "uri", &path)
}
