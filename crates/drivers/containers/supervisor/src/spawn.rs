//! Brings processes into being: the first of a container, with its namespaces, and others that join them.

use alloc::{borrow::ToOwned, format, string::String, string::ToString, vec::Vec};

use crate::{
    groups, mounts,
    plan::{Plan, Program},
    procfs::Proc,
    program, root, start,
    sys::{
        Doing, Errno, Failure, Fd, Result, Sysno, clone, clone_into, fail, handle, open, open_at, open_in,
        pair, pipe, prctl, receive_fd, setns, signal, syscall, wait,
    },
    users,
};

/// A process that has become its program.
pub struct Started {
    /// As the host numbers it.
    pub pid: u32,
    /// Readable once it has ended.
    pub pidfd: Fd,
    /// Its standard input, where that is kept open; its terminal where it has one.
    pub stdin: Option<Fd>,
    /// Its standard output and error; the first is its terminal where it has one.
    pub output: [Option<Fd>; 2],
}

/// The ends of a process's standard streams.
struct Streams {
    child: [Option<Fd>; 3],
    stdin: Option<Fd>,
    output: [Option<Fd>; 2],
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
                fd.becomes(n as i32).doing(|| "dup".to_string())?;
            }
        }
        Ok(())
    }
}

/// What a child needs of its parent's.
struct Child<'a> {
    plan: &'a Plan,
    streams: &'a Streams,
    /// Where its terminal is sent.
    sends: &'a Fd,
    /// Where it says what went wrong; closes when it has become its program.
    says: &'a Fd,
    userns: Option<&'a Fd>,
}

impl Child<'_> {
    /// The last steps that both kinds of processes have in common. The label is set before the directory is
    /// gone to, with the host's `/proc`, which is closed then.
    fn finish(&self, program: &Program, proc: &Proc) -> Result<()> {
        program::limits(program)?;
        proc.apparmor(&program.apparmor)?;
        program::give_streams(users::mapped(&self.plan.uid_map, program.uid));
        match self.userns {
            Some(userns) => program::go(program, &[self.says, userns])?,
            None => program::go(program, &[self.says])?,
        }
        users::enter(self.userns)?;
        program::become_user(program)
    }
}

/// Signals as a new program expects them, and nothing of ours to be seen by those who may trace others.
fn calm() {
    let _ = prctl(libc::PR_SET_DUMPABLE, 0, 0);
    for number in 1..=64 {
        handle(number, libc::SIG_DFL);
    }
    let none = 0_u64;
    // SAFETY: the set outlives the call.
    let _ = unsafe { syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0, 8) };
}

/// Ends a child that couldn't become its program.
fn give_up(errors: &Fd, failure: &Failure) -> ! {
    let mut message = failure.code.to_le_bytes().to_vec();
    message.extend_from_slice(failure.words.as_bytes());
    let _ = errors.write_all(&message);
    start::exit(failure.code)
}

/// Waits until the child has become its program.
fn settled(errors: Fd) -> Result<()> {
    said(&errors.read_to_end().doing(|| "read".to_string())?)
}

/// What a child has said went wrong.
fn said(message: &[u8]) -> Result<()> {
    match message.split_first_chunk::<4>() {
        None => Ok(()),
        Some((code, words)) => Err(Failure {
            code: i32::from_le_bytes(*code),
            words: String::from_utf8_lossy(words).into_owned(),
        }),
    }
}

/// Starts the container's first process.
pub fn container(plan: &Plan, userns: Option<&Fd>) -> Result<Started> {
    let mut streams = Streams::new(plan.program.tty, plan.open_stdin)?;
    let (errors, says) = pipe()?;
    let (terminal, sends) = pair()?;
    for (flag, path) in plan.joins.iter().filter(|(flag, _)| *flag == libc::CLONE_NEWPID as u64) {
        join(*flag, path)?;
    }
    // A new control group namespace begins where the process is when it is made: later, in the child.
    let late = libc::CLONE_NEWCGROUP as u64;
    let group = groups::unified(plan)?;
    let (pid, pidfd) = clone_into(plan.namespaces & !late, group.as_ref()).doing(|| "clone".to_string())?;
    let Some(pidfd) = pidfd else {
        drop((errors, terminal));
        let child = Child { plan, streams: &streams, sends: &sends, says: &says, userns };
        let failure = match first(&child, plan.namespaces & late) {
            Ok(()) => program::run(&plan.program),
            Err(failure) => failure,
        };
        give_up(&says, &failure);
    };
    drop((says, sends));
    streams.child = [None, None, None];
    let settle = (|| {
        if plan.program.tty {
            take_terminal(&mut streams, &terminal)?;
        }
        settled(errors)
    })();
    if let Err(failure) = settle {
        reap(&pidfd, pid);
        return Err(failure);
    }
    Ok(Started { pid, pidfd, stdin: streams.stdin, output: streams.output })
}

fn take_terminal(streams: &mut Streams, from: &Fd) -> Result<()> {
    // Where none comes, the child has said why.
    if let Some(master) = receive_fd(from) {
        streams.stdin = Some(master.again().doing(|| "the terminal".to_string())?);
        streams.output = [Some(master), None];
    }
    Ok(())
}

fn reap(pidfd: &Fd, pid: u32) {
    let _ = signal(pidfd, libc::SIGKILL);
    let _ = wait(pid as i32, 0);
}

fn join(flag: u64, path: &str) -> Result<()> {
    let file = open(path, libc::O_RDONLY).doing(|| format!("open namespace {path}"))?;
    setns(&file, flag).doing(|| format!("join namespace {path}")).map(drop)
}

/// In the first process: everything up to its program.
fn first(child: &Child<'_>, late: u64) -> Result<()> {
    let plan = child.plan;
    groups::join(plan)?;
    calm();
    let proc = Proc::open()?;
    for (flag, path) in plan.joins.iter().filter(|(flag, _)| *flag != libc::CLONE_NEWPID as u64) {
        join(*flag, path)?;
    }
    // SAFETY: takes a number.
    unsafe { syscall!(Sysno::unshare, late) }.doing(|| "unshare".to_string())?;
    for (call, name, is) in [
        (Sysno::sethostname, "sethostname", &plan.hostname),
        (Sysno::setdomainname, "setdomainname", &plan.domainname),
    ] {
        if !is.is_empty() {
            // SAFETY: the name outlives the call, and its length is given.
            unsafe { syscall!(call, is.as_ptr(), is.len()) }.doing(|| name.to_owned())?;
        }
    }
    child.streams.take()?;
    for (name, value) in &plan.sysctls {
        proc.sysctl(name, value)?;
    }
    if let Some(score) = plan.program.oom_score_adj {
        // Lowering it takes a right that not every host gives us; then it stays as it is.
        let _ = proc.write("self/oom_score_adj", &score.to_string());
    }
    users::act_as_root(plan)?;
    let root = root::make(plan, child.userns)?;
    if plan.program.tty {
        let ptmx = open_in(&root, "dev/pts/ptmx", libc::O_RDWR | libc::O_NOCTTY, 0)
            .doing(|| "open /dev/pts/ptmx".to_string())?;
        let slave = program::terminal(&ptmx, &plan.program, child.sends)?;
        // The terminal itself, not what bears its name by now (CVE-2025-52565).
        let same = mounts::copy(slave.raw(), "", false).doing(|| "mount /dev/console".to_string())?;
        let console = root::ensure(&root, "/dev/console", false)?;
        mounts::attach(&same, &console).doing(|| "mount /dev/console".to_string())?;
    } else {
        // SAFETY: takes nothing.
        let _ = unsafe { syscall!(Sysno::setsid) };
    }
    root::hide(&root, plan)?;
    root::enter(root, plan)?;
    child.finish(&plan.program, &proc)?;
    // Whatever process 1 is, it may do no more than the program.
    if plan.init { split(child.says) } else { Ok(()) }
}

/// Stays as a small init, and goes on in a child: reaps what is left to it and passes signals on.
fn split(says: &Fd) -> Result<()> {
    let (all, mut before) = (u64::MAX, 0_u64);
    // SAFETY: the sets outlive the calls.
    unsafe {
        let _ = syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const all, &raw mut before, 8);
        let (child, _) = clone(0).doing(|| "fork".to_string())?;
        if child == 0 {
            // The terminal's foreground is the program, not its init. SIGTTOU is blocked here.
            let mut settings: libc::termios = core::mem::zeroed();
            if syscall!(Sysno::ioctl, 0, libc::TCGETS, &raw mut settings).is_ok() {
                let _ = syscall!(Sysno::setpgid, 0, 0);
                let group = syscall!(Sysno::getpid).unwrap_or(0) as i32;
                let _ = syscall!(Sysno::ioctl, 0, libc::TIOCSPGRP, &raw const group);
            }
            let _ = syscall!(Sysno::rt_sigprocmask, libc::SIG_SETMASK, &raw const before, 0, 8);
            return Ok(());
        }
        let _ = syscall!(Sysno::close, says.raw());
        let _ = syscall!(Sysno::close_range, 3, u32::MAX, 0);
        let _ = prctl(libc::PR_SET_NAME, c"pileus-init".as_ptr() as u64, 0);
        let _ = prctl(libc::PR_SET_DUMPABLE, 0, 0);
        loop {
            let number = syscall!(Sysno::rt_sigtimedwait, &raw const all, 0, 0, 8).unwrap_or(0) as i32;
            if number > 0 && number != libc::SIGCHLD {
                let _ = syscall!(Sysno::kill, child, number);
                continue;
            }
            while let Ok((ended, status)) = wait(-1, libc::WNOHANG) {
                if ended == child {
                    start::exit(code(status));
                }
                if ended == 0 {
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

/// A process that is joining the container, to become its program.
pub struct Beginning {
    /// Whether it gets a terminal.
    pub tty: bool,
    joiner: u32,
    /// Where it says what went wrong; closed once it is its program.
    errors: Fd,
    message: Vec<u8>,
    numbers: Fd,
    terminal: Fd,
    streams: Streams,
}

/// Begins another process in the container.
pub fn exec(
    plan: &Plan,
    init: &Fd,
    userns: Option<&Fd>,
    program: &Program,
    stdin: bool,
) -> Result<Beginning> {
    let mut streams = Streams::new(program.tty, stdin)?;
    let (errors, says) = pipe()?;
    let (numbers, tells) = pipe()?;
    let (terminal, sends) = pair()?;
    errors.nonblocking().doing(|| "pipe".to_string())?;
    let group = groups::unified(plan)?;
    let (joiner, between) = clone_into(0, group.as_ref()).doing(|| "clone".to_string())?;
    if between.is_none() {
        drop((errors, numbers, terminal));
        let child = Child { plan, streams: &streams, sends: &sends, says: &says, userns };
        match inside(&child, init, program, &tells) {
            Ok(true) => give_up(&says, &program::run(program)),
            Ok(false) => start::exit(0),
            Err(failure) => give_up(&says, &failure),
        }
    }
    drop((says, tells, sends));
    streams.child = [None, None, None];
    Ok(Beginning { tty: program.tty, joiner, errors, message: Vec::new(), numbers, terminal, streams })
}

impl Beginning {
    /// What can be read once there is something new.
    pub fn says(&self) -> &Fd {
        &self.errors
    }

    /// Whether all is said: it has become its program, or it never will. Doesn't wait.
    pub fn settled(&mut self) -> bool {
        let mut some = [0; 256];
        loop {
            match self.errors.read(&mut some) {
                Ok(0) => return true,
                Ok(n) => self.message.extend_from_slice(&some[..n]),
                Err(Errno::EAGAIN) => return false,
                Err(Errno::EINTR) => {}
                Err(_) => return true,
            }
        }
    }

    /// What came of it, once it has settled: both processes have let go of the pipe then, so that neither is
    /// waited for that could be frozen.
    pub fn finish(mut self) -> Result<Started> {
        let _ = wait(self.joiner as i32, 0);
        let mut number = [0; 4];
        if self.numbers.read_exact(&mut number).is_err() {
            return said(&self.message).and_then(|()| Err(fail("the process is not there")));
        }
        let pid = u32::from_le_bytes(number);
        // SAFETY: takes numbers; the process is our child, and not reaped yet.
        let pidfd = unsafe { syscall!(Sysno::pidfd_open, pid, 0) }.doing(|| "pidfd_open".to_string())?;
        let pidfd = Fd::new(pidfd);
        let terminal = if self.tty { take_terminal(&mut self.streams, &self.terminal) } else { Ok(()) };
        if let Err(failure) = said(&self.message).and(terminal) {
            reap(&pidfd, pid);
            return Err(failure);
        }
        Ok(Started { pid, pidfd, stdin: self.streams.stdin, output: self.streams.output })
    }
}

/// Joins the container and goes on in a child of the supervisor's; whether this is that child.
fn inside(child: &Child<'_>, init: &Fd, program: &Program, tells: &Fd) -> Result<bool> {
    calm();
    child.streams.take()?;
    let proc = Proc::open()?;
    groups::join(child.plan)?;
    if let Some(score) = program.oom_score_adj {
        let _ = proc.write("self/oom_score_adj", &score.to_string());
    }
    let all = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    setns(init, all as u64).doing(|| "join the container".to_string())?;
    let (pid, there) = clone(libc::CLONE_PARENT as u64).doing(|| "clone".to_string())?;
    if there.is_some() {
        let _ = tells.write(&pid.to_le_bytes());
        return Ok(false);
    }
    users::act_as_root(child.plan)?;
    if program.tty {
        let flags = libc::O_RDWR | libc::O_NOCTTY;
        let ptmx = open_at(libc::AT_FDCWD, "/dev/pts/ptmx", flags, 0, 0)
            .doing(|| "open /dev/pts/ptmx".to_string())?;
        program::terminal(&ptmx, program, child.sends)?;
    } else {
        // SAFETY: takes nothing.
        let _ = unsafe { syscall!(Sysno::setsid) };
    }
    child.finish(program, &proc)?;
    Ok(true)
}
