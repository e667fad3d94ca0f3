//! `pileus oci`, and the program by the name of `pileus-oci`: an OCI runtime with runc's command line, for
//! other engines (`podman --runtime`, containerd's shim) and for the OCI runtime validation suite.
//!
//! Like runc it fails with exit code 1 and one line of log; `run` and `exec` end with the program's own code.

mod cli;
mod exec;
mod log;
mod show;
mod signals;
mod spec;
mod update;

use std::{
    fs,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser as _;
use pileus_base::{Error, Result};
use pileus_containers::bundle::{self, Bundle, Launch, Record, Runtime, Watch};

pub use self::cli::OciArgs;
use self::cli::{Cli, CreateArgs, Verb};

/// The program's name when it is called as a runtime.
pub const NAME: &str = "pileus-oci";

/// Runs the program as `pileus-oci`.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => run(cli.args),
        Err(e) => {
            // Where there is nobody to tell, the exit code tells.
            let _ = e.print();
            ExitCode::from(u8::from(e.use_stderr()))
        }
    }
}

/// Runs one command.
pub fn run(args: OciArgs) -> ExitCode {
    let level = if args.debug { tracing::Level::DEBUG } else { tracing::Level::INFO };
    let log = log::Log { file: args.log.clone(), json: args.log_format == "json", level };
    log.install();
    match verb(args) {
        Ok(code) => ExitCode::from(code),
        Err(Failure { code, error }) => {
            log.fatal(&error.chain());
            ExitCode::from(code)
        }
    }
}

/// An error and the exit code it ends with.
struct Failure {
    code: u8,
    error: Error,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: 1, error }
    }
}

fn verb(args: OciArgs) -> std::result::Result<u8, Failure> {
    if args.systemd_cgroup && !Path::new("/run/systemd/system").is_dir() {
        let words = "systemd not running on this host, cannot use systemd cgroups manager";
        return Err(Error::bad_request(words).into());
    }
    if args.systemd_cgroup {
        return Err(Error::not_implemented("control groups by systemd are not supported").into());
    }
    let root = std::path::absolute(&args.root).map_err(|e| Error::wrap("no such directory", e))?;
    let runtime = Runtime { root };
    match args.verb {
        Verb::Create(create) => {
            bundle::seal()?;
            made(&runtime, &create, true)?;
        }
        Verb::Start { id } => runtime.start(&id)?,
        Verb::Run(args) => {
            bundle::seal()?;
            return Ok(foreground(&runtime, &args)?);
        }
        Verb::State { id } => show::state(&runtime, &id)?,
        Verb::Kill { all, id, signal } => {
            let number = signals::number(&signal)
                .ok_or_else(|| Error::bad_request(format!("unknown signal {signal:?}")))?;
            runtime.kill(&id, number, all)?;
        }
        Verb::Delete { force, id } => runtime.delete(&id, force)?,
        Verb::Exec(args) => {
            bundle::seal()?;
            return exec::run(&runtime, &args).map_err(|error| Failure { code: 255, error });
        }
        Verb::List { format, quiet } => show::list(&runtime, &format, quiet)?,
        Verb::Ps { format, id, options } => show::ps(&runtime, &id, &format, &options)?,
        Verb::Pause { id } => runtime.pause(&id, true)?,
        Verb::Resume { id } => runtime.pause(&id, false)?,
        Verb::Update(args) => update::run(&runtime, &args)?,
        Verb::Events { id, stats, .. } => show::events(&runtime, &id, stats)?,
        Verb::Features => show::features()?,
        Verb::Spec { bundle, rootless } => spec::write(bundle.as_deref(), rootless)?,
    }
    Ok(0)
}

/// Connects to the socket that is to be sent the terminal.
fn console(path: &Path) -> Result<UnixStream> {
    UnixStream::connect(path).map_err(|e| Error::wrap(format!("dial unix {}", path.display()), e))
}

/// Creates a container and tells its process id.
fn made(runtime: &Runtime, args: &CreateArgs, detached: bool) -> Result<Record> {
    made_with(runtime, args, detached, None)
}

fn made_with(
    runtime: &Runtime,
    args: &CreateArgs,
    detached: bool,
    own_console: Option<UnixStream>,
) -> Result<Record> {
    let bundle = Bundle::load(&args.bundle)?;
    for words in &bundle.warnings {
        tracing::warn!("{words}");
    }
    let terminal = bundle.process()?.terminal().unwrap_or(false);
    let console = console_of(terminal, detached, args.console_socket.as_deref())?;
    let rootfs = bundle.rootfs()?;
    let mut launch = Launch {
        id: args.id.clone(),
        bundle,
        rootfs,
        cgroups: Vec::new(),
        idmaps: Vec::new(),
        console: console.or(own_console),
        preserve_fds: args.preserve_fds,
        no_pivot: args.no_pivot,
        no_new_keyring: args.no_new_keyring,
    };
    let pid_file = absolute(args.pid_file.as_deref())?;
    let record = bundle::create(&runtime.root, &mut launch)?;
    if let Some(path) = pid_file {
        write_pid(&path, record.pid)?;
    }
    Ok(record)
}

/// A path as it is before we go elsewhere.
fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>> {
    path.map(std::path::absolute).transpose().map_err(|e| Error::wrap("no such directory", e))
}

/// The console socket, where terminal, detachment and socket go together.
fn console_of(terminal: bool, detached: bool, socket: Option<&Path>) -> Result<Option<UnixStream>> {
    match (terminal, socket) {
        (true, None) if detached => {
            Err(Error::bad_request("cannot allocate tty if runc will detach without setting console socket"))
        }
        (_, Some(_)) if !terminal || !detached => {
            Err(Error::bad_request("cannot use console socket if runc will not detach or allocate tty"))
        }
        (true, Some(path)) => console(path).map(Some),
        _ => Ok(None),
    }
}

/// Writes a process id, all at once.
fn write_pid(path: &Path, pid: u32) -> Result<()> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let new = path.with_file_name(format!(".{name}"));
    fs::write(&new, pid.to_string())
        .and_then(|()| fs::rename(&new, path))
        .map_err(|e| Error::wrap(format!("failed to write {}", path.display()), e))
}

fn foreground(runtime: &Runtime, args: &cli::RunArgs) -> Result<u8> {
    let id = &args.create.id;
    if args.detach {
        made(runtime, &args.create, true)?;
        if let Err(e) = runtime.start(id) {
            // The first error is the one that counts.
            let _ = runtime.delete(id, true);
            return Err(e);
        }
        return Ok(0);
    }
    let mut watch = Watch::new()?;
    let (ours, theirs) = bundle::console_pair()?;
    let record = made_with(runtime, &args.create, false, Some(theirs))?;
    let terminal = record.spec.process().as_ref().and_then(|p| p.terminal()).unwrap_or(false);
    let ended = runtime.start(id).and_then(|()| watch.run(record.pid, terminal.then_some(&ours)));
    if !args.keep || ended.is_err() {
        runtime.delete(id, true)?;
    }
    ended.map(|code| code as u8)
}
