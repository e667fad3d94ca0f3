//! Servers: virtual machines, as a host needs to know them.

use pileus_base::ids::{NetworkId, PortId, ServerId};
use serde::{Deserialize, Serialize};

/// What a host is and has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// Its name.
    pub hostname: String,
    /// Processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// Memory not in use, in MiB.
    pub free_ram_mib: u64,
    /// The state directory's disk in GiB.
    pub disk_gib: u64,
    /// Of it, free.
    pub free_disk_gib: u64,
    /// `QEMU`, or `simulator`.
    pub hypervisor: String,
    /// As QEMU writes it, `10.0.2`.
    pub hypervisor_version: String,
    /// `kvm`, `tcg` or `none`.
    pub accelerator: String,
    /// Why this one, in a sentence.
    pub accelerator_reason: String,
    /// The processor's model.
    pub cpu_model: String,
    /// Seconds since the host started.
    pub uptime_s: u64,
    /// Load over 1, 5 and 15 minutes.
    pub load: [f64; 3],
}

/// The machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Machine {
    /// PCI Express.
    #[default]
    Q35,
    /// The older one, where an image asks for it.
    Pc,
}

/// A disk as it is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskAttachment {
    /// The name under which `ensure_disk` made it.
    pub name: String,
    /// `virtio`, `scsi`, `ide`.
    pub bus: String,
    /// Whether it is a CD-ROM.
    pub cdrom: bool,
    /// Place in the boot order, from 0.
    pub boot_index: Option<u32>,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NicSpec {
    /// The network.
    pub network: NetworkId,
    /// The port.
    pub port: PortId,
    /// Its MAC.
    pub mac: String,
    /// In bytes.
    pub mtu: u32,
    /// `virtio`, `e1000`.
    pub model: String,
}

/// A server, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerSpec {
    /// The server.
    pub id: ServerId,
    /// Its name, for people who look at processes.
    pub name: String,
    /// Processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// The machine type.
    pub machine: Machine,
    /// Its disks, in order.
    pub disks: Vec<DiskAttachment>,
    /// Its cards, in order.
    pub nics: Vec<NicSpec>,
}

/// How a server is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Press the power button, wait so long, then pull the plug.
    Graceful {
        /// In milliseconds.
        timeout_ms: u64,
    },
    /// Pull the plug.
    Hard,
}

/// Whether and how it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Power {
    /// The host doesn't know it.
    Absent,
    /// It runs.
    Running,
    /// Its processors are frozen.
    Paused,
    /// Off.
    Shutdown,
    /// It ended without being asked to.
    Crashed,
    /// Its memory is on disk.
    Suspended,
}

/// How a server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Whether and how it runs.
    pub power: Power,
    /// Why, where it isn't running.
    pub reason: Option<String>,
}

/// What happened to a server by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerEvent {
    /// Its power state changed.
    Power(Power),
    /// It rebooted.
    Reset,
}

/// What happened on the host by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostEvent {
    /// To a server.
    Server(ServerId, ServerEvent),
    /// To a network: something of it was taken away by another hand.
    Network(NetworkId),
}
