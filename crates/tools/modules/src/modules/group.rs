//! `group`: a group of users, by shadow's tools.

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::users::{self, Group};

/// What one run of a tool did: its code (none when nothing ran) and its output.
#[derive(Debug, Default)]
pub struct Ran {
    pub rc: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// Runs a tool with its arguments.
    pub fn tool(cx: &mut Cx<'_>, argv: &[String]) -> Result<Ran, Fail> {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let done = cx.exec(&words).map_err(|e| Fail::msg(crate::result::os_error(&e, Some(&argv[0]))))?;
        Ok(Ran { rc: Some(done.rc), out: done.stdout(), err: done.stderr() })
    }

    /// Adds what another run said.
    pub fn then(&mut self, next: Ran) {
        self.rc = next.rc.or(self.rc);
        self.out.push_str(&next.out);
        self.err.push_str(&next.err);
    }

    /// Puts the output, where there is any, into a result.
    pub fn note(&self, result: &mut Map) {
        if !self.out.is_empty() {
            result.insert("stdout".into(), self.out.as_str().into());
        }
        if !self.err.is_empty() {
            result.insert("stderr".into(), self.err.as_str().into());
        }
    }
}

fn present_group(cx: &Cx<'_>, name: &str) -> Option<Group> {
    if cx.bool("local") {
        return users::local_groups().into_iter().find(|g| g.name == name);
    }
    users::group_by_name(name)
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let name = cx.string("name");
    let state = cx.string("state");
    let mut result = map! { "name" => name, "state" => state };
    let before = present_group(cx, &name);
    let mut ran = Ran::default();
    let local = cx.bool("local");
    let tool = |cx: &Cx<'_>, name: &str| cx.need_bin(&format!("{}{name}", if local { "l" } else { "" }));
    if state == "absent" {
        if before.is_some() {
            if cx.check {
                return Ok(map! { "changed" => true });
            }
            let mut argv = vec![tool(cx, "groupdel")?];
            if cx.bool("force") && !local {
                argv.push("-f".into());
            }
            argv.push(name.clone());
            ran = Ran::tool(cx, &argv)?;
        }
    } else {
        let gid = cx.int("gid");
        let mut argv = match &before {
            None => {
                let mut argv = vec![tool(cx, "groupadd")?];
                if local && let Some(gid) = gid {
                    taken(&name, gid)?;
                }
                if let Some(gid) = gid {
                    argv.extend(["-g".to_string(), gid.to_string()]);
                    if cx.bool("non_unique") && !local {
                        argv.push("-o".into());
                    }
                }
                if cx.bool("system") {
                    argv.push("-r".into());
                }
                for (key, limit) in [("GID_MIN", cx.int("gid_min")), ("GID_MAX", cx.int("gid_max"))] {
                    if let Some(limit) = limit {
                        argv.extend(["-K".to_string(), format!("{key}={limit}")]);
                    }
                }
                argv
            }
            Some(group) => match gid.filter(|gid| *gid != i64::from(group.gid)) {
                Some(gid) => {
                    let mut argv = vec![tool(cx, "groupmod")?, "-g".into(), gid.to_string()];
                    if cx.bool("non_unique") && !local {
                        argv.push("-o".into());
                    }
                    argv
                }
                None => Vec::new(),
            },
        };
        if !argv.is_empty() {
            if cx.check {
                return Ok(map! { "changed" => true });
            }
            argv.push(name.clone());
            ran = Ran::tool(cx, &argv)?;
        }
    }
    if let Some(rc) = ran.rc.filter(|rc| *rc != 0) {
        let _ = rc;
        return Err(Fail::msg(ran.err).with("name", name));
    }
    result.insert("changed".into(), ran.rc.is_some().into());
    ran.note(&mut result);
    if state == "present"
        && let Some(group) = present_group(cx, &name)
    {
        result.insert("system".into(), cx.bool("system").into());
        result.insert("gid".into(), group.gid.into());
    }
    Ok(result)
}

/// libuser's tools don't mind a number that is in use.
fn taken(name: &str, gid: i64) -> Result<(), Fail> {
    match users::local_groups().iter().find(|g| i64::from(g.gid) == gid) {
        Some(_) => {
            Err(Fail::msg(format!("GID '{gid}' already exists with group '{name}'")).with("name", name))
        }
        None => Ok(()),
    }
}
