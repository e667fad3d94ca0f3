//! The system calls that the runtime is made of, with errors that say what was being done.

use std::{
    ffi::CString,
    io::{self, Read, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
        unix::net::UnixStream,
    },
};

use pileus_base::Error;

/// An error in words.
pub fn fail(words: impl Into<String>) -> Error {
    Error::internal(words)
}

/// What the last call said, in Go's words: as runc would print it.
pub fn why(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// Turns an I/O error into ours.
pub fn doing(what: impl Into<String>) -> impl FnOnce(io::Error) -> Error {
    let what = what.into();
    move |e| fail(format!("{what}: {}", why(&e)))
}

/// The result of a call that answers -1 for an error.
pub fn checked(answer: i64) -> io::Result<i64> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// A string for the kernel.
pub fn c(text: &str) -> io::Result<CString> {
    CString::new(text).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// `mount(2)`; empty strings are null.
pub fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> io::Result<()> {
    let (s, t, k, d) = (c(source)?, c(target)?, c(kind)?, c(data)?);
    let data = if data.is_empty() { std::ptr::null() } else { d.as_ptr().cast() };
    // SAFETY: all strings outlive the call.
    checked(unsafe { libc::mount(s.as_ptr(), t.as_ptr(), k.as_ptr(), flags, data) }.into()).map(drop)
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
pub struct MountAttr {
    /// Attributes to set.
    pub set: u64,
    /// Attributes to clear.
    pub clear: u64,
    /// `MS_PRIVATE` and its like.
    pub propagation: u64,
    /// A user namespace's descriptor.
    pub userns: u64,
}

/// `mount_setattr(2)` on an open place.
pub fn set_attributes(fd: &impl AsRawFd, recursive: bool, attr: &MountAttr) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    let (at, size) = (fd.as_raw_fd(), size_of::<MountAttr>());
    // SAFETY: the path and the attributes outlive the call, and their size is given.
    checked(unsafe { libc::syscall(libc::SYS_mount_setattr, at, c"".as_ptr(), flags, attr, size) }).map(drop)
}

/// A copy of the mount at `path`, belonging nowhere yet.
pub fn open_tree(path: &str, recursive: bool) -> io::Result<OwnedFd> {
    const OPEN_TREE_CLONE: u32 = 1;
    let path = c(path)?;
    let deep = if recursive { libc::AT_RECURSIVE as u32 } else { 0 };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC as u32 | deep;
    // SAFETY: the path outlives the call.
    owned(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) })
}

/// Puts a mount that belongs nowhere at an open place.
pub fn move_mount(mount: &impl AsRawFd, to: &impl AsRawFd) -> io::Result<()> {
    const EMPTY_PATHS: u32 = 0x04 | 0x40;
    let (from, to, none) = (mount.as_raw_fd(), to.as_raw_fd(), c"".as_ptr());
    // SAFETY: the empty paths live for ever.
    checked(unsafe { libc::syscall(libc::SYS_move_mount, from, none, to, none, EMPTY_PATHS) }).map(drop)
}

/// The descriptor that a call has just given us.
pub fn owned(answer: i64) -> io::Result<OwnedFd> {
    let fd = checked(answer)?;
    // SAFETY: the kernel has just given it to us; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Opens `path`, within `root` whatever links there are.
pub fn open_in(root: &impl AsRawFd, path: &str, flags: i32, resolve: u64) -> io::Result<OwnedFd> {
    let path = path.trim_start_matches('/');
    let path = c(if path.is_empty() { "." } else { path })?;
    // SAFETY: an open_how of zeros is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.resolve = resolve | libc::RESOLVE_IN_ROOT;
    let size = size_of::<libc::open_how>();
    // SAFETY: the path and `how` outlive the call, and its size is given.
    owned(unsafe { libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &raw const how, size) })
}

/// The path of an open descriptor.
pub fn place(fd: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// `clone` without a stack: a fork into the namespaces of `flags`; 0 in the child. Call it only where there
/// is one thread.
pub fn clone(flags: u64) -> io::Result<u32> {
    let flags = flags | libc::SIGCHLD as u64;
    // SAFETY: without a stack and CLONE_VM this is a fork, and there is one thread only.
    checked(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }).map(|pid| pid as u32)
}

/// `pidfd_open(2)`.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// `pidfd_send_signal(2)`.
pub fn signal(pidfd: &impl AsRawFd, signal: i32) -> io::Result<()> {
    let fd = pidfd.as_raw_fd();
    // SAFETY: takes numbers and a null.
    checked(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, signal, 0, 0) }).map(drop)
}

/// Waits until a descriptor is readable; `false` where `timeout_ms` (-1 for ever) runs out before.
pub fn readable(fd: &impl AsRawFd, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: the one element outlives the call.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) > 0 }
}

/// Waits for a child and gives its exit code; 128 + the signal's number.
pub fn wait(pid: u32) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the status outlives the call.
        match checked(unsafe { libc::waitpid(pid as i32, &raw mut status, 0) }.into()) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
            Ok(_) if libc::WIFSIGNALED(status) => return Ok(128 + libc::WTERMSIG(status)),
            Ok(_) => return Ok(libc::WEXITSTATUS(status)),
        }
    }
}

/// Joins a namespace (`flag` says of which kind) or, with a pidfd, several.
pub fn join(fd: &impl AsRawFd, flags: u64) -> io::Result<()> {
    // SAFETY: takes a descriptor and a number.
    checked(unsafe { libc::setns(fd.as_raw_fd(), flags as i32) }.into()).map(drop)
}

/// `unshare(2)`.
pub fn unshare(flags: u64) -> io::Result<()> {
    // SAFETY: takes a number; there is one thread.
    checked(unsafe { libc::unshare(flags as i32) }.into()).map(drop)
}

/// `prctl(2)` with numbers.
pub fn prctl(option: i32, one: u64, two: u64) -> io::Result<i64> {
    // SAFETY: only options that take numbers are used.
    checked(unsafe { libc::prctl(option, one, two, 0, 0) }.into())
}

/// Ends this process at once.
pub fn exit(code: i32) -> ! {
    // SAFETY: ends the process; nothing is left to be done.
    unsafe { libc::_exit(code) }
}

/// Writes a kernel file.
pub fn put(path: &str, value: &str) -> io::Result<()> {
    std::fs::OpenOptions::new().write(true).open(path)?.write_all(value.as_bytes())
}

/// Sends a descriptor together with a name.
pub fn send_fd(over: &impl AsRawFd, name: &str, fd: &impl AsRawFd) -> io::Result<()> {
    let mut bytes = name.as_bytes().to_vec();
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; 4];
    // SAFETY: a msghdr of zeros is valid; every pointer in it outlives the call, and the control buffer has
    // room for a header and one descriptor.
    let sent = unsafe {
        let mut msg: libc::msghdr = std::mem::zeroed();
        msg.msg_iov = &raw mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = libc::CMSG_SPACE(4) as usize;
        let head = libc::CMSG_FIRSTHDR(&raw const msg);
        (*head).cmsg_level = libc::SOL_SOCKET;
        (*head).cmsg_type = libc::SCM_RIGHTS;
        (*head).cmsg_len = libc::CMSG_LEN(4) as usize;
        libc::CMSG_DATA(head).cast::<RawFd>().write_unaligned(fd.as_raw_fd());
        libc::sendmsg(over.as_raw_fd(), &raw const msg, libc::MSG_NOSIGNAL)
    };
    checked(sent as i64).map(drop)
}

/// Receives a descriptor; `None` at the end.
pub fn receive_fd(over: &impl AsRawFd) -> Option<OwnedFd> {
    let mut bytes = [0_u8; 4096];
    let mut iov = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; 4];
    // SAFETY: as in `send_fd`; a control message of this type holds a descriptor that is now ours.
    unsafe {
        let mut msg: libc::msghdr = std::mem::zeroed();
        msg.msg_iov = &raw mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = size_of_val(&control);
        if libc::recvmsg(over.as_raw_fd(), &raw mut msg, libc::MSG_CMSG_CLOEXEC) <= 0 {
            return None;
        }
        let head = libc::CMSG_FIRSTHDR(&raw const msg);
        if head.is_null() || (*head).cmsg_type != libc::SCM_RIGHTS {
            return None;
        }
        Some(OwnedFd::from_raw_fd(libc::CMSG_DATA(head).cast::<RawFd>().read_unaligned()))
    }
}

/// Sends a message: one byte of kind, 4 of length, the text.
pub fn tell(to: &mut UnixStream, kind: u8, text: &str) -> io::Result<()> {
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
    to.write_all(&bytes)
}

/// Receives a message; `None` where the other side has gone.
pub fn hear(from: &mut UnixStream) -> Option<(u8, String)> {
    let mut head = [0; 5];
    from.read_exact(&mut head).ok()?;
    let length = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let mut text = vec![0; length as usize];
    from.read_exact(&mut text).ok()?;
    Some((head[0], String::from_utf8_lossy(&text).into_owned()))
}
