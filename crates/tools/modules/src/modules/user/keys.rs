//! The account's SSH key, by ssh-keygen.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, lchown};

use crate::cx::Cx;
use crate::modules::group::Ran;
use crate::result::{Fail, Map, os_error};
use crate::sys::path;
use crate::sys::users::Passwd;

/// Makes the key where there is none, and notes its file, fingerprint and public half; whether it was made.
pub fn generate(cx: &mut Cx<'_>, user: &Passwd, result: &mut Map) -> Result<bool, Fail> {
    let kind = cx.string("ssh_key_type");
    let named = cx.text("ssh_key_file").unwrap_or_else(|| format!(".ssh/id_{kind}"));
    let file = path::join(&user.home, &named);
    let mut made = false;
    if fs::metadata(&file).is_ok() && !cx.bool("force") {
        cx.warn(format!(
            "Found existing ssh key private file \"{file}\", no force, so skipping ssh-keygen generation"
        ));
    }
    if fs::metadata(&file).is_err() || cx.bool("force") && !cx.check {
        if cx.check {
            return Ok(true);
        }
        let dir = path::dirname(&file).to_string();
        let give = |path: &str| {
            lchown(path, Some(user.uid), Some(user.gid)).map_err(|e| Fail::msg(os_error(&e, Some(path))))
        };
        if fs::metadata(&dir).is_err() {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&dir)
                .map_err(|e| Fail::msg(format!("Failed to create {dir}: {}", os_error(&e, Some(&dir)))))?;
            give(&dir)?;
        }
        // ssh-keygen asks before it replaces a key; it was asked for here.
        let _ = fs::remove_file(&file);
        let mut argv = vec![cx.need_bin("ssh-keygen")?, "-t".into(), kind];
        if let Some(bits) = cx.int("ssh_key_bits").filter(|bits| *bits > 0) {
            argv.extend(["-b".into(), bits.to_string()]);
        }
        let comment = match cx.string("ssh_key_comment").as_str() {
            "@HOSTNAME@" => format!("ansible-generated on {}", crate::sys::hostname()),
            other => other.to_string(),
        };
        argv.extend(["-C".into(), comment, "-f".into(), file.clone(), "-N".into()]);
        argv.push(cx.string("ssh_key_passphrase"));
        let ran = Ran::tool(cx, &argv)?;
        if ran.rc != Some(0) {
            return Err(Fail::msg(ran.err).with("name", user.name.as_str()));
        }
        give(&file)?;
        give(&format!("{file}.pub"))?;
        made = true;
    }
    let argv = vec![cx.need_bin("ssh-keygen")?, "-l".into(), "-f".into(), file.clone()];
    let print = Ran::tool(cx, &argv)?;
    let text = if print.rc == Some(0) { print.out } else { print.err };
    result.insert("ssh_fingerprint".into(), text.trim().into());
    result.insert("ssh_key_file".into(), file.as_str().into());
    let public = fs::read_to_string(format!("{file}.pub")).unwrap_or_default();
    result.insert("ssh_public_key".into(), public.trim().into());
    Ok(made)
}
