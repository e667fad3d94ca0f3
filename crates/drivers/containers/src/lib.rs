//! Containers: processes in namespaces of their own, each under a supervisor.
//!
//! The daemon starts no container itself. It runs a small static program, the supervisor, once per
//! container; that one makes the namespaces and mounts, keeps the streams, the log and the exit code, and
//! lives as long as the container. So a daemon that is restarted finds everything as it left it.

pub mod apparmor;
pub mod bundle;
pub mod caps;
pub mod cgroups;
pub mod linux;
pub mod seccomp;
pub mod sim;

use std::{path::PathBuf, pin::Pin};

use oci_spec::runtime::{LinuxResources, Process, Spec};
use pileus_base::Result;
use tokio::io::{AsyncRead, AsyncWrite};

/// A future that can be sent.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Standard streams, both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogKind {
    /// Docker's `json-file` lines.
    #[default]
    Json,
    /// Records: u32 length, u8 stream (1 or 2), u64 nanoseconds, the text, the length again; little-endian.
    Local,
    /// Datagrams to systemd's journal, whose socket the path is.
    Journal,
}

/// A log file, rotated by the supervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSpec {
    /// Where; older files bear `.1`, `.2`, ….
    pub path: PathBuf,
    /// How it is written.
    pub kind: LogKind,
    /// What each line bears, written out: `,"attrs":{…}` of a JSON line, `NAME=value` lines of the journal.
    pub extra: String,
    /// The size at which a new file is begun.
    pub max_size_bytes: u64,
    /// How many files there are at most, the present one counted.
    pub max_files: u32,
}

/// A container, whole.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Names it.
    pub id: String,
    /// What to run, and in what surroundings.
    pub oci: Spec,
    /// Layers, the lowest first.
    pub layers: Vec<String>,
    /// Whether standard input stays open for who attaches.
    pub open_stdin: bool,
    /// Whether it is closed once the first who attached has left.
    pub stdin_once: bool,
    /// The log; none is kept where `None`.
    pub log: Option<LogSpec>,
    /// Run a small init as process 1.
    pub init: bool,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    /// The host doesn't run it.
    Absent,
    /// It runs.
    Running {
        /// Its first process, as the host numbers it.
        pid: u32,
        /// Whether it is frozen.
        paused: bool,
    },
    /// It has ended.
    Exited {
        /// The exit code; 128 + the signal's number.
        code: i32,
        /// Whether the kernel ended it for want of memory.
        oom_killed: bool,
        /// When, in nanoseconds since the epoch.
        at_ns: i64,
    },
}

/// Which streams somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// To write to standard input.
    pub stdin: bool,
    /// To read standard output.
    pub stdout: bool,
    /// To read standard error.
    pub stderr: bool,
}

/// A process to run in a container that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct ExecSpec {
    /// Names it within the container.
    pub id: String,
    /// What to run.
    pub process: Process,
    /// The streams wanted.
    pub wanted: Wanted,
}

/// The driver's face; what each verb means is said at the host's trait of the same name.
#[expect(missing_docs, reason = "said at the host's trait")]
pub trait Containers: Send + Sync + 'static {
    fn ensure<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;
    fn start<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<u32>>;
    fn attach<'a>(&'a self, id: &'a str, wanted: Wanted) -> BoxFuture<'a, Result<Box<dyn Stream>>>;
    fn wait<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>>;
    fn watch<'a>(
        &'a self,
        id: &'a str,
        killed: &'a (dyn Fn() + Send + Sync),
    ) -> BoxFuture<'a, Result<ContainerState>>;
    fn state<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>>;
    fn list(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    fn signal<'a>(&'a self, id: &'a str, signal: i32) -> BoxFuture<'a, Result<()>>;
    fn pause<'a>(&'a self, id: &'a str, pause: bool) -> BoxFuture<'a, Result<()>>;
    fn update<'a>(&'a self, id: &'a str, resources: &'a LinuxResources) -> BoxFuture<'a, Result<()>>;
    fn resize<'a>(
        &'a self,
        id: &'a str,
        exec: Option<&'a str>,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<()>>;
    fn exec<'a>(&'a self, id: &'a str, exec: &'a ExecSpec) -> BoxFuture<'a, Result<(u32, Box<dyn Stream>)>>;
    fn exec_exit<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<Option<i32>>>;
    fn forget_exec<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<()>>;
    fn pids<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<u32>>>;
    fn stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<cgroups::Stats>>;
    fn remove<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Removes the control groups that all containers' are in, once these are gone.
    fn leave(&self) -> BoxFuture<'_, Result<()>>;
}
