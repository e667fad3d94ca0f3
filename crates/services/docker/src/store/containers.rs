//! A container's document.

use std::collections::BTreeMap;

use pileus_base::{Error, ids::ProjectId};
use pileus_host::{PublishedPort, Rootfs};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Docker's words for how a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Made, never started.
    #[default]
    Created,
    /// It is being started; a daemon that finds this undoes it.
    Starting,
    /// It runs.
    Running,
    /// It runs, frozen.
    Paused,
    /// It ended and will be started again.
    Restarting,
    /// It ended.
    Exited,
    /// It is being removed; a daemon that finds this goes on with it.
    Removing,
    /// It could not be removed.
    Dead,
}

/// How it is, and how it got there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct State {
    /// How it is.
    pub status: Status,
    /// Its first process on the host; 0 where it doesn't run.
    pub pid: u32,
    /// The last exit code.
    pub exit_code: i32,
    /// Why it didn't start.
    pub error: String,
    /// Whether the kernel ended it.
    pub oom_killed: bool,
    /// Nanoseconds since the epoch; 0 for never.
    pub started_ns: i64,
    /// Nanoseconds since the epoch; 0 for never.
    pub finished_ns: i64,
    /// Starts by the restart policy.
    pub restarts: u32,
    /// Whether somebody stopped it by hand.
    pub stopped_by_hand: bool,
    /// How often in a row it ended soon after the policy had started it: the next pause doubles with each.
    #[serde(default)]
    pub failures: u32,
    /// Whether its removal, once begun, takes its anonymous volumes along.
    #[serde(default)]
    pub remove_volumes: bool,
    /// Docker's `State.Health`, where there is a health check.
    pub health: Option<Value>,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct Endpoint {
    /// The network's id.
    pub network_id: String,
    /// What the client asked for, in the API's shape (EndpointSettings).
    pub config: Value,
    /// 64 hex digits; empty while the container doesn't run.
    pub id: String,
    /// The link's name inside.
    pub interface: String,
    /// Its MAC.
    pub mac: String,
    /// With the length of the prefix.
    pub ipv4: Option<ipnet::IpNet>,
    /// With the length of the prefix.
    pub ipv6: Option<ipnet::IpNet>,
    /// The Neutron port, on a network of the driver `pileus`.
    pub port: Option<pileus_base::ids::PortId>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// 64 hex digits.
    pub id: String,
    /// Without the slash.
    pub name: String,
    /// The project of the engine.
    pub project: ProjectId,
    /// Nanoseconds since the epoch.
    pub created_ns: i64,
    /// `sha256:…`
    pub image_id: String,
    /// The image as the client named it.
    pub image: String,
    /// The program and its arguments, entry point and command joined.
    pub args: Vec<String>,
    /// The API's `Config`, merged with the image's.
    pub config: Value,
    /// The API's `HostConfig`, with defaults filled in.
    pub host_config: Value,
    /// The API's `Mounts`, as `inspect` shows them (`Type`, `Name`, `Source`, `Destination`, `Driver`,
    /// `Mode`, `RW`, `Propagation`).
    pub mounts: Vec<Value>,
    /// Its layers.
    pub rootfs: Rootfs,
    /// Places on networks, by the network's name.
    pub endpoints: BTreeMap<String, Endpoint>,
    /// The ports that are published while it runs.
    pub published: Vec<PublishedPort>,
    /// How it is.
    pub state: State,
    /// Running execs.
    #[serde(default)]
    pub execs: Vec<String>,
}

impl Container {
    /// Whether it has a process.
    pub fn runs(&self) -> bool {
        matches!(self.state.status, Status::Running | Status::Paused)
    }
    /// Its labels.
    pub fn labels(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.config["Labels"].clone()).unwrap_or_default()
    }
    /// Whether it has a terminal.
    pub fn tty(&self) -> bool {
        self.config["Tty"].as_bool().unwrap_or(false)
    }
}

impl Resource for Container {
    const KIND: &'static str = "docker.container";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.text("image_id", &self.image_id);
        ix.int("created", self.created_ns);
    }
    fn unique(&self, unique: &mut Unique) {
        unique.claim("docker.container.name", &self.name);
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("No such container: {id}"))
    }
}
