//! The last steps of a process before it becomes the program: its terminal, its limits, who it is and
//! what it may do. The order is runc's: whatever needs privileges comes before they are given up.

use std::{
    ffi::CString,
    fs,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::{
    plan::Program,
    sys::{Failure, Result, c, check, errno, fail, send_fd, words},
};

/// Opens a terminal at `ptmx`, makes it ours, and sends its other side over `to`.
pub fn terminal(ptmx: OwnedFd, program: &Program, to: RawFd) -> Result<()> {
    let (unlock, master) = (0_i32, ptmx.as_raw_fd());
    // SAFETY: each call is given what it asks for; the descriptor is a terminal's.
    unsafe {
        check(libc::ioctl(master, libc::TIOCSPTLCK, &raw const unlock).into(), || {
            "unlock the terminal".into()
        })?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let slave = libc::ioctl(master, libc::TIOCGPTPEER, flags);
        check(slave.into(), || "open the terminal".into())?;
        let slave = OwnedFd::from_raw_fd(slave);
        resize(master, program.rows, program.columns);
        libc::setsid();
        check(libc::ioctl(slave.as_raw_fd(), libc::TIOCSCTTY, 0).into(), || "take the terminal".into())?;
        for n in 0..3 {
            check(libc::dup2(slave.as_raw_fd(), n).into(), || "dup2".into())?;
        }
    }
    send_fd(to, master)
}

/// Sets a terminal's size.
pub fn resize(master: RawFd, rows: u16, columns: u16) {
    if rows != 0 || columns != 0 {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the size outlives the call.
        unsafe { libc::ioctl(master, libc::TIOCSWINSZ, &raw const size) };
    }
}

/// Limits: what may not be raised is set to the most there is.
pub fn limits(program: &Program) -> Result<()> {
    for (what, (soft, hard)) in &program.rlimits {
        let mut limit = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
        // SAFETY: the limits outlive the calls.
        unsafe {
            if libc::setrlimit(*what as _, &raw const limit) == 0 {
                continue;
            }
            let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::getrlimit(*what as _, &raw mut now);
            limit.rlim_max = limit.rlim_max.min(now.rlim_max);
            limit.rlim_cur = limit.rlim_cur.min(limit.rlim_max);
            check(libc::setrlimit(*what as _, &raw const limit).into(), || format!("setrlimit {what}"))?;
        }
    }
    Ok(())
}

/// Becomes the user and gives up what it may not do.
pub fn become_user(program: &Program) -> Result<()> {
    if let Some(mask) = program.umask {
        // SAFETY: takes a number.
        unsafe { libc::umask(mask) };
    }
    for fd in 0..3 {
        // SAFETY: takes numbers. What isn't ours to give stays as it is.
        unsafe { libc::fchown(fd, program.uid, !0) };
    }
    if !program.no_new_privs {
        filter(program)?;
    }
    // SAFETY: takes numbers and arrays whose length is given.
    unsafe {
        for cap in 0..64 {
            if program.bounding & (1 << cap) == 0 && libc::prctl(libc::PR_CAPBSET_READ, cap, 0, 0, 0) == 1 {
                check(libc::prctl(libc::PR_CAPBSET_DROP, cap, 0, 0, 0).into(), || {
                    "drop a capability".into()
                })?;
            }
        }
        libc::prctl(libc::PR_SET_KEEPCAPS, 1, 0, 0, 0);
        check(libc::setgroups(program.groups.len(), program.groups.as_ptr()).into(), || "setgroups".into())?;
        check(libc::setresgid(program.gid, program.gid, program.gid).into(), || "setgid".into())?;
        check(libc::setresuid(program.uid, program.uid, program.uid).into(), || "setuid".into())?;
        libc::prctl(libc::PR_SET_KEEPCAPS, 0, 0, 0, 0);
        let head = [0x2008_0522_u32, 0];
        let sets = [program.effective, program.permitted, program.inheritable];
        let data: [u32; 6] =
            std::array::from_fn(|i| if i < 3 { sets[i] as u32 } else { (sets[i - 3] >> 32) as u32 });
        check(libc::syscall(libc::SYS_capset, head.as_ptr(), data.as_ptr()), || "capset".into())?;
        for cap in 0..64 {
            if program.ambient & (1 << cap) != 0 {
                libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE, cap, 0, 0);
            }
        }
        if program.no_new_privs {
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into(), || "no_new_privs".into())?;
        }
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
    }
    if program.no_new_privs { filter(program) } else { Ok(()) }
}

fn filter(program: &Program) -> Result<()> {
    if program.seccomp.is_empty() {
        return Ok(());
    }
    let code: Vec<libc::sock_filter> = program
        .seccomp
        .chunks_exact(8)
        .map(|b| libc::sock_filter {
            code: u16::from_le_bytes([b[0], b[1]]),
            jt: b[2],
            jf: b[3],
            k: u32::from_le_bytes([b[4], b[5], b[6], b[7]]),
        })
        .collect();
    let whole = libc::sock_fprog { len: code.len() as u16, filter: code.as_ptr().cast_mut() };
    // SAFETY: the program outlives the call, and its length is given.
    let answer =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const whole, 0, 0) };
    check(answer.into(), || "load the seccomp filter".into()).map(drop)
}

/// Goes where it begins; that must be inside (CVE-2024-21626).
pub fn go(program: &Program) -> Result<()> {
    let cwd = if program.cwd.is_empty() { "/" } else { &program.cwd };
    if !fs::exists(cwd).unwrap_or(true) {
        fs::create_dir_all(cwd).map_err(|e| fail(format!("mkdir {cwd}: {}", words(&e))))?;
    }
    std::env::set_current_dir(cwd)
        .map_err(|e| fail(format!("chdir to cwd ({cwd:?}) set in config.json failed: {}", words(&e))))?;
    match std::env::current_dir() {
        Ok(at) if at.is_absolute() => Ok(()),
        _ => Err(fail("current working directory is outside of container mount namespace root")),
    }
}

/// Where the program is, as `PATH` says.
fn find(program: &Program) -> Result<CString> {
    let name = program.args.first().map_or("", String::as_str);
    let refused = |code, why: &str| Failure { code, words: format!("exec: {name:?}: {why}") };
    let look = |path: &str| -> std::result::Result<CString, i32> {
        let at = CString::new(path).map_err(|_| libc::ENOENT)?;
        match fs::metadata(path) {
            Ok(m) if m.is_dir() => return Err(libc::EISDIR),
            Ok(_) => {}
            Err(e) => return Err(e.raw_os_error().unwrap_or(libc::ENOENT)),
        }
        // SAFETY: the path outlives the call.
        match unsafe { libc::faccessat(libc::AT_FDCWD, at.as_ptr(), libc::X_OK, libc::AT_EACCESS) } {
            0 => Ok(at),
            _ => Err(errno()),
        }
    };
    if name.contains('/') {
        return look(name).map_err(|e| match e {
            libc::ENOENT | libc::ENOTDIR => refused(127, &format!("stat {name}: no such file or directory")),
            libc::EISDIR => refused(126, "is a directory"),
            _ => refused(126, "permission denied"),
        });
    }
    let path = program.env.iter().rev().find_map(|one| one.strip_prefix("PATH="));
    let mut denied = false;
    for dir in path.unwrap_or("/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").split(':') {
        if name.is_empty() {
            break;
        }
        match look(&format!("{}/{name}", if dir.is_empty() { "." } else { dir })) {
            Ok(at) => return Ok(at),
            Err(e) => denied |= e == libc::EACCES,
        }
    }
    Err(if denied {
        refused(126, "permission denied")
    } else {
        refused(127, "executable file not found in $PATH")
    })
}

/// Becomes the program; comes back only with an error.
pub fn run(program: &Program) -> Failure {
    let at = match find(program) {
        Ok(at) => at,
        Err(failure) => return failure,
    };
    let list = |of: &[String]| of.iter().map(|one| c(one)).collect::<Result<Vec<_>>>();
    let (args, env) = match (list(&program.args), list(&program.env)) {
        (Ok(args), Ok(env)) => (args, env),
        (Err(e), _) | (_, Err(e)) => return e,
    };
    let pointers = |of: &[CString]| {
        of.iter().map(|one| one.as_ptr()).chain([std::ptr::null()]).collect::<Vec<*const libc::c_char>>()
    };
    let (args, env) = (pointers(&args), pointers(&env));
    // SAFETY: the lists end in a null and outlive the call; what is open besides 0, 1 and 2 closes.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        libc::execve(at.as_ptr(), args.as_ptr(), env.as_ptr());
    }
    let why = words(&std::io::Error::last_os_error());
    let code = if errno() == libc::ENOENT { 127 } else { 126 };
    Failure { code, words: format!("exec {}: {why}", at.to_string_lossy()) }
}
