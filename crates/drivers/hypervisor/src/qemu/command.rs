//! A guest's command line: pure, and the same for the same guest.
//!
//! Sockets are named relative to the guest's directory, where QEMU runs: a unix socket's path may have
//! 107 bytes, a state directory's more.

use std::os::fd::RawFd;

use crate::{Bus, GuestSpec, Machine};

/// The file of QEMU's control socket.
pub const QMP: &str = "qmp.sock";
/// The serial console's socket.
pub const SERIAL: &str = "serial.sock";
/// The screen's socket.
pub const VNC: &str = "vnc.sock";
/// The guest agent's socket.
pub const AGENT: &str = "agent.sock";
/// What the serial console has shown.
pub const CONSOLE: &str = "console.log";
/// A suspended guest's memory.
pub const MEMORY: &str = "memory";

/// Slots for cards and disks plugged in later, on q35.
const SPARE_PORTS: u32 = 6;
/// Translated code kept under TCG, in MiB: enough for a kernel at work, and bounded.
const TCG_CACHE_MIB: u32 = 96;

/// What runs guest code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// A translator.
    Tcg,
}

/// A value inside an option string: commas are doubled.
fn value(text: &str) -> String {
    text.replace(',', ",,")
}

/// The arguments. `taps` are the cards' descriptors, inherited.
pub fn arguments(spec: &GuestSpec, accelerator: Accelerator, taps: &[RawFd], resume: bool) -> Vec<String> {
    let mut args: Vec<String> = Vec::new();
    let mut add = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
    add("-name", format!("guest={}", value(&spec.name)));
    add("-uuid", spec.id.to_string());
    add(
        "-machine",
        match spec.machine {
            Machine::Q35 => "q35".into(),
            Machine::Pc => "pc".into(),
        },
    );
    match accelerator {
        Accelerator::Kvm => {
            add("-accel", "kvm".into());
            add("-cpu", "host".into());
        }
        Accelerator::Tcg => {
            add("-accel", format!("tcg,thread=multi,tb-size={TCG_CACHE_MIB}"));
            add("-cpu", "max".into());
        }
    }
    add("-smp", spec.vcpus.to_string());
    add("-m", format!("{}M", spec.ram_mib));
    add("-rtc", "base=utc".into());
    add("-boot", "strict=on".into());
    add("-msg", "timestamp=on".into());
    add("-display", "none".into());
    add("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny".into());
    add(
        "-smbios",
        format!(
            "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,family=Virtual Machine,serial={0},uuid={0}",
            spec.id
        ),
    );
    let socket = |id: &str, path: &str| format!("socket,id={id},path={path},server=on,wait=off");
    add("-chardev", socket("qmp", QMP));
    add("-mon", "chardev=qmp,mode=control".into());
    add("-chardev", format!("{},logfile={CONSOLE},logappend=on", socket("serial0", SERIAL)));
    add("-serial", "chardev:serial0".into());
    add("-vnc", format!("unix:{VNC}"));
    add("-device", "VGA".into());
    add("-device", "virtio-rng-pci".into());
    add("-device", "virtio-balloon-pci".into());
    add("-device", "virtio-serial-pci,id=vserial".into());
    add("-chardev", socket("agent", AGENT));
    add("-device", "virtserialport,bus=vserial.0,chardev=agent,name=org.qemu.guest_agent.0".into());
    if spec.machine == Machine::Q35 {
        for n in 0..SPARE_PORTS {
            add("-device", format!("pcie-root-port,id=spare{n},chassis={}", n + 1));
        }
    }
    if spec.disks.iter().any(|d| d.bus == Bus::Scsi) {
        add("-device", "virtio-scsi-pci,id=scsi0".into());
    }
    for (n, disk) in spec.disks.iter().enumerate() {
        let path = value(&disk.path.display().to_string());
        let read_only = if disk.cdrom { "on" } else { "off" };
        add(
            "-blockdev",
            format!(
                "driver={},node-name=disk{n},read-only={read_only},discard=unmap,file.driver=file,file.filename={path}",
                disk.format
            ),
        );
        let device = match (disk.bus, disk.cdrom) {
            (Bus::Virtio, _) => "virtio-blk-pci",
            (Bus::Scsi, false) => "scsi-hd,bus=scsi0.0",
            (Bus::Scsi, true) => "scsi-cd,bus=scsi0.0",
            (Bus::Ide, false) => "ide-hd",
            (Bus::Ide, true) => "ide-cd",
        };
        let boot = disk.boot_index.map_or(String::new(), |b| format!(",bootindex={b}"));
        let serial: String = disk.serial.chars().take(20).collect();
        add("-device", format!("{device},drive=disk{n},serial={}{boot}", value(&serial)));
    }
    for (n, (nic, tap)) in spec.nics.iter().zip(taps).enumerate() {
        add("-netdev", format!("tap,id=net{n},fd={tap}"));
        let (model, mtu) = match nic.model.as_str() {
            "e1000" => ("e1000", String::new()),
            "e1000e" => ("e1000e", String::new()),
            "rtl8139" => ("rtl8139", String::new()),
            _ => ("virtio-net-pci", format!(",host_mtu={}", nic.mtu)),
        };
        // No option ROM: nothing boots from the network, and a ROM costs start-up time.
        add("-device", format!("{model},netdev=net{n},mac={},romfile={mtu}", value(&nic.mac)));
    }
    if resume {
        add("-incoming", format!("file:{MEMORY}"));
    }
    args.extend(["-nodefaults".into(), "-no-user-config".into()]);
    args
}

#[cfg(test)]
mod tests {
    use pileus_base::ids::ServerId;

    use super::*;

    #[test]
    fn a_name_can_not_become_an_option() {
        let spec = GuestSpec {
            id: ServerId::new(),
            name: "a,process=x".into(),
            vcpus: 1,
            ram_mib: 64,
            machine: Machine::Q35,
            disks: vec![],
            nics: vec![],
        };
        let args = arguments(&spec, Accelerator::Tcg, &[], false);
        assert!(args.contains(&"guest=a,,process=x".to_owned()));
    }
}
