//! User namespaces. The container's is made by a process that ends at once, and kept as a descriptor: its
//! mapping is also that of the container's mounts, so that no file needs another owner.
//!
//! All other namespaces are the host's to own, and everything is mounted before the user namespace is
//! entered: what it gives its root is power over its own processes, and over nothing of the host's.

use alloc::{format, string::String, string::ToString};

use crate::{
    plan::Plan,
    sys::{Doing, Fd, Result, Sysno, clone, fail, open, prctl, put, setns, signal, syscall, wait},
};

/// The host's number for a container's.
pub fn mapped(map: &[(u32, (u32, u32))], id: u32) -> u32 {
    if map.is_empty() {
        return id;
    }
    let one = map.iter().find(|(inside, (_, count))| id >= *inside && id - inside < *count);
    // 65534 is nobody, whom the kernel shows for what has no number.
    one.map_or(65534, |(inside, (outside, _))| outside + (id - inside))
}

/// Makes the container's user namespace; `None` where it has the host's.
pub fn namespace(plan: &Plan) -> Result<Option<Fd>> {
    if plan.uid_map.is_empty() {
        return Ok(None);
    }
    let (pid, pidfd) = clone(libc::CLONE_NEWUSER as u64).doing(|| "clone a user namespace".to_string())?;
    let Some(pidfd) = pidfd else {
        let _ = prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0);
        loop {
            // SAFETY: waits for the signal that ends it.
            let _ = unsafe { syscall!(Sysno::ppoll, 0, 0, 0, 0, 8) };
        }
    };
    let made = (|| {
        for (file, map) in [("uid_map", &plan.uid_map), ("gid_map", &plan.gid_map)] {
            let text: String = map.iter().map(|(i, (o, n))| format!("{i} {o} {n}\n")).collect();
            put(&format!("/proc/{pid}/{file}"), &text).doing(|| format!("write {file}"))?;
        }
        open(&format!("/proc/{pid}/ns/user"), libc::O_RDONLY).doing(|| "open a user namespace".to_string())
    })();
    let _ = signal(&pidfd, libc::SIGKILL);
    let _ = wait(pid as i32, 0);
    made.map(Some)
}

/// Makes files as the container's root, with all rights of the host's kept.
pub fn act_as_root(plan: &Plan) -> Result<()> {
    if plan.uid_map.is_empty() {
        return Ok(());
    }
    // SAFETY: takes numbers.
    unsafe {
        let _ = syscall!(Sysno::setfsgid, mapped(&plan.gid_map, 0));
        let _ = syscall!(Sysno::setfsuid, mapped(&plan.uid_map, 0));
    }
    let head = [0x2008_0522_u32, 0];
    // Effective, permitted, inheritable; then their upper halves.
    let mut sets = [0_u32; 6];
    // SAFETY: the header and the sets outlive the calls; there is room for both halves.
    unsafe {
        syscall!(Sysno::capget, head.as_ptr(), sets.as_mut_ptr()).doing(|| "capget".to_string())?;
        (sets[0], sets[3]) = (sets[1], sets[4]);
        syscall!(Sysno::capset, head.as_ptr(), sets.as_ptr()).doing(|| "capset".to_string()).map(drop)
    }
}

/// Enters it; there is no way back.
pub fn enter(namespace: Option<&Fd>) -> Result<()> {
    let Some(namespace) = namespace else { return Ok(()) };
    setns(namespace, libc::CLONE_NEWUSER as u64).doing(|| "enter the user namespace".to_string())?;
    Ok(())
}

/// Refuses a user that the container doesn't have, before anything is run.
pub fn known(plan: &Plan, uid: u32, gid: u32) -> Result<()> {
    let has = |map: &[(u32, (u32, u32))], id| {
        map.is_empty() || map.iter().any(|(inside, (_, n))| id >= *inside && id - inside < *n)
    };
    if has(&plan.uid_map, uid) && has(&plan.gid_map, gid) {
        return Ok(());
    }
    Err(fail(format!("user {uid}:{gid} is not mapped in the container's user namespace")))
}
