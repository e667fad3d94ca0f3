//! `stat`: all that is known about a path.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use serde_json::Value;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply, os_error, strerror};
use crate::sys::{hash, path, users, xattr};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let path = cx.string("path");
    let follow = cx.bool("follow");
    let read = if follow { fs::metadata(&path) } else { fs::symlink_metadata(&path) };
    let meta = match read {
        Ok(meta) => meta,
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT)) => {
            return Ok(map! {"changed" => false, "stat" => serde_json::json!({"exists": false})});
        }
        Err(e) => return Err(Fail::msg(strerror(&e))),
    };
    let mut stat = fields(&path, &meta);
    if meta.is_symlink() {
        stat.insert("lnk_source".into(), path::realpath(&path).into());
        if let Ok(target) = fs::read_link(&path) {
            stat.insert("lnk_target".into(), target.to_string_lossy().into_owned().into());
        }
    }
    let readable = stat.get("readable").and_then(Value::as_bool).unwrap_or(false);
    if meta.is_file() && readable && cx.bool("get_checksum") {
        let algorithm = cx.string("checksum_algorithm");
        let sum = hash::file(&algorithm, &path).map_err(|e| Fail::msg(os_error(&e, Some(&path))))?;
        stat.insert("checksum".into(), sum.into());
    }
    if cx.bool("get_mime") {
        let (mimetype, charset) = mime(cx, &path, &meta);
        stat.insert("mimetype".into(), mimetype.into());
        stat.insert("charset".into(), charset.into());
    }
    if cx.bool("get_attributes") {
        let flags = xattr::attributes(&path).unwrap_or_default();
        stat.insert("version".into(), flags.version.into());
        stat.insert("attributes".into(), flags.names.into());
        stat.insert("attr_flags".into(), flags.letters.into());
    }
    Ok(map! {"changed" => false, "stat" => stat})
}

fn time(secs: i64, nanos: i64) -> f64 {
    secs as f64 + nanos as f64 / 1e9
}

fn access(path: &str, mode: libc::c_int) -> bool {
    let Ok(c_path) = CString::new(path) else { return false };
    // SAFETY: the path is an ended string.
    unsafe { libc::access(c_path.as_ptr(), mode) == 0 }
}

/// The fields `stat` and `find` share.
pub fn fields(path: &str, meta: &fs::Metadata) -> Map {
    let mode = meta.mode();
    let kind = meta.file_type();
    let bit = |b: u32| mode & b != 0;
    let mut stat = map! {
        "exists" => true, "path" => path, "mode" => format!("{:04o}", mode & 0o7777),
        "isdir" => meta.is_dir(), "ischr" => kind.is_char_device(), "isblk" => kind.is_block_device(),
        "isreg" => meta.is_file(), "isfifo" => kind.is_fifo(), "islnk" => meta.is_symlink(), "issock" => kind.is_socket(),
        "uid" => meta.uid(), "gid" => meta.gid(), "size" => meta.len(), "inode" => meta.ino(), "dev" => meta.dev(),
        "nlink" => meta.nlink(), "atime" => time(meta.atime(), meta.atime_nsec()),
        "mtime" => time(meta.mtime(), meta.mtime_nsec()), "ctime" => time(meta.ctime(), meta.ctime_nsec()),
        "wusr" => bit(0o200), "rusr" => bit(0o400), "xusr" => bit(0o100),
        "wgrp" => bit(0o020), "rgrp" => bit(0o040), "xgrp" => bit(0o010),
        "woth" => bit(0o002), "roth" => bit(0o004), "xoth" => bit(0o001),
        "isuid" => bit(0o4000), "isgid" => bit(0o2000),
        "blocks" => meta.blocks(), "block_size" => meta.blksize(), "device_type" => meta.rdev(),
        "readable" => access(path, libc::R_OK), "writeable" => access(path, libc::W_OK),
        "executable" => access(path, libc::X_OK),
    };
    if let Some(user) = users::by_uid(meta.uid()) {
        stat.insert("pw_name".into(), user.name.into());
    }
    if let Some(group) = users::group_by_gid(meta.gid()) {
        stat.insert("gr_name".into(), group.name.into());
    }
    stat
}

/// MIME type and character set as `file(1)` says; what isn't a regular file is known without it.
fn mime(cx: &mut Cx<'_>, path: &str, meta: &fs::Metadata) -> (String, String) {
    let unknown = || ("unknown".to_string(), "unknown".to_string());
    let Some(program) = cx.find_bin("file") else { return unknown() };
    let kind = meta.file_type();
    let special = if meta.is_dir() {
        "directory"
    } else if meta.is_symlink() {
        if fs::metadata(path).is_err() {
            return unknown();
        }
        "symlink"
    } else if kind.is_char_device() {
        "chardevice"
    } else if kind.is_block_device() {
        "blockdevice"
    } else if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else {
        ""
    };
    if !special.is_empty() {
        return (format!("inode/{special}"), "binary".into());
    }
    let Ok(output) = cx.exec(&[&program, "--mime-type", "--mime-encoding", "--brief", "--", path]) else {
        return unknown();
    };
    let text = output.stdout();
    match text.trim().split_once(';') {
        Some((mimetype, charset)) if output.rc == 0 => {
            let charset = charset.split('=').next_back().unwrap_or_default();
            (mimetype.trim().to_string(), charset.trim().to_string())
        }
        _ => unknown(),
    }
}

#[cfg(test)]
mod tests {
    use crate::{Call, Map, run};

    fn stat(path: &str) -> Map {
        let serde_json::Value::Object(args) = serde_json::json!({"path": path}) else { panic!("an object") };
        let result = run(Call::new("stat", args));
        result["stat"].as_object().expect("stat").clone()
    }

    #[test]
    fn directories_devices_and_nothing() {
        assert_eq!(stat("/no/such"), crate::map! {"exists" => false});
        let etc = stat("/etc");
        assert_eq!(
            (&etc["isdir"], &etc["pw_name"], &etc["islnk"]),
            (&true.into(), &"root".into(), &false.into())
        );
        assert_eq!(stat("/dev/zero")["ischr"], true);
    }
}
