//! Who runs the task.

use super::Facts;
use super::platform::me;
use crate::cx::Cx;

/// user_id, user_uid … and the real and effective ids.
pub fn collect(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let user = me();
    facts.insert("user_id".into(), user.name.into());
    facts.insert("user_uid".into(), user.uid.into());
    facts.insert("user_gid".into(), user.gid.into());
    facts.insert("user_gecos".into(), user.gecos.into());
    facts.insert("user_dir".into(), user.home.into());
    facts.insert("user_shell".into(), user.shell.into());
    // SAFETY: these have no preconditions and cannot fail.
    let (uid, euid, gid, egid) =
        unsafe { (libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid()) };
    facts.insert("real_user_id".into(), uid.into());
    facts.insert("effective_user_id".into(), euid.into());
    facts.insert("real_group_id".into(), gid.into());
    facts.insert("effective_group_id".into(), egid.into());
}
