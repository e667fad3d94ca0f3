//! Containers, as a host needs to know them. What runs inside is an OCI runtime configuration; how its
//! standard streams, log and exit code are kept is ours.

use std::path::PathBuf;

use oci_spec::runtime::{LinuxResources, Process, Spec};
use pileus_base::Result;
use serde::{Deserialize, Serialize};

use crate::{BoxFuture, Stream};

/// Where a container's root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rootfs {
    /// Layers as [`crate::Layers::apply_layer`] named them, the lowest first.
    pub layers: Vec<String>,
}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LogKind {
    /// Docker's `json-file` lines.
    #[default]
    Json,
    /// Records: u32 length, u8 stream (1 or 2), u64 nanoseconds, the text, the length again; little-endian.
    Local,
    /// Datagrams to systemd's journal, whose socket the path is.
    Journal,
}

/// A log file, rotated by whoever writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSpec {
    /// Where; older files bear `.1`, `.2`, …, and `.gz` behind that where somebody compressed them.
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
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerSpec {
    /// 64 hex digits.
    pub id: String,
    /// What to run, and in what surroundings. `root.path` is not read: `rootfs` says it. Namespaces with a
    /// path are joined. `process.terminal` asks for a terminal.
    pub oci: Spec,
    /// The root filesystem.
    pub rootfs: Rootfs,
    /// Whether standard input stays open for who attaches.
    pub open_stdin: bool,
    /// Whether it is closed once the first who attached has left.
    pub stdin_once: bool,
    /// The log; none is kept where `None`.
    pub log: Option<LogSpec>,
    /// Run a small init as process 1, which reaps and passes signals on.
    pub init: bool,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Wanted {
    /// To write to standard input.
    pub stdin: bool,
    /// To read standard output.
    pub stdout: bool,
    /// To read standard error.
    pub stderr: bool,
}

/// A process to run in a container that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Names it within the container.
    pub id: String,
    /// What to run.
    pub process: Process,
    /// The streams wanted.
    pub wanted: Wanted,
}

/// Raw figures of a container's use of the machine; the service makes Docker's shape of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ContainerStats {
    /// Processor time in nanoseconds: all, kernel, user.
    pub cpu_ns: [u64; 3],
    /// Processor time of each processor, where the host counts it.
    pub percpu_ns: Vec<u64>,
    /// Periods, throttled periods, throttled nanoseconds.
    pub throttling: [u64; 3],
    /// Memory in bytes: used, the most there was, the limit.
    pub memory_bytes: [u64; 3],
    /// How often the limit was hit.
    pub memory_failcnt: u64,
    /// The kernel's `memory.stat`, as it is.
    pub memory_stat: Vec<(String, u64)>,
    /// Processes and their limit (0 for none).
    pub pids: [u64; 2],
    /// Major, minor, operation, value.
    pub io_bytes: Vec<(u64, u64, String, u64)>,
    /// Major, minor, operation, value.
    pub io_ops: Vec<(u64, u64, String, u64)>,
    /// Interface; received bytes, packets, errors, dropped; the same sent.
    pub networks: Vec<(String, [u64; 8])>,
    /// The host's processor time in nanoseconds, and its processors.
    pub system_cpu_ns: u64,
    /// Processors.
    pub online_cpus: u32,
    /// Whether the figures are cgroup v2's.
    pub cgroup_v2: bool,
}

/// Containers. A stream is Docker's own: without a terminal what is read comes in frames of eight bytes of
/// header (`[1 stdout | 2 stderr, 0, 0, 0, length (big-endian u32)]`), with one it is raw; what is written
/// is standard input, and `shutdown` closes that. The stream ends when the process has ended and all it
/// said has been read.
pub trait Containers: Send + Sync + 'static {
    /// Makes what a container keeps while it does not run: its writable layer.
    fn ensure_container<'a>(&'a self, id: &'a str, rootfs: &'a Rootfs) -> BoxFuture<'a, Result<()>>;
    /// Starts it; done when its process runs. `attach` is who is attached from the first byte on.
    ///
    /// # Errors
    /// 400 in runc's words where the program can't be run, with the code word `exit-127` where it is not
    /// found and `exit-126` where it can't be executed.
    fn start_container<'a>(&'a self, spec: &'a ContainerSpec) -> BoxFuture<'a, Result<u32>>;
    /// Prepares to be attached before it starts; after, attaches at once.
    fn attach_container<'a>(&'a self, id: &'a str, wanted: Wanted) -> BoxFuture<'a, Result<Box<dyn Stream>>>;
    /// Returns once it has ended (at once where it doesn't run).
    fn wait_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>>;
    /// As [`Self::wait_container`]; calls `killed` each time that the kernel has killed something of it for want
    /// of memory and the rest runs on.
    fn watch_container<'a>(
        &'a self,
        id: &'a str,
        killed: &'a (dyn Fn() + Send + Sync),
    ) -> BoxFuture<'a, Result<ContainerState>>;
    /// How it is.
    fn container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerState>>;
    /// Every container with a writable layer here.
    fn containers(&self) -> BoxFuture<'_, Result<Vec<String>>>;
    /// Sends a signal to its first process.
    fn signal_container<'a>(&'a self, id: &'a str, signal: i32) -> BoxFuture<'a, Result<()>>;
    /// Freezes it, or lets it go on.
    fn pause_container<'a>(&'a self, id: &'a str, pause: bool) -> BoxFuture<'a, Result<()>>;
    /// Changes its limits.
    fn update_container<'a>(
        &'a self,
        id: &'a str,
        resources: &'a LinuxResources,
    ) -> BoxFuture<'a, Result<()>>;
    /// Its size in characters; of `exec` where given.
    fn resize_container<'a>(
        &'a self,
        id: &'a str,
        exec: Option<&'a str>,
        rows: u16,
        columns: u16,
    ) -> BoxFuture<'a, Result<()>>;
    /// Runs a process in it; the pid on the host, and its streams.
    ///
    /// # Errors
    /// As [`Containers::start_container`].
    fn exec_container<'a>(
        &'a self,
        id: &'a str,
        exec: &'a ExecSpec,
    ) -> BoxFuture<'a, Result<(u32, Box<dyn Stream>)>>;
    /// The exit code of an exec; `None` while it runs.
    fn exec_exit<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<Option<i32>>>;
    /// Forgets how an exec ended: its exit code has been read. One that is forgotten already is fine.
    fn forget_exec<'a>(&'a self, id: &'a str, exec: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Its processes, as the host numbers them.
    fn container_pids<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Vec<u32>>>;
    /// What it uses.
    fn container_stats<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<ContainerStats>>;
    /// Ends it at once and takes away everything of it, its writable layer too.
    fn remove_container<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<()>>;
    /// Takes away what stands on the host for all containers together; called once none is left.
    fn leave_containers(&self) -> BoxFuture<'_, Result<()>>;
}
