//! `get_url`: a file from a URL, fetched when it is not there, has changed or has another checksum.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use serde_json::Value;

use crate::cx::{Cx, FetchReply};
use crate::files::{FileArgs, backup, write};
use crate::map;
use crate::net::url::{Url, unquote};
use crate::net::{get, http};
use crate::result::{Fail, Map, Reply, os_error};
use crate::sys::{hash, path};

/// See [`get::covers`]; a checksum's file may have a scheme of its own.
pub fn covers(params: &Map) -> bool {
    let sums = params.get("checksum").and_then(Value::as_str).and_then(|sum| sum.split_once(':'));
    get::covers(params) && sums.is_none_or(|(algorithm, rest)| {
        !matches!(algorithm, a if a.starts_with("sha3") || a.starts_with("blake") || a.starts_with("shake"))
            && rest.split_once("://").is_none_or(|(s, _)| matches!(s, "http" | "https"))
    })
}

/// A checksum that the file must have.
struct Sum {
    algorithm: String,
    digits: String,
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let start = Instant::now();
    let (url, mut dest) = (cx.string("url"), cx.string("dest"));
    let is_dir = fs::metadata(&dest).is_ok_and(|m| m.is_dir());
    let sum = wanted(cx, &url)?;
    let mut force = cx.bool("force");
    let mut since = None;
    if !is_dir && let Ok(meta) = fs::metadata(&dest) {
        if let Some(sum) = sum.as_ref().filter(|_| !force) {
            if digest(sum, &dest)?.eq_ignore_ascii_case(&sum.digits) {
                return there_already(cx, &url, &dest);
            }
            force = true;
        }
        since = Some(meta.mtime());
    }
    let mut request = get::request(cx, &url, if cx.check { "HEAD" } else { "GET" });
    if force {
        http::set(&mut request.headers, "Cache-Control", "no-cache".into());
    } else if let Some(since) = since {
        http::set(&mut request.headers, "If-Modified-Since", get::http_date(since));
    }
    let reply = get::fetch(cx, &request)?;
    let elapsed = start.elapsed().as_secs();
    let failed = |text: String, dest: &str| {
        Fail::msg(text).with("url", url.as_str()).with("dest", dest).with("elapsed", elapsed)
    };
    match reply.status {
        304 => {
            let changed = FileArgs::of(cx).apply(cx, &dest, None)?;
            return Ok(map! {
                "url" => url, "dest" => dest, "changed" => changed, "msg" => get::message(&reply),
                "status_code" => 304, "elapsed" => elapsed,
            });
        }
        200 => {}
        -1 => return Err(failed(get::message(&reply), &dest)),
        status => {
            return Err(failed("Request failed".into(), &dest)
                .with("status_code", status)
                .with("response", get::message(&reply)));
        }
    }
    let temp = temporary(cx, &reply).map_err(|fail| fail.with("elapsed", elapsed))?;
    let outcome = place(cx, &mut dest, is_dir, &reply, &temp, sum.as_ref());
    let _ = fs::remove_file(&temp);
    let mut result = outcome.map_err(|fail| {
        let sum = crate::sys::hash::sha1(&reply.body);
        let fail = fail.with("url", url.as_str()).with("dest", dest.as_str()).with("elapsed", elapsed);
        fail.with("src", temp.as_str()).with("checksum_src", sum).with("checksum_dest", Value::Null)
    })?;
    result.insert("elapsed".into(), elapsed.into());
    result.insert("url".into(), url.into());
    result.insert("src".into(), temp.into());
    result.insert("dest".into(), dest.into());
    result.insert("msg".into(), get::message(&reply).into());
    if !cx.check {
        result.insert("status_code".into(), reply.status.into());
    }
    Ok(result)
}

/// The file has the wanted checksum: only its attributes may change.
fn there_already(cx: &Cx<'_>, url: &str, dest: &str) -> Reply {
    let changed = FileArgs::of(cx).apply(cx, dest, None)?;
    let msg = if changed { "file already exists but file attributes changed" } else { "file already exists" };
    Ok(map! {
        "msg" => msg, "dest" => dest, "url" => url, "changed" => changed, "checksum_src" => Value::Null, "checksum_dest" => Value::Null,
        "elapsed" => 0,
    })
}

/// The body in a file of our own.
fn temporary(cx: &Cx<'_>, reply: &FetchReply) -> Result<String, Fail> {
    let dir = match cx.text("tmp_dest") {
        Some(dir) => {
            match fs::metadata(&dir) {
                Ok(meta) if meta.is_dir() => {}
                Ok(_) => return Err(Fail::msg(format!("{dir} is a file but should be a directory."))),
                Err(_) => return Err(Fail::msg(format!("{dir} directory does not exist."))),
            }
            dir
        }
        None => cx.tmpdir.to_string_lossy().into_owned(),
    };
    let failed = |e: std::io::Error| {
        Fail::msg(format!("failed to create temporary content file: {}", os_error(&e, Some(&dir))))
    };
    let (file, mut out) = write::temp_in(&dir, "tmp", "").map_err(failed)?;
    if let Err(e) = out.write_all(&reply.body) {
        let _ = fs::remove_file(&file);
        return Err(failed(e));
    }
    Ok(file)
}

/// Puts the download in place where it differs.
fn place(
    cx: &mut Cx<'_>,
    dest: &mut String,
    is_dir: bool,
    reply: &FetchReply,
    temp: &str,
    sum: Option<&Sum>,
) -> Reply {
    if is_dir {
        let name = get::file_name(reply).unwrap_or_else(|| name_of(&reply.url));
        *dest = path::join(dest, &name);
    }
    let failed = |text: String| Fail::msg(text);
    let (src_sum, mut dest_sum) = (hash::sha1_file(temp), None);
    if let Ok(meta) = fs::metadata(&*dest) {
        if meta.is_dir() {
            return Err(failed(format!("Destination {dest} is a directory")));
        }
        dest_sum = hash::sha1_file(&*dest);
    } else {
        let dir = path::dirname(dest);
        if !dir.is_empty() && fs::metadata(dir).is_err() {
            return Err(failed(format!("Destination {dir} does not exist")));
        }
    }
    if cx.check {
        return Ok(map! {
            "changed" => dest_sum.is_none() || dest_sum != src_sum, "checksum_src" => src_sum, "checksum_dest" => dest_sum,
        });
    }
    if let Some(sum) = sum {
        let had = digest(sum, temp)?;
        if !had.eq_ignore_ascii_case(&sum.digits) {
            return Err(failed(format!(
                "The checksum for {temp} did not match {}; it was {had}.",
                sum.digits
            )));
        }
    }
    let mut changed = src_sum != dest_sum;
    let mut backup_file = None;
    if changed {
        if cx.bool("backup") && dest_sum.is_some() {
            backup_file = Some(backup::backup(dest)?);
        }
        write::replace_from(cx, dest, temp)?;
    }
    changed |= FileArgs::of(cx).apply(cx, dest, None)?;
    let md5 = hash::file("md5", &*dest).ok().flatten();
    let mut result = map! {
        "changed" => changed, "checksum_src" => src_sum, "checksum_dest" => dest_sum, "md5sum" => md5,
    };
    if let Some(file) = backup_file {
        result.insert("backup_file".into(), file.into());
    }
    Ok(result)
}

/// The last part of a URL's path.
fn name_of(url: &str) -> String {
    let name = Url::parse(url).map(|u| path::basename(u.path()).to_string()).unwrap_or_default();
    if name.is_empty() { "index.html".into() } else { name }
}

fn digest(sum: &Sum, file: &str) -> Result<String, Fail> {
    let read = hash::file(&sum.algorithm, file).map_err(|e| Fail::msg(os_error(&e, Some(file))))?;
    read.ok_or_else(|| {
        Fail::msg(format!(
            "Could not hash file '{file}' with algorithm '{}'. Available algorithms: md5, sha1, sha224, sha256, sha384, \
             sha512",
            sum.algorithm
        ))
    })
}

/// The checksum of the parameter: written there, or in a file at a URL beside the name of ours.
fn wanted(cx: &mut Cx<'_>, url: &str) -> Result<Option<Sum>, Fail> {
    let text = cx.string("checksum");
    if text.is_empty() {
        return Ok(None);
    }
    let Some((algorithm, rest)) = text.split_once(':') else {
        return Err(Fail::msg("The checksum parameter has to be in format <algorithm>:<checksum>")
            .with("url", url)
            .with("dest", cx.string("dest"))
            .with("elapsed", 0)
            .with("checksum_src", Value::Null)
            .with("checksum_dest", Value::Null));
    };
    let (algorithm, rest) = (algorithm.trim().to_string(), rest.trim().to_string());
    let digits = if rest.contains("://") {
        let request = get::request(cx, &rest, "GET");
        let reply = get::fetch(cx, &request)?;
        if reply.status != 200 {
            return Err(Fail::msg("Request failed")
                .with("status_code", reply.status)
                .with("response", get::message(&reply))
                .with("url", rest));
        }
        let name = name_of(url);
        in_list(&crate::py::text(&reply.body), &unquote(&name))
            .ok_or_else(|| Fail::msg(format!("Unable to find a checksum for file '{name}' in '{rest}'")))?
    } else {
        rest
    };
    let digits: String =
        digits.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    if digits.is_empty() || !digits.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(Fail::msg("The checksum format is invalid"));
    }
    Ok(Some(Sum { algorithm, digits }))
}

/// The digest beside a name in `sha256sum`'s or BSD's form; a file with nothing but one digest is ours.
fn in_list(text: &str, name: &str) -> Option<String> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    if let [only] = lines[..]
        && !only.contains(char::is_whitespace)
    {
        return Some(only.to_string());
    }
    lines.iter().find_map(|line| {
        if let Some((left, right)) = line.split_once(") = ") {
            let file = left.split_once('(')?.1;
            return (path::basename(file) == name).then(|| right.trim().to_string());
        }
        let (digits, file) = line.split_once(char::is_whitespace)?;
        let file = file.trim().trim_start_matches('*').trim_start_matches("./");
        (file == name).then(|| digits.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_checksums_and_dates() {
        let text = "aa  a.txt\nbb *b.txt\nSHA256 (./c.txt) = cc\n";
        let of = |name: &str| in_list(text, name);
        assert_eq!(
            (of("a.txt"), of("b.txt"), of("c.txt"), of("d")),
            (Some("aa".into()), Some("bb".into()), Some("cc".into()), None)
        );
        assert_eq!(in_list("dd\n", "x").as_deref(), Some("dd"));
        assert_eq!(get::http_date(1_445_412_480), "Wed, 21 Oct 2015 07:28:00 GMT");
        assert_eq!(
            (name_of("http://h/a/b.txt?x"), name_of("http://h/")),
            ("b.txt".into(), "index.html".into())
        );
    }
}
