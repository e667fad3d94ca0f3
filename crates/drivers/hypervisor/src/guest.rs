//! A guest as a driver needs to know it.

use std::path::PathBuf;

use pileus_base::ids::{PortId, ServerId};
use serde::{Deserialize, Serialize};

/// The machine type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Machine {
    /// PCI Express.
    Q35,
    /// The older one.
    Pc,
}

/// Where a disk is plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bus {
    /// virtio-blk.
    Virtio,
    /// virtio-scsi.
    Scsi,
    /// SATA on q35, IDE on pc.
    Ide,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its file.
    pub path: PathBuf,
    /// `qcow2` or `raw`.
    pub format: String,
    /// Where it is plugged in.
    pub bus: Bus,
    /// A CD-ROM: read-only.
    pub cdrom: bool,
    /// Place in the boot order.
    pub boot_index: Option<u32>,
    /// What the guest sees as its serial number; at most 20 characters.
    pub serial: String,
}

/// A network card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// Its port.
    pub port: PortId,
    /// Its MAC.
    pub mac: String,
    /// In bytes.
    pub mtu: u32,
    /// `virtio`, `e1000`.
    pub model: String,
}

/// A guest, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestSpec {
    /// The server it is.
    pub id: ServerId,
    /// Its name, for people who look at processes.
    pub name: String,
    /// Processors.
    pub vcpus: u32,
    /// Memory in MiB.
    pub ram_mib: u64,
    /// The machine type.
    pub machine: Machine,
    /// In order.
    pub disks: Vec<Disk>,
    /// In order.
    pub nics: Vec<Nic>,
}

/// How a guest is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestState {
    /// Not known here.
    Absent,
    /// Its processors run.
    Running,
    /// They are frozen.
    Paused,
    /// Its memory is on disk.
    Suspended,
    /// Off, because it was asked to or switched itself off.
    Off,
    /// Ended otherwise, with why.
    Crashed(String),
}

/// What a hypervisor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// `QEMU` or `simulator`.
    pub name: String,
    /// `10.0.2`.
    pub version: String,
    /// `kvm`, `tcg` or `none`.
    pub accelerator: String,
    /// Why this one.
    pub reason: String,
}
