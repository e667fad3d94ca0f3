//! Specs of the services in the drivers' words.

use pileus_base::Result;
use pileus_dataplane::Mac;
use pileus_disks::{Base, Disks, Source};
use pileus_host::{DiskSource, DiskSpec, ImageFile, Ipv6Mode, Machine, NetworkSpec, PortSpec, ServerSpec};
use pileus_hypervisor::{Bus, Disk, GuestSpec, Nic};

use crate::wrong;

fn mac(text: &str) -> Result<Mac> {
    text.parse().map_err(|_| wrong("MAC address", text))
}

pub(crate) fn base(image: &ImageFile) -> Base {
    Base {
        id: image.id,
        path: image.path.clone(),
        format: image.format.clone(),
        checksum: image.checksum.clone(),
    }
}

pub(crate) fn disk(spec: &DiskSpec) -> pileus_disks::DiskSpec {
    pileus_disks::DiskSpec {
        server: spec.server,
        name: spec.name.clone(),
        source: match &spec.source {
            DiskSource::Image(image) => Source::Image(base(image)),
            DiskSource::Blank => Source::Blank,
            DiskSource::ConfigDrive(files) => Source::ConfigDrive(files.clone()),
        },
        size_gib: spec.size_gib,
    }
}

pub(crate) fn network(spec: &NetworkSpec) -> Result<pileus_dataplane::NetworkSpec> {
    let subnet = |s: &pileus_host::SubnetSpec| pileus_dataplane::SubnetSpec {
        cidr: s.cidr,
        gateway: s.gateway,
        dhcp: s.dhcp,
        service_ip: s.service_ip,
        dns: s.dns.clone(),
        host_routes: s.host_routes.clone(),
        advertise: matches!(s.ipv6_mode, Some(Ipv6Mode::Slaac | Ipv6Mode::Dhcpv6Stateless)),
        managed: s.ipv6_mode == Some(Ipv6Mode::Dhcpv6Stateful),
    };
    Ok(pileus_dataplane::NetworkSpec {
        id: spec.id,
        mtu: spec.mtu,
        dns_domain: spec.dns_domain.clone(),
        service_mac: mac(&spec.service_mac)?,
        subnets: spec.subnets.iter().map(subnet).collect(),
    })
}

pub(crate) fn port(spec: &PortSpec) -> Result<pileus_dataplane::PortSpec> {
    let pair = |(m, net): &(Option<String>, _)| Ok((m.as_deref().map(mac).transpose()?, *net));
    Ok(pileus_dataplane::PortSpec {
        id: spec.id,
        network: spec.network,
        mac: mac(&spec.mac)?,
        ips: spec.fixed_ips.iter().map(|(_, ip)| *ip).collect(),
        allowed_pairs: spec.allowed_pairs.iter().map(pair).collect::<Result<_>>()?,
        port_security: spec.port_security,
        hostname: spec.hostname.clone(),
        admin_up: spec.admin_up,
        dhcp_options: spec
            .dhcp_options
            .iter()
            .filter(|o| o.ip_version == 4)
            .map(|o| (o.name.clone(), o.value.clone()))
            .collect(),
    })
}

pub(crate) fn guest(spec: &ServerSpec, disks: &dyn Disks) -> Result<GuestSpec> {
    let disk = |d: &pileus_host::DiskAttachment| {
        let file = disks.locate(spec.id, &d.name)?;
        let bus = match d.bus.as_str() {
            "virtio" => Bus::Virtio,
            "scsi" => Bus::Scsi,
            "ide" | "sata" => Bus::Ide,
            other => return Err(wrong("disk bus", other)),
        };
        Ok(Disk {
            path: file.path,
            format: file.format.into(),
            bus,
            cdrom: d.cdrom,
            boot_index: d.boot_index,
            serial: d.name.clone(),
        })
    };
    let nic = |n: &pileus_host::NicSpec| Nic {
        port: n.port,
        mac: n.mac.clone(),
        mtu: n.mtu,
        model: n.model.clone(),
    };
    Ok(GuestSpec {
        id: spec.id,
        name: spec.name.clone(),
        vcpus: spec.vcpus,
        ram_mib: spec.ram_mib,
        machine: match spec.machine {
            Machine::Q35 => pileus_hypervisor::Machine::Q35,
            Machine::Pc => pileus_hypervisor::Machine::Pc,
        },
        disks: spec.disks.iter().map(disk).collect::<Result<_>>()?,
        nics: spec.nics.iter().map(nic).collect(),
    })
}
