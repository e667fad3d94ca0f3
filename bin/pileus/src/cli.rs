//! Flags and subcommands.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// A whole private cloud in one program.
#[derive(Parser)]
#[command(
    name = "pileus",
    version,
    about,
    max_term_width = 100,
    after_help = "\
Examples:
  pileus up                              run the cloud in the foreground
  eval \"$(pileus env)\"                   point the stock clients at it
  openstack server list                  use it
  pileus ssh -i mykey.pem myserver       log in to a server
  pileus ansible-playbook -i pileus: site.yml   run a playbook on its servers and containers
  pileus down --guests                   stop it, servers too"
)]
pub struct Cli {
    /// Where the cloud keeps everything
    #[arg(long, global = true, env = "PILEUS_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The state directory, absolute.
    pub fn state_dir(&self) -> PathBuf {
        let dir = self.state_dir.clone().unwrap_or_else(|| PathBuf::from("/var/lib/pileus"));
        std::path::absolute(&dir).unwrap_or(dir)
    }
}

/// Subcommands.
#[derive(Subcommand)]
pub enum Command {
    /// Run the cloud in the foreground
    Up(UpArgs),
    /// Stop the daemon; servers run on unless told otherwise
    Down(DownArgs),
    /// Show whether the cloud runs, and how
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show jobs under way and stuck ones
    Jobs {
        /// Try a stuck job again
        #[arg(long, value_name = "JOB")]
        resume: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print every route that is served: method, path, rule
    #[command(hide = true)]
    Routes,
    /// Print shell exports that point the stock clients at this cloud
    #[command(after_help = "Example:\n  eval \"$(pileus env)\"")]
    Env {
        /// As the administrator rather than as a member of project `demo`
        #[arg(long)]
        admin: bool,
    },
    /// Run containers from OCI bundles, with runc's command line
    #[command(
        after_help = "By the name of pileus-oci the program is this command alone:\n  ln -s \"$(command -v pileus)\" /usr/local/bin/pileus-oci"
    )]
    Oci(crate::oci::OciArgs),
    /// Print the configuration in effect
    Config {
        /// A configuration file
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Log in to a server, without a floating IP
    #[command(
        after_help = "Examples:\n  pileus ssh -i mykey.pem web1\n  pileus ssh -i mykey.pem web1 -- uptime"
    )]
    Ssh(SshArgs),
    /// Attach to a server's serial console; leave it with Ctrl-]
    Console {
        /// The server's name or id
        server: String,
    },
    /// Carry standard input and output to a server's port (what `pileus ssh` proxies through)
    #[command(hide = true)]
    Dial,
    /// Run a command inside a server's network namespace
    Netns {
        /// The server's name or id
        server: String,
        /// The command; a shell where none is given
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Make or fetch images
    Image {
        /// What to do
        #[command(subcommand)]
        command: ImageCommand,
    },
    /// The container engine's own commands
    Docker {
        /// What to do
        #[command(subcommand)]
        command: DockerCommand,
    },
    /// Write everything this cloud keeps into one file, while it runs
    #[command(
        after_help = "Examples:\n  pileus backup cloud.tar\n  pileus backup --without-disks - | ssh other 'cat > cloud.tar'"
    )]
    Backup(BackupArgs),
    /// Make a new state directory of a backup
    #[command(
        after_help = "Example:\n  pileus --state-dir /srv/cloud restore cloud.tar && pileus --state-dir /srv/cloud up"
    )]
    Restore {
        /// The backup; `-` for standard input
        file: PathBuf,
    },
    /// Write a tempest.conf for this cloud
    TempestConf(TempestArgs),
    /// Print a completion script
    #[command(after_help = "Example:\n  pileus completion bash > /etc/bash_completion.d/pileus")]
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `pileus up`
#[derive(Args)]
pub struct UpArgs {
    /// Where to serve; anything off loopback is TLS with <state-dir>/ca.pem [default: 127.0.0.1:8700]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,
    /// Simulate servers, networks and disks: for tests of clients, without QEMU and without root
    #[arg(long)]
    pub simulate: bool,
    /// A configuration file (every key is also PILEUS_SECTION__KEY)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// `pileus down`
#[derive(Args)]
pub struct DownArgs {
    /// Servers too
    #[arg(long)]
    pub guests: bool,
    /// Servers, networks and the whole state: everything is lost
    #[arg(long)]
    pub purge: bool,
}

/// `pileus backup`
#[derive(Args)]
pub struct BackupArgs {
    /// Leave servers' disks out: they start from their images after a restore
    #[arg(long)]
    pub without_disks: bool,
    /// Where to write; `-` for standard output. It holds every secret of the cloud
    pub file: PathBuf,
}

/// `pileus ssh`
#[derive(Args)]
pub struct SshArgs {
    /// The private key
    #[arg(short = 'i', long = "identity", value_name = "KEY")]
    pub identity: Option<PathBuf>,
    /// The user to log in as
    #[arg(short = 'l', long, default_value = "cirros")]
    pub login: String,
    /// The server's name or id
    pub server: String,
    /// The command; a login shell where none is given
    #[arg(last = true)]
    pub command: Vec<String>,
}

/// `pileus docker`
#[derive(Subcommand)]
pub enum DockerCommand {
    /// Show a packet's path to a published port, and what would drop it
    #[command(after_help = "Example:\n  pileus docker explain 8080\n  pileus docker explain 53/udp")]
    Explain {
        /// The host's port
        #[arg(value_name = "PORT[/PROTOCOL]")]
        port: String,
    },
    /// Check images, layers and blobs: digests, references, what nothing uses
    #[command(
        after_help = "Exit codes, as fsck(8) has them: 0 nothing is wrong, 1 all of it was repaired, 4 something is wrong, 8 it could not be checked"
    )]
    Fsck {
        /// Set right what can be
        #[arg(long)]
        repair: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `pileus image`
#[derive(Subcommand)]
pub enum ImageCommand {
    /// Build the small test guest from Debian packages
    Build {
        /// Where to put it
        #[arg(long, default_value = "target/guest/guest.qcow2", value_name = "FILE")]
        output: PathBuf,
    },
    /// Fetch an image, or read it from a file, and make it a public image of this cloud
    #[command(
        after_help = "Example:\n  pileus image pull --sha256 3f2a… https://example.org/debian-12.qcow2"
    )]
    Pull(PullArgs),
}

/// `pileus image pull`
#[derive(Args)]
pub struct PullArgs {
    /// An http or https address, or a file
    #[arg(value_name = "URL|FILE")]
    pub source: String,
    /// The image's name [default: the file's, without its ending]
    #[arg(long)]
    pub name: Option<String>,
    /// qcow2, raw, vmdk, … [default: what the content looks like]
    #[arg(long, value_name = "FORMAT")]
    pub disk_format: Option<String>,
    /// What the content's SHA-256 must be; nothing is made of any other content
    #[arg(long, value_name = "HEX")]
    pub sha256: Option<String>,
}

/// `pileus tempest-conf`
#[derive(Args)]
pub struct TempestArgs {
    /// The image that tests boot: a name or id
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The shared network that tests' servers are put on
    #[arg(long, value_name = "NETWORK", default_value = "")]
    pub network: String,
    /// Tempest's working directory (its lock path)
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub workspace: PathBuf,
}
