//! Brings processes into being: the first of a container, with its namespaces, and others that join them.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

use crate::{
    plan::{Plan, Program},
    program, root,
    sys::{Failure, Result, c, check, fail, open_in, pair, pipe, receive_fd},
};

/// A process that has become its program.
pub struct Started {
    /// As the host numbers it.
    pub pid: u32,
    /// Readable once it has ended.
    pub pidfd: OwnedFd,
    /// Its standard input, where that is kept open; its terminal where it has one.
    pub stdin: Option<OwnedFd>,
    /// Its standard output and error; the first is its terminal where it has one.
    pub output: [Option<OwnedFd>; 2],
}

/// The ends of a process's standard streams.
struct Streams {
    child: [Option<OwnedFd>; 3],
    stdin: Option<OwnedFd>,
    output: [Option<OwnedFd>; 2],
}

impl Streams {
    fn new(tty: bool, stdin: bool) -> Result<Self> {
        if tty {
            return Ok(Self { child: [None, None, None], stdin: None, output: [None, None] });
        }
        let ((read, write), out, err) = (pipe()?, pipe()?, pipe()?);
        let output = [Some(out.0), Some(err.0)];
        let child = [Some(read), Some(out.1), Some(err.1)];
        Ok(Self { child, stdin: stdin.then_some(write), output })
    }
    /// In the child: these are 0, 1 and 2 now.
    fn take(&self) -> Result<()> {
        for (n, fd) in self.child.iter().enumerate() {
            if let Some(fd) = fd {
                // SAFETY: both descriptors are open or free to use.
                check(unsafe { libc::dup2(fd.as_raw_fd(), n as RawFd) }.into(), || "dup2".into())?;
            }
        }
        Ok(())
    }
}

/// A process like this one; 0 in the child.
fn clone(flags: u64, pidfd: &mut RawFd) -> Result<u32> {
    let flags = flags | libc::CLONE_PIDFD as u64 | libc::SIGCHLD as u64;
    // SAFETY: without a stack and CLONE_VM this is a fork, and there is one thread only.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut *pidfd, 0, 0) };
    check(pid, || "clone".into()).map(|pid| pid as u32)
}

/// Signals as a new program expects them.
fn calm() {
    // SAFETY: plain calls; what can't be changed stays.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Ends a child that couldn't become its program.
fn give_up(errors: &OwnedFd, failure: &Failure) -> ! {
    let mut message = failure.code.to_le_bytes().to_vec();
    message.extend_from_slice(failure.words.as_bytes());
    // SAFETY: the message outlives the call.
    unsafe {
        libc::write(errors.as_raw_fd(), message.as_ptr().cast(), message.len());
        libc::_exit(failure.code)
    }
}

/// Waits until the child has become its program.
fn settled(errors: OwnedFd) -> Result<()> {
    let mut message = Vec::new();
    File::from(errors).read_to_end(&mut message).map_err(|e| fail(format!("read: {e}")))?;
    match message.split_first_chunk::<4>() {
        None => Ok(()),
        Some((code, words)) => Err(Failure {
            code: i32::from_le_bytes(*code),
            words: String::from_utf8_lossy(words).into_owned(),
        }),
    }
}

/// Starts the container's first process.
pub fn container(plan: &Plan) -> Result<Started> {
    let mut streams = Streams::new(plan.program.tty, plan.open_stdin)?;
    let (errors, says) = pipe()?;
    let (wait, go) = pipe()?;
    let (terminal, sends) = pair()?;
    for (flag, path) in plan.joins.iter().filter(|(flag, _)| *flag == libc::CLONE_NEWPID as u64) {
        join(*flag, path)?;
    }
    // A new control group namespace begins where the process is when it is made: later, in the child.
    let late = libc::CLONE_NEWCGROUP as u64;
    let mut pidfd = -1;
    let pid = clone(plan.namespaces & !late, &mut pidfd)?;
    if pid == 0 {
        drop((errors, go, terminal));
        let failure = match first(plan, &streams, wait, &sends, plan.namespaces & late, &says) {
            Ok(()) => program::run(&plan.program),
            Err(failure) => failure,
        };
        give_up(&says, &failure);
    }
    drop((says, wait, sends));
    streams.child = [None, None, None];
    // SAFETY: the kernel has just given it to us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let ready = (|| {
        for file in &plan.cgroups {
            fs::write(file, pid.to_string()).map_err(|e| fail(format!("join {file}: {e}")))?;
        }
        File::from(go).write_all(b"g").map_err(|e| fail(format!("go: {e}")))?;
        if plan.program.tty {
            take_terminal(&mut streams, &terminal)?;
        }
        settled(errors)
    })();
    if let Err(failure) = ready {
        reap(&pidfd, pid);
        return Err(failure);
    }
    Ok(Started { pid, pidfd, stdin: streams.stdin, output: streams.output })
}

fn take_terminal(streams: &mut Streams, from: &OwnedFd) -> Result<()> {
    // Where none comes, the child has said why.
    if let Some(master) = receive_fd(from.as_raw_fd()) {
        streams.stdin = Some(master.try_clone().map_err(|e| fail(format!("the terminal: {e}")))?);
        streams.output = [Some(master), None];
    }
    Ok(())
}

fn reap(pidfd: &OwnedFd, pid: u32) {
    // SAFETY: it is our child, and not reaped yet.
    unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), libc::SIGKILL, 0, 0);
        libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
    }
}

fn join(flag: u64, path: &str) -> Result<()> {
    let file = File::open(path).map_err(|e| fail(format!("open namespace {path}: {e}")))?;
    // SAFETY: takes a descriptor and a number.
    check(unsafe { libc::setns(file.as_raw_fd(), flag as i32) }.into(), || format!("join namespace {path}"))
        .map(drop)
}

/// In the first process: everything up to its program.
fn first(
    plan: &Plan,
    streams: &Streams,
    wait: OwnedFd,
    sends: &OwnedFd,
    late: u64,
    says: &OwnedFd,
) -> Result<()> {
    let mut byte = [0];
    File::from(wait).read_exact(&mut byte).map_err(|_| fail("the supervisor has gone"))?;
    calm();
    for (flag, path) in plan.joins.iter().filter(|(flag, _)| *flag != libc::CLONE_NEWPID as u64) {
        join(*flag, path)?;
    }
    // SAFETY: takes a number.
    check(unsafe { libc::unshare(late as i32) }.into(), || "unshare".into())?;
    for (name, is, call) in [
        ("sethostname", &plan.hostname, libc::sethostname as unsafe extern "C" fn(_, _) -> _),
        ("setdomainname", &plan.domainname, libc::setdomainname),
    ] {
        if !is.is_empty() {
            // SAFETY: the name outlives the call, and its length is given.
            check(unsafe { call(is.as_ptr().cast(), is.len()) }.into(), || name.into())?;
        }
    }
    streams.take()?;
    let root = root::make(plan)?;
    for (name, value) in &plan.sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        fs::write(&path, value).map_err(|e| fail(format!("open sysctl {name} file: {e}")))?;
    }
    if let Some(score) = plan.program.oom_score_adj {
        // Lowering it takes a right that not every host gives us; then it stays as it is.
        let _ = fs::write("/proc/self/oom_score_adj", score.to_string());
    }
    if plan.program.tty {
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        let ptmx = open_in(root.as_raw_fd(), "dev/pts/ptmx", flags, 0)
            .map_err(|e| fail(format!("open /dev/pts/ptmx: {e}")))?;
        program::terminal(ptmx, &plan.program, sends.as_raw_fd())?;
        let console = root::ensure(&root, "/dev/console", false)?;
        let tty = fs::read_link("/proc/self/fd/0").map(|p| p.to_string_lossy().into_owned());
        let number = tty.ok().and_then(|p| p.rsplit_once('/').map(|(_, n)| n.to_owned())).unwrap_or_default();
        if let Ok(slave) = open_in(root.as_raw_fd(), &format!("dev/pts/{number}"), libc::O_PATH, 0) {
            crate::sys::mount(
                &crate::sys::place(&slave),
                &crate::sys::place(&console),
                "",
                libc::MS_BIND,
                "",
            )?;
        }
    } else {
        // SAFETY: takes nothing.
        unsafe { libc::setsid() };
    }
    root::hide(&root, plan)?;
    root::enter(root, plan)?;
    program::limits(&plan.program)?;
    program::go(&plan.program)?;
    if plan.init {
        split(says)?;
    }
    program::become_user(&plan.program)
}

/// Stays as a small init, and goes on in a child: reaps what is left to it and passes signals on.
fn split(says: &OwnedFd) -> Result<()> {
    // SAFETY: one thread; the sets and the status outlive the calls.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        let child = libc::fork();
        check(child.into(), || "fork".into())?;
        if child == 0 {
            if libc::isatty(0) == 1 {
                // The terminal's foreground is the program, not its init. SIGTTOU is blocked here.
                libc::setpgid(0, 0);
                libc::tcsetpgrp(0, libc::getpid());
            }
            libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            return Ok(());
        }
        libc::close(says.as_raw_fd());
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, 0);
        let name = c("pileus-init")?;
        libc::prctl(libc::PR_SET_NAME, name.as_ptr());
        loop {
            let signal = libc::sigwaitinfo(&raw const all, std::ptr::null_mut());
            if signal > 0 && signal != libc::SIGCHLD {
                libc::kill(child, signal);
                continue;
            }
            let mut status = 0;
            loop {
                let ended = libc::waitpid(-1, &raw mut status, libc::WNOHANG);
                if ended == child {
                    libc::_exit(code(status));
                }
                if ended <= 0 {
                    break;
                }
            }
        }
    }
}

/// The exit code of a wait status.
pub fn code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Runs another process in the container.
pub fn exec(plan: &Plan, init: &OwnedFd, program: &Program, stdin: bool) -> Result<Started> {
    let mut streams = Streams::new(program.tty, stdin)?;
    let (errors, says) = pipe()?;
    let (numbers, tells) = pipe()?;
    let (terminal, sends) = pair()?;
    let mut between = -1;
    let joiner = clone(0, &mut between)?;
    if joiner == 0 {
        drop((errors, numbers, terminal));
        match inside(plan, init, program, &streams, &tells, &sends) {
            Ok(true) => give_up(&says, &program::run(program)),
            // SAFETY: ends this process.
            Ok(false) => unsafe { libc::_exit(0) },
            Err(failure) => give_up(&says, &failure),
        }
    }
    drop((says, tells, sends));
    streams.child = [None, None, None];
    // SAFETY: the kernel has just given it to us; the process is our child.
    unsafe {
        drop(OwnedFd::from_raw_fd(between));
        libc::waitpid(joiner as i32, std::ptr::null_mut(), 0);
    }
    let mut number = [0; 4];
    if File::from(numbers).read_exact(&mut number).is_err() {
        return settled(errors).and_then(|()| Err(fail("the process is not there")));
    }
    let pid = u32::from_le_bytes(number);
    // SAFETY: takes numbers; the process is our child, and not reaped yet.
    let pidfd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) }, || "pidfd_open".into())?;
    // SAFETY: the kernel has just given it to us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd as RawFd) };
    if program.tty {
        take_terminal(&mut streams, &terminal)?;
    }
    if let Err(failure) = settled(errors) {
        reap(&pidfd, pid);
        return Err(failure);
    }
    Ok(Started { pid, pidfd, stdin: streams.stdin, output: streams.output })
}

/// Joins the container and goes on in a child of the supervisor's; whether this is that child.
fn inside(
    plan: &Plan,
    init: &OwnedFd,
    program: &Program,
    streams: &Streams,
    tells: &OwnedFd,
    sends: &OwnedFd,
) -> Result<bool> {
    calm();
    streams.take()?;
    for file in &plan.cgroups {
        fs::write(file, "0").map_err(|e| fail(format!("join {file}: {e}")))?;
    }
    let all = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    // SAFETY: takes a descriptor and a number.
    check(unsafe { libc::setns(init.as_raw_fd(), all) }.into(), || "join the container".into())?;
    let mut pidfd = -1;
    let pid = clone(libc::CLONE_PARENT as u64, &mut pidfd)?;
    if pid != 0 {
        let number = pid.to_le_bytes();
        // SAFETY: the number outlives the call.
        unsafe { libc::write(tells.as_raw_fd(), number.as_ptr().cast(), 4) };
        return Ok(false);
    }
    if program.tty {
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        let ptmx = open_in(libc::AT_FDCWD, "/dev/pts/ptmx", flags, 0);
        program::terminal(
            ptmx.map_err(|e| fail(format!("open /dev/pts/ptmx: {e}")))?,
            program,
            sends.as_raw_fd(),
        )?;
    } else {
        // SAFETY: takes nothing.
        unsafe { libc::setsid() };
    }
    program::limits(program)?;
    program::go(program)?;
    program::become_user(program)?;
    Ok(true)
}
