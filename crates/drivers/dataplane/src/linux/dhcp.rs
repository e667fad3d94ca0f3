//! DHCPv4 (RFC 2131): every port has its address already, so a lease is a look-up. Unknown clients get no
//! answer.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::Arc,
};

use dhcproto::{
    Decodable, Decoder, Encodable,
    v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, UnknownOption},
};
use ipnet::{IpNet, Ipv4Net};
use parking_lot::RwLock;
use tokio::net::UdpSocket;

use super::table::Table;
use crate::{Mac, PortSpec, SubnetSpec};

/// How long a lease lasts, in seconds: Neutron's default.
const LEASE_S: u32 = 86_400;

/// Answers clients on `socket` until the task is ended.
pub async fn serve(socket: UdpSocket, table: Arc<RwLock<Table>>) {
    let mut buffer = [0u8; 2048];
    loop {
        let Ok((n, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(request) = Message::decode(&mut Decoder::new(&buffer[..n])) else { continue };
        let answer = reply(&table.read(), &request);
        let Some((message, unicast)) = answer else { continue };
        let Ok(bytes) = message.to_vec() else { continue };
        let to = match unicast {
            Some(ip) => SocketAddr::V4(SocketAddrV4::new(ip, 68)),
            None => SocketAddr::from((Ipv4Addr::BROADCAST, 68)),
        };
        if let Err(e) = socket.send_to(&bytes, to).await {
            tracing::debug!(error = %e, client = %from, "a DHCP answer was not sent");
        }
    }
}

/// The answer, and the address it goes to where the client has one already.
fn reply(table: &Table, request: &Message) -> Option<(Message, Option<Ipv4Addr>)> {
    if request.opcode() != Opcode::BootRequest {
        return None;
    }
    let mac = Mac(request.chaddr().get(..6)?.try_into().ok()?);
    let port = table.by_mac(mac)?;
    let (address, subnet) = table.lease(port)?;
    let Some(IpAddr::V4(server)) = subnet.service_ip else { return None };
    let asked = match request.opts().get(OptionCode::RequestedIpAddress) {
        Some(DhcpOption::RequestedIpAddress(ip)) => Some(*ip),
        _ => None,
    };
    let chosen = match request.opts().get(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(ip)) => Some(*ip),
        _ => None,
    };
    let kind = match request.opts().msg_type()? {
        MessageType::Discover => MessageType::Offer,
        MessageType::Request if chosen.is_some_and(|s| s != server) => return None,
        MessageType::Request => {
            let wants = asked.unwrap_or(request.ciaddr());
            if wants == address { MessageType::Ack } else { MessageType::Nak }
        }
        MessageType::Inform => MessageType::Ack,
        _ => return None,
    };
    let mut answer = Message::new_with_id(
        request.xid(),
        if kind == MessageType::Ack { request.ciaddr() } else { Ipv4Addr::UNSPECIFIED },
        if kind == MessageType::Nak { Ipv4Addr::UNSPECIFIED } else { address },
        server,
        request.giaddr(),
        &mac.0,
    );
    answer.set_opcode(Opcode::BootReply).set_flags(Flags::new(request.flags().into()));
    let opts = answer.opts_mut();
    opts.insert(DhcpOption::MessageType(kind));
    opts.insert(DhcpOption::ServerIdentifier(server));
    if kind != MessageType::Nak {
        options(table, port, subnet, server, |o| {
            opts.insert(o);
        });
    }
    let has = !request.ciaddr().is_unspecified() && kind == MessageType::Ack;
    Some((answer, has.then(|| request.ciaddr())))
}

fn options(
    table: &Table,
    port: &PortSpec,
    subnet: &SubnetSpec,
    server: Ipv4Addr,
    mut add: impl FnMut(DhcpOption),
) {
    let IpNet::V4(range) = subnet.cidr else { return };
    add(DhcpOption::AddressLeaseTime(LEASE_S));
    add(DhcpOption::Renewal(LEASE_S / 2));
    add(DhcpOption::Rebinding(LEASE_S / 8 * 7));
    add(DhcpOption::SubnetMask(range.netmask()));
    add(DhcpOption::BroadcastAddr(range.broadcast()));
    add(DhcpOption::InterfaceMtu(u16::try_from(table.network.mtu).unwrap_or(1500)));
    let v4 = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    };
    let mut names: Vec<Ipv4Addr> = subnet.dns.iter().filter_map(v4).collect();
    if names.is_empty() {
        names.push(server);
    }
    add(DhcpOption::DomainNameServer(names));
    if !table.network.dns_domain.is_empty() {
        add(DhcpOption::DomainName(table.network.dns_domain.clone()));
    }
    if let Some(name) = &port.hostname {
        add(DhcpOption::Hostname(name.clone()));
    }
    let gateway = subnet.gateway.as_ref().and_then(v4);
    // RFC 3442: who reads 121 ignores 3, so the default route stands in both.
    let metadata = Ipv4Net::new(Ipv4Addr::new(169, 254, 169, 254), 32);
    let mut routes: Vec<(Ipv4Net, Ipv4Addr)> = metadata.into_iter().map(|net| (net, server)).collect();
    for (net, via) in &subnet.host_routes {
        if let (IpNet::V4(net), IpAddr::V4(via)) = (net, via) {
            routes.push((*net, *via));
        }
    }
    if let Some(gateway) = gateway {
        add(DhcpOption::Router(vec![gateway]));
        routes.extend(Ipv4Net::new(Ipv4Addr::UNSPECIFIED, 0).map(|net| (net, gateway)));
    }
    add(DhcpOption::ClasslessStaticRoute(routes));
    for (name, value) in &port.dhcp_options {
        if let Some(option) = extra(name, value) {
            add(option);
        }
    }
}

/// An extra option of a port, by number or by the names that people use.
fn extra(name: &str, value: &str) -> Option<DhcpOption> {
    let code: u8 = match name {
        "mtu" => return value.parse().ok().map(DhcpOption::InterfaceMtu),
        "router" => return value.parse().ok().map(|ip| DhcpOption::Router(vec![ip])),
        "domain-name" => return Some(DhcpOption::DomainName(value.into())),
        "bootfile-name" => 67,
        "tftp-server" | "server-name" => 66,
        "server-ip-address" => 150,
        "ntp-server" => 42,
        other => other.parse().ok()?,
    };
    let data = match (code, value.parse::<Ipv4Addr>()) {
        (42 | 150, Ok(ip)) => ip.octets().to_vec(),
        _ => value.as_bytes().to_vec(),
    };
    Some(DhcpOption::Unknown(UnknownOption::new(OptionCode::from(code), data)))
}
