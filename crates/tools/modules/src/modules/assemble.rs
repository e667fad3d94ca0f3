//! `assemble`: one file out of the fragments in a directory.

use std::fs;

use crate::cx::Cx;
use crate::files::{FileArgs, backup, validate, write};
use crate::map;
use crate::re;
use crate::result::{Fail, Reply, os_error};
use crate::sys::{hash, path};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (src, dest) = (cx.string("src"), cx.string("dest"));
    match fs::metadata(&src) {
        Err(_) => return Err(Fail::msg(format!("Source ({src}) does not exist"))),
        Ok(meta) if !meta.is_dir() => return Err(Fail::msg(format!("Source ({src}) is not a directory"))),
        Ok(_) => {}
    }
    let regex = match cx.text("regexp") {
        Some(pattern) => Some(
            re::Regex::new(&pattern, re::Flags::default())
                .map_err(|e| Fail::msg(format!("Invalid Regexp ({e}) in \"{pattern}\"")))?,
        ),
        None => None,
    };
    let bytes = fragments(cx, &src, regex.as_ref())?;
    let checksum = hash::sha1(&bytes);
    let md5 = hash::digest("md5", bytes.as_slice()).ok().flatten();
    let present = hash::sha1_file(&dest);
    let mut changed = false;
    let mut result = map! {"src" => src, "dest" => dest, "md5sum" => md5, "checksum" => checksum};
    if present.as_deref() != Some(checksum.as_str()) {
        if !cx.check {
            validate::validate(cx, &bytes)?;
            if cx.bool("backup") && present.is_some() {
                result.insert("backup_file".into(), backup::backup(&dest)?.into());
            }
            write::replace(cx, &dest, &bytes)?;
        }
        changed = true;
    }
    if !cx.check {
        changed |= FileArgs::of(cx).apply(cx, &dest, None)?;
    }
    result.insert("changed".into(), changed.into());
    result.insert("msg".into(), "OK".into());
    Ok(result)
}

/// The fragments joined in the order of their names, with the delimiter between them.
fn fragments(cx: &Cx<'_>, src: &str, regex: Option<&re::Regex>) -> Result<Vec<u8>, Fail> {
    let mut names: Vec<String> = fs::read_dir(src)
        .map_err(|e| Fail::msg(os_error(&e, Some(src))))?
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let delimiter = cx.text("delimiter").map(|d| unescape(&d));
    let mut out: Vec<u8> = Vec::new();
    let (mut first, mut add_newline) = (true, false);
    for name in names {
        if regex.is_some_and(|r| !r.is_match(name.as_bytes()))
            || cx.bool("ignore_hidden") && name.starts_with('.')
        {
            continue;
        }
        let file = path::join(src, &name);
        if !fs::metadata(&file).is_ok_and(|m| m.is_file()) {
            continue;
        }
        let content = fs::read(&file).map_err(|e| Fail::msg(os_error(&e, Some(&file))))?;
        if add_newline {
            out.push(b'\n');
        }
        if let Some(delimiter) = delimiter.as_ref().filter(|_| !first) {
            out.extend_from_slice(delimiter.as_bytes());
            if !delimiter.ends_with('\n') {
                out.push(b'\n');
            }
        }
        out.extend_from_slice(&content);
        first = false;
        add_newline = !content.ends_with(b"\n");
    }
    Ok(out)
}

/// `\n`, `\t` … in a delimiter stand for the characters.
fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t").replace("\\r", "\r")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    #[test]
    fn fragments_in_order_with_delimiters() {
        let dir = std::env::temp_dir().join(format!("pileus-assemble-{}", crate::files::write::unique()));
        std::fs::create_dir_all(dir.join("d")).unwrap();
        std::fs::write(dir.join("d/2"), "b\n").unwrap();
        std::fs::write(dir.join("d/1"), "a").unwrap();
        std::fs::write(dir.join("d/x"), "no\n").unwrap();
        let out = dir.join("out");
        let args = json!({"src": dir.join("d"), "dest": out, "delimiter": "##", "regexp": r"^\d"});
        let Value::Object(args) = args else { panic!("an object") };
        let first = crate::run(crate::Call::new("assemble", args.clone()));
        assert_eq!((&first["changed"], &first["msg"]), (&true.into(), &"OK".into()));
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "a\n##\nb\n");
        assert_eq!(crate::run(crate::Call::new("assemble", args))["changed"], false);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
