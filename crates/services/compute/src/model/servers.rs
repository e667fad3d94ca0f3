//! A server as it is kept.

use std::{collections::BTreeMap, net::IpAddr};

use pileus_base::{
    Error, Time,
    ids::{ImageId, NetworkId, PortId, ProjectId, ServerId, SubnetId, UserId},
};
use pileus_host::{DiskAttachment, DiskSpec, ImageFile, Machine, NicSpec, ServerSpec};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};

use super::{
    flavors::Flavor,
    states::{PowerState, TaskState, VmState, status},
};

/// A server's card, as its network last looked; Nova's "network info cache".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nic {
    /// The port.
    pub port: PortId,
    /// Whether it goes with the server: the server made it.
    pub owned: bool,
    /// The network.
    pub network: NetworkId,
    /// The network's name: the key in `addresses`.
    pub network_name: String,
    /// The MAC.
    pub mac: String,
    /// In bytes.
    pub mtu: u32,
    /// The addresses.
    pub fixed_ips: Vec<(SubnetId, IpAddr)>,
    /// A device tag, given at creation.
    pub tag: Option<String>,
}

/// What went wrong with a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// 500, mostly.
    pub code: u16,
    /// For the owner.
    pub message: String,
    /// For administrators.
    pub details: String,
    /// When.
    pub created: Time,
}

/// The image that a server was made of, with the properties that shape its machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerImage {
    /// The image.
    pub id: ImageId,
    /// Its data on the host.
    pub file: ImageFile,
    /// Its properties at the time.
    pub properties: BTreeMap<String, String>,
}

/// A server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Server {
    /// The id.
    pub id: ServerId,
    /// The owner.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// The name.
    pub name: String,
    /// Free text (since 2.19).
    pub description: Option<String>,
    /// The name made fit for DNS.
    pub hostname: String,
    /// What it is.
    pub vm_state: VmState,
    /// What is being done to it.
    pub task_state: Option<TaskState>,
    /// What the host sees.
    pub power_state: PowerState,
    /// What went wrong last.
    pub fault: Option<Fault>,
    /// What it was made of.
    pub image: Option<ServerImage>,
    /// Its flavor at the time.
    pub flavor: Flavor,
    /// The keypair's name.
    pub key_name: Option<String>,
    /// The keypair's public key.
    pub public_key: Option<String>,
    /// Its cards.
    pub nics: Vec<Nic>,
    /// Key-value pairs of its owner.
    pub metadata: BTreeMap<String, String>,
    /// Tags (since 2.26).
    pub tags: Vec<String>,
    /// Base64, as given.
    pub user_data: Option<String>,
    /// Files to put into the guest, by config drive: path and base64 content.
    pub personality: Vec<(String, String)>,
    /// Whether it has a config drive.
    pub config_drive: bool,
    /// The zone, as asked for.
    pub availability_zone: String,
    /// `AUTO` or `MANUAL`.
    pub disk_config: String,
    /// The host.
    pub host: Option<String>,
    /// Names of its security groups.
    pub security_groups: Vec<String>,
    /// Shared by those made in one request.
    pub reservation_id: String,
    /// Its place among those.
    pub launch_index: u32,
    /// An address its owner wants shown.
    pub access_ip_v4: String,
    /// Likewise.
    pub access_ip_v6: String,
    /// What its guest left at the metadata service's `password`, encrypted to its key.
    #[serde(default)]
    pub password: String,
    /// Why it is locked, where it is.
    pub locked: Option<Lock>,
    /// When it was asked for.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
    /// When it first ran.
    pub launched_at: Option<Time>,
}

/// A lock against changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lock {
    /// Why (since 2.73).
    pub reason: Option<String>,
    /// Whether an administrator set it.
    pub by_admin: bool,
}

impl Resource for Server {
    const KIND: &'static str = "compute.server";
    fn id(&self) -> String {
        self.id.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        Some(&self.project_id)
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.text("vm_state", self.vm_state.word());
        ix.time("created_at", self.created_at);
        ix.add("flavor", &self.flavor.flavorid);
        if let Some(task) = self.task_state {
            ix.text("task_state", task.word());
        }
    }
    fn not_found(id: &str) -> Error {
        Error::not_found(format!("Instance {id} could not be found."))
    }
}

/// Grace that a soft stop or reboot gives a guest; Nova's `shutdown_timeout`.
pub const SHUTDOWN_TIMEOUT_MS: u64 = 60_000;

impl Server {
    /// The API's word.
    pub fn status(&self) -> &'static str {
        status(self.vm_state, self.task_state)
    }

    /// Records what went wrong, and that it did.
    pub fn fail(&mut self, message: impl Into<String>, details: impl Into<String>, now: Time) {
        self.vm_state = VmState::Error;
        self.task_state = None;
        self.updated_at = now;
        self.fault =
            Some(Fault { code: 500, message: message.into(), details: details.into(), created: now });
    }

    fn property(&self, name: &str) -> Option<&str> {
        self.image.as_ref()?.properties.get(name).map(String::as_str)
    }

    /// Its disks, but for the config drive, whose content isn't its own.
    pub fn disks(&self) -> Vec<DiskSpec> {
        use pileus_host::DiskSource;
        let disk =
            |name: &str, source, size_gib| DiskSpec { server: self.id, name: name.into(), source, size_gib };
        let mut disks = Vec::new();
        if let Some(image) = &self.image {
            disks.push(disk("root", DiskSource::Image(image.file.clone()), self.flavor.disk_gib));
        }
        if self.flavor.ephemeral_gib > 0 {
            disks.push(disk("ephemeral0", DiskSource::Blank, self.flavor.ephemeral_gib));
        }
        if self.flavor.swap_mib > 0 {
            disks.push(disk("swap", DiskSource::Blank, self.flavor.swap_mib.div_ceil(1024)));
        }
        disks
    }

    /// The whole machine.
    pub fn spec(&self) -> ServerSpec {
        let bus = self.property("hw_disk_bus").unwrap_or("virtio").to_owned();
        let model = self.property("hw_vif_model").unwrap_or("virtio").to_owned();
        let iso = self.image.as_ref().is_some_and(|i| i.file.format == "iso");
        let mut disks: Vec<_> = (0..)
            .zip(self.disks())
            .map(|(n, d)| DiskAttachment {
                cdrom: iso && d.name == "root",
                bus: if iso && d.name == "root" { "ide".into() } else { bus.clone() },
                name: d.name,
                boot_index: (n == 0).then_some(0),
            })
            .collect();
        if self.config_drive {
            // virtio-scsi: cloud kernels have no driver for an emulated SATA port.
            disks.push(DiskAttachment {
                name: "config".into(),
                bus: "scsi".into(),
                cdrom: true,
                boot_index: None,
            });
        }
        let nic = |n: &Nic| NicSpec {
            network: n.network,
            port: n.port,
            mac: n.mac.clone(),
            mtu: n.mtu,
            model: model.clone(),
        };
        ServerSpec {
            id: self.id,
            name: self.name.clone(),
            vcpus: self.flavor.vcpus,
            ram_mib: self.flavor.ram_mib,
            machine: match self.property("hw_machine_type") {
                Some(m) if m == "pc" || m.starts_with("pc-i440fx") => Machine::Pc,
                _ => Machine::Q35,
            },
            disks,
            nics: self.nics.iter().map(nic).collect(),
        }
    }
}

/// A name made fit for DNS, as Nova's `sanitize_hostname` does; `Server-<id>` where nothing is left.
pub fn hostname(name: &str, id: ServerId) -> String {
    let plain: String = name
        .chars()
        .filter_map(|c| match c {
            ' ' | '_' => Some('-'),
            c if c.is_ascii_alphanumeric() || c == '-' || c == '.' => Some(c.to_ascii_lowercase()),
            _ => None,
        })
        .collect();
    let plain = plain.trim_matches(['-', '.']);
    let short: String = plain.chars().take(63).collect();
    let short = short.trim_end_matches(['-', '.']);
    if short.is_empty() { format!("server-{id}") } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostnames_are_fit_for_dns() {
        let id = ServerId::new();
        assert_eq!(hostname("My Server_1", id), "my-server-1");
        assert_eq!(hostname("..x..", id), "x");
        assert_eq!(hostname("名前", id), format!("server-{id}"));
        assert_eq!(hostname(&"a".repeat(80), id).len(), 63);
    }
}
