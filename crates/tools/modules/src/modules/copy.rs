//! `copy`'s (and `template`'s) side on the target: a file that is already there takes its place.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

use serde_json::json;

use crate::cx::Cx;
use crate::files::{FileArgs, backup, validate, write};
use crate::map;
use crate::result::{Fail, Map, Reply, os_error};
use crate::sys::{hash, path};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let src = cx.string("src");
    let given_dest = cx.string("dest");
    let remote_src = cx.bool("remote_src");
    let basename = cx.text("_original_basename");
    if given_dest.is_empty() {
        return Err(Fail::msg("Destination directory  does not exist"));
    }
    let Ok(src_meta) = fs::metadata(&src) else {
        return Err(Fail::msg(format!("Source {src} not found")));
    };
    if let Err(e) = fs::File::open(&src) {
        return Err(Fail::msg(format!("Source {src} not readable: {e}")));
    }
    // A relative destination without a directory is shown as the file here.
    let mut dest = if given_dest.contains('/') { given_dest.clone() } else { format!("./{given_dest}") };
    let mut args = FileArgs::of(cx);
    if args.mode == json!("preserve") {
        let mode = format!("0{:03o}", src_meta.permissions().mode() & 0o7777);
        cx.params.insert("mode".into(), mode.as_str().into());
        args.mode = json!(mode);
    }
    let src_is_dir = src_meta.is_dir();
    let (checksum, md5) = if src_is_dir {
        (None, None)
    } else {
        let read =
            |algorithm: &str| hash::file(algorithm, &src).map_err(|e| Fail::msg(os_error(&e, Some(&src))));
        (read("sha1")?, read("md5")?)
    };
    if let (Some(wanted), Some(sum)) = (cx.text("checksum"), &checksum)
        && wanted != *sum
    {
        return Err(Fail::msg("Copied file does not match the expected checksum. Transfer failed.")
            .with("checksum", sum.as_str())
            .with("expected_checksum", wanted));
    }
    let mut changed = false;
    if dest.ends_with('/') && !src_is_dir {
        let name = basename.clone().unwrap_or_else(|| path::basename(&src).to_string());
        let dir = dest.trim_end_matches('/').to_string();
        dest = path::join(&dest, &name);
        if fs::metadata(&dir).is_err() {
            changed |= make_dirs(cx, &dir)?;
            if cx.check {
                return Ok(reply(&src, &dest, true, &checksum, &md5));
            }
        }
    }
    if !src_is_dir && fs::metadata(&dest).is_ok_and(|m| m.is_dir()) {
        let name = basename.unwrap_or_else(|| path::basename(&src).to_string());
        dest = path::join(&dest, &name);
    }
    if src_is_dir {
        return directory(cx, &src, &dest, remote_src, &args);
    }
    let mut dest_sum = None;
    if let Ok(meta) = fs::metadata(&dest) {
        if path::lexists(&dest)
            && cx.bool("follow")
            && fs::symlink_metadata(&dest).is_ok_and(|m| m.is_symlink())
        {
            dest = path::realpath(&dest);
        }
        if !cx.bool("force") {
            return Ok(
                map! {"msg" => "file already exists", "src" => src, "dest" => dest, "changed" => false},
            );
        }
        if meta.is_file() {
            dest_sum = hash::sha1_file(&dest);
        }
    } else {
        let dir = path::dirname(&dest);
        if let Err(e) = fs::metadata(dir) {
            return Err(Fail::msg(match e.raw_os_error() {
                Some(libc::EACCES) => format!("Destination directory {dir} is not accessible"),
                _ => format!("Destination directory {dir} does not exist"),
            }));
        }
    }
    let is_link = fs::symlink_metadata(&dest).is_ok_and(|m| m.is_symlink());
    let mut backup_file = None;
    if checksum != dest_sum || is_link {
        if !cx.check {
            if cx.bool("backup") && fs::metadata(&dest).is_ok() {
                backup_file = Some(backup::backup(&dest)?);
            }
            if let Some(command) = cx.text("validate") {
                check(cx, &command, &src, &args)?;
            }
            put(cx, &src, &dest, is_link)?;
        }
        changed = true;
    }
    if !cx.check {
        changed |= args.apply(cx, &dest, None)?;
    }
    let mut result = reply(&src, &dest, changed, &checksum, &md5);
    if let Some(file) = backup_file {
        result.insert("backup_file".into(), file.into());
    }
    Ok(result)
}

fn reply(src: &str, dest: &str, changed: bool, checksum: &Option<String>, md5: &Option<String>) -> Map {
    map! {"dest" => dest, "src" => src, "md5sum" => md5, "checksum" => checksum, "changed" => changed}
}

/// Puts the new content in place; a link is replaced, not followed.
fn put(cx: &Cx<'_>, src: &str, dest: &str, is_link: bool) -> Result<(), Fail> {
    if is_link {
        fs::remove_file(dest).map_err(|e| Fail::msg(os_error(&e, Some(dest))))?;
    }
    write::replace_from(cx, dest, src)
}

/// `validate`: the program sees the source with the mode it will have.
fn check(cx: &mut Cx<'_>, command: &str, src: &str, _args: &FileArgs) -> Result<(), Fail> {
    if !command.contains("%s") {
        return Err(Fail::msg(format!("validate must contain %s: {command}")));
    }
    let words = crate::modules::command::words::split(&command.replace("%s", src)).map_err(Fail::msg)?;
    let argv: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = cx.exec(&argv).map_err(|e| Fail::msg(os_error(&e, argv.first().copied())))?;
    if output.rc != 0 {
        return Err(Fail::msg("failed to validate")
            .with("exit_status", output.rc)
            .with("stdout", output.stdout())
            .with("stderr", output.stderr()));
    }
    let _ = validate::run;
    Ok(())
}

/// Makes missing directories with `directory_mode` and the call's owner and group.
fn make_dirs(cx: &Cx<'_>, dir: &str) -> Result<bool, Fail> {
    if cx.check {
        return Ok(true);
    }
    let mut args = FileArgs::of(cx);
    args.mode = cx.raw("directory_mode").clone();
    let mut current = if dir.starts_with('/') { "/".to_string() } else { String::new() };
    for part in dir.split('/').filter(|p| !p.is_empty()) {
        current = path::join(&current, part);
        if fs::metadata(&current).is_ok() {
            continue;
        }
        fs::DirBuilder::new()
            .mode(0o777)
            .create(&current)
            .map_err(|e| Fail::msg(os_error(&e, Some(&current))))?;
        args.apply(cx, &current, None)?;
    }
    Ok(true)
}

/// A directory that is on the target already (`remote_src`), copied with all that is in it.
fn directory(cx: &mut Cx<'_>, src: &str, given: &str, remote_src: bool, args: &FileArgs) -> Reply {
    let mut dest = given.to_string();
    let mut changed = false;
    let mut shown = None;
    if remote_src {
        if fs::metadata(given).is_err() {
            shown = Some(given);
        }
        if path::lexists(&dest) && !fs::metadata(&dest).is_ok_and(|m| m.is_dir()) {
            return Err(Fail::msg(format!("cannot copy a directory over the file {dest}")));
        }
        if !src.ends_with('/') {
            dest = path::join(&dest, path::basename(src));
        } else if fs::metadata(&dest).is_ok() && !dest.ends_with('/') {
            dest.push('/');
        }
        // What is inside keeps its modes; the top gets those of the call.
        let inner = FileArgs { owner: args.owner.clone(), group: args.group.clone(), ..FileArgs::default() };
        let top = dest.trim_end_matches('/').to_string();
        if fs::metadata(&top).is_err() {
            changed = true;
            if !cx.check {
                make_dirs(cx, path::dirname(&top))?;
                fs::create_dir_all(&top)
                    .and_then(|()| copy_mode(src, &top))
                    .map_err(|e| Fail::msg(os_error(&e, Some(&top))))?;
            }
        }
        changed |= tree(cx, src.trim_end_matches('/'), &top, &inner)?;
        if !cx.check {
            changed |= args.apply(cx, &top, None)?;
        }
    }
    Ok(reply(src, shown.unwrap_or(&dest), changed, &None, &None))
}

fn copy_mode(from: &str, to: &str) -> std::io::Result<()> {
    let meta = fs::metadata(from)?;
    fs::set_permissions(to, fs::Permissions::from_mode(meta.permissions().mode() & 0o7777))
}

/// Copies what is in a directory; links stay links unless `local_follow`.
fn tree(cx: &Cx<'_>, src: &str, dest: &str, args: &FileArgs) -> Result<bool, Fail> {
    let mut changed = false;
    let failed = |e: std::io::Error, path: &str| Fail::msg(os_error(&e, Some(path)));
    let follow = cx.bool("local_follow");
    for entry in fs::read_dir(src).map_err(|e| failed(e, src))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let (from, to) = (path::join(src, &name), path::join(dest, &name));
        let kind = entry.file_type().map_err(|e| failed(e, &from))?;
        let is_dir =
            kind.is_dir() || kind.is_symlink() && follow && fs::metadata(&from).is_ok_and(|m| m.is_dir());
        if kind.is_symlink() && !follow {
            let target = fs::read_link(&from).map_err(|e| failed(e, &from))?;
            if fs::read_link(&to).ok().as_deref() == Some(target.as_path()) {
                continue;
            }
            changed = true;
            if cx.check {
                continue;
            }
            if path::lexists(&to) {
                fs::remove_file(&to).map_err(|e| failed(e, &to))?;
            }
            std::os::unix::fs::symlink(&target, &to).map_err(|e| failed(e, &to))?;
        } else if is_dir {
            if fs::metadata(&to).is_err() {
                changed = true;
                if cx.check {
                    continue;
                }
                fs::create_dir(&to).and_then(|()| copy_mode(&from, &to)).map_err(|e| failed(e, &to))?;
            }
            changed |= tree(cx, &from, &to, args)?;
        } else if fs::metadata(&from).is_ok() {
            let same = hash::sha1_file(&from).is_some_and(|sum| hash::sha1_file(&to).as_ref() == Some(&sum));
            if same {
                continue;
            }
            changed = true;
            if cx.check {
                continue;
            }
            let new = fs::metadata(&to).is_err();
            write::replace_from(cx, &to, &from)?;
            if new {
                copy_mode(&from, &to).map_err(|e| failed(e, &to))?;
            }
        } else {
            continue;
        }
        if !cx.check {
            args.apply(cx, &to, None)?;
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Call, Map, run};

    fn call(args: Value) -> Map {
        let Value::Object(args) = args else { panic!("an object") };
        run(Call::new("copy", args))
    }

    #[test]
    fn content_mode_and_idempotence() {
        let dir = std::env::temp_dir().join(format!("pileus-copy-{}", crate::files::write::unique()));
        std::fs::create_dir(&dir).unwrap();
        let dir = dir.to_string_lossy().into_owned();
        std::fs::write(format!("{dir}/src"), "x").unwrap();
        let args = json!({"src": format!("{dir}/src"), "dest": format!("{dir}/new/"), "_original_basename": "o", "mode": "0640"});
        let first = call(args.clone());
        assert_eq!((&first["changed"], &first["dest"]), (&true.into(), &format!("{dir}/new/o").into()));
        assert_eq!(first["mode"], "0640");
        assert_eq!(call(args)["changed"], false);
        let bad =
            call(json!({"src": format!("{dir}/src"), "dest": format!("{dir}/no/o"), "remote_src": true}));
        assert_eq!(bad["msg"], format!("Destination directory {dir}/no does not exist"));
        let bad = call(json!({"src": format!("{dir}/src"), "dest": format!("{dir}/o"), "checksum": "0"}));
        assert_eq!(bad["msg"], "Copied file does not match the expected checksum. Transfer failed.");
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
