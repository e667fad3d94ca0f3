//! A server as it travels, at every microversion from 2.1 to 2.79.
//!
//! A view borrows its server and writes itself straight into the answer: lists show a thousand of them.

use std::{fmt::Display, net::IpAddr};

use md5::Digest;
use pileus_http::{Base, Version};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Value, json};

use super::{flavors, mv};
use crate::model::{
    servers::{Nic, Server},
    states::VmState,
};

/// Who looks: some attributes are for administrators.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    /// How the client reached us.
    pub base: &'a Base,
    /// The microversion.
    pub version: Version,
    /// Whether an administrator asks.
    pub admin: bool,
}

/// An absolute URL of this service.
struct Href<'a> {
    base: &'a Base,
    path: &'static str,
    id: &'a dyn Display,
}

impl Serialize for Href<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{}{}{}/{}", self.base.root, self.base.prefix, self.path, self.id))
    }
}

#[derive(Serialize)]
struct Link<'a> {
    rel: &'static str,
    href: Href<'a>,
}

fn links<'a>(server: &'a Server, base: &'a Base) -> [Link<'a>; 2] {
    let link = |rel, path| Link { rel, href: Href { base, path, id: &server.id } };
    [link("self", "/v2.1/servers"), link("bookmark", "/servers")]
}

/// Something else that a server refers to.
#[derive(Serialize)]
struct Reference<'a, I> {
    id: &'a I,
    links: [Link<'a>; 1],
}

fn reference<'a, I: Display>(id: &'a I, path: &'static str, base: &'a Base) -> Reference<'a, I> {
    Reference { id, links: [Link { rel: "bookmark", href: Href { base, path, id } }] }
}

/// The short form, in `GET /servers`.
#[derive(Serialize)]
pub struct Brief<'a> {
    id: pileus_base::ids::ServerId,
    name: &'a str,
    links: [Link<'a>; 2],
}

/// `server` in the short form.
pub fn brief<'a>(server: &'a Server, v: Viewer<'a>) -> Brief<'a> {
    Brief { id: server.id, name: &server.name, links: links(server, v.base) }
}

/// The answer to `POST /servers`.
pub fn created(server: &Server, v: Viewer<'_>, admin_pass: &str) -> Value {
    json!({"server": {
        "id": server.id,
        "links": links(server, v.base),
        "OS-DCF:diskConfig": server.disk_config,
        "security_groups": groups(server),
        "adminPass": admin_pass,
    }})
}

#[derive(Serialize)]
struct Group<'a> {
    name: &'a str,
}

fn groups(server: &Server) -> Vec<Group<'_>> {
    server.security_groups.iter().map(|name| Group { name }).collect()
}

/// What hides the host's name from tenants: the same for one project's servers on one host.
pub fn host_id(server: &Server) -> String {
    let Some(host) = &server.host else { return String::new() };
    let digest = sha2::Sha224::digest(format!("{}{host}", server.project_id).as_bytes());
    let digit = |n: u8| char::from_digit(u32::from(n), 16).unwrap_or('0');
    digest.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// Addresses by network name; `ips` leaves the extended attributes out.
struct Addresses<'a> {
    nics: &'a [Nic],
    ips: bool,
}

/// Those on one network.
struct Network<'a> {
    of: &'a Addresses<'a>,
    name: &'a str,
}

#[derive(Serialize)]
struct Address<'a> {
    version: u8,
    addr: IpAddr,
    #[serde(rename = "OS-EXT-IPS:type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(rename = "OS-EXT-IPS-MAC:mac_addr", skip_serializing_if = "Option::is_none")]
    mac: Option<&'a str>,
}

impl Serialize for Addresses<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        for (n, nic) in self.nics.iter().enumerate() {
            let name = nic.network_name.as_str();
            if self.nics[..n].iter().all(|earlier| earlier.network_name != name) {
                map.serialize_entry(name, &Network { of: self, name })?;
            }
        }
        map.end()
    }
}

impl Serialize for Network<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let extended = !self.of.ips;
        let nics = self.of.nics.iter().filter(|n| n.network_name == self.name);
        to.collect_seq(nics.flat_map(|nic| {
            nic.fixed_ips.iter().map(move |(_, ip)| Address {
                version: if ip.is_ipv4() { 4 } else { 6 },
                addr: *ip,
                kind: extended.then_some("fixed"),
                mac: extended.then_some(nic.mac.as_str()),
            })
        }))
    }
}

/// `addresses` of `GET /servers/{id}/ips`.
pub fn ips(server: &Server) -> impl Serialize + '_ {
    Addresses { nics: &server.nics, ips: true }
}

/// The whole form. `one` is `GET /servers/{id}`, which shows more than the list does.
pub fn whole<'a>(server: &'a Server, v: Viewer<'a>, one: bool) -> Whole<'a> {
    Whole { server, v, one }
}

/// A server with all that it shows.
pub struct Whole<'a> {
    server: &'a Server,
    v: Viewer<'a>,
    one: bool,
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let (server, base) = (self.server, self.v.base);
        let mut m = to.serialize_map(None)?;
        m.serialize_entry("id", &server.id)?;
        m.serialize_entry("name", &server.name)?;
        m.serialize_entry("links", &links(server, base))?;
        m.serialize_entry("status", server.status())?;
        m.serialize_entry("tenant_id", &server.project_id)?;
        m.serialize_entry("user_id", &server.user_id)?;
        m.serialize_entry("metadata", &server.metadata)?;
        m.serialize_entry("hostId", &host_id(server))?;
        match &server.image {
            None => m.serialize_entry("image", "")?,
            Some(image) => m.serialize_entry("image", &reference(&image.id, "/images", base))?,
        }
        if self.v.version >= mv::FLAVOR_IN_SERVER {
            m.serialize_entry("flavor", &flavors::embedded(&server.flavor))?;
        } else {
            m.serialize_entry("flavor", &reference(&server.flavor.flavorid, "/flavors", base))?;
        }
        m.serialize_entry("created", &server.created_at.z())?;
        m.serialize_entry("updated", &server.updated_at.z())?;
        m.serialize_entry("addresses", &Addresses { nics: &server.nics, ips: false })?;
        m.serialize_entry("accessIPv4", &server.access_ip_v4)?;
        m.serialize_entry("accessIPv6", &server.access_ip_v6)?;
        m.serialize_entry("OS-DCF:diskConfig", &server.disk_config)?;
        let zone = if server.host.is_some() { "nova" } else { &*server.availability_zone };
        m.serialize_entry("OS-EXT-AZ:availability_zone", zone)?;
        m.serialize_entry("config_drive", if server.config_drive { "True" } else { "" })?;
        m.serialize_entry("key_name", &server.key_name)?;
        m.serialize_entry("OS-SRV-USG:launched_at", &server.launched_at.map(|t| t.micros()))?;
        m.serialize_entry("OS-SRV-USG:terminated_at", &())?;
        m.serialize_entry("OS-EXT-STS:task_state", &server.task_state.map(|t| t.word()))?;
        m.serialize_entry("OS-EXT-STS:vm_state", server.vm_state.word())?;
        m.serialize_entry("OS-EXT-STS:power_state", &(server.power_state as u8))?;
        m.serialize_entry("os-extended-volumes:volumes_attached", &[(); 0])?;
        if matches!(server.status(), "ACTIVE" | "BUILD" | "REBUILD" | "RESIZE" | "VERIFY_RESIZE") {
            m.serialize_entry("progress", &if server.vm_state == VmState::Building { 0 } else { 100 })?;
        }
        if !server.security_groups.is_empty() && server.host.is_some() {
            m.serialize_entry("security_groups", &groups(server))?;
        }
        if let (Some(fault), true) = (&server.fault, server.vm_state == VmState::Error) {
            let mut shown =
                json!({"code": fault.code, "created": fault.created.z(), "message": fault.message});
            if self.v.admin && !fault.details.is_empty() {
                shown["details"] = json!(fault.details);
            }
            m.serialize_entry("fault", &shown)?;
        }
        if self.v.admin {
            m.serialize_entry("OS-EXT-SRV-ATTR:host", &server.host)?;
            let name = format!("instance-{:08x}", server.id.0.as_u128() >> 96);
            m.serialize_entry("OS-EXT-SRV-ATTR:instance_name", &name)?;
            m.serialize_entry("OS-EXT-SRV-ATTR:hypervisor_hostname", &server.host)?;
        }
        self.since(&mut m)?;
        m.end()
    }
}

impl Whole<'_> {
    /// What later microversions add.
    fn since<M: SerializeMap>(&self, m: &mut M) -> Result<(), M::Error> {
        let (server, v) = (self.server, self.v);
        if v.version >= mv::MORE_ATTRIBUTES && v.admin {
            m.serialize_entry("OS-EXT-SRV-ATTR:reservation_id", &server.reservation_id)?;
            m.serialize_entry("OS-EXT-SRV-ATTR:launch_index", &server.launch_index)?;
            m.serialize_entry("OS-EXT-SRV-ATTR:hostname", &server.hostname)?;
            m.serialize_entry("OS-EXT-SRV-ATTR:kernel_id", "")?;
            m.serialize_entry("OS-EXT-SRV-ATTR:ramdisk_id", "")?;
            m.serialize_entry("OS-EXT-SRV-ATTR:root_device_name", "/dev/vda")?;
            m.serialize_entry("OS-EXT-SRV-ATTR:user_data", &server.user_data)?;
        }
        if v.version >= mv::LOCKED {
            m.serialize_entry("locked", &server.locked.is_some())?;
        }
        if v.version >= mv::HOST_STATUS && v.admin {
            m.serialize_entry("host_status", if server.host.is_some() { "UP" } else { "" })?;
        }
        if v.version >= mv::DESCRIPTION {
            m.serialize_entry("description", &server.description)?;
        }
        if v.version >= mv::TAGS {
            m.serialize_entry("tags", &server.tags)?;
        }
        if v.version >= mv::TRUSTED_CERTIFICATES {
            m.serialize_entry("trusted_image_certificates", &())?;
        }
        if v.version >= mv::SERVER_GROUPS_IN_SERVER && self.one {
            m.serialize_entry("server_groups", &[(); 0])?;
        }
        if v.version >= mv::LOCKED_REASON {
            let reason = server.locked.as_ref().and_then(|l| l.reason.as_deref());
            m.serialize_entry("locked_reason", &reason)?;
        }
        Ok(())
    }
}
