//! System calls with errors that say what was being done.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
};

/// What went wrong, in words for whoever asked, and the exit code that Docker gives it.
#[derive(Debug)]
pub struct Failure {
    /// 125 for what is ours; 126 and 127 for a program that can't be run.
    pub code: i32,
    /// What went wrong.
    pub words: String,
}

/// A result whose error has words.
pub type Result<T> = std::result::Result<T, Failure>;

/// An error of ours.
pub fn fail(words: impl Into<String>) -> Failure {
    Failure { code: 125, words: words.into() }
}

/// Go's words for the last error.
pub fn words(e: &io::Error) -> String {
    let text = e.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// The result of a call that answers -1 for an error.
pub fn check(answer: i64, doing: impl FnOnce() -> String) -> Result<i64> {
    if answer < 0 {
        return Err(fail(format!("{}: {}", doing(), words(&io::Error::last_os_error()))));
    }
    Ok(answer)
}

/// A string for the kernel.
pub fn c(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| fail(format!("{text:?} has a zero byte in it")))
}

/// The errno of the last call.
pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// `mount(2)`; empty strings are null.
pub fn mount(source: &str, target: &str, kind: &str, flags: u64, data: &str) -> Result<()> {
    let (s, t, k, d) = (c(source)?, c(target)?, c(kind)?, c(data)?);
    let data = if data.is_empty() { std::ptr::null() } else { d.as_ptr().cast() };
    // SAFETY: all strings outlive the call.
    let answer = unsafe { libc::mount(s.as_ptr(), t.as_ptr(), k.as_ptr(), flags, data) };
    check(answer.into(), || format!("mount {source} ({kind})")).map(drop)
}

/// Opens `path`, within `root` and no matter what links there are.
pub fn open_in(root: RawFd, path: &str, flags: i32, resolve: u64) -> io::Result<OwnedFd> {
    let path = path.trim_start_matches('/');
    let path = CString::new(if path.is_empty() { "." } else { path })?;
    // SAFETY: an open_how of zeros is valid.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (flags | libc::O_CLOEXEC) as u64;
    how.resolve = resolve | libc::RESOLVE_IN_ROOT;
    // SAFETY: the path and `how` outlive the call, and its size is given.
    let fd = unsafe {
        libc::syscall(libc::SYS_openat2, root, path.as_ptr(), &raw const how, size_of::<libc::open_how>())
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given it to us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The path of an open descriptor.
pub fn place(fd: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// A pipe, closed on exec: read end, write end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for two.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }.into(), || "pipe".into())?;
    // SAFETY: the kernel has just given them to us.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// A pair of connected sockets, closed on exec.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: `fds` has room for two.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) }.into(), || {
        "socketpair".into()
    })?;
    // SAFETY: the kernel has just given them to us.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// Sends a descriptor.
pub fn send_fd(over: RawFd, fd: RawFd) -> Result<()> {
    let mut byte = [0_u8];
    let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
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
        libc::CMSG_DATA(head).cast::<RawFd>().write_unaligned(fd);
        libc::sendmsg(over, &raw const msg, libc::MSG_NOSIGNAL)
    };
    check(sent as i64, || "send the terminal".into()).map(drop)
}

/// Receives a descriptor; `None` at the end.
pub fn receive_fd(over: RawFd) -> Option<OwnedFd> {
    let mut byte = [0_u8];
    let mut iov = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut control = [0_u64; 4];
    // SAFETY: as in `send_fd`; a control message of this type holds a descriptor that is now ours.
    unsafe {
        let mut msg: libc::msghdr = std::mem::zeroed();
        msg.msg_iov = &raw mut iov;
        msg.msg_iovlen = 1;
        msg.msg_control = control.as_mut_ptr().cast();
        msg.msg_controllen = size_of_val(&control);
        if libc::recvmsg(over, &raw mut msg, libc::MSG_CMSG_CLOEXEC) <= 0 {
            return None;
        }
        let head = libc::CMSG_FIRSTHDR(&raw const msg);
        if head.is_null() || (*head).cmsg_type != libc::SCM_RIGHTS {
            return None;
        }
        Some(OwnedFd::from_raw_fd(libc::CMSG_DATA(head).cast::<RawFd>().read_unaligned()))
    }
}
