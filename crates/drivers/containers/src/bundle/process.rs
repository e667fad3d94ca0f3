//! The last steps of a process before it becomes the program: its limits, who it is and what it may do. The
//! order is runc's: whatever needs privileges comes before they are given up.

use std::{collections::HashSet, ffi::CString, fs, io};

use oci_spec::runtime::{Capability, Process};
use pileus_base::{Error, Result};

use super::sys::{c, checked, doing, fail, prctl, why};
use crate::{caps, linux::options::rlimit};

/// A process that is ready to become its program.
pub struct Ready {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

/// Sets limits: what may not be raised is set to the most there is.
///
/// # Errors
/// Where the kernel refuses one for another reason.
pub fn limits(process: &Process) -> Result<()> {
    for one in process.rlimits().iter().flatten() {
        let name = one.typ().to_string();
        let what = rlimit(&name).ok_or_else(|| fail(format!("invalid rlimit type {name}")))?;
        let mut limit = libc::rlimit { rlim_cur: one.soft(), rlim_max: one.hard() };
        // SAFETY: the limits outlive the calls.
        unsafe {
            if libc::setrlimit(what as _, &raw const limit) == 0 {
                continue;
            }
            let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::getrlimit(what as _, &raw mut now);
            limit.rlim_max = limit.rlim_max.min(now.rlim_max);
            limit.rlim_cur = limit.rlim_cur.min(limit.rlim_max);
            checked(libc::setrlimit(what as _, &raw const limit).into())
                .map_err(doing(format!("error setting rlimit type {what}")))?;
        }
    }
    Ok(())
}

/// Goes where it begins, which must be inside (CVE-2024-21626), and finds the program.
///
/// # Errors
/// Where there is no such directory or program.
pub fn prepare(process: &Process) -> Result<Ready> {
    let mut env: Vec<String> = Vec::new();
    for one in process.env().iter().flatten() {
        if one.contains('\0') {
            return Err(fail(format!("invalid environment variable {one:?}")));
        }
        env.push(one.clone());
    }
    if !env.iter().any(|one| one.strip_prefix("HOME=").is_some_and(|home| !home.is_empty())) {
        env.retain(|one| !one.starts_with("HOME="));
        env.push(format!("HOME={}", home(process.user().uid())));
    }
    let args = process.args().clone().unwrap_or_default();
    let path = find(args.first().map_or("", String::as_str), &env)?;
    let list = |of: &[String]| of.iter().map(|s| c(s).map_err(doing(s.as_str()))).collect::<Result<Vec<_>>>();
    Ok(Ready { path, args: list(&args)?, env: list(&env)? })
}

/// Goes to the working directory, which is made where it is missing.
///
/// # Errors
/// Where that is outside or can't be entered.
pub fn go(process: &Process) -> Result<()> {
    let cwd = process.cwd();
    let failed = |e: io::Error| {
        fail(format!("chdir to cwd ({:?}) set in config.json failed: {}", cwd.display().to_string(), why(&e)))
    };
    if !fs::exists(cwd).unwrap_or(true) {
        fs::create_dir_all(cwd).map_err(doing(format!("mkdir {}", cwd.display())))?;
    }
    std::env::set_current_dir(cwd).map_err(failed)?;
    match std::env::current_dir() {
        Ok(at) if at.is_absolute() => Ok(()),
        _ => Err(fail("current working directory is outside of container mount namespace root")),
    }
}

/// A user's directory, as the container's own `/etc/passwd` has it.
fn home(uid: u32) -> String {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |line: &str| {
        let mut fields = line.split(':');
        (fields.nth(2)?.parse() == Ok(uid)).then(|| fields.nth(2).map(str::to_owned))?
    };
    users.lines().find_map(of).filter(|h| !h.is_empty()).unwrap_or_else(|| "/".to_owned())
}

/// Where a program is, as `PATH` says.
fn find(name: &str, env: &[String]) -> Result<CString> {
    let refused = |words: &str| Error::bad_request(format!("exec: {name:?}: {words}"));
    let look = |path: &str| -> io::Result<CString> {
        let at = c(path)?;
        if fs::metadata(path)?.is_dir() {
            return Err(io::Error::from_raw_os_error(libc::EISDIR));
        }
        // SAFETY: the path outlives the call.
        let may = unsafe { libc::faccessat(libc::AT_FDCWD, at.as_ptr(), libc::X_OK, libc::AT_EACCESS) };
        match checked(may.into()) {
            // A filter that doesn't know this call refuses it so; then execve tells.
            Err(e) if e.raw_os_error() != Some(libc::EPERM) => Err(e),
            _ => Ok(at),
        }
    };
    if name.contains('/') {
        return look(name).map_err(|e| match e.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => refused(&format!("stat {name}: no such file or directory")),
            Some(libc::EISDIR) => refused("is a directory"),
            _ => refused("permission denied"),
        });
    }
    let path = env.iter().rev().find_map(|one| one.strip_prefix("PATH=")).unwrap_or_default();
    let mut denied = false;
    for dir in path.split(':').filter(|_| !name.is_empty()) {
        match look(&format!("{}/{name}", if dir.is_empty() { "." } else { dir })) {
            Ok(at) => return Ok(at),
            Err(e) => denied |= e.raw_os_error() == Some(libc::EACCES),
        }
    }
    Err(refused(if denied { "permission denied" } else { "executable file not found in $PATH" }))
}

/// Puts a filter into force.
///
/// # Errors
/// Where the kernel refuses it.
pub fn filter(program: &[u8]) -> Result<()> {
    if program.is_empty() {
        return Ok(());
    }
    let whole =
        libc::sock_fprog { len: (program.len() / 8) as u16, filter: program.as_ptr().cast_mut().cast() };
    let (mode, none) = (libc::SECCOMP_MODE_FILTER, 0);
    // SAFETY: the program outlives the call, which copies it with any alignment; its length is given.
    checked(unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const whole, none, none) }.into())
        .map_err(doing("error loading seccomp filter into kernel"))
        .map(drop)
}

/// Becomes the user and gives up what it may not do.
///
/// # Errors
/// Where the kernel refuses a step.
pub fn become_user(process: &Process, seccomp: &[u8]) -> Result<()> {
    let user = process.user();
    // SAFETY: takes a number.
    unsafe { libc::umask(user.umask().unwrap_or(0o022)) };
    let quiet = process.no_new_privileges().unwrap_or(false);
    if !quiet {
        filter(seccomp)?;
    }
    let mask = |set: Option<&HashSet<Capability>>| set.map_or(0, caps::mask);
    let given = process.capabilities().as_ref();
    let bounding = mask(given.and_then(|g| g.bounding().as_ref()));
    let have = permitted();
    let sets = [
        mask(given.and_then(|g| g.effective().as_ref())) & have,
        mask(given.and_then(|g| g.permitted().as_ref())) & have,
        mask(given.and_then(|g| g.inheritable().as_ref())) & have,
    ];
    let ambient = mask(given.and_then(|g| g.ambient().as_ref())) & have;
    for cap in 0..64 {
        if bounding & (1 << cap) == 0 && prctl(libc::PR_CAPBSET_READ, cap, 0).unwrap_or(0) == 1 {
            prctl(libc::PR_CAPBSET_DROP, cap, 0).map_err(doing("drop a capability"))?;
        }
    }
    let _ = prctl(libc::PR_SET_KEEPCAPS, 1, 0);
    let none = Vec::new();
    let groups = user.additional_gids().as_ref().unwrap_or(&none);
    let denies = fs::read_to_string("/proc/self/setgroups").is_ok_and(|s| s.trim() == "deny");
    let (uid, gid) = (user.uid(), user.gid());
    // SAFETY: takes numbers and an array whose length is given.
    unsafe {
        if !denies || !groups.is_empty() {
            checked(libc::setgroups(groups.len(), groups.as_ptr()).into()).map_err(doing("setgroups"))?;
        }
        checked(libc::setresgid(gid, gid, gid).into()).map_err(doing("setgid"))?;
        checked(libc::setresuid(uid, uid, uid).into()).map_err(doing("setuid"))?;
    }
    let _ = prctl(libc::PR_SET_KEEPCAPS, 0, 0);
    let head = [0x2008_0522_u32, 0];
    let data: [u32; 6] =
        std::array::from_fn(|i| if i < 3 { sets[i] as u32 } else { (sets[i - 3] >> 32) as u32 });
    // SAFETY: both arrays are of the shape that this version of the call takes.
    checked(unsafe { libc::syscall(libc::SYS_capset, head.as_ptr(), data.as_ptr()) })
        .map_err(doing("capset"))?;
    for cap in (0..64).filter(|cap| ambient & (1 << cap) != 0) {
        // One that is not permitted and inheritable can't be; runc lets that pass.
        let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, cap);
    }
    if quiet {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map_err(doing("no_new_privs"))?;
        filter(seccomp)?;
    }
    Ok(())
}

/// What we may ourselves.
fn permitted() -> u64 {
    let (head, mut data) = ([0x2008_0522_u32, 0], [0_u32; 6]);
    // SAFETY: both arrays are of the shape that this version of the call takes.
    unsafe { libc::syscall(libc::SYS_capget, head.as_ptr(), data.as_mut_ptr()) };
    u64::from(data[1]) | u64::from(data[4]) << 32
}

/// Gives standard streams that are ours to the user, as far as they can be given.
pub fn give_streams(process: &Process) {
    for fd in 0..3 {
        // SAFETY: takes numbers; a stat of zeros is valid.
        unsafe {
            let (mut is, mut null): (libc::stat, libc::stat) = (std::mem::zeroed(), std::mem::zeroed());
            libc::fstat(fd, &raw mut is);
            libc::stat(c"/dev/null".as_ptr(), &raw mut null);
            // The null device is the host's.
            if is.st_rdev != null.st_rdev || null.st_rdev == 0 {
                libc::fchown(fd, process.user().uid(), !0);
            }
        }
    }
}

/// Closes on exec what is open besides the standard streams and `kept` more.
pub fn close_rest(kept: u32) {
    // SAFETY: takes numbers.
    unsafe { libc::syscall(libc::SYS_close_range, 3 + kept, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

impl Ready {
    /// Becomes the program; comes back only with an error.
    pub fn run(&self) -> Error {
        let list =
            |of: &[CString]| of.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
        let (args, env) = (list(&self.args), list(&self.env));
        // SAFETY: the lists end in a null and outlive the call.
        unsafe { libc::execve(self.path.as_ptr(), args.as_ptr(), env.as_ptr()) };
        let e = io::Error::last_os_error();
        fail(format!("exec {}: {}", self.path.to_string_lossy(), why(&e)))
    }
}

/// Sets what is not part of the process's rights: its limits are set by now.
///
/// # Errors
/// Where the kernel refuses a label or an order.
pub fn labels(process: &Process) -> Result<()> {
    if let Some(profile) = process.apparmor_profile().as_deref().filter(|p| !p.is_empty()) {
        let on =
            fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|t| t.starts_with('Y'));
        if !on {
            return Err(fail("apparmor: config provided but apparmor not supported"));
        }
        let words = format!("exec {profile}");
        super::sys::put("/proc/self/attr/apparmor/exec", &words)
            .or_else(|_| super::sys::put("/proc/self/attr/exec", &words))
            .map_err(doing(format!("apparmor failed to apply profile {profile}")))?;
    }
    if let Some(label) = process.selinux_label().as_deref().filter(|l| !l.is_empty()) {
        if !fs::exists("/sys/fs/selinux/enforce").unwrap_or(false) {
            return Err(fail(
                "selinux label is specified in config, but selinux is disabled or not supported",
            ));
        }
        super::sys::put("/proc/self/attr/exec", label).map_err(doing("set the selinux label"))?;
    }
    Ok(())
}

/// How readily the kernel ends `pid` for want of memory.
pub fn oom_score(pid: u32, score: i32) -> io::Result<()> {
    super::sys::put(&format!("/proc/{pid}/oom_score_adj"), &score.to_string())
}

/// A session keyring of its own, so that the caller's keys stay the caller's.
pub fn keyring(id: &str) {
    const JOIN_SESSION_KEYRING: u64 = 1;
    if let Ok(name) = c(&format!("_ses.{id}")) {
        // SAFETY: the name outlives the call. A kernel without keyrings needs none.
        unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) };
    }
}
