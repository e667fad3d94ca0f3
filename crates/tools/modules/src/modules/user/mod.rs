//! `user`: an account, by shadow's tools.
//!
//! What is there is read from passwd, group and shadow; one `useradd`, `usermod` or `userdel` makes the rest.

mod account;
mod home;
mod keys;

use serde_json::json;

use super::group::Ran;
use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Reply};
use crate::sys::users;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (name, state) = (cx.string("name"), cx.string("state"));
    let mut result = map! { "name" => name, "state" => state };
    account::check_password(cx);
    let before = if cx.bool("local") {
        users::local_users().into_iter().find(|user| user.name == name)
    } else {
        users::by_name(&name)
    };
    let mut ran = Ran::default();
    if state == "absent" {
        if before.is_some() {
            if cx.check {
                return Ok(map! { "changed" => true });
            }
            let mut argv = vec![cx.need_bin("userdel")?];
            if cx.bool("force") {
                argv.push("-f".into());
            }
            if cx.bool("remove") {
                argv.push("-r".into());
            }
            argv.push(name.clone());
            ran = Ran::tool(cx, &argv)?;
            failed(&ran, &name)?;
            result.insert("force".into(), cx.bool("force").into());
            result.insert("remove".into(), cx.bool("remove").into());
        }
        result.insert("changed".into(), ran.rc.is_some().into());
        ran.note(&mut result);
        return Ok(result);
    }
    match &before {
        None => {
            if cx.check {
                return Ok(map! { "changed" => true });
            }
            home::make_parents(cx)?;
            ran = account::create(cx, &name)?;
            failed(&ran, &name)?;
            result.insert("system".into(), cx.bool("system").into());
            result.insert("create_home".into(), cx.bool("create_home").into());
        }
        Some(user) => {
            let argv = account::modify(cx, user)?;
            if !argv.is_empty() && cx.check {
                ran.rc = Some(0);
            } else if !argv.is_empty() {
                ran = Ran::tool(cx, &argv)?;
                failed(&ran, &name)?;
            }
            result.insert("append".into(), cx.bool("append").into());
            result.insert("move_home".into(), cx.bool("move_home").into());
        }
    }
    if cx.str("password").is_some() {
        result.insert("password".into(), "NOT_LOGGING_PASSWORD".into());
    }
    let aged = account::ageing(cx, &name)?;
    failed(&aged, &name)?;
    let mut changed = ran.rc.is_some() || aged.rc.is_some();
    ran.then(aged);
    ran.note(&mut result);
    let Some(user) = users::by_name(&name) else {
        result.insert("changed".into(), changed.into());
        return Ok(result);
    };
    if cx.bool("create_home") && std::fs::metadata(&user.home).is_err() {
        changed = true;
        if !cx.check {
            home::make(cx, &user)?;
        }
    }
    result.insert("uid".into(), user.uid.into());
    result.insert("comment".into(), user.gecos.as_str().into());
    result.insert("group".into(), user.gid.into());
    result.insert("home".into(), user.home.as_str().into());
    result.insert("shell".into(), user.shell.as_str().into());
    if let Some(groups) = cx.opt_list("groups") {
        result.insert("groups".into(), json!(groups.join(",")));
    }
    if cx.bool("generate_ssh_key") && !(cx.check && before.is_none()) {
        changed |= keys::generate(cx, &user, &mut result)?;
    }
    result.insert("changed".into(), changed.into());
    Ok(result)
}

fn failed(ran: &Ran, name: &str) -> Result<(), Fail> {
    match ran.rc {
        Some(rc) if rc != 0 => Err(Fail::msg(ran.err.as_str()).with("name", name).with("rc", rc)),
        _ => Ok(()),
    }
}
