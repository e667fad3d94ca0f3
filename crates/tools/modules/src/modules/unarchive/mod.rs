//! `unarchive`: what is in an archive that is on the target, below a directory. Tar in all its compressions is
//! done by the target's tar; a zip file is handed over.

mod tar;

use std::fs;
use std::os::unix::fs::MetadataExt;

use crate::cx::Cx;
use crate::files::{FileArgs, write};
use crate::map;
use crate::net::get;
use crate::result::{Fail, Reply, os_error};
use crate::sys::path;

use tar::Tar;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (given, dest) = (cx.string("src"), cx.string("dest"));
    if !dest.starts_with('/') {
        let into = absolute(&dest);
        cx.warn(format!("Relative destination path '{dest}' was resolved to absolute path '{into}'."));
    }
    let Some(kept) = source(cx, &given)? else { return unpack(cx, &absolute(&given)) };
    let outcome = unpack(cx, &kept);
    let _ = fs::remove_file(&kept);
    outcome
}

/// Checks the source; a URL is fetched into a temporary file, whose path this gives.
fn source(cx: &mut Cx<'_>, src: &str) -> Result<Option<String>, Fail> {
    let path = path::expand(src);
    if fs::metadata(&path).is_err() {
        if !src.contains("://") {
            return Err(Fail::msg(match cx.bool("remote_src") || !cx.bool("copy") {
                true => format!("Source '{src}' does not exist"),
                false => format!("Source '{src}' failed to transfer"),
            }));
        }
        return download(cx, src).map(Some);
    }
    if fs::File::open(&path).is_err() {
        return Err(Fail::msg(format!("Source '{src}' not readable")));
    }
    if fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() == 0) {
        return Err(Fail::msg(format!("Invalid archive '{}', the file is 0 bytes", absolute(src))));
    }
    Ok(None)
}

/// The path from the root, without `.` parts at its start.
fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return path.to_string();
    }
    let here = std::env::current_dir().unwrap_or_else(|_| "/".into());
    path::join(&here.to_string_lossy(), path.trim_start_matches("./"))
}

fn download(cx: &mut Cx<'_>, url: &str) -> Result<String, Fail> {
    let mut request = get::request(cx, url, "GET");
    request.validate_certs = cx.bool("validate_certs");
    request.follow_redirects = "urllib2".into();
    request.use_proxy = true;
    let reply = get::fetch(cx, &request)?;
    if reply.status != 200 {
        return Err(Fail::msg(format!("Failure downloading {url}, {}", get::message(&reply))));
    }
    let dir = cx.tmpdir.to_string_lossy().into_owned();
    let name = path::basename(url.split(['?', '#']).next().unwrap_or(url)).to_string();
    let suffix = if name.len() < 100 { format!("-{name}") } else { String::new() };
    let (file, mut out) =
        write::temp_in(&dir, "", &suffix).map_err(|e| Fail::msg(os_error(&e, Some(&dir))))?;
    std::io::Write::write_all(&mut out, &reply.body).map_err(|e| Fail::msg(os_error(&e, Some(&file))))?;
    Ok(file)
}

fn unpack(cx: &mut Cx<'_>, src: &str) -> Reply {
    let dest = cx.string("dest");
    // tar starts below the destination: a relative path would be another there.
    let into = absolute(&dest);
    if !fs::metadata(&dest).is_ok_and(|m| m.is_dir()) {
        return Err(Fail::msg(format!("Destination '{dest}' is not a directory")));
    }
    let archive = Tar::open(cx, src, &into)?;
    if cx.check {
        let text = "remote module (ansible.legacy.unarchive) does not support check mode when using gtar";
        return Ok(map! { "skipped" => true, "changed" => false, "msg" => text });
    }
    let mut result = map! { "handler" => archive.handler, "dest" => dest, "src" => src };
    let mut changed = !archive.is_unpacked(cx)?;
    if changed {
        let done = archive.extract(cx)?;
        let failed = done.rc != 0;
        let told = map! {
            "cmd" => done.argv, "rc" => done.rc, "out" => done.out, "err" => done.err,
        };
        result.insert("extract_results".into(), told.into());
        if failed {
            result.insert("changed".into(), true.into());
            let message = format!("failed to unpack {src} to {dest}");
            return Err(result
                .into_iter()
                .fold(Fail::msg(message), |fail, (key, value)| fail.with(&key, value)));
        }
    }
    changed |= attributes(cx, &archive.files, &into)?;
    if cx.bool("list_files") {
        result.insert("files".into(), archive.files.clone().into());
    }
    result.insert("changed".into(), changed.into());
    Ok(result)
}

/// Gives every file of the archive, and the directories at its top, the attributes of the call.
fn attributes(cx: &Cx<'_>, files: &[String], dest: &str) -> Result<bool, Fail> {
    let wanted = FileArgs::of(cx);
    let nothing = wanted.mode.is_null()
        && wanted.owner.is_none()
        && wanted.group.is_none()
        && wanted.attributes.is_none()
        && wanted.context.iter().all(Option::is_none);
    if nothing {
        return Ok(false);
    }
    let mut changed = false;
    let mut tops: Vec<&str> = Vec::new();
    for file in files {
        changed |= wanted.apply(cx, &path::join(dest, file.trim_end_matches('/')), None)?;
        if let Some((top, _)) = file.split_once('/')
            && !tops.contains(&top)
        {
            tops.push(top);
        }
    }
    for top in tops {
        changed |= wanted.apply(cx, &path::join(dest, top), None)?;
    }
    Ok(changed)
}

/// Whether the file begins as a zip file does (APPNOTE.TXT 4.3).
fn is_zip(src: &str) -> bool {
    let mut start = [0u8; 4];
    let read = fs::File::open(src).and_then(|mut f| std::io::Read::read(&mut f, &mut start));
    matches!(read, Ok(4)) && (start == *b"PK\x03\x04" || start == *b"PK\x05\x06" || start == *b"PK\x07\x08")
}

/// The owner of the running module, for what only root can restore.
fn is_root() -> bool {
    fs::metadata("/proc/self").map_or(crate::sys::euid(), |m| m.uid()) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Call, Map, run};

    fn call(args: Value) -> Map {
        let Value::Object(args) = args else { panic!("an object") };
        run(Call::new("unarchive", args))
    }

    #[test]
    fn a_tar_is_unpacked_once() {
        let dir = std::env::temp_dir().join(format!("pileus-unarchive-{}", crate::files::write::unique()));
        std::fs::create_dir_all(dir.join("src")).unwrap();
        std::fs::create_dir(dir.join("d")).unwrap();
        std::fs::write(dir.join("src/ä b"), "x").unwrap();
        std::fs::write(dir.join("src/no"), "x").unwrap();
        let dir = dir.to_string_lossy().into_owned();
        let done = std::process::Command::new("tar")
            .args(["-czf", &format!("{dir}/a.tgz"), "-C", &dir, "src"])
            .status()
            .unwrap();
        assert!(done.success());
        let args = json!({
            "src": format!("{dir}/a.tgz"), "dest": format!("{dir}/d"), "remote_src": true, "list_files": true,
            "exclude": ["src/no"], "mode": "u=rwX",
        });
        let first = call(args.clone());
        assert_eq!((&first["changed"], &first["handler"]), (&true.into(), &"TgzArchive".into()), "{first:?}");
        assert_eq!(first["files"], json!(["src/", "src/ä b"]));
        assert!(!std::path::Path::new(&format!("{dir}/d/src/no")).exists());
        assert_eq!(call(args)["changed"], false);
        let bad =
            call(json!({"src": format!("{dir}/src/no"), "dest": format!("{dir}/d"), "remote_src": true}));
        assert!(bad["msg"].as_str().unwrap().starts_with("Failed to find handler for"));
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
