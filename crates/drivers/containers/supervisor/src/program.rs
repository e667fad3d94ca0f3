//! The last steps of a process before it becomes the program: its terminal, its limits, who it is and
//! what it may do. The order is runc's: whatever needs privileges comes before they are given up.

use alloc::{ffi::CString, format, string::String, string::ToString, vec::Vec};

use crate::{
    plan::Program,
    sys::{
        Answer, Doing, Errno, Failure, Fd, Result, Sysno, c, chdir, fail, filesystem, kind, prctl, send_fd,
        stat, syscall, words,
    },
};

/// `DEVPTS_SUPER_MAGIC`.
const DEVPTS: u64 = 0x1cd1;

/// Opens a terminal at `ptmx`, makes it ours, and sends its other side over `to`.
pub fn terminal(ptmx: &Fd, program: &Program, to: &Fd) -> Result<Fd> {
    let unlock = 0_i32;
    if !filesystem(ptmx).is_ok_and(|magic| magic == DEVPTS) {
        return Err(fail("open /dev/pts/ptmx: not a terminal"));
    }
    let master = ptmx.raw();
    // SAFETY: each call is given what it asks for; the descriptor is a terminal's.
    let slave = unsafe {
        syscall!(Sysno::ioctl, master, libc::TIOCSPTLCK, &raw const unlock)
            .doing(|| "unlock the terminal".to_string())?;
        let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
        let slave = syscall!(Sysno::ioctl, master, libc::TIOCGPTPEER, flags);
        let slave = Fd::new(slave.doing(|| "open the terminal".to_string())?);
        resize(ptmx, program.rows, program.columns);
        let _ = syscall!(Sysno::setsid);
        syscall!(Sysno::ioctl, slave.raw(), libc::TIOCSCTTY, 0).doing(|| "take the terminal".to_string())?;
        slave
    };
    for n in 0..3 {
        slave.becomes(n).doing(|| "dup".to_string())?;
    }
    send_fd(to, ptmx)?;
    Ok(slave)
}

/// Sets a terminal's size.
pub fn resize(master: &Fd, rows: u16, columns: u16) {
    if rows != 0 || columns != 0 {
        let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: the size outlives the call. What isn't a terminal any more has no size.
        let _ = unsafe { syscall!(Sysno::ioctl, master.raw(), libc::TIOCSWINSZ, &raw const size) };
    }
}

/// Limits: what may not be raised is set to the most there is.
pub fn limits(program: &Program) -> Result<()> {
    for (what, (soft, hard)) in &program.rlimits {
        let mut now = [0_u64; 2];
        let set = |limit: &[u64; 2]| {
            // SAFETY: the limits outlive the call.
            unsafe { syscall!(Sysno::prlimit64, 0, *what, limit.as_ptr(), 0) }
        };
        if set(&[*soft, *hard]).is_ok() {
            continue;
        }
        // SAFETY: there is room for both.
        let _ = unsafe { syscall!(Sysno::prlimit64, 0, *what, 0, now.as_mut_ptr()) };
        let most = (*hard).min(now[1]);
        set(&[(*soft).min(most), most]).doing(|| format!("setrlimit {what}"))?;
    }
    Ok(())
}

/// Gives the standard streams to the user; what isn't ours to give stays as it is.
pub fn give_streams(uid: u32) {
    for fd in 0..3 {
        // SAFETY: takes numbers.
        let _ = unsafe { syscall!(Sysno::fchown, fd, uid, -1_isize) };
    }
}

/// Becomes the user and gives up what it may not do.
pub fn become_user(program: &Program) -> Result<()> {
    if let Some(mask) = program.umask {
        // SAFETY: takes a number.
        let _ = unsafe { syscall!(Sysno::umask, mask) };
    }
    if !program.no_new_privs {
        filter(program)?;
    }
    for cap in 0..64 {
        if program.bounding & (1 << cap) == 0 && prctl(libc::PR_CAPBSET_READ, cap, 0) == Ok(1) {
            prctl(libc::PR_CAPBSET_DROP, cap, 0).doing(|| "drop a capability".to_string())?;
        }
    }
    let _ = prctl(libc::PR_SET_KEEPCAPS, 1, 0);
    let (uid, gid) = (program.uid, program.gid);
    let head = [0x2008_0522_u32, 0];
    let sets = [program.effective, program.permitted, program.inheritable];
    let data: [u32; 6] =
        core::array::from_fn(|i| if i < 3 { sets[i] as u32 } else { (sets[i - 3] >> 32) as u32 });
    // SAFETY: takes numbers and arrays whose length is given or fixed.
    unsafe {
        syscall!(Sysno::setgroups, program.groups.len(), program.groups.as_ptr())
            .doing(|| "setgroups".to_string())?;
        syscall!(Sysno::setresgid, gid, gid, gid).doing(|| "setgid".to_string())?;
        syscall!(Sysno::setresuid, uid, uid, uid).doing(|| "setuid".to_string())?;
        let _ = prctl(libc::PR_SET_KEEPCAPS, 0, 0);
        syscall!(Sysno::capset, head.as_ptr(), data.as_ptr()).doing(|| "capset".to_string())?;
    }
    for cap in 0..64 {
        if program.ambient & (1 << cap) != 0 {
            let _ = prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as u64, cap);
        }
    }
    if program.no_new_privs {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).doing(|| "no_new_privs".to_string())?;
    }
    let _ = prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as u64, 0);
    if program.no_new_privs { filter(program) } else { Ok(()) }
}

fn filter(program: &Program) -> Result<()> {
    if program.seccomp.is_empty() {
        return Ok(());
    }
    // Instructions have to be aligned for their numbers.
    let code: Vec<u64> = program
        .seccomp
        .chunks_exact(8)
        .map(|b| u64::from_ne_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]))
        .collect();
    let whole = libc::sock_fprog { len: code.len() as u16, filter: code.as_ptr().cast_mut().cast() };
    prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER as u64, (&raw const whole) as u64)
        .doing(|| "load the seccomp filter".to_string())
        .map(drop)
}

/// Makes a directory, and those above it.
fn make_dirs(path: &str) -> Answer<()> {
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for end in ends.filter(|end| *end > 0) {
        let dir = c(&path[..end])?;
        // SAFETY: the path outlives the call.
        match unsafe { syscall!(Sysno::mkdirat, libc::AT_FDCWD, dir.as_ptr(), 0o777) } {
            Ok(_) | Err(Errno::EEXIST) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Closes what is open besides the standard streams; whoever holds those is not to use them again.
fn close_all_but(kept: &[&Fd]) {
    let mut kept: Vec<u32> = kept.iter().map(|fd| fd.raw() as u32).collect();
    kept.sort_unstable();
    let mut from = 3;
    for end in kept.into_iter().chain([u32::MAX]) {
        if end > from {
            // SAFETY: takes numbers.
            let _ = unsafe { syscall!(Sysno::close_range, from, end - 1, 0) };
        }
        from = end.saturating_add(1);
    }
}

/// Goes where it begins; that must be inside (CVE-2024-21626).
pub fn go(program: &Program, kept: &[&Fd]) -> Result<()> {
    let cwd = if program.cwd.is_empty() { "/" } else { &program.cwd };
    // Nothing that leads outside is open any more: a link to a descriptor finds none.
    close_all_but(kept);
    if stat(libc::AT_FDCWD, cwd).is_err_and(|e| e == Errno::ENOENT) {
        make_dirs(cwd).doing(|| format!("mkdir {cwd}"))?;
    }
    chdir(cwd)
        .map_err(|e| fail(format!("chdir to cwd ({cwd:?}) set in config.json failed: {}", words(e))))?;
    let mut at = [0_u8; 4096];
    // SAFETY: the buffer's length is given.
    match unsafe { syscall!(Sysno::getcwd, at.as_mut_ptr(), at.len()) } {
        Ok(_) if at[0] == b'/' => Ok(()),
        _ => Err(fail("current working directory is outside of container mount namespace root")),
    }
}

/// Where the program is, as `PATH` says.
fn find(program: &Program) -> Result<CString> {
    let name = program.args.first().map_or("", String::as_str);
    let refused = |code, why: &str| Failure { code, words: format!("exec: {name:?}: {why}") };
    let look = |path: &str| -> Answer<CString> {
        let at = c(path).map_err(|_| Errno::ENOENT)?;
        if kind(&stat(libc::AT_FDCWD, path)?) == libc::S_IFDIR {
            return Err(Errno::EISDIR);
        }
        let (flags, at_path) = (libc::AT_EACCESS, at.as_ptr());
        // SAFETY: the path outlives the call.
        unsafe { syscall!(Sysno::faccessat2, libc::AT_FDCWD, at_path, libc::X_OK, flags) }?;
        Ok(at)
    };
    if name.contains('/') {
        return look(name).map_err(|e| match e {
            Errno::ENOENT | Errno::ENOTDIR => {
                refused(127, &format!("stat {name}: no such file or directory"))
            }
            Errno::EISDIR => refused(126, "is a directory"),
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
            Err(e) => denied |= e == Errno::EACCES,
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
    let list = |of: &[String]| {
        let one = |one: &String| c(one).map_err(|_| fail(format!("{one:?} has a zero byte in it")));
        of.iter().map(one).collect::<Result<Vec<_>>>()
    };
    let (args, env) = match (list(&program.args), list(&program.env)) {
        (Ok(args), Ok(env)) => (args, env),
        (Err(e), _) | (_, Err(e)) => return e,
    };
    let pointers = |of: &[CString]| {
        of.iter().map(|one| one.as_ptr()).chain([core::ptr::null()]).collect::<Vec<*const libc::c_char>>()
    };
    let (args, env) = (pointers(&args), pointers(&env));
    // SAFETY: the lists end in a null and outlive the call; what is open besides 0, 1 and 2 closes.
    let answer = unsafe {
        let _ = syscall!(Sysno::close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        syscall!(Sysno::execve, at.as_ptr(), args.as_ptr(), env.as_ptr())
    };
    let e = answer.err().unwrap_or(Errno::EINVAL);
    let code = if e == Errno::ENOENT { 127 } else { 126 };
    Failure { code, words: format!("exec {}: {}", at.to_string_lossy().into_owned(), words(e)) }
}
