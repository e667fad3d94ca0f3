//! The flags of `pileus oci`: runc's.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Run containers from OCI bundles, with runc's command line
#[derive(Parser)]
#[command(name = "pileus-oci", version, disable_help_subcommand = true)]
pub struct Cli {
    /// Everything but the name
    #[command(flatten)]
    pub args: OciArgs,
}

/// Flags before the verb, and the verb
#[derive(Args)]
pub struct OciArgs {
    /// Where the state of containers is kept
    #[arg(long, value_name = "DIR", default_value = "/run/pileus-oci")]
    pub root: PathBuf,
    /// Where the log goes rather than to standard error
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// The log's format
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = ["text", "json"])]
    pub log_format: String,
    /// Log more
    #[arg(long)]
    pub debug: bool,
    /// Have systemd make the control groups
    #[arg(long)]
    pub systemd_cgroup: bool,
    /// Ignored: this is for root
    #[arg(long, value_name = "WHETHER")]
    pub rootless: Option<String>,
    /// Ignored: there is no checkpointing
    #[arg(long, value_name = "PATH", hide = true)]
    pub criu: Option<String>,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// What can be done
#[derive(Subcommand)]
pub enum Verb {
    /// Create a container
    Create(CreateArgs),
    /// Run the program of a container that has been created
    Start {
        /// The container
        id: String,
    },
    /// Create a container and run it
    Run(RunArgs),
    /// Print the state of a container
    State {
        /// The container
        id: String,
    },
    /// Send a signal to a container's first process
    Kill {
        /// To all its processes
        #[arg(short, long)]
        all: bool,
        /// The container
        id: String,
        /// The signal's name or number
        #[arg(default_value = "SIGTERM")]
        signal: String,
    },
    /// Take a container away
    Delete {
        /// Even if it runs
        #[arg(short, long)]
        force: bool,
        /// The container
        id: String,
    },
    /// Run another process in a container
    Exec(Box<ExecArgs>),
    /// List containers
    List {
        /// `table` or `json`
        #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
        format: String,
        /// Ids only
        #[arg(short, long)]
        quiet: bool,
    },
    /// Show a container's processes
    Ps {
        /// `table` or `json`
        #[arg(short, long, default_value = "table", value_parser = ["table", "json"])]
        format: String,
        /// The container
        id: String,
        /// Options of ps
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Freeze a container
    Pause {
        /// The container
        id: String,
    },
    /// Let a frozen container go on
    Resume {
        /// The container
        id: String,
    },
    /// Change a container's limits
    Update(Box<UpdateArgs>),
    /// Show what a container uses
    Events {
        /// Once, and end
        #[arg(long)]
        stats: bool,
        /// How often
        #[arg(long, default_value = "5s", hide = true)]
        interval: String,
        /// The container
        id: String,
    },
    /// Show what the runtime can do
    Features,
    /// Write a new config.json
    Spec {
        /// The bundle's directory
        #[arg(short, long, value_name = "DIR")]
        bundle: Option<PathBuf>,
        /// For a container of a user's own
        #[arg(long)]
        rootless: bool,
    },
}

/// Flags of `create`
#[derive(Args)]
pub struct CreateArgs {
    /// The bundle's directory
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub bundle: PathBuf,
    /// A socket that is sent the terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Where to write the process id
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// Don't pivot to the root; for a root on a ramdisk
    #[arg(long)]
    pub no_pivot: bool,
    /// Leave the session keyring as it is
    #[arg(long)]
    pub no_new_keyring: bool,
    /// Pass on this many descriptors more
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// The container
    pub id: String,
}

/// Flags of `run`
#[derive(Args)]
pub struct RunArgs {
    /// As for `create`
    #[command(flatten)]
    pub create: CreateArgs,
    /// Don't wait for its end
    #[arg(short, long)]
    pub detach: bool,
    /// Keep it after its end
    #[arg(long)]
    pub keep: bool,
    /// Take over orphans
    #[arg(long, hide = true)]
    pub no_subreaper: bool,
}

/// Flags of `exec`
#[derive(Args)]
pub struct ExecArgs {
    /// A socket that is sent the terminal
    #[arg(long, value_name = "PATH")]
    pub console_socket: Option<PathBuf>,
    /// Where to begin
    #[arg(long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// NAME=value
    #[arg(short, long)]
    pub env: Vec<String>,
    /// With a terminal
    #[arg(short, long)]
    pub tty: bool,
    /// UID[:GID]
    #[arg(short, long)]
    pub user: Option<String>,
    /// Further groups
    #[arg(short = 'g', long)]
    pub additional_gids: Vec<u32>,
    /// A process.json
    #[arg(short, long, value_name = "FILE")]
    pub process: Option<PathBuf>,
    /// Don't wait for its end
    #[arg(short, long)]
    pub detach: bool,
    /// Where to write the process id
    #[arg(long, value_name = "FILE")]
    pub pid_file: Option<PathBuf>,
    /// A label
    #[arg(long)]
    pub process_label: Option<String>,
    /// A profile
    #[arg(long)]
    pub apparmor: Option<String>,
    /// Never more privileges
    #[arg(long)]
    pub no_new_privs: bool,
    /// A capability more
    #[arg(short, long)]
    pub cap: Vec<String>,
    /// Pass on this many descriptors more
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub preserve_fds: u32,
    /// A control group below the container's
    #[arg(long, value_name = "PATH")]
    pub cgroup: Option<String>,
    /// Even in a frozen container
    #[arg(long)]
    pub ignore_paused: bool,
    /// The container
    pub id: String,
    /// What to run
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Flags of `update`
#[derive(Args)]
pub struct UpdateArgs {
    /// A file with the specification's `resources`; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub resources: Option<PathBuf>,
    /// From 10 to 1000
    #[arg(long)]
    pub blkio_weight: Option<u16>,
    /// Microseconds
    #[arg(long)]
    pub cpu_period: Option<u64>,
    /// Microseconds in a period
    #[arg(long)]
    pub cpu_quota: Option<i64>,
    /// A relative weight
    #[arg(long, visible_alias = "cpu-share")]
    pub cpu_shares: Option<u64>,
    /// Microseconds
    #[arg(long)]
    pub cpu_rt_period: Option<u64>,
    /// Microseconds in a period
    #[arg(long)]
    pub cpu_rt_runtime: Option<i64>,
    /// Processors
    #[arg(long)]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long)]
    pub cpuset_mems: Option<String>,
    /// Only when nothing else runs
    #[arg(long)]
    pub cpu_idle: Option<i64>,
    /// Bytes
    #[arg(long, allow_hyphen_values = true)]
    pub memory: Option<String>,
    /// Bytes
    #[arg(long, allow_hyphen_values = true)]
    pub memory_reservation: Option<String>,
    /// Bytes, memory and swap together
    #[arg(long, allow_hyphen_values = true)]
    pub memory_swap: Option<String>,
    /// How many processes
    #[arg(long, allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// The container
    pub id: String,
}
