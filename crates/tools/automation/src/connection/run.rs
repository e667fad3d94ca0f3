//! A connection to a host, and what runs over it: modules, commands, files.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pileus_modules::frame::{CHUNK_BYTES, Frame};
use pileus_modules::{Call, FetchReply, FetchRequest, Map, Stream};
use serde_json::Value;

use super::r#become::{self, key, negotiate};
use super::bootstrap;
use super::docker::Docker;
use super::helper::fetch_request;
use super::local::Local;
use super::permit::Permit;
use super::spawn::{Event, Spawned, Transport, quote};
use super::ssh;
use super::{Become, Error, Helper, Options};

/// How long a helper may take to arrive over a slow line once the connection stands.
const HELPER_WAIT: Duration = Duration::from_secs(120);

/// What a command said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; 128 + the signal that ended it.
    pub rc: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// A native module's call.
#[derive(Debug, Clone, Default)]
pub struct ModuleCall {
    /// Its name, short or full.
    pub name: String,
    /// Its arguments, templated.
    pub args: Map,
    /// Check mode.
    pub check: bool,
    /// Diff mode.
    pub diff: bool,
    /// The task's environment.
    pub environment: Vec<(String, String)>,
    /// The directory its children start in.
    pub cwd: Option<PathBuf>,
    /// Where it makes temporary files (`remote_tmp`).
    pub tmpdir: Option<PathBuf>,
}

/// A module that outlives the connection.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id, unique on the host.
    pub jid: String,
    /// Seconds after which it is ended; 0: never.
    pub limit_s: u64,
    /// The directory of its state (`async_dir`).
    pub directory: String,
}

/// Fetches a URL for a module on a target (TLS is the controller's).
pub type Fetcher = dyn Fn(&FetchRequest) -> Result<FetchReply, String> + Send + Sync;

/// The connections of a run.
#[derive(Default)]
pub struct Pool {
    connections: Mutex<HashMap<Options, Arc<Connection>>>,
    fetcher: Option<Arc<Fetcher>>,
}

impl Pool {
    /// No connections yet. `fetcher` serves modules that want a URL.
    pub fn new(fetcher: Option<Arc<Fetcher>>) -> Self {
        Pool { connections: Mutex::default(), fetcher }
    }

    /// The connection with these options, opened at its first use only.
    pub fn get(&self, options: &Options) -> Result<Arc<Connection>, Error> {
        if let Some(connection) = self.connections.lock().get(options) {
            return Ok(connection.clone());
        }
        let connection = Arc::new(Connection::open(options, self.fetcher.clone())?);
        Ok(self.connections.lock().entry(options.clone()).or_insert(connection).clone())
    }

    /// Forgets a connection (`meta: reset_connection`).
    pub fn reset(&self, options: &Options) {
        if let Some(connection) = self.connections.lock().remove(options) {
            connection.close();
        }
    }

    /// Ends all of them.
    pub fn close(&self) {
        for (_, connection) in self.connections.lock().drain() {
            connection.close();
        }
    }
}

/// One way to one host.
pub struct Connection {
    transport: Box<dyn Transport>,
    options: Options,
    /// By user after become; `None` inside: this host can't run it.
    helpers: Mutex<HashMap<Option<Become>, Arc<Mutex<HelperState>>>>,
    fetcher: Option<Arc<Fetcher>>,
}

#[derive(Default)]
enum HelperState {
    #[default]
    Untried,
    Impossible,
    Running(Arc<Helper>),
}

impl Connection {
    fn open(options: &Options, fetcher: Option<Arc<Fetcher>>) -> Result<Self, Error> {
        let transport: Box<dyn Transport> = match options.plugin.as_str() {
            "local" => Box::new(Local { executable: options.executable.clone() }),
            "ssh" => ssh::transport(options)?,
            "docker" => Box::new(Docker::new(options)?),
            "winrm" | "psrp" => {
                return Err(Error::Failed(format!(
                    "the connection plugin {} is not supported here: Windows hosts can be managed by ssh only",
                    options.plugin
                )));
            }
            other => return Err(Error::Failed(format!("the connection plugin '{other}' was not found"))),
        };
        let new = Connection { transport, options: options.clone(), helpers: Mutex::default(), fetcher };
        new.say(|| match (new.transport.name(), &options.user) {
            ("local", _) => format!("ESTABLISH LOCAL CONNECTION FOR USER: {}", crate::log::user()),
            (name, Some(user)) => format!("ESTABLISH {} CONNECTION FOR USER: {user}", name.to_uppercase()),
            (name, None) => format!("ESTABLISH {} CONNECTION FOR USER: None", name.to_uppercase()),
        });
        Ok(new)
    }

    /// The connection plugin's name.
    pub fn transport(&self) -> &'static str {
        self.transport.name()
    }

    /// The options it was opened with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// What `-vvv` tells of it.
    fn say(&self, what: impl FnOnce() -> String) {
        crate::display::verbose_of(3, &self.options.host, what);
    }

    /// Ends helpers and the transport.
    pub fn close(&self) {
        self.helpers.lock().clear();
        self.transport.close();
    }

    /// Ends the helpers of a user there, who is to be removed: no process of his may be left.
    pub fn leave(&self, user: &str) {
        let his = |key: &Option<Become>| key.as_ref().is_some_and(|b| b.user == user);
        let states: Vec<_> = self.helpers.lock().extract_if(|key, _| his(key)).collect();
        for (_, state) in states {
            if let HelperState::Running(helper) = &*state.lock() {
                helper.finish(Duration::from_secs(5));
            }
        }
    }

    /// Runs a native module: in this process for `local` without become, else by the helper.
    /// `None`: there is no such native module, or this host can't run the helper; then Python's is left.
    pub fn module(
        &self,
        call: &ModuleCall,
        r#become: Option<&Become>,
        stream: Option<&mut Stream<'_>>,
    ) -> Result<Option<Map>, Error> {
        if !pileus_modules::exists(&call.name) {
            return Ok(None);
        }
        if self.transport.name() == "local" && r#become.is_none() {
            self.say(|| format!("EXEC {} (native, in this process)", call.name));
            return Ok(Some(self.module_here(call, stream)));
        }
        let Some(helper) = self.helper(r#become)? else { return Ok(None) };
        self.say(|| format!("EXEC {} (native, by the helper{})", call.name, as_whom(r#become)));
        let frame = module_frame(call, "module").with("stream", stream.is_some());
        let (mut stream, mut permit) = (stream, Permit::of(call));
        let result = helper.ask(frame, |helper, mut answer| {
            if let Some(Value::Object(result)) = answer.head.remove("result") {
                return Some(Ok(result));
            }
            if answer.flag("stream") {
                if let Some(stream) = stream.as_deref_mut() {
                    stream(&answer.blob);
                }
            } else if answer.head.contains_key("fetch")
                && let Err(error) = self.fetched(helper, &answer, &mut permit)
            {
                return Some(Err(error));
            }
            None
        })??;
        Ok(Some(result))
    }

    fn module_here(&self, call: &ModuleCall, mut stream: Option<&mut Stream<'_>>) -> Map {
        let live = stream.is_some();
        let mut forward = |bytes: &[u8]| {
            if let Some(stream) = stream.as_deref_mut() {
                stream(bytes);
            }
        };
        let fetcher = self.fetcher.clone();
        let mut fetch = |request: &FetchRequest| match &fetcher {
            Some(fetcher) => fetcher(request),
            None => Err("no URL can be fetched here".to_string()),
        };
        let mut native = Call::new(&call.name, call.args.clone());
        native.check = call.check;
        native.diff = call.diff;
        native.environment = call.environment.clone();
        native.cwd = call.cwd.clone();
        native.tmpdir = call.tmpdir.clone();
        if live {
            native.stream = Some(&mut forward);
        }
        if fetcher.is_some() {
            native.fetch = Some(&mut fetch);
        }
        let _running = crate::interrupt::Module::begin();
        pileus_modules::run(native)
    }

    /// Starts a native module that outlives the connection; its result says where `async_status` looks.
    pub fn module_async(
        &self,
        call: &ModuleCall,
        job: &Job,
        r#become: Option<&Become>,
    ) -> Result<Option<Map>, Error> {
        if !pileus_modules::exists(&call.name) {
            return Ok(None);
        }
        let Some(helper) = self.helper(r#become)? else { return Ok(None) };
        self.say(|| {
            format!("EXEC {} (native, in the background, as {}{})", call.name, job.jid, as_whom(r#become))
        });
        let frame = module_frame(call, "async")
            .with("jid", job.jid.as_str())
            .with("limit_s", job.limit_s)
            .with("dir", job.directory.as_str());
        let result = helper.ask(frame, |_, mut answer| match answer.head.remove("result") {
            Some(Value::Object(result)) => Some(result),
            _ => None,
        })?;
        Ok(Some(result))
    }

    /// Runs a shell command line, as `raw` does: nothing is needed on the host but its shell.
    /// `stream` sees both streams as they come.
    pub fn exec(
        &self,
        command: &str,
        input: &[u8],
        r#become: Option<&Become>,
        mut stream: Option<&mut Stream<'_>>,
    ) -> Result<Output, Error> {
        let tty = input.is_empty() && self.options.use_tty && r#become.is_some_and(Become::wants_tty);
        let (mut spawned, stdout, stderr) = self.spawn(command, r#become, tty)?;
        let mut output = Output { rc: -1, stdout, stderr };
        if let Some(mut writer) = spawned.input.take()
            && !input.is_empty()
        {
            let bytes = input.to_vec();
            // What a command doesn't read of its input isn't an error.
            std::thread::spawn(move || writer.write(&bytes));
        }
        for event in &spawned.events {
            match event {
                Event::Out(bytes) => {
                    if let Some(stream) = stream.as_deref_mut() {
                        stream(&bytes);
                    }
                    output.stdout.extend(bytes);
                }
                Event::Err(bytes) => {
                    if let Some(stream) = stream.as_deref_mut() {
                        stream(&bytes);
                    }
                    output.stderr.extend(bytes);
                }
                Event::Exit(code) => {
                    output.rc = code;
                    if code == 255 && self.transport.name() == "ssh" {
                        return Err(Error::Unreachable(ssh::failure(&output.stderr)));
                    }
                    return Ok(output);
                }
            }
        }
        Err(Error::Unreachable(self.lost()))
    }

    /// Starts a command as the user; what it said after become succeeded (output, errors).
    fn spawn(
        &self,
        command: &str,
        r#become: Option<&Become>,
        tty: bool,
    ) -> Result<(Spawned, Vec<u8>, Vec<u8>), Error> {
        let shell = &self.options.executable;
        self.say(|| format!("EXEC {shell} -c {}{}", quote(shortened(command)), as_whom(r#become)));
        let Some(user) = r#become else {
            let line = if self.transport.name() == "local" {
                command.into()
            } else {
                format!("{shell} -c {}", quote(command))
            };
            return Ok((self.transport.spawn(&line, tty)?, Vec::new(), Vec::new()));
        };
        let key = key();
        let line = user.command(command, shell, &key)?;
        let line =
            if self.transport.name() == "local" { line } else { format!("{shell} -c {}", quote(&line)) };
        let mut spawned = self.transport.spawn(&line, tty)?;
        // The connection's own time is over then; the prompt has a little more.
        let more = if self.transport.name() == "local" { 0 } else { 2 };
        let wait = Duration::from_secs(self.options.timeout_s + more);
        let talked = negotiate(&mut spawned, user, &key, wait, self.transport.name() == "local");
        if talked.is_err()
            && let Some(input) = &mut spawned.input
        {
            input.end();
            if self.transport.name() != "local" {
                r#become::end(&*self.transport, shell, &key, wait);
            }
        }
        let (stdout, stderr) = talked?;
        Ok((spawned, stdout, stderr))
    }

    /// The helper of the user; `None` when the host can't run one.
    pub fn helper(&self, r#become: Option<&Become>) -> Result<Option<Arc<Helper>>, Error> {
        if !self.options.helper {
            return Ok(None);
        }
        let state = self.helpers.lock().entry(r#become.cloned()).or_default().clone();
        // Held while it starts: one start per user, others wait for it.
        let mut state = state.lock();
        match &*state {
            HelperState::Running(helper) if helper.is_alive() => return Ok(Some(helper.clone())),
            HelperState::Impossible => return Ok(None),
            _ => {}
        }
        let program = bootstrap::program()?;
        let (spawned, seen, _) = self.spawn(&bootstrap::script(program), r#become, false)?;
        match Helper::start(spawned, seen, HELPER_WAIT, &self.lost())? {
            Some(helper) => {
                let helper = Arc::new(helper);
                *state = HelperState::Running(helper.clone());
                Ok(Some(helper))
            }
            None => {
                *state = HelperState::Impossible;
                Ok(None)
            }
        }
    }

    fn lost(&self) -> String {
        match self.transport.name() {
            "ssh" => format!(
                "Failed to connect to the host via ssh: Shared connection to {} closed.",
                self.options.host
            ),
            name => format!("the {name} connection to {} was lost", self.options.host),
        }
    }

    fn fetched(&self, helper: &Helper, question: &Frame, permit: &mut Permit) -> Result<(), Error> {
        let reply = match (&self.fetcher, question.head.get("fetch").and_then(Value::as_object)) {
            (Some(fetcher), Some(fields)) => {
                let request = fetch_request(fields, question.blob.clone());
                let reply = permit.check(&request).and_then(|()| fetcher(&request));
                if let Ok(reply) = &reply {
                    permit.learn(&request, reply);
                }
                reply
            }
            _ => Err("the controller fetches no URLs".to_string()),
        };
        let answer = Frame::new(question.id()).with("op", "fetched");
        helper.send(&match reply {
            Err(error) => answer.with("error", error),
            Ok(reply) => answer
                .with("status", reply.status)
                .with("reason", reply.reason)
                .with("url", reply.url)
                .with("headers", serde_json::json!(reply.headers))
                .blob(reply.body),
        })
    }

    /// Copies bytes to a file of the user's; `mode` is set when it is whole.
    pub fn put(
        &self,
        from: &mut dyn Read,
        path: &str,
        mode: Option<u32>,
        r#become: Option<&Become>,
    ) -> Result<(), Error> {
        let reading = |e: std::io::Error| Error::Failed(format!("failed to read what is to be {path}: {e}"));
        self.say(|| format!("PUT {path}{}", as_whom(r#become)));
        let helper = if self.transport.name() == "local" && r#become.is_none() {
            None
        } else {
            self.helper(r#become)?
        };
        let Some(helper) = helper else {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(reading)?;
            let chmod = mode.map(|m| format!(" && chmod {m:o} {}", quote(path))).unwrap_or_default();
            let umask = if mode.is_some() { "umask 077 && " } else { "" };
            let output =
                self.exec(&format!("{umask}cat > {}{chmod}", quote(path)), &bytes, r#become, None)?;
            return transferred(&output, path);
        };
        let mut offset = 0;
        loop {
            let mut piece = Vec::with_capacity(CHUNK_BYTES);
            from.take(CHUNK_BYTES as u64).read_to_end(&mut piece).map_err(reading)?;
            let (length, last) = (piece.len() as u64, piece.len() < CHUNK_BYTES);
            let mut frame =
                Frame::new(0).with("op", "put").with("path", path).with("offset", offset).with("last", last);
            if let Some(mode) = mode {
                frame = frame.with("mode", mode);
            }
            helper.ask(frame.blob(piece), |_, answer| answer.flag("done").then_some(()))?;
            offset += length;
            if last {
                return Ok(());
            }
        }
    }

    /// Copies a file of the host's.
    pub fn get(&self, path: &str, into: &mut dyn Write, r#become: Option<&Become>) -> Result<(), Error> {
        let writing = |e: std::io::Error| Error::Failed(format!("failed to write what was {path}: {e}"));
        self.say(|| format!("FETCH {path}{}", as_whom(r#become)));
        let helper = if self.transport.name() == "local" && r#become.is_none() {
            None
        } else {
            self.helper(r#become)?
        };
        let Some(helper) = helper else {
            let output = self.exec(&format!("cat {}", quote(path)), &[], r#become, None)?;
            transferred(&output, path)?;
            return into.write_all(&output.stdout).map_err(writing);
        };
        helper.ask(Frame::new(0).with("op", "get").with("path", path), |_, answer| {
            if answer.flag("done") {
                return Some(Ok(()));
            }
            into.write_all(&answer.blob).map_err(writing).err().map(Err)
        })?
    }
}

/// The user after become, as it is told.
fn as_whom(r#become: Option<&Become>) -> String {
    r#become.map(|b| format!(", as {} by {}", b.user, b.method)).unwrap_or_default()
}

/// The beginning of a long script.
fn shortened(command: &str) -> &str {
    /// Bytes that are told of a command.
    const SHOWN: usize = 2000;
    let end = (0..=SHOWN.min(command.len())).rev().find(|n| command.is_char_boundary(*n)).unwrap_or(0);
    &command[..end]
}

fn transferred(output: &Output, path: &str) -> Result<(), Error> {
    if output.rc == 0 {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Error::Failed(format!("failed to transfer file to {path}:\n{}", errors.trim())))
}

fn module_frame(call: &ModuleCall, op: &str) -> Frame {
    let environment: Map = call.environment.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    let mut frame = Frame::new(0)
        .with("op", op)
        .with("name", call.name.as_str())
        .with("args", call.args.clone())
        .with("check", call.check)
        .with("diff", call.diff)
        .with("env", environment);
    if let Some(directory) = &call.cwd {
        frame = frame.with("cwd", directory.to_string_lossy());
    }
    if let Some(directory) = &call.tmpdir {
        frame = frame.with("tmpdir", directory.to_string_lossy());
    }
    frame
}
