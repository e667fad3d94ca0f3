//! System calls with errors that say what was being done.

use alloc::{
    ffi::CString,
    format,
    string::{String, ToString},
    vec::Vec,
};

pub use syscalls::{Errno, Sysno, syscall};

/// What went wrong, in words for whoever asked, and the exit code that Docker gives it.
#[derive(Debug)]
pub struct Failure {
    /// 125 for what is ours; 126 and 127 for a program that can't be run.
    pub code: i32,
    /// What went wrong.
    pub words: String,
}

/// A result whose error has words.
pub type Result<T> = core::result::Result<T, Failure>;

/// A result of the kernel's.
pub type Answer<T = usize> = core::result::Result<T, Errno>;

/// An error of ours.
pub fn fail(words: impl Into<String>) -> Failure {
    Failure { code: 125, words: words.into() }
}

/// Go's words for an error.
pub fn words(e: Errno) -> String {
    let text = e.description().unwrap_or("unknown error");
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// An answer whose error says what was being done.
pub trait Doing<T> {
    /// Names it.
    fn doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Doing<T> for Answer<T> {
    fn doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|e| fail(format!("{}: {}", what(), words(e))))
    }
}

/// `CLONE_INTO_CGROUP`, which fits no number of 32 bits.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// A string for the kernel.
pub fn c(text: &str) -> Answer<CString> {
    CString::new(text).map_err(|_| Errno::EINVAL)
}

/// A descriptor that is ours, closed when it is dropped.
#[derive(Debug)]
pub struct Fd(i32);

impl Fd {
    /// Takes what the kernel has just answered, or what was left open for us.
    pub fn new(fd: usize) -> Self {
        Self(fd as i32)
    }
    /// Its number.
    pub fn raw(&self) -> i32 {
        self.0
    }
    /// Its path.
    pub fn place(&self) -> String {
        format!("/proc/self/fd/{}", self.0)
    }
    /// Another of the same.
    pub fn again(&self) -> Answer<Self> {
        // SAFETY: takes numbers.
        unsafe { syscall!(Sysno::fcntl, self.0, libc::F_DUPFD_CLOEXEC, 3) }.map(Self::new)
    }
    /// Reads some of it.
    pub fn read(&self, to: &mut [u8]) -> Answer {
        // SAFETY: the buffer's length is given.
        unsafe { syscall!(Sysno::read, self.0, to.as_mut_ptr(), to.len()) }
    }
    /// Writes some of it.
    pub fn write(&self, from: &[u8]) -> Answer {
        // SAFETY: the buffer's length is given.
        unsafe { syscall!(Sysno::write, self.0, from.as_ptr(), from.len()) }
    }
    /// Fills the whole buffer.
    pub fn read_exact(&self, mut to: &mut [u8]) -> Answer<()> {
        while !to.is_empty() {
            match self.read(to) {
                Ok(0) => return Err(Errno::EPIPE),
                Ok(n) => to = &mut to[n..],
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
    /// Writes all of it.
    pub fn write_all(&self, mut from: &[u8]) -> Answer<()> {
        while !from.is_empty() {
            match self.write(from) {
                Ok(n) => from = &from[n..],
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
    /// Reads to the end.
    pub fn read_to_end(&self) -> Answer<Vec<u8>> {
        let (mut all, mut some) = (Vec::new(), [0; 1024]);
        loop {
            match self.read(&mut some) {
                Ok(0) => return Ok(all),
                Ok(n) => all.extend_from_slice(&some[..n]),
                Err(Errno::EINTR) => {}
                Err(e) => return Err(e),
            }
        }
    }
    /// Doesn't wait in reads and writes.
    pub fn nonblocking(&self) -> Answer {
        // SAFETY: takes numbers.
        unsafe { syscall!(Sysno::fcntl, self.0, libc::F_SETFL, libc::O_NONBLOCK) }
    }
    /// Makes it descriptor `n` of this process.
    pub fn becomes(&self, n: i32) -> Answer<()> {
        if self.0 == n {
            // SAFETY: takes numbers.
            return unsafe { syscall!(Sysno::fcntl, n, libc::F_SETFD, 0) }.map(drop);
        }
        // SAFETY: takes numbers.
        unsafe { syscall!(Sysno::dup3, self.0, n, 0) }.map(drop)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: it is ours, and used no more.
        let _ = unsafe { syscall!(Sysno::close, self.0) };
    }
}

/// `openat2(2)`; always closed on exec.
pub fn open_at(dir: i32, path: &str, flags: i32, mode: u32, resolve: u64) -> Answer<Fd> {
    let path = c(path)?;
    // Flags, mode, resolve: `struct open_how`.
    let how = [(flags | libc::O_CLOEXEC) as u64, u64::from(mode), resolve];
    // SAFETY: the path and `how` outlive the call, and its size is given.
    unsafe { syscall!(Sysno::openat2, dir, path.as_ptr(), &raw const how, size_of_val(&how)) }.map(Fd::new)
}

/// Opens a path of the process's own.
pub fn open(path: &str, flags: i32) -> Answer<Fd> {
    let mode = if flags & libc::O_CREAT == 0 { 0 } else { 0o666 };
    open_at(libc::AT_FDCWD, path, flags, mode, 0)
}

/// Opens `path`, within `root` and no matter what links there are.
pub fn open_in(root: &Fd, path: &str, flags: i32, resolve: u64) -> Answer<Fd> {
    let path = path.trim_start_matches('/');
    let path = if path.is_empty() { "." } else { path };
    open_at(root.raw(), path, flags, 0, resolve | libc::RESOLVE_IN_ROOT)
}

/// What a file says.
pub fn read(path: &str) -> Answer<String> {
    let all = open(path, libc::O_RDONLY)?.read_to_end()?;
    Ok(String::from_utf8_lossy(&all).into_owned())
}

/// Makes a file say `text`.
pub fn write(path: &str, text: &str) -> Answer<()> {
    open(path, libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC)?.write_all(text.as_bytes())
}

/// Writes into a file that must be there.
pub fn put(path: &str, text: &str) -> Answer<()> {
    open(path, libc::O_WRONLY)?.write_all(text.as_bytes())
}

/// `rename(2)`.
pub fn rename(from: &str, to: &str) -> Answer {
    let (from, to) = (c(from)?, c(to)?);
    // SAFETY: both paths outlive the call.
    unsafe { syscall!(Sysno::renameat2, libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), 0) }
}

/// `unlink(2)`.
pub fn unlink(path: &str) -> Answer {
    let path = c(path)?;
    // SAFETY: the path outlives the call.
    unsafe { syscall!(Sysno::unlinkat, libc::AT_FDCWD, path.as_ptr(), 0) }
}

/// `mkdir(2)`.
pub fn make_dir(path: &str) -> Answer {
    let path = c(path)?;
    // SAFETY: the path outlives the call.
    unsafe { syscall!(Sysno::mkdirat, libc::AT_FDCWD, path.as_ptr(), 0o755) }
}

/// `chdir(2)`.
pub fn chdir(path: &str) -> Answer {
    let path = c(path)?;
    // SAFETY: the path outlives the call.
    unsafe { syscall!(Sysno::chdir, path.as_ptr()) }
}

/// What a path, followed, or a descriptor (with an empty path) is.
pub fn stat(dir: i32, path: &str) -> Answer<libc::statx> {
    let path = c(path)?;
    // SAFETY: a statx of zeros is valid.
    let mut is: libc::statx = unsafe { core::mem::zeroed() };
    let mask = libc::STATX_BASIC_STATS;
    // SAFETY: the path outlives the call, and there is room for the answer.
    unsafe { syscall!(Sysno::statx, dir, path.as_ptr(), libc::AT_EMPTY_PATH, mask, &raw mut is) }?;
    Ok(is)
}

/// The type of a file, of its mode's bits.
pub fn kind(of: &libc::statx) -> u32 {
    u32::from(of.stx_mode) & libc::S_IFMT
}

/// The magic number of the filesystem that a descriptor is on.
pub fn filesystem(fd: &Fd) -> Answer<u64> {
    // SAFETY: a statfs of zeros is valid, and has room for the answer.
    unsafe {
        let mut is: libc::statfs = core::mem::zeroed();
        syscall!(Sysno::fstatfs, fd.raw(), &raw mut is)?;
        Ok(is.f_type as u64)
    }
}

/// `prctl(2)`.
pub fn prctl(what: i32, a: u64, b: u64) -> Answer {
    // SAFETY: takes numbers; those that take pointers are given what outlives the call.
    unsafe { syscall!(Sysno::prctl, what, a, b, 0, 0) }
}

/// A pipe, closed on exec: read end, write end.
pub fn pipe() -> Result<(Fd, Fd)> {
    let mut fds = [0_i32; 2];
    // SAFETY: there is room for two.
    unsafe { syscall!(Sysno::pipe2, fds.as_mut_ptr(), libc::O_CLOEXEC) }.doing(|| "pipe".to_string())?;
    Ok((Fd(fds[0]), Fd(fds[1])))
}

/// A pair of connected sockets, closed on exec.
pub fn pair() -> Result<(Fd, Fd)> {
    let mut fds = [0_i32; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: there is room for two.
    unsafe { syscall!(Sysno::socketpair, libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) }
        .doing(|| "socketpair".to_string())?;
    Ok((Fd(fds[0]), Fd(fds[1])))
}

/// The address of a socket, and its length.
fn address(path: &str) -> (libc::sockaddr_un, usize) {
    // SAFETY: an address of zeros is valid.
    let mut address: libc::sockaddr_un = unsafe { core::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as u16;
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes()) {
        *to = from as _;
    }
    (address, 2 + path.len().min(address.sun_path.len() - 1) + 1)
}

/// Listens on a socket in the present directory, and doesn't wait.
pub fn listen(name: &str) -> Answer<Fd> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let (address, length) = address(name);
    // SAFETY: takes numbers; the address outlives the call, and its length is given.
    unsafe {
        let socket = Fd::new(syscall!(Sysno::socket, libc::AF_UNIX, kind, 0)?);
        syscall!(Sysno::bind, socket.raw(), &raw const address, length)?;
        syscall!(Sysno::listen, socket.raw(), 128)?;
        Ok(socket)
    }
}

/// A socket for datagrams.
pub fn datagrams() -> Answer<Fd> {
    // SAFETY: takes numbers.
    unsafe { syscall!(Sysno::socket, libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) }.map(Fd::new)
}

/// Sends a datagram.
pub fn send_to(socket: &Fd, path: &str, bytes: &[u8]) -> Answer {
    let ((address, length), flags) = (address(path), libc::MSG_NOSIGNAL);
    let (at, n) = (bytes.as_ptr(), bytes.len());
    // SAFETY: the buffer and the address outlive the call, and their lengths are given.
    unsafe { syscall!(Sysno::sendto, socket.raw(), at, n, flags, &raw const address, length) }
}

/// Takes one who connects, where there is one.
pub fn accept(listener: &Fd) -> Answer<Fd> {
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: nobody's address is asked for.
    unsafe { syscall!(Sysno::accept4, listener.raw(), 0, 0, flags) }.map(Fd::new)
}

/// Writes to a socket without a signal where nobody reads it any more.
pub fn send(socket: &Fd, bytes: &[u8]) -> Answer {
    let (at, n) = (bytes.as_ptr(), bytes.len());
    // SAFETY: the buffer's length is given; no address.
    unsafe { syscall!(Sysno::sendto, socket.raw(), at, n, libc::MSG_NOSIGNAL, 0, 0) }
}

/// A control message with one descriptor: `struct cmsghdr` and what follows it.
#[repr(C)]
struct Passed {
    length: usize,
    level: i32,
    kind: i32,
    fd: i32,
    padding: i32,
}

fn message(byte: &mut [u8; 1], iov: &mut libc::iovec, control: &mut Passed) -> libc::msghdr {
    *iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: a msghdr of zeros is valid.
    let mut msg: libc::msghdr = unsafe { core::mem::zeroed() };
    msg.msg_iov = iov;
    msg.msg_iovlen = 1;
    msg.msg_control = core::ptr::from_mut(control).cast();
    msg.msg_controllen = size_of::<Passed>() as _;
    msg
}

/// Sends a descriptor.
pub fn send_fd(over: &Fd, fd: &Fd) -> Result<()> {
    let (mut byte, mut iov) = ([0], libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 });
    let (level, kind) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
    let mut passed = Passed { length: 16 + 4, level, kind, fd: fd.raw(), padding: 0 };
    let msg = message(&mut byte, &mut iov, &mut passed);
    // SAFETY: all that the message points at outlives the call.
    unsafe { syscall!(Sysno::sendmsg, over.raw(), &raw const msg, libc::MSG_NOSIGNAL) }
        .doing(|| "send the terminal".to_string())
        .map(drop)
}

/// Receives a descriptor; `None` at the end.
pub fn receive_fd(over: &Fd) -> Option<Fd> {
    let (mut byte, mut iov) = ([0], libc::iovec { iov_base: core::ptr::null_mut(), iov_len: 0 });
    let mut passed = Passed { length: 0, level: 0, kind: 0, fd: -1, padding: 0 };
    let mut msg = message(&mut byte, &mut iov, &mut passed);
    // SAFETY: all that the message points at outlives the call and has the room that is said.
    let n = unsafe { syscall!(Sysno::recvmsg, over.raw(), &raw mut msg, libc::MSG_CMSG_CLOEXEC) };
    let whole = n.is_ok_and(|n| n > 0) && passed.length == 20 && passed.kind == libc::SCM_RIGHTS;
    whole.then(|| Fd(passed.fd))
}

/// A process like this one; 0 in the child. A filter of Docker's lets this pass, and not `clone3`, whose
/// flags it can't see.
pub fn clone(flags: u64) -> Answer<(u32, Option<Fd>)> {
    let mut pidfd = -1_i32;
    let flags = flags | libc::CLONE_PIDFD as u64 | libc::SIGCHLD as u64;
    // SAFETY: without a stack and CLONE_VM this is a fork, and there is one thread only.
    let pid = unsafe { syscall!(Sysno::clone, flags, 0, &raw mut pidfd, 0, 0) }? as u32;
    Ok((pid, (pid != 0).then(|| Fd(pidfd))))
}

/// `clone3(2)`: a process like this one, in a control group (of v2) from the start; 0 in the child.
pub fn clone_into(flags: u64, group: Option<&Fd>) -> Answer<(u32, Option<Fd>)> {
    let Some(group) = group else { return clone(flags) };
    let mut pidfd = -1_i32;
    // SAFETY: arguments of zeros are valid.
    let mut how: libc::clone_args = unsafe { core::mem::zeroed() };
    how.flags = flags | libc::CLONE_PIDFD as u64 | CLONE_INTO_CGROUP;
    how.pidfd = (&raw mut pidfd) as u64;
    how.exit_signal = libc::SIGCHLD as u64;
    how.cgroup = group.raw() as u64;
    // SAFETY: without a stack and CLONE_VM this is a fork, and there is one thread only; the arguments and
    // the descriptor's place outlive the call, and their size is given.
    let pid = unsafe { syscall!(Sysno::clone3, &raw const how, size_of_val(&how)) }? as u32;
    Ok((pid, (pid != 0).then(|| Fd(pidfd))))
}

/// Reaps a child (any, for -1): its number and its status; 0 where none has ended and `flags` say so.
pub fn wait(pid: i32, flags: i32) -> Answer<(u32, i32)> {
    let mut status = 0_i32;
    // SAFETY: the status outlives the call.
    let pid = unsafe { syscall!(Sysno::wait4, pid, &raw mut status, flags, 0) }?;
    Ok((pid as u32, status))
}

/// Signals a process by its descriptor.
pub fn signal(pidfd: &Fd, signal: i32) -> Answer {
    // SAFETY: takes numbers.
    unsafe { syscall!(Sysno::pidfd_send_signal, pidfd.raw(), signal, 0, 0) }
}

/// Has a signal ignored, or do what it does by default.
pub fn handle(number: i32, how: libc::sighandler_t) {
    // The kernel's `struct sigaction`: the handler, no flags, no restorer, nothing masked.
    let action = [how as u64, 0, 0, 0];
    // SAFETY: the structure outlives the call. What can't be changed stays.
    let _ = unsafe { syscall!(Sysno::rt_sigaction, number, action.as_ptr(), 0, 8) };
}

/// Joins namespaces.
pub fn setns(fd: &Fd, flags: u64) -> Answer {
    // SAFETY: takes numbers.
    unsafe { syscall!(Sysno::setns, fd.raw(), flags) }
}
