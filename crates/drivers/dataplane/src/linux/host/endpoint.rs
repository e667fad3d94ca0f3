//! A container's wire: one end in its namespace, the other on a bridge of the host, on a tenant's bridge
//! (under the name of the port's tap, so that the port's rules hold), or a macvlan instead of both.

use std::{
    fs::File,
    net::{IpAddr, Ipv4Addr},
    os::fd::AsFd,
    path::PathBuf,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use pileus_base::{
    Error, Result,
    ids::{NetworkId, PortId},
};

use super::{
    Host, blocking, check_link, failed,
    netlink::{Inside, Netlink},
    netns,
};
use crate::{
    Mac,
    bridges::{EndpointSpec, IpvlanMode, Plug},
};

/// Where the outer end goes.
struct Outer {
    /// The namespace it is in; the host's own where none.
    netns: Option<PathBuf>,
    /// Its name.
    name: String,
    /// The bridge or the parent link.
    on: String,
    /// Whether it is kept from its neighbours.
    isolated: bool,
}

impl Host {
    fn tap(&self, port: PortId) -> String {
        self.instance.link('t', port.0)
    }

    fn outer(&self, spec: &EndpointSpec, must: bool) -> Result<Outer> {
        let digits: String = spec.id.chars().filter(char::is_ascii_hexdigit).take(9).collect();
        let own = format!("p{}e{digits}", &self.instance.as_str()[..4]);
        Ok(match &spec.plug {
            Plug::Bridge(network) => {
                let bridge = self.bridge(network);
                if must && bridge.is_none() {
                    return Err(Error::conflict(format!("the network {network} has no bridge here")));
                }
                let (on, icc) = bridge.map(|b| (b.link, b.icc)).unwrap_or_default();
                Outer { netns: None, name: own, on, isolated: !icc }
            }
            Plug::Port(network, port) => Outer {
                netns: Some(self.tenant(*network)),
                name: self.tap(*port),
                on: self.instance.link('b', network.0),
                isolated: false,
            },
            Plug::Macvlan(parent, _) | Plug::Ipvlan(parent, _) => {
                check_link(parent)?;
                Outer { netns: None, name: own, on: parent.clone(), isolated: false }
            }
        })
    }

    fn tenant(&self, network: NetworkId) -> PathBuf {
        netns::path(&self.state_dir, network)
    }

    pub(super) async fn ensure_endpoint(&self, spec: &EndpointSpec) -> Result<()> {
        check_link(&spec.name)?;
        let mac: Option<Mac> = if spec.mac.is_empty() { None } else { Some(spec.mac.parse()?) };
        let (outer, path, spec) = (self.outer(spec, true)?, self.sandbox(&spec.container), spec.clone());
        let opened = || Netlink::open().map_err(failed("failed to reach the kernel's links"));
        let mut outside = match outer.netns.clone() {
            Some(tenant) => netns::run(tenant, opened).await?,
            None => blocking(opened).await?,
        };
        netns::run(path.clone(), move || {
            let failed = failed("failed to plug a container in");
            let mut inside = Netlink::open().map_err(&failed)?;
            let netns = File::open(&path).map_err(&failed)?;
            let missing = |what: &str| Error::conflict(format!("the link {what} is not there"));
            let alone = matches!(spec.plug, Plug::Macvlan(..) | Plug::Ipvlan(..));
            let plugged = inside.index(&spec.name).map_err(&failed)?.is_some()
                && (alone || outside.index(&outer.name).map_err(&failed)?.is_some());
            if !plugged {
                outside.remove(&outer.name).map_err(&failed)?;
                let on = outside.index(&outer.on).map_err(&failed)?.ok_or_else(|| missing(&outer.on))?;
                if alone {
                    // Made under a name that is free on both sides.
                    let link = Inside { netns: netns.as_fd(), name: &outer.name, mac, mtu: spec.mtu };
                    match &spec.plug {
                        Plug::Ipvlan(_, mode) => {
                            let link = Inside { mac: None, ..link };
                            outside.ipvlan(on, *mode, &link).map_err(|e| lacking("ipvlan", e))?;
                        }
                        Plug::Macvlan(_, mode) => {
                            outside.macvlan(on, *mode, &link).map_err(|e| lacking("macvlan", e))?;
                        }
                        Plug::Bridge(_) | Plug::Port(..) => {}
                    }
                    let index =
                        inside.index(&outer.name).map_err(&failed)?.ok_or_else(|| missing(&outer.name))?;
                    inside.rename(index, &spec.name).map_err(&failed)?;
                } else {
                    let peer = Inside { netns: netns.as_fd(), name: &spec.name, mac, mtu: spec.mtu };
                    outside.veth(&outer.name, on, &peer).map_err(&failed)?;
                }
            }
            configure(&mut inside, &spec)?;
            if !alone {
                let index =
                    outside.index(&outer.name).map_err(&failed)?.ok_or_else(|| missing(&outer.name))?;
                if outer.netns.is_none() {
                    outside.port(index, outer.isolated).map_err(&failed)?;
                }
                outside.up(index, None).map_err(&failed)?;
            }
            Ok(())
        })
        .await
    }

    pub(super) async fn remove_endpoint(&self, spec: &EndpointSpec) -> Result<()> {
        let outer = self.outer(spec, false)?;
        let remove = |name: String| {
            move || {
                Netlink::open()
                    .and_then(|mut n| n.remove(&name))
                    .map_err(failed("failed to unplug a container"))
            }
        };
        match (&spec.plug, outer.netns) {
            (Plug::Macvlan(..) | Plug::Ipvlan(..), _) => {
                check_link(&spec.name)?;
                let path = self.sandbox(&spec.container);
                if netns::pinned(&path) { netns::run(path, remove(spec.name.clone())).await } else { Ok(()) }
            }
            (_, Some(tenant)) if netns::pinned(&tenant) => netns::run(tenant, remove(outer.name)).await,
            (_, Some(_)) => Ok(()),
            (_, None) => blocking(remove(outer.name)).await,
        }
    }
}

/// Why a link of a kind could not be made, in the reference's words.
fn lacking(kind: &str, e: std::io::Error) -> Error {
    let why = match e.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "operation not supported".to_owned(),
        Some(libc::EBUSY) => "device or resource busy".to_owned(),
        Some(libc::EINVAL) => "invalid argument".to_owned(),
        _ => e.to_string(),
    };
    Error::internal(format!("failed to create the {kind} port: {why}")).caused_by(e)
}

/// The inner end, in this thread's namespace: addresses, up, and the way out.
fn configure(inside: &mut Netlink, spec: &EndpointSpec) -> Result<()> {
    let failed = failed("failed to set a container's link up");
    let gone = || Error::conflict(format!("the link {} is not there", spec.name));
    let index = inside.index(&spec.name).map_err(&failed)?.ok_or_else(gone)?;
    if !spec.addresses.iter().any(|a| a.addr().is_ipv6()) {
        // Without an address of its own it shall not make one up. A kernel without IPv6 has no switch.
        let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{}/disable_ipv6", spec.name), "1");
    }
    for address in &spec.addresses {
        inside.address(index, *address).map_err(&failed)?;
    }
    inside.up(index, None).map_err(&failed)?;
    if let Plug::Ipvlan(_, IpvlanMode::L3 | IpvlanMode::L3s) = spec.plug {
        // The host's link routes: there is no gateway to find.
        let all = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        for any in all {
            if spec.addresses.iter().any(|a| a.addr().is_ipv4() == any.addr().is_ipv4()) {
                inside.device_route(index, any).map_err(&failed)?;
            }
        }
        return Ok(());
    }
    if matches!(spec.plug, Plug::Port(..)) && spec.addresses.iter().any(|a| a.addr().is_ipv4()) {
        // A server learns of it by DHCP.
        let metadata = Ipv4Addr::new(169, 254, 169, 254);
        inside.device_route(index, IpAddr::from(metadata).into()).map_err(&failed)?;
    }
    for gateway in &spec.gateways {
        let onlink = !spec.addresses.iter().any(|a| a.contains(gateway));
        inside.default_route(index, *gateway, onlink).map_err(&failed)?;
    }
    Ok(())
}
