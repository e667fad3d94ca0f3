//! The configuration: what may be set, and what holds where nothing is.

use std::{net::SocketAddr, path::Path};

use serde::{Deserialize, Serialize};

/// All of it. Every key is also `PILEUS_SECTION__KEY`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The daemon itself.
    pub daemon: Daemon,
    /// The simulators behind `--simulate`.
    pub simulate: Simulate,
    /// Identity.
    pub identity: Identity,
    /// Images.
    pub image: Image,
    /// Networks.
    pub network: Network,
    /// Servers.
    pub compute: Compute,
    /// The container engine.
    pub docker: Docker,
}

/// `[daemon]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Daemon {
    /// Where to serve.
    pub listen: SocketAddr,
    /// `sqlite`, or a PostgreSQL connection string.
    pub database: String,
    /// Wait for the disk at every commit.
    pub durable: bool,
    /// Also serve each API on its classic port (5000, 8774, 9696, 9292, 8004, 8778).
    pub classic_ports: bool,
    /// What to log: `info`, or as `RUST_LOG` has it.
    pub log: String,
    /// Jobs that run at once.
    pub jobs: usize,
}

impl Default for Daemon {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8700)),
            database: "sqlite".into(),
            durable: false,
            classic_ports: false,
            log: "info".into(),
            jobs: 32,
        }
    }
}

/// `[simulate]`
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulate {
    /// How long each verb takes, in milliseconds.
    pub latency_ms: u64,
    /// Of a thousand verbs, how many fail.
    pub failures_per_mille: u32,
    /// Makes latency and failures the same each time.
    pub seed: u64,
}

/// `[identity]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identity {
    /// How long a token is good, in seconds.
    pub token_ttl_s: u32,
    /// bcrypt's cost.
    pub password_rounds: u32,
    /// Failed logins before an account is locked; 0 for never.
    pub lockout_failures: u32,
    /// How long it stays locked, in seconds.
    pub lockout_s: u32,
    /// A regular expression that passwords must match; empty for any.
    pub password_regex: String,
    /// What to tell who fails it.
    pub password_regex_description: String,
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            token_ttl_s: 3600,
            password_rounds: 12,
            lockout_failures: 0,
            lockout_s: 1800,
            password_regex: String::new(),
            password_regex_description: String::new(),
        }
    }
}

/// `[image]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Image {
    /// Largest upload, in GiB.
    pub max_gib: u64,
    /// What a project's images may take together, in GiB; 0 for no limit.
    pub project_gib: u64,
    /// Networks that web-download may fetch from besides the public internet.
    pub web_download_allow: Vec<ipnet::IpNet>,
    /// Certificates of authorities that web-download trusts, a file; the system's where empty.
    pub web_download_ca: String,
}

impl Default for Image {
    fn default() -> Self {
        Self { max_gib: 1024, project_gib: 0, web_download_allow: Vec::new(), web_download_ca: String::new() }
    }
}

/// `[network]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// The MTU of tenant networks, in bytes.
    pub mtu: u32,
    /// What guests' names end in.
    pub dns_domain: String,
}

impl Default for Network {
    fn default() -> Self {
        Self { mtu: 1500, dns_domain: "openstacklocal".into() }
    }
}

/// `[compute]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Compute {
    /// After the host has rebooted, start the servers that ran before.
    pub resume_after_reboot: bool,
    /// Give every server a config drive.
    pub force_config_drive: bool,
    /// Processors promised for one that is there.
    pub cpu_ratio: f64,
    /// Memory promised for one MiB that is there.
    pub ram_ratio: f64,
    /// Disk promised for one GiB that is there.
    pub disk_ratio: f64,
}

impl Default for Compute {
    fn default() -> Self {
        Self {
            resume_after_reboot: true,
            force_config_drive: false,
            cpu_ratio: 16.0,
            ram_ratio: 1.5,
            disk_ratio: 10.0,
        }
    }
}

/// `[docker]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Docker {
    /// Serve the engine at `<state-dir>/docker.sock`.
    pub enabled: bool,
    /// Have `/run/docker.sock` lead to it too, where no other engine is there: clients without `DOCKER_HOST`
    /// look there.
    pub link: bool,
    /// The project that the engine's networks and volumes belong to.
    pub project: String,
    /// The group that may open the socket, where the host has it; whoever is in it is root's equal.
    pub group: String,
    /// Serve the engine over TCP too: `0.0.0.0:2376`. Clients show a certificate of `tls_ca`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<SocketAddr>,
    /// The authority that signs clients' certificates, a PEM file.
    pub tls_ca: String,
    /// The engine's certificate and what it is signed by, a PEM file.
    pub tls_cert: String,
    /// Its key, a PEM file.
    pub tls_key: String,
    /// Serve `tcp` without TLS, on loopback: then every local user is root's equal.
    pub tcp_plain: bool,
    /// Registries asked first for what is on Docker Hub: `http://127.0.0.1:5000`.
    pub mirrors: Vec<String>,
    /// Whether what the mirrors don't have doesn't exist.
    pub mirrors_authoritative: bool,
    /// Registries spoken to without TLS besides those on loopback.
    pub insecure_registries: Vec<String>,
    /// The host's address at which ports are published, where a container names none.
    pub publish_ip: std::net::IpAddr,
    /// Whose subordinate users and groups (subuid(5)) containers have: `default` (dockremap's) or
    /// `user[:group]`; empty for the host's own.
    pub userns_remap: String,
    /// What networks' ranges are cut from, where none is asked for; empty for 172.30.0.0/15 in parts of /24.
    pub default_address_pools: Vec<AddressPool>,
    /// The default bridge's own address, with the length of the prefix: `172.17.0.1/16`.
    pub bip: Option<ipnet::IpNet>,
}

/// One of `[docker] default_address_pools`: `{ base = "172.30.0.0/15", size = 24 }`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddressPool {
    /// All of it.
    pub base: ipnet::IpNet,
    /// The length of each range's prefix.
    pub size: u8,
}

impl Default for Docker {
    fn default() -> Self {
        Self {
            enabled: true,
            link: true,
            project: "demo".into(),
            group: "pileus".into(),
            tcp: None,
            tls_ca: String::new(),
            tls_cert: String::new(),
            tls_key: String::new(),
            tcp_plain: false,
            mirrors: Vec::new(),
            mirrors_authoritative: false,
            insecure_registries: Vec::new(),
            publish_ip: std::net::Ipv4Addr::UNSPECIFIED.into(),
            userns_remap: String::new(),
            default_address_pools: Vec::new(),
            bip: None,
        }
    }
}

/// Defaults, then the file, then the environment.
pub fn load(file: Option<&Path>) -> anyhow::Result<Config> {
    pileus_config::load(file, std::env::vars()).map_err(|e| anyhow::anyhow!("{}", e.chain()))
}

/// `pileus config`
pub fn print(file: Option<&Path>) -> anyhow::Result<()> {
    print!("{}", toml::to_string(&load(file)?)?);
    Ok(())
}
