//! A connection to a host, its helpers, and the commands that run over it; [`modules`] and [`transfer`] build on them.

mod modules;
mod transfer;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pileus_modules::Stream;

use super::r#become::{self, key, negotiate};
use super::bootstrap;
use super::docker::Docker;
use super::local::Local;
use super::pool::Fetcher;
use super::spawn::{Event, Spawned, Transport, quote};
use super::ssh;
use super::{Become, Error, Helper, Options};

pub use modules::{Job, ModuleCall};

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
    pub(super) fn open(options: &Options, fetcher: Option<Arc<Fetcher>>) -> Result<Self, Error> {
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
