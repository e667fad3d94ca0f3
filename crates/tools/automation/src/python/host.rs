//! The plugin host: a Python process with the installed ansible-core, spoken to in frames.

use std::io::{BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use parking_lot::Mutex;
use pileus_modules::Map;
use pileus_modules::frame::Frame;
use serde_json::Value;

pub(super) const SCRIPT: &str =
    concat!(include_str!("tasks.py"), "\n\n", include_str!("callbacks.py"), "\n\n", include_str!("host.py"));

/// Where the host looks for plugins, and what it runs as.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    /// The Python with ansible-core; `python3` of PATH when absent.
    pub python: Option<String>,
    /// Collections' directories; ansible-core's own settings when empty.
    pub collections_paths: Vec<String>,
    /// The playbook's directory.
    pub basedir: Option<String>,
    /// `-v`s.
    pub verbosity: u8,
}

/// What went wrong in the host.
#[derive(Debug, Clone, thiserror::Error)]
pub enum HostError {
    /// No Python, or none with ansible-core.
    #[error("{what} is written in Python and needs an installed ansible-core: {why}")]
    Unavailable {
        /// What was wanted.
        what: String,
        /// Why it can't be had.
        why: String,
    },
    /// The plugin failed: its message.
    #[error("{0}")]
    Failed(String),
}

/// The process, started at the first request.
pub struct Host {
    setup: Setup,
    process: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Unstarted,
    Unavailable(String),
    Running(Process),
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Host {
    /// Not started yet.
    pub fn new(setup: Setup) -> Self {
        Host { setup, process: Mutex::default() }
    }

    /// Whether it was really needed so far.
    pub fn is_running(&self) -> bool {
        matches!(&*self.process.lock(), State::Running(_))
    }

    /// Asks; `what` names the plugin in errors. Requests are answered one after another.
    pub fn ask(&self, what: &str, op: &str, fields: Map, blob: &[u8]) -> Result<Frame, HostError> {
        let mut state = self.process.lock();
        if matches!(*state, State::Unstarted) {
            *state = match self.start() {
                Ok(process) => State::Running(process),
                Err(why) => State::Unavailable(why),
            };
        }
        let process = match &mut *state {
            State::Running(process) => process,
            State::Unavailable(why) => {
                return Err(HostError::Unavailable { what: what.into(), why: why.clone() });
            }
            State::Unstarted => {
                return Err(HostError::Unavailable { what: what.into(), why: "not started".into() });
            }
        };
        let mut frame = Frame { head: fields, blob: blob.to_vec() };
        frame.head.insert("op".into(), op.into());
        let given = frame.head.remove("paths").and_then(|p| p.as_array().cloned()).unwrap_or_default();
        let paths = super::places::all().into_iter().map(Value::from).chain(given);
        frame.head.insert("paths".into(), paths.collect::<Vec<Value>>().into());
        match process.exchange(&frame) {
            Ok(answer) => match answer.text("error") {
                Some(error) => Err(HostError::Failed(error.to_string())),
                None => Ok(answer),
            },
            Err(error) => {
                let why = format!("its Python process ended: {error}");
                *state = State::Unavailable(why.clone());
                Err(HostError::Failed(format!("{what}: {why}")))
            }
        }
    }

    /// Asks for a value.
    pub fn value(&self, what: &str, op: &str, fields: Map) -> Result<(Value, Vec<String>), HostError> {
        let mut answer = self.ask(what, op, fields, &[])?;
        Ok((answer.head.remove("value").unwrap_or(Value::Null), warnings(&answer)))
    }

    /// Whether there is a plugin of that kind and name.
    ///
    /// # Errors
    /// Where ansible-core isn't there.
    pub fn exists(&self, kind: super::places::Kind, name: &str) -> Result<bool, HostError> {
        let fields = Map::from_iter([
            ("kind".to_owned(), Value::from(kind.name())),
            ("name".to_owned(), Value::from(name)),
        ]);
        let (found, told) = self.value(&format!("the {} plugin {name}", kind.name()), "exists", fields)?;
        for warning in told {
            crate::display::warning(&warning);
        }
        Ok(!matches!(found, Value::Null | Value::Bool(false)))
    }

    /// A lookup: its results, a list as a rule.
    pub fn lookup(&self, name: &str, terms: Vec<Value>, kwargs: Map, vars: Map) -> Result<Value, HostError> {
        let fields = pileus_modules::Map::from_iter([
            ("name".to_string(), Value::from(name)),
            ("terms".to_string(), terms.into()),
            ("kwargs".to_string(), kwargs.into()),
            ("vars".to_string(), vars.into()),
        ]);
        Ok(self.value(&format!("the lookup plugin {name}"), "lookup", fields)?.0)
    }

    fn start(&self) -> Result<Process, String> {
        let python = self.setup.python.as_deref().unwrap_or("python3");
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|e| format!("{python}: {e}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(format!("{python} has no streams"));
        };
        let mut process = Process { child, input, output: BufReader::new(output) };
        let mut start = Frame::new(0).with("op", "start").with("verbosity", self.setup.verbosity);
        if !self.setup.collections_paths.is_empty() {
            start = start.with("collections_paths", self.setup.collections_paths.clone());
        }
        if let Some(directory) = &self.setup.basedir {
            start = start.with("basedir", directory.as_str());
        }
        let answer = process.exchange(&start).map_err(|e| format!("{python}: {e}"))?;
        match answer.text("error") {
            Some(error) => Err(format!("{python}: {error}")),
            None => Ok(process),
        }
    }
}

/// Warnings that came with an answer.
pub fn warnings(answer: &Frame) -> Vec<String> {
    let list = answer.head.get("warnings").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).map(str::to_string).collect()
}

impl Process {
    fn exchange(&mut self, frame: &Frame) -> std::io::Result<Frame> {
        self.input.write_all(&frame.encode())?;
        self.input.flush()?;
        Frame::read(&mut self.output)?.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It is idle: nothing is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
