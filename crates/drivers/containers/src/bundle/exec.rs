//! `exec`: another process in a container that runs.
//!
//! One in between joins the container and begins the process as a sibling of its own, so that it is a child
//! of the command, or, once that has ended, of whoever reaps for the caller.

use std::os::unix::net::UnixStream;

use oci_spec::runtime::Process;
use pileus_base::Result;

use super::{
    Record, devices, init, process,
    sys::{clone, doing, exit, fail, hear, join, pidfd, put, send_fd, tell, wait},
};

/// What to run, and how.
pub struct Exec {
    /// The process.
    pub process: Process,
    /// Where the master of its terminal goes.
    pub console: Option<UnixStream>,
    /// Descriptors above the standard ones that it gets.
    pub preserve_fds: u32,
    /// Below which of the container's control groups it is.
    pub cgroup: String,
}

const KINDS: [(&str, u64); 8] = [
    ("user", libc::CLONE_NEWUSER as u64),
    ("mnt", libc::CLONE_NEWNS as u64),
    ("pid", libc::CLONE_NEWPID as u64),
    ("net", libc::CLONE_NEWNET as u64),
    ("ipc", libc::CLONE_NEWIPC as u64),
    ("uts", libc::CLONE_NEWUTS as u64),
    ("cgroup", libc::CLONE_NEWCGROUP as u64),
    ("time", 0x80),
];

/// The namespaces in which `pid` is and we are not.
fn apart(pid: u32) -> u64 {
    let of = |who: &str, kind: &str| std::fs::read_link(format!("/proc/{who}/ns/{kind}")).ok();
    let other = |kind: &str| of(&pid.to_string(), kind).is_some_and(|ns| Some(ns) != of("self", kind));
    KINDS.iter().filter(|(kind, _)| other(kind)).fold(0, |all, (_, flag)| all | flag)
}

/// Runs a process in the container; its number, as the host has it.
///
/// # Errors
/// Where it can't be run.
pub fn exec(record: &Record, exec: &Exec) -> Result<u32> {
    let init = pidfd(record.pid).map_err(doing("open the container's first process"))?;
    let flags = apart(record.pid);
    let (mut ours, mut theirs) = UnixStream::pair().map_err(doing("socketpair"))?;
    let between = clone(0).map_err(doing("clone"))?;
    if between == 0 {
        drop(ours);
        let failed = match inside(record, exec, &init, flags, &mut theirs) {
            Ok(()) => exit(0),
            Err(e) => e,
        };
        let _ = tell(&mut theirs, b'e', failed.message());
        exit(1);
    }
    drop(theirs);
    wait(between).map_err(doing("wait"))?;
    let mut pid = 0;
    let words = loop {
        match hear(&mut ours) {
            Some((b'p', number)) => {
                pid = number.parse().unwrap_or(0);
                if let Some(score) = exec.process.oom_score_adj() {
                    let _ = process::oom_score(pid, score);
                }
                tell(&mut ours, b'g', "").map_err(doing("start the process"))?;
            }
            Some((_, words)) => break words,
            // Closed by exec.
            None if pid != 0 => return Ok(pid),
            None => break "the process is not there".to_owned(),
        }
    };
    if pid != 0 {
        let _ = wait(pid);
    }
    Err(fail(format!("exec failed: unable to start container process: {words}")))
}

/// In the one between: joins, and begins the process.
fn inside(
    record: &Record,
    exec: &Exec,
    first: &std::os::fd::OwnedFd,
    flags: u64,
    parent: &mut UnixStream,
) -> Result<()> {
    let _ = super::sys::prctl(libc::PR_SET_DUMPABLE, 0, 0);
    for (_, dir) in &record.cgroups {
        let file = dir.join(&exec.cgroup).join("cgroup.procs");
        put(&file.to_string_lossy(), "0").map_err(doing(format!("join {}", file.display())))?;
    }
    if flags != 0 {
        join(first, flags).map_err(doing("join the container"))?;
    }
    let pid = clone(libc::CLONE_PARENT as u64).map_err(doing("clone"))?;
    if pid != 0 {
        return tell(parent, b'p', &pid.to_string()).map_err(doing("tell the runtime"));
    }
    let failed = match become_it(record, exec, flags, parent) {
        Ok(never) => match never {},
        Err(e) => e,
    };
    let _ = tell(parent, b'e', failed.message());
    exit(255)
}

fn become_it(
    record: &Record,
    exec: &Exec,
    flags: u64,
    parent: &mut UnixStream,
) -> Result<std::convert::Infallible> {
    init::calm();
    hear(parent).ok_or_else(|| fail("the runtime has gone"))?;
    let program = &exec.process;
    if flags & libc::CLONE_NEWUSER as u64 != 0 {
        init::become_root()?;
    }
    // SAFETY: takes nothing.
    unsafe { libc::setsid() };
    process::keyring(&record.id);
    if program.terminal().unwrap_or(false) {
        let root = std::fs::File::open("/").map_err(doing("/"))?;
        let (master, slave) = devices::terminal(&root).map_err(doing("open a terminal"))?;
        let socket = exec.console.as_ref().ok_or_else(|| fail("no console socket"))?;
        init::size(&master, program);
        send_fd(socket, "/dev/ptmx", &master).map_err(doing("send the terminal"))?;
        init::take(&slave)?;
    }
    process::labels(program)?;
    let linux = record.spec.linux().as_ref();
    let profile = linux.and_then(|l| l.seccomp().as_ref());
    let seccomp = profile.map(crate::seccomp::compile).transpose()?.unwrap_or_default();
    process::limits(program)?;
    process::give_streams(program);
    process::close_rest(exec.preserve_fds);
    process::go(program)?;
    process::become_user(program, &seccomp)?;
    Err(process::prepare(program)?.run())
}
