//! The command lines of useradd, usermod and chage, by what differs.

use std::collections::BTreeSet;

use crate::cx::Cx;
use crate::modules::group::Ran;
use crate::result::Fail;
use crate::sys::users::{self, Group, Passwd};

/// The fields of a user's line in shadow(5).
fn shadow(name: &str) -> Vec<String> {
    let text = std::fs::read("/etc/shadow").map(|b| crate::py::text(&b)).unwrap_or_default();
    let line = text.lines().find(|l| l.split(':').next() == Some(name));
    line.map(|l| l.split(':').map(str::to_string).collect()).unwrap_or_default()
}

/// Warns of a password that is in clear text.
pub fn check_password(cx: &mut Cx<'_>) {
    let Some(password) = cx.str("password").map(str::to_string) else { return };
    if ["", "*", "!", "!!", "*************"].contains(&password.as_str()) {
        return;
    }
    let bare = password.trim_start_matches('!');
    let parts: Vec<&str> = bare.split('$').collect();
    let suspicious = if bare.starts_with('$') {
        let short = match parts.get(1) {
            Some(&"1") => 22,
            Some(&"5") => 43,
            Some(&"6") => 86,
            _ => 0,
        };
        let hash = parts.last().copied().unwrap_or_default();
        parts.len() < 4 || short > 0 && hash.len() != short
    } else {
        !bare.is_empty() && bare.len() != 13
    };
    let odd = |c: char| !(c.is_ascii_alphanumeric() || "./$=,-_".contains(c));
    if suspicious || bare.contains([':', '*', '!']) || bare.starts_with('$') && bare.contains(odd) {
        cx.warn("The input password appears not to have been hashed. The 'password' argument must be encrypted for this module to work properly.");
    }
}

fn group_of(name: &str) -> Result<Group, Fail> {
    let by_gid = || users::group_by_gid(name.parse().ok()?);
    users::group_by_name(name)
        .or_else(by_gid)
        .ok_or_else(|| Fail::msg(format!("Group {name} does not exist")))
}

/// The names of the groups asked for, without the primary one.
fn wanted_groups(cx: &Cx<'_>, primary: Option<u32>) -> Result<Option<BTreeSet<String>>, Fail> {
    let Some(list) = cx.opt_list("groups") else { return Ok(None) };
    let mut names = BTreeSet::new();
    for name in list.iter().map(|n| n.trim()).filter(|n| !n.is_empty()) {
        let group = group_of(name)?;
        if Some(group.gid) != primary {
            names.insert(group.name);
        }
    }
    Ok(Some(names))
}

/// `2015-01-28` of seconds since 1970, in UTC.
fn date(secs: f64) -> String {
    let days = (secs / 86400.0).floor() as i64;
    // Days to civil date, after the usual shift of the year's start to March.
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let (day, month) = (doy - (153 * mp + 2) / 5 + 1, if mp < 10 { mp + 3 } else { mp - 9 });
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Options that useradd takes as its configuration's.
fn limits(cx: &Cx<'_>, argv: &mut Vec<String>) {
    for (key, value) in [("UID_MIN", cx.int("uid_min")), ("UID_MAX", cx.int("uid_max"))] {
        if let Some(value) = value {
            argv.extend(["-K".into(), format!("{key}={value}")]);
        }
    }
}

/// Makes the account.
pub fn create(cx: &mut Cx<'_>, name: &str) -> Result<Ran, Fail> {
    let mut argv = vec![cx.need_bin("useradd")?];
    let mut with = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_string(), value]);
        }
    };
    with("-u", cx.int("uid").map(|u| u.to_string()));
    if cx.int("uid").is_some() && cx.bool("non_unique") {
        argv.push("-o".into());
    }
    let mut with = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_string(), value]);
        }
    };
    with("-Z", cx.text("seuser"));
    if let Some(group) = cx.str("group") {
        group_of(group)?;
        with("-g", Some(group.to_string()));
    } else if users::group_by_name(name).is_some() {
        // useradd would fail to make the group of the user's name.
        argv.push("-N".into());
    }
    if let Some(groups) = wanted_groups(cx, None)?.filter(|g| !g.is_empty()) {
        argv.extend(["-G".into(), groups.into_iter().collect::<Vec<_>>().join(",")]);
    }
    let mut with = |flag: &str, value: Option<String>| {
        if let Some(value) = value {
            argv.extend([flag.to_string(), value]);
        }
    };
    with("-c", cx.str("comment").map(str::to_string));
    with("-d", cx.str("home").map(str::to_string));
    with("-s", cx.str("shell").map(str::to_string));
    let expires = cx.raw("expires").as_f64();
    with("-e", expires.map(|at| if at < 0.0 { String::new() } else { date(at) }));
    let lock = if cx.bool("password_lock") { "!" } else { "" };
    if let Some(password) = cx.str("password") {
        with("-p", Some(format!("{lock}{password}")));
    }
    if cx.bool("create_home") {
        argv.push("-m".into());
        if let Some(skeleton) = cx.text("skeleton") {
            argv.extend(["-k".into(), skeleton]);
        }
        if let Some(umask) = cx.text("umask") {
            argv.extend(["-K".into(), format!("UMASK={umask}")]);
        }
    } else {
        argv.push("-M".into());
    }
    if cx.bool("system") {
        argv.push("-r".into());
    }
    limits(cx, &mut argv);
    argv.push(name.to_string());
    Ran::tool(cx, &argv)
}

/// The command that changes what differs; empty when nothing does.
pub fn modify(cx: &mut Cx<'_>, user: &Passwd) -> Result<Vec<String>, Fail> {
    let mut argv: Vec<String> = Vec::new();
    if let Some(uid) = cx.int("uid").filter(|uid| *uid != i64::from(user.uid)) {
        argv.extend(["-u".into(), uid.to_string()]);
        if cx.bool("non_unique") {
            argv.push("-o".into());
        }
    }
    let mut primary = user.gid;
    if let Some(group) = cx.str("group") {
        primary = group_of(group)?.gid;
        if primary != user.gid {
            argv.extend(["-g".into(), primary.to_string()]);
        }
    }
    if let Some(wanted) = wanted_groups(cx, Some(primary))? {
        let present: BTreeSet<String> = users::local_groups()
            .into_iter()
            .filter(|g| g.members.contains(&user.name) && g.gid != primary)
            .map(|g| g.name)
            .collect();
        let append = cx.bool("append");
        let differs = if append { !wanted.is_subset(&present) } else { wanted != present };
        if differs {
            let list: Vec<String> = if append {
                wanted.difference(&present).cloned().collect()
            } else {
                wanted.into_iter().collect()
            };
            if append {
                argv.push("-a".into());
            }
            argv.extend(["-G".into(), list.join(",")]);
        }
    }
    for (flag, key, present) in
        [("-c", "comment", &user.gecos), ("-d", "home", &user.home), ("-s", "shell", &user.shell)]
    {
        if let Some(value) = cx.str(key).filter(|v| *v != present) {
            argv.extend([flag.into(), value.to_string()]);
            if key == "home" && cx.bool("move_home") {
                argv.push("-m".into());
            }
        }
    }
    let shadow = shadow(&user.name);
    let field = |at: usize| shadow.get(at).map(String::as_str).unwrap_or_default();
    if let Some(at) = cx.raw("expires").as_f64() {
        let present: Option<f64> = field(7).parse().ok();
        if at < 0.0 {
            if present.is_some_and(|days| days >= 0.0) {
                argv.extend(["-e".into(), String::new()]);
            }
        } else if present.map(|days| date(days * 86400.0)) != Some(date(at)) {
            argv.extend(["-e".into(), date(at)]);
        }
    }
    let locked = field(1).starts_with('!');
    match cx.flag("password_lock") {
        Some(true) if !locked => argv.push("-L".into()),
        Some(false) if locked => argv.push("-U".into()),
        _ => {}
    }
    if let Some(password) = cx.str("password")
        && cx.str("update_password") == Some("always")
        && field(1).trim_start_matches('!') != password.trim_start_matches('!')
    {
        let lock = if cx.bool("password_lock") { "!" } else { "" };
        argv.retain(|word| word != "-L");
        argv.extend(["-p".into(), format!("{lock}{password}")]);
    }
    if !argv.is_empty() {
        argv.insert(0, cx.need_bin("usermod")?);
        argv.push(user.name.clone());
    }
    Ok(argv)
}

/// Sets the password's ages where they differ (`chage`).
pub fn ageing(cx: &mut Cx<'_>, name: &str) -> Result<Ran, Fail> {
    let shadow = shadow(name);
    let mut argv = Vec::new();
    for (flag, key, at) in [
        ("-m", "password_expire_min", 3),
        ("-M", "password_expire_max", 4),
        ("-W", "password_expire_warn", 5),
    ] {
        if let Some(days) = cx.int(key)
            && shadow.get(at).and_then(|f| f.parse().ok()) != Some(days)
        {
            argv.extend([flag.to_string(), days.to_string()]);
        }
    }
    if argv.is_empty() {
        return Ok(Ran::default());
    }
    if cx.check {
        return Ok(Ran { rc: Some(0), ..Ran::default() });
    }
    argv.insert(0, cx.need_bin("chage")?);
    argv.push(name.to_string());
    Ran::tool(cx, &argv)
}

#[cfg(test)]
mod tests {
    #[test]
    fn dates() {
        assert_eq!(super::date(1_422_403_387.0), "2015-01-28");
        assert_eq!(super::date(0.0), "1970-01-01");
        assert_eq!(super::date(951_782_400.0), "2000-02-29");
    }
}
