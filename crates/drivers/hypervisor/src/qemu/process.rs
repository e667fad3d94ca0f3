//! QEMU as a process: started so that it outlives us, found again, waited for, ended.

use std::{
    fs::File,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use pileus_base::{Error, Result};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

/// Names one process for ever: a pid alone may be another's tomorrow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its number.
    pub pid: i32,
    /// When it started, in clock ticks since boot (proc(5), field 22).
    pub start: u64,
    /// The boot it belongs to.
    pub boot: String,
}

fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command's name may hold anything; what follows its last parenthesis is fixed.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    if state == "Z" || state == "X" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|s| s.trim().to_owned())
        .unwrap_or_default()
}

impl Identity {
    /// The identity of a running process.
    pub fn of(pid: i32) -> Option<Self> {
        Some(Self { pid, start: start_time(pid)?, boot: boot_id() })
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        self.boot == boot_id() && start_time(self.pid) == Some(self.start)
    }

    /// A descriptor of it, if it still runs.
    pub fn open(&self) -> Option<Process> {
        let pid = Pid::from_raw(self.pid)?;
        let fd = pidfd_open(pid, PidfdFlags::NONBLOCK).ok()?;
        // The pid may have changed hands before the descriptor pinned it.
        self.alive().then_some(Process(fd))
    }
}

/// A process pinned by a descriptor.
pub struct Process(OwnedFd);

impl Process {
    /// Ends it at once. One that has ended is fine.
    pub fn kill(&self) {
        // ESRCH: it has ended.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// 500 where it can't be watched.
    pub async fn ended(self) -> Result<()> {
        let failed = |e: std::io::Error| Error::wrap("failed to watch a process", e);
        // SAFETY: an OwnedFd stays open, and stays the same descriptor, for as long as it lives.
        let fd = unsafe { AsyncFd::register(self.0) }.map_err(|e| failed(e.into()))?;
        fd.readable().await.map_err(failed).map(drop)
    }
}

/// Where and as whom a QEMU runs.
pub struct Place<'a> {
    /// Its directory; it becomes its working directory.
    pub dir: &'a Path,
    /// The user and group, where it isn't to run as we do.
    pub user: Option<(u32, u32)>,
    /// `cgroup.procs` files to enter.
    pub cgroups: Vec<PathBuf>,
}

/// Starts `program`, detached: a session, a network namespace and a user of its own; only `taps` and its
/// log are inherited.
///
/// # Errors
/// 503 where the program is missing, 500 where it can't be started.
pub fn spawn(program: &str, arguments: &[String], place: &Place<'_>, taps: &[OwnedFd]) -> Result<Child> {
    let log = place.dir.join("qemu.log");
    let failed = |what: &str, e| Error::wrap(format!("failed to {what} for `{}`", place.dir.display()), e);
    let log = File::create(&log).map_err(|e| failed("make a log", e))?;
    let cgroups: Vec<File> =
        place.cgroups.iter().filter_map(|p| std::fs::OpenOptions::new().write(true).open(p).ok()).collect();
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(place.dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    let fds: Vec<i32> = taps.iter().map(AsRawFd::as_raw_fd).collect();
    let joins: Vec<i32> = cgroups.iter().map(AsRawFd::as_raw_fd).collect();
    // /dev/kvm belongs to a group; a QEMU without our rights needs it.
    let kvm_group = std::fs::metadata("/dev/kvm").map(|m| std::os::unix::fs::MetadataExt::gid(&m)).ok();
    let user = place.user;
    // SAFETY: the closure runs between fork and exec and makes only async-signal-safe calls (write, setsid,
    // unshare, fcntl, setgroups, setgid, setuid) on values prepared before the fork; it allocates nothing.
    unsafe {
        command.pre_exec(move || {
            let check = |rc: libc::c_int| if rc < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) };
            for fd in &joins {
                // A cgroup that can't be entered is worth no failure: it only accounts.
                libc::write(*fd, c"0".as_ptr().cast(), 1);
            }
            check(libc::setsid())?;
            check(libc::unshare(libc::CLONE_NEWNET))?;
            for fd in &fds {
                check(libc::fcntl(*fd, libc::F_SETFD, 0))?;
            }
            if let Some((uid, gid)) = user {
                let groups = [kvm_group.unwrap_or(gid)];
                check(libc::setgroups(1, groups.as_ptr()))?;
                check(libc::setgid(gid))?;
                check(libc::setuid(uid))?;
            }
            Ok(())
        });
    }
    command.spawn().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::unavailable(format!("{program} is not installed: install the package qemu-system-x86"))
                .caused_by(e)
        }
        _ => failed("start QEMU", e),
    })
}
