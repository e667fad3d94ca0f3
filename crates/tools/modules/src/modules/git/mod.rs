//! `git`: a checkout of a repository at a version, by the target's git.
//!
//! ```text
//! no checkout yet ─► clone ─┐
//! a checkout ─► local changes? url? fetch ─┴─► the version checked out ─► submodules
//! ```

mod repo;

use std::fs;

use serde_json::Value;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::path;

use repo::Repo;

/// Signatures, archives, git directories elsewhere, and single commits of a shallow history are the module's in Python.
pub fn covers(params: &Map) -> bool {
    let on = |key: &str| params.get(key).and_then(Value::as_bool).unwrap_or(false);
    let given = |key: &str| params.get(key).is_some_and(|v| !v.is_null());
    let version = params.get("version").and_then(Value::as_str).unwrap_or("HEAD");
    !on("verify_commit")
        && !on("track_submodules")
        && !["archive", "archive_prefix", "separate_git_dir"].iter().any(|key| given(key))
        && !(given("depth") && (is_hash(version) || given("refspec")))
}

/// Whether a version is a commit's whole name.
fn is_hash(version: &str) -> bool {
    version.len() == 40 && version.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let clone = cx.bool("clone");
    let dest = cx.text("dest");
    if dest.is_none() && clone {
        return Err(Fail::msg("the destination directory must be specified unless clone=no"));
    }
    let dest = dest.map(|d| crate::sys::path::expand(&d));
    let mut repo = Repo::of(cx, dest.as_deref())?;
    let there = dest.as_deref().is_some_and(|d| fs::metadata(config(d, repo.bare)).is_ok());
    if !there {
        return fresh(cx, &mut repo, clone);
    }
    let before = repo.head(cx)?;
    if !cx.bool("update") {
        return Ok(map! { "before" => before, "after" => before, "changed" => false });
    }
    let mut result = map! { "before" => before };
    let fail = |fail: Fail| fail.with("before", before.clone());
    let modified = repo.is_modified(cx)?;
    if modified {
        let text = format!("Local modifications exist in the destination: {}", repo.dest);
        if !cx.bool("force") {
            return Err(fail(Fail::msg(format!("{text} (force=no)."))));
        }
        if !cx.check {
            repo.reset(cx)?;
        }
        result.insert("msg".into(), text.into());
    }
    let moved = repo.set_url(cx)?;
    result.insert("remote_url_changed".into(), moved.into());
    let after = if cx.check {
        let after = repo.remote_head(cx)?;
        if cx.diff && before.as_deref() != Some(&after) {
            repo.fetch(cx)?;
        }
        Some(after)
    } else {
        repo.fetch(cx)?;
        if repo.bare { repo.head(cx)? } else { repo.checkout(cx)? }
    };
    let submodules = !cx.check && repo.update_submodules(cx)?;
    let differs = before != after;
    result.insert("changed".into(), (differs || modified || submodules || moved).into());
    if submodules {
        result.insert("submodules_changed".into(), true.into());
    }
    if cx.diff && differs {
        result.insert("diff".into(), repo.diff(cx, before.as_deref(), after.as_deref())?);
    }
    result.insert("after".into(), after.into());
    Ok(result)
}

/// No checkout yet: clones, or says what it would.
fn fresh(cx: &mut Cx<'_>, repo: &mut Repo, clone: bool) -> Reply {
    let after = if !clone || cx.check {
        Some(repo.remote_head(cx)?)
    } else {
        repo.clone(cx)?;
        let after = if repo.bare { repo.head(cx)? } else { repo.checkout(cx)? };
        repo.update_submodules(cx)?;
        after
    };
    let mut result = map! { "before" => Value::Null, "after" => after, "changed" => true };
    if cx.diff && clone {
        result.insert("diff".into(), repo.diff(cx, None, after.as_deref())?);
    }
    Ok(result)
}

/// The file that says that a directory is a repository.
fn config(dest: &str, bare: bool) -> String {
    if bare {
        return path::join(dest, "config");
    }
    let git = path::join(dest, ".git");
    // A file names the directory that is elsewhere.
    match fs::metadata(&git) {
        Ok(meta) if meta.is_file() => git,
        _ => path::join(&git, "config"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, run};
    use serde_json::json;

    fn git(dir: &str, args: &[&str]) {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=n", "-c", "user.email=e@e", "-c", "init.defaultBranch=main"])
            .args(args)
            .current_dir(dir)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    fn call(args: Value) -> Map {
        let Value::Object(args) = args else { panic!("an object") };
        run(Call::new("git", args))
    }

    #[test]
    fn clone_update_and_local_changes() {
        let dir = std::env::temp_dir().join(format!("pileus-git-{}", crate::files::write::unique()));
        fs::create_dir_all(dir.join("r")).unwrap();
        let dir = dir.to_string_lossy().into_owned();
        let (r, d) = (format!("{dir}/r"), format!("{dir}/d"));
        git(&r, &["init", "-q"]);
        fs::write(format!("{r}/a"), "1").unwrap();
        git(&r, &["add", "a"]);
        git(&r, &["commit", "-qm", "1"]);
        git(&r, &["tag", "v1"]);
        let first = call(json!({"repo": r, "dest": d}));
        assert_eq!((&first["changed"], &first["before"]), (&true.into(), &Value::Null), "{first:?}");
        assert_eq!(call(json!({"repo": r, "dest": d}))["changed"], false);
        fs::write(format!("{r}/a"), "2").unwrap();
        git(&r, &["commit", "-qam", "2"]);
        let second = call(json!({"repo": r, "dest": d}));
        assert_eq!((&second["changed"], &second["before"]), (&true.into(), &first["after"]), "{second:?}");
        assert_eq!(call(json!({"repo": r, "dest": d, "version": "v1"}))["after"], first["after"]);
        assert_eq!(fs::read_to_string(format!("{d}/a")).unwrap(), "1");
        fs::write(format!("{d}/a"), "3").unwrap();
        let stopped = call(json!({"repo": r, "dest": d, "version": "main"}));
        assert!(stopped["msg"].as_str().unwrap().ends_with("(force=no)."), "{stopped:?}");
        let forced = call(json!({"repo": r, "dest": d, "version": "main", "force": true}));
        assert_eq!(forced["after"], second["after"]);
        let none = call(json!({"repo": r, "dest": d, "version": "nosuch"}));
        assert_eq!(none["msg"], "Failed to checkout nosuch");
        fs::remove_dir_all(&dir).unwrap();
    }
}
