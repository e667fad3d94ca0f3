//! The process of callbacks in Python: it has this program's standard output, and hears of one event after another.

use std::io::{BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};

use pileus_modules::Map;
use pileus_modules::frame::Frame;
use serde_json::Value;

use super::host::SCRIPT;
use crate::{Error, config, display};

/// The exit code where a plugin fails in a way that nobody expects (`AssertionError`).
const UNEXPECTED: i32 = 250;

/// What the process is started with.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The command: `ansible-playbook` or `ansible`.
    pub program: &'a str,
    /// Its arguments.
    pub argv: &'a [std::ffi::OsString],
    /// The callback that prints, unless the engine itself does.
    pub stdout: Option<&'a str>,
    /// Whether others than that are loaded.
    pub additional: bool,
    /// Names of callbacks that are the engine's own.
    pub own: &'a [&'a str],
}

/// The process.
pub struct Events {
    child: Child,
    input: UnixStream,
    output: BufReader<UnixStream>,
}

impl Events {
    /// Starts it and loads the callbacks.
    ///
    /// # Errors
    /// Where ansible-core isn't there, or a callback cannot be loaded.
    pub fn start(setup: &Setup<'_>) -> Result<Self, Error> {
        let needs = |why: String| {
            Error::new(format!(
                "a callback plugin is written in Python and needs an installed ansible-core: {why}"
            ))
        };
        let io = |e: std::io::Error| needs(format!("python3: {e}"));
        let (ours, theirs) = UnixStream::pair().map_err(io)?;
        let mut command = Command::new("python3");
        command.args(["-c", SCRIPT, "callbacks"]).stdin(OwnedFd::from(theirs));
        let child = command.spawn().map_err(io)?;
        // its end is closed here, so that its death is noticed
        drop(command);
        let output = BufReader::new(ours.try_clone().map_err(io)?);
        let mut events = Self { child, input: ours, output };
        let start = Frame::new(0)
            .with("op", "start")
            .with("verbosity", display::verbosity())
            .with("collections_paths", config::current().list("COLLECTIONS_PATHS"));
        events.exchange(&start).and_then(failed).map_err(|e| needs(e.brief()))?;
        let argv: Vec<String> = setup.argv.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        let load = Frame::new(0)
            .with("op", "callbacks")
            .with("program", setup.program)
            .with("argv", argv)
            .with("stdout", setup.stdout)
            .with("additional", setup.additional)
            .with("own", setup.own.to_vec())
            .with("paths", super::places::all());
        events.exchange(&load).and_then(failed)?;
        Ok(events)
    }

    /// Tells of an event; `args` are pairs of a kind and a value. A callback that fails in an unexpected way ends the
    /// program, as it ends the reference's.
    pub fn tell(&mut self, method: &str, args: Vec<(&str, Value)>, kwargs: Map) {
        let args: Vec<Value> = args.into_iter().map(|(kind, v)| Value::from(vec![kind.into(), v])).collect();
        let frame = Frame::new(0)
            .with("op", "event")
            .with("method", method)
            .with("args", args)
            .with("kwargs", Value::Object(kwargs));
        let answer = match self.exchange(&frame) {
            Ok(answer) => answer,
            Err(e) => {
                display::error(&e);
                std::process::exit(UNEXPECTED);
            }
        };
        let Some(message) = answer.text("error") else { return };
        let unexpected = answer.text("type") == Some("AssertionError");
        display::error_text(&if unexpected {
            format!("Unexpected Exception, this is probably a bug: {message}")
        } else {
            message.to_owned()
        });
        if unexpected {
            display::err(answer.text("traceback").unwrap_or_default(), "red");
        }
        std::process::exit(if unexpected { UNEXPECTED } else { 1 });
    }

    fn exchange(&mut self, frame: &Frame) -> Result<Frame, Error> {
        let ended = |e: std::io::Error| Error::new(format!("the callbacks' Python process ended: {e}"));
        self.input.write_all(&frame.encode()).map_err(ended)?;
        match Frame::read(&mut self.output).map_err(ended)? {
            Some(answer) => Ok(answer),
            None => Err(ended(std::io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// An answer that says what went wrong.
fn failed(answer: Frame) -> Result<Frame, Error> {
    match answer.text("error") {
        Some(error) => Err(Error::new(error)),
        None => Ok(answer),
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        // It ends by itself at the end of its input; whoever must not wait for a hung callback kills it.
        let _ = self.input.shutdown(std::net::Shutdown::Write);
        let _ = self.child.wait();
    }
}
