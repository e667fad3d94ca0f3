//! One command on a host, whatever carries it: its input, and what it says as events.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::Error;

/// How many pieces of output wait to be read before the command does.
const BACKLOG: usize = 256;

/// What a command says. `Exit` is the last event; without it the carrier was lost.
#[derive(Debug)]
pub enum Event {
    /// Bytes of standard output.
    Out(Vec<u8>),
    /// Bytes of standard error.
    Err(Vec<u8>),
    /// Its exit code; 128 + the signal that ended it.
    Exit(i32),
}

/// A command's standard input. Dropping it closes it.
pub trait Input: Send {
    /// Writes all of it.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Writes all of what lives as long as the process (the helper), which a queue needn't copy for each host.
    fn write_static(&mut self, bytes: &'static [u8]) -> io::Result<()> {
        self.write(bytes)
    }

    /// Ends the command, as far as what carries it can: nobody waits for it any more.
    fn end(&mut self) {}
}

/// A running command.
pub struct Spawned {
    /// Its input; take it away to close it.
    pub input: Option<Box<dyn Input>>,
    /// What it says.
    pub events: Receiver<Event>,
}

/// Starts commands on one host.
pub trait Transport: Send + Sync {
    /// The connection plugin's name.
    fn name(&self) -> &'static str;

    /// Starts a shell command line. With `tty` it gets a terminal (su and sudo may want one), and one stream.
    fn spawn(&self, command: &str, tty: bool) -> Result<Spawned, Error>;

    /// Ends what the transport keeps open.
    fn close(&self) {}
}

/// The input of a program here, the leader of its process group.
struct Piped {
    stdin: ChildStdin,
    group: libc::pid_t,
    /// Whether it was reaped: its number may be another's then.
    ended: Arc<AtomicBool>,
}

impl Input for Piped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stdin.write_all(bytes)?;
        self.stdin.flush()
    }

    fn end(&mut self) {
        if !self.ended.load(Ordering::Acquire) {
            // SAFETY: killpg has no preconditions; a group that is gone is no error.
            unsafe { libc::killpg(self.group, libc::SIGTERM) };
        }
    }
}

/// Starts a program here, as a process group of its own.
pub fn program(argv: &[OsString], environment: &[(String, String)]) -> io::Result<Spawned> {
    let (name, arguments) = argv.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut command = Command::new(name);
    command.args(arguments).envs(environment.iter().map(|(k, v)| (k, v)));
    // A terminal's ^C is for the controller, which ends what it began in order.
    command.process_group(0);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (sender, events) = sync_channel(BACKLOG);
    let ended = Arc::new(AtomicBool::new(false));
    let group = child.id() as libc::pid_t;
    let piped = |stdin| Box::new(Piped { stdin, group, ended: ended.clone() }) as Box<dyn Input>;
    let input = child.stdin.take().map(piped);
    std::thread::Builder::new().name("command".into()).spawn(move || watch(child, &sender, &ended))?;
    Ok(Spawned { input, events })
}

fn watch(mut child: Child, sender: &SyncSender<Event>, ended: &AtomicBool) {
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        if let Some(stderr) = stderr {
            scope.spawn(|| forward(stderr, Event::Err, sender));
        }
        if let Some(stdout) = stdout {
            forward(stdout, Event::Out, sender);
        }
    });
    let status = child.wait();
    ended.store(true, Ordering::Release);
    if let Ok(status) = status {
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        // Nobody may be listening any more.
        let _ = sender.send(Event::Exit(code));
    }
}

fn forward(mut from: impl Read, event: fn(Vec<u8>) -> Event, to: &SyncSender<Event>) {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => {
                if to.send(event(buffer[..n].to_vec())).is_err() {
                    return;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// `shlex.quote`: one word for a POSIX shell.
pub fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_string();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_says_all_before_its_exit() {
        let argv = ["/bin/sh", "-c", "cat; echo e >&2; exit 3"].map(OsString::from);
        let mut spawned = program(&argv, &[("A".into(), "b".into())]).unwrap();
        spawned.input.as_mut().unwrap().write(b"in").unwrap();
        spawned.input = None;
        let (mut out, mut err, mut code) = (Vec::new(), Vec::new(), None);
        for event in spawned.events {
            assert!(code.is_none(), "nothing comes after the exit");
            match event {
                Event::Out(bytes) => out.extend(bytes),
                Event::Err(bytes) => err.extend(bytes),
                Event::Exit(n) => code = Some(n),
            }
        }
        assert_eq!((out.as_slice(), err.as_slice(), code), (&b"in"[..], &b"e\n"[..], Some(3)));
    }

    #[test]
    fn quoting_is_pythons() {
        assert_eq!(quote("a-b/c"), "a-b/c");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("it's"), "'it'\"'\"'s'");
    }
}
