//! Running programs: argument lists only, both streams captured as they come.

use crate::Stream;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// How a program is run.
#[derive(Debug, Clone, Default)]
pub struct Exec {
    pub argv: Vec<OsString>,
    /// Set over the environment.
    pub env: Vec<(String, String)>,
    pub cwd: Option<PathBuf>,
    pub stdin: Option<Vec<u8>>,
    /// `argv[0]` as the program sees it, when not its path.
    pub arg0: Option<String>,
    pub umask: Option<u32>,
}

/// How it ended.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// The exit code; minus the signal when one ended it.
    pub rc: i32,
    pub out: Vec<u8>,
    pub err: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    pub fn stdout(&self) -> String {
        crate::py::text(&self.out)
    }

    /// Standard error as text.
    pub fn stderr(&self) -> String {
        crate::py::text(&self.err)
    }
}

/// `shlex.quote`.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

impl Exec {
    /// A program and its arguments.
    pub fn new<S: AsRef<std::ffi::OsStr>>(argv: &[S]) -> Self {
        Exec { argv: argv.iter().map(|a| a.as_ref().to_owned()).collect(), ..Exec::default() }
    }

    /// Messages in English.
    pub fn locale_c(mut self) -> Self {
        for name in ["LANG", "LC_ALL", "LC_MESSAGES"] {
            self.env.push((name.into(), "C.UTF-8".into()));
        }
        self
    }

    /// Its standard input.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// Where it starts.
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// Runs it to its end. `stream` sees output of both streams as it appears.
    pub fn run(self, mut stream: Option<&mut Stream<'_>>) -> io::Result<Output> {
        use std::os::unix::process::CommandExt;
        let Some((program, args)) = self.argv.split_first() else {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        };
        let mut command = Command::new(program);
        command.args(args).envs(self.env).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        if let Some(dir) = self.cwd {
            command.current_dir(dir);
        }
        if let Some(arg0) = self.arg0 {
            command.arg0(arg0);
        }
        if let Some(umask) = self.umask {
            // SAFETY: umask is async-signal-safe and touches nothing of the parent.
            unsafe {
                command.pre_exec(move || {
                    libc::umask(umask);
                    Ok(())
                });
            }
        }
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().zip(self.stdin);
        let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
        if let Some((pipe, _)) = &input {
            set_nonblocking(pipe.as_raw_fd());
        }
        let mut output = Output::default();
        let mut written = 0;
        while out.is_some() || err.is_some() {
            let mut fds = Vec::with_capacity(3);
            fds.extend(out.as_ref().map(|p| poll_fd(p.as_raw_fd(), libc::POLLIN)));
            fds.extend(err.as_ref().map(|p| poll_fd(p.as_raw_fd(), libc::POLLIN)));
            fds.extend(input.as_ref().map(|(p, _)| poll_fd(p.as_raw_fd(), libc::POLLOUT)));
            // SAFETY: the array and its length belong together; the descriptors are open.
            if unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, 100) } < 0 {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
                continue;
            }
            let ready = |fd: i32| fds.iter().any(|p| p.fd == fd && p.revents != 0);
            if out.as_ref().is_some_and(|p| ready(p.as_raw_fd())) {
                take(&mut out, &mut output.out, &mut stream)?;
            }
            if err.as_ref().is_some_and(|p| ready(p.as_raw_fd())) {
                take(&mut err, &mut output.err, &mut stream)?;
            }
            if let Some((pipe, bytes)) = &mut input
                && ready(pipe.as_raw_fd())
            {
                match pipe.write(&bytes[written..]) {
                    Ok(n) => written += n,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                    // The child closed its input: what it doesn't read isn't an error.
                    Err(_) => written = bytes.len(),
                }
                if written >= bytes.len() {
                    input = None;
                }
            }
            // A daemon left behind may hold the pipes: the child's end is the end.
            if fds.iter().all(|p| p.revents == 0)
                && let Some(status) = child.try_wait()?
            {
                output.rc = code(status);
                return Ok(output);
            }
        }
        drop(input);
        output.rc = code(child.wait()?);
        Ok(output)
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| -status.signal().unwrap_or(1))
}

fn poll_fd(fd: i32, events: libc::c_short) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

fn set_nonblocking(fd: i32) {
    // SAFETY: the descriptor is open and ours.
    unsafe { libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK) };
}

fn take<R: Read>(
    pipe: &mut Option<R>,
    into: &mut Vec<u8>,
    stream: &mut Option<&mut Stream<'_>>,
) -> io::Result<()> {
    let Some(reader) = pipe else { return Ok(()) };
    let mut buffer = [0u8; 16 * 1024];
    match reader.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(n) => {
            into.extend_from_slice(&buffer[..n]);
            if let Some(stream) = stream {
                stream(&buffer[..n]);
            }
        }
        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
        Err(e) => return Err(e),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_streams_code_and_input() {
        let output = Exec::new(&["/bin/sh", "-c", "cat; echo e >&2; exit 3"]).stdin("in").run(None).unwrap();
        assert_eq!((output.rc, output.out.as_slice(), output.err.as_slice()), (3, &b"in"[..], &b"e\n"[..]));
    }

    #[test]
    fn a_signal_is_negative_and_a_missing_program_an_error() {
        assert_eq!(Exec::new(&["/bin/sh", "-c", "kill -9 $$"]).run(None).unwrap().rc, -9);
        assert_eq!(Exec::new(&["/no/such"]).run(None).unwrap_err().raw_os_error(), Some(2));
    }

    #[test]
    fn quoting() {
        assert_eq!(quote("a b'c"), "'a b'\"'\"'c'");
        assert_eq!(quote("a-b/c"), "a-b/c");
    }
}
