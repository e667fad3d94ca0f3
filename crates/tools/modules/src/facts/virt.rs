//! What the machine runs in, and what it can run.

use std::path::Path;

use serde_json::json;

use super::{Facts, entries, read};
use crate::cx::Cx;

/// What was found: technologies inside which this runs, those it offers, and the one that counts.
#[derive(Default)]
struct Found {
    guest: Vec<&'static str>,
    host: Vec<&'static str>,
    kind: Option<(&'static str, &'static str)>,
}

impl Found {
    fn guest(&mut self, kind: &'static str) {
        self.tech(kind);
        self.kind.get_or_insert((kind, "guest"));
    }

    fn host(&mut self, kind: &'static str) {
        if !self.host.contains(&kind) {
            self.host.push(kind);
        }
        self.kind.get_or_insert((kind, "host"));
    }

    fn tech(&mut self, kind: &'static str) {
        if !self.guest.contains(&kind) {
            self.guest.push(kind);
        }
    }
}

fn exists(path: &str) -> bool {
    Path::new(path).exists()
}

/// virtualization_type, _role, _tech_guest, _tech_host.
pub fn collect(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let mut found = Found::default();
    containers(&mut found);
    machines(&mut found);
    hosts(&mut found);
    let (kind, role) = found.kind.unwrap_or(("NA", "NA"));
    facts.insert("virtualization_type".into(), kind.into());
    facts.insert("virtualization_role".into(), role.into());
    facts.insert("virtualization_tech_guest".into(), json!(found.guest));
    facts.insert("virtualization_tech_host".into(), json!(found.host));
}

fn containers(found: &mut Found) {
    for path in ["/proc/self/cgroup", "/proc/1/cgroup"] {
        let text = read(path).unwrap_or_default();
        if text.lines().any(|l| l.contains("/docker/") || l.contains("/docker-"))
            || exists("/.dockerenv")
            || exists("/.dockerinit")
        {
            found.guest("docker");
            found.tech("container");
        }
        if text.contains("/lxc/") || text.contains("/machine.slice/machine-lxc") {
            found.guest("lxc");
            found.tech("container");
        }
        if text.contains("/kubepods") {
            found.guest("containerd");
            found.tech("container");
        }
    }
    let environment = read("/proc/1/environ").unwrap_or_default();
    match environment.split('\0').find_map(|v| v.strip_prefix("container=")) {
        Some("lxc") => found.guest("lxc"),
        Some("podman") => found.guest("podman"),
        Some("systemd-nspawn") => found.guest("systemd-nspawn"),
        Some("") | None => {}
        Some(_) => found.guest("container"),
    }
    if exists("/run/systemd/container") {
        match read("/run/systemd/container").as_deref() {
            Some("lxc") => found.guest("lxc"),
            Some("podman") => found.guest("podman"),
            Some("systemd-nspawn") => found.guest("systemd-nspawn"),
            _ => {}
        }
        found.tech("container");
    } else if environment.contains("container=") {
        found.tech("container");
    }
    if exists("/proc/vz") && !exists("/proc/lve") {
        if exists("/proc/bc") {
            found.host("openvz");
        } else {
            found.guest("openvz");
        }
    }
}

fn machines(found: &mut Found) {
    let dmi = |name: &str| read(&format!("/sys/devices/virtual/dmi/id/{name}")).unwrap_or_default();
    let (product, bios, vendor, family) =
        (dmi("product_name"), dmi("bios_vendor"), dmi("sys_vendor"), dmi("product_family"));
    if exists("/proc/xen") || read("/sys/hypervisor/type").as_deref() == Some("xen") {
        let controls = read("/proc/xen/capabilities").is_some_and(|c| c.contains("control_d"));
        if controls { found.host("xen") } else { found.guest("xen") }
    }
    let kvm_product = ["KVM", "KVM Server", "Bochs", "AHV"].contains(&product.as_str())
        || product.starts_with("Standard PC (")
        || ["Amazon EC2", "DigitalOcean", "Hetzner", "Linode"].contains(&vendor.as_str())
        || (vendor == "QEMU"
            || vendor == "Red Hat" && product != "RHEV Hypervisor" && family != "Red Hat Enterprise Linux");
    if product == "oVirt Node" || product == "OpenStack Compute" || product == "OpenStack Nova" {
        found.guest(if product == "oVirt Node" { "oVirt" } else { "openstack" });
    } else if product == "RHEV Hypervisor" {
        found.guest("RHEV");
    } else if product.starts_with("VMware") || vendor == "VMware, Inc." {
        found.guest("VMware");
    } else if product == "VirtualBox" || bios == "innotek GmbH" {
        found.guest("virtualbox");
    } else if bios == "Xen" || product == "HVM domU" {
        found.guest("xen");
    } else if vendor == "Microsoft Corporation" && product == "Virtual Machine" {
        found.guest("VirtualPC");
    } else if vendor == "Parallels Software International Inc." || product.starts_with("Parallels") {
        found.guest("parallels");
    } else if bios == "Parallels Software International Inc." {
        found.guest("VirtualIron");
    } else if product == "Google Compute Engine" || kvm_product {
        found.guest("kvm");
    }
    let cpu = read("/proc/cpuinfo").unwrap_or_default();
    if cpu.lines().any(|l| l.starts_with("model name") && l.contains("QEMU Virtual CPU")) {
        found.guest("kvm");
    }
    let status = read("/proc/self/status").unwrap_or_default();
    if let Some(context) = status.lines().find_map(|l| l.strip_prefix("VxID:")) {
        if context.trim() == "0" { found.host("linux_vserver") } else { found.guest("linux_vserver") }
    }
}

fn hosts(found: &mut Found) {
    let modules = read("/proc/modules").unwrap_or_default();
    let loaded = |name: &str| modules.lines().any(|l| l.split(' ').next() == Some(name));
    if loaded("kvm") || exists("/dev/kvm") {
        let rhev = entries("/proc")
            .iter()
            .filter(|n| n.starts_with(|c: char| c.is_ascii_digit()))
            .any(|pid| read(&format!("/proc/{pid}/comm")).as_deref() == Some("vdsm"));
        found.host(if rhev { "RHEV" } else { "kvm" });
    }
    if loaded("vboxdrv") {
        found.host("virtualbox");
    }
    if loaded("virtio") || exists("/sys/bus/virtio/drivers/virtio_balloon") && found.kind.is_none() {
        found.guest("kvm");
    }
}
