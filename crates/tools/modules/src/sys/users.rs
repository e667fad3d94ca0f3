//! Users and groups, read from their files; `getent` is run for what isn't there. No NSS call is made.

use std::process::{Command, Stdio};

/// A line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passwd {
    pub name: String,
    pub password: String,
    pub uid: u32,
    pub gid: u32,
    pub gecos: String,
    pub home: String,
    pub shell: String,
}

/// A line of group(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    pub name: String,
    pub gid: u32,
    pub members: Vec<String>,
}

fn passwd_line(line: &str) -> Option<Passwd> {
    let f: Vec<&str> = line.split(':').collect();
    let [name, password, uid, gid, gecos, home, shell, ..] = f[..] else { return None };
    Some(Passwd {
        name: name.into(),
        password: password.into(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        gecos: gecos.into(),
        home: home.into(),
        shell: shell.trim_end().into(),
    })
}

fn group_line(line: &str) -> Option<Group> {
    let f: Vec<&str> = line.split(':').collect();
    let [name, _, gid, members, ..] = f[..] else { return None };
    let members = members.trim_end().split(',').filter(|m| !m.is_empty()).map(str::to_string).collect();
    Some(Group { name: name.into(), gid: gid.parse().ok()?, members })
}

/// All of /etc/passwd.
pub fn local_users() -> Vec<Passwd> {
    read("/etc/passwd").lines().filter_map(passwd_line).collect()
}

/// All of /etc/group.
pub fn local_groups() -> Vec<Group> {
    read("/etc/group").lines().filter_map(group_line).collect()
}

/// A user by name.
pub fn by_name(name: &str) -> Option<Passwd> {
    let found = local_users().into_iter().find(|u| u.name == name);
    found.or_else(|| passwd_line(&getent("passwd", name)?).filter(|u| u.name == name))
}

/// A user by id.
pub fn by_uid(uid: u32) -> Option<Passwd> {
    let found = local_users().into_iter().find(|u| u.uid == uid);
    found.or_else(|| passwd_line(&getent("passwd", &uid.to_string())?))
}

/// A group by name.
pub fn group_by_name(name: &str) -> Option<Group> {
    let found = local_groups().into_iter().find(|g| g.name == name);
    found.or_else(|| group_line(&getent("group", name)?).filter(|g| g.name == name))
}

/// A group by id.
pub fn group_by_gid(gid: u32) -> Option<Group> {
    let found = local_groups().into_iter().find(|g| g.gid == gid);
    found.or_else(|| group_line(&getent("group", &gid.to_string())?))
}

/// The name of a uid, or its number as text.
pub fn user_name(uid: u32) -> String {
    by_uid(uid).map_or_else(|| uid.to_string(), |u| u.name)
}

/// The name of a gid, or its number as text.
pub fn group_name(gid: u32) -> String {
    group_by_gid(gid).map_or_else(|| gid.to_string(), |g| g.name)
}

fn read(path: &str) -> String {
    std::fs::read(path).map(|bytes| crate::py::text(&bytes)).unwrap_or_default()
}

/// Whether nsswitch.conf names a source besides the files.
fn foreign(database: &str) -> bool {
    let text = read("/etc/nsswitch.conf");
    let line = text.lines().find_map(|l| l.trim().strip_prefix(database)?.trim_start().strip_prefix(':'));
    let Some(line) = line else { return false };
    line.split('#').next().unwrap_or_default().split_whitespace().any(|w| !w.starts_with('[') && w != "files")
}

fn getent(database: &str, key: &str) -> Option<String> {
    if !foreign(database) || key.is_empty() {
        return None;
    }
    run_getent(&[database, "--", key])?.lines().next().map(str::to_string)
}

fn run_getent(args: &[&str]) -> Option<String> {
    let output =
        Command::new("getent").args(args).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| crate::py::text(&output.stdout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read() {
        let user = passwd_line("a:x:10:20:Some One:/home/a:/bin/sh").expect("a user");
        assert_eq!((user.uid, user.gid, user.home.as_str()), (10, 20, "/home/a"));
        assert!(passwd_line("broken").is_none());
        let group = group_line("g:x:5:a,b").expect("a group");
        assert_eq!(group.members, ["a", "b"]);
    }

    #[test]
    fn root_is_zero() {
        assert_eq!(by_name("root").map(|u| u.uid), Some(0));
        assert_eq!(user_name(4_000_000_001), "4000000001");
    }
}
