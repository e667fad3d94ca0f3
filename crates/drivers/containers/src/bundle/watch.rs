//! A container or process in the foreground: its exit code, signals passed on to it, and its terminal
//! joined to ours.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    mem,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use pileus_base::Result;

use super::sys::{checked, doing, pidfd, receive_fd, signal, wait};

/// Signals held back until a process is there that they can be passed on to. Make it before that process.
pub struct Watch {
    signals: File,
}

/// Two ends for a terminal that is sent to ourselves.
///
/// # Errors
/// Where the kernel gives none.
pub fn console_pair() -> Result<(UnixStream, UnixStream)> {
    UnixStream::pair().map_err(doing("socketpair"))
}

impl Watch {
    /// Holds signals back.
    ///
    /// # Errors
    /// Where the kernel refuses it.
    pub fn new() -> Result<Self> {
        // SAFETY: a set of zeros is valid; it outlives the calls.
        let fd = unsafe {
            let mut all = mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
            checked(libc::signalfd(-1, &raw const all, libc::SFD_CLOEXEC).into())
                .map_err(doing("signalfd"))?
        };
        // SAFETY: the kernel has just given it to us.
        Ok(Self { signals: File::from(unsafe { OwnedFd::from_raw_fd(fd as i32) }) })
    }

    /// Passes signals and the terminal until the process has ended; its exit code. `console` is our end of
    /// the pair over which the terminal came.
    ///
    /// # Errors
    /// Where the process is not our child.
    pub fn run(&mut self, pid: u32, console: Option<&UnixStream>) -> Result<i32> {
        let process = pidfd(pid).map_err(doing("pidfd_open"))?;
        let mut master = console.and_then(receive_fd).map(File::from);
        let raw = master.as_ref().and_then(|_| Raw::new());
        self.sized(master.as_ref());
        let mut input = master.is_some();
        loop {
            let pty = master.as_ref().map_or(-1, AsRawFd::as_raw_fd);
            let fds = [process.as_raw_fd(), self.signals.as_raw_fd(), pty, if input { 0 } else { -1 }];
            let mut polls = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
            // SAFETY: the list outlives the call, and its length is given.
            if unsafe { libc::poll(polls.as_mut_ptr(), 4, -1) } < 0 {
                continue;
            }
            if polls[1].revents != 0 {
                self.pass(&process, master.as_ref());
            }
            let mut bytes = [0; 8192];
            if polls[3].revents != 0 {
                match io::stdin().read(&mut bytes) {
                    Ok(0) | Err(_) => input = false,
                    Ok(n) => drop(master.as_mut().map(|m| m.write_all(&bytes[..n]))),
                }
            }
            if polls[2].revents != 0 {
                match master.as_mut().map(|m| m.read(&mut bytes)) {
                    Some(Ok(n)) if n > 0 => {
                        let mut out = io::stdout();
                        let _ = out.write_all(&bytes[..n]).and_then(|()| out.flush());
                    }
                    // Closed on the other side.
                    _ => (master, input) = (None, false),
                }
            } else if polls[0].revents != 0 {
                break;
            }
        }
        drop(raw);
        wait(pid).map_err(doing("wait"))
    }

    fn pass(&mut self, process: &OwnedFd, master: Option<&File>) {
        let mut bytes = [0; size_of::<libc::signalfd_siginfo>()];
        if self.signals.read_exact(&mut bytes).is_err() {
            return;
        }
        let number = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as i32;
        match number {
            libc::SIGCHLD | libc::SIGURG => {}
            libc::SIGWINCH if master.is_some() => self.sized(master),
            // One that ends meanwhile needs it no more.
            _ => drop(signal(process, number)),
        }
    }

    fn sized(&self, master: Option<&File>) {
        if let Some(master) = master {
            // SAFETY: a winsize of zeros is valid; it outlives the calls.
            unsafe {
                let mut size: libc::winsize = mem::zeroed();
                if libc::ioctl(0, libc::TIOCGWINSZ, &raw mut size) == 0 {
                    libc::ioctl(master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
                }
            }
        }
    }
}

/// Our own terminal, raw until it is dropped.
struct Raw(libc::termios);

impl Raw {
    fn new() -> Option<Self> {
        // SAFETY: a termios of zeros is valid; it outlives the calls.
        unsafe {
            let mut before: libc::termios = mem::zeroed();
            if libc::tcgetattr(0, &raw mut before) != 0 {
                return None;
            }
            let mut raw = before;
            libc::cfmakeraw(&raw mut raw);
            libc::tcsetattr(0, libc::TCSANOW, &raw const raw);
            Some(Self(before))
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // SAFETY: what was there before is put back.
        unsafe { libc::tcsetattr(0, libc::TCSANOW, &raw const self.0) };
    }
}
