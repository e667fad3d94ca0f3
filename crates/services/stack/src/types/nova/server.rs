//! `OS::Nova::Server`.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use pileus_base::{
    Error, Result, Scope,
    ids::{PortId, ServerId},
};
use pileus_compute::{
    Compute, flavors,
    model::servers::Nic,
    servers::{self, NicRequest, NicRequests, ServerCreate},
};
use pileus_image::images;
use pileus_network::{networks, ports, subnets};
use pileus_store::Read;
use serde_json::{Map, json};

use super::user_data;
use crate::{
    model::{
        Constraint, Json, Property, python,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// The type.
pub struct Server {
    pub(super) compute: Arc<Compute>,
}

fn networks_schema() -> Property {
    let custom = |name: &str| Property::string().constraint(Constraint::custom(name));
    Property::list_of(Property::entries([
        ("uuid", custom("neutron.network")),
        ("network", custom("neutron.network").updatable()),
        ("allocate_network", Property::string().constraint(Constraint::one_of(&["none", "auto"]))),
        ("fixed_ip", custom("ip_addr")),
        ("port", custom("neutron.port")),
        ("port_extra_properties", Property::map().unimplemented()),
        ("subnet", custom("neutron.subnet")),
        ("floating_ip", Property::string().unimplemented()),
        ("tag", Property::string()),
    ]))
}

impl Kind for Server {
    fn name(&self) -> &'static str {
        "OS::Nova::Server"
    }
    fn about(&self) -> &'static str {
        "A resource for managing Nova instances."
    }
    fn schema(&self) -> Schema {
        let custom = |name: &str| Property::string().constraint(Constraint::custom(name));
        let formats = ["HEAT_CFNTOOLS", "RAW", "SOFTWARE_CONFIG"];
        schema([
            ("name", Property::string().updatable().describe("Server name.")),
            ("image", custom("glance.image").describe("The ID or name of the image to boot with.")),
            ("block_device_mapping", Property::list().unimplemented()),
            ("block_device_mapping_v2", Property::list().unimplemented()),
            (
                "flavor",
                custom("nova.flavor").required().describe("The ID or name of the flavor to boot onto."),
            ),
            ("flavor_update_policy", Property::string().default("RESIZE").updatable()),
            ("image_update_policy", Property::string().default("REBUILD").updatable()),
            ("key_name", custom("nova.keypair").describe("Name of keypair to inject into the server.")),
            ("admin_user", Property::string().unimplemented()),
            ("availability_zone", Property::string()),
            ("security_groups", Property::list().default(json!([]))),
            ("networks", networks_schema()),
            ("scheduler_hints", Property::map()),
            ("metadata", Property::map().updatable()),
            (
                "user_data_format",
                Property::string().default("HEAT_CFNTOOLS").constraint(Constraint::one_of(&formats)),
            ),
            ("software_config_transport", Property::string().default("POLL_SERVER_CFN").updatable()),
            ("user_data_update_policy", Property::string().default("REPLACE").updatable()),
            ("user_data", Property::string().default("")),
            ("reservation_id", Property::string().unimplemented()),
            ("config_drive", Property::boolean()),
            ("diskConfig", Property::string().constraint(Constraint::one_of(&["AUTO", "MANUAL"]))),
            ("personality", Property::map().default(json!({}))),
            ("admin_pass", Property::string().updatable()),
            ("tags", Property::list_of(Property::string()).updatable()),
            ("deployment_swift_data", Property::map().unimplemented()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("name", "Name of the server."),
            ("addresses", "A dict of all network addresses with corresponding port_id and subnets."),
            (
                "networks",
                "A dict of assigned network addresses of the form: {\"public\": [ip1, ip2...], \"private\": [ip3, ip4]}.",
            ),
            ("first_address", "Convenience attribute to fetch the first assigned network address."),
            ("instance_name", "AWS compatible instance name."),
            ("accessIPv4", "The manually assigned alternative public IPv4 address of the server."),
            ("accessIPv6", "The manually assigned alternative public IPv6 address of the server."),
            ("status", "The status of the server."),
            ("show", "Detailed information about resource."),
            ("tags", "Tags from the server."),
        ]
    }
    fn after_siblings(&self) -> &'static [&'static str] {
        &["OS::Neutron::Subnet"]
    }

    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let asked = asked(at)?;
        let made = servers::create(&self.compute, at.tx, at.ctx, &asked)?;
        let server = made.first().ok_or_else(|| Error::internal("no server was made"))?;
        at.item.physical_id = Some(server.id.to_string());
        Ok(())
    }

    fn created(&self, at: &mut At<'_, '_>) -> Result<bool> {
        let id = id(at)?;
        let server = servers::get(at.tx, &Scope::All, id)?;
        match server.status() {
            "ERROR" => {
                let fault = server.fault.as_ref();
                let message = fault.map_or("Unknown", |f| f.message.as_str());
                let code = fault.map_or(500, |f| f.code);
                Err(Error::bad_request(format!(
                    "Went to status ERROR due to \"Message: {message}, Code: {code}\""
                ))
                .code("ResourceInError"))
            }
            "BUILD" => Ok(false),
            _ => Ok(true),
        }
    }

    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, changed: &[String]) -> Result<()> {
        let (id, name) = (id(at)?, at.name_or_physical("name"));
        let (metadata, tags) = (metadata(at.property("metadata")), strings(at.property("tags")));
        at.tx.update::<pileus_compute::Server>(&Scope::All, id, |server| {
            for property in changed {
                match property.as_str() {
                    "name" => server.name.clone_from(&name),
                    "metadata" => server.metadata.clone_from(&metadata),
                    "tags" => server.tags.clone_from(&tags),
                    _ => {}
                }
            }
            server.updated_at = pileus_base::Time::now();
            Ok(())
        })?;
        Ok(())
    }

    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = id(at)?;
        match servers::get(at.tx, &Scope::All, id) {
            Ok(server) => servers::delete(at.tx, at.ctx, &server),
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn deleted(&self, at: &mut At<'_, '_>) -> Result<bool> {
        let id = id(at)?;
        match servers::get(at.tx, &Scope::All, id) {
            Ok(server) if server.status() == "ERROR" && server.task_state.is_none() => {
                let message = server.fault.as_ref().map_or("Unknown", |f| f.message.as_str());
                Err(Error::bad_request(format!("Server {} delete failed: ({message})", server.name))
                    .code("ResourceInError"))
            }
            Ok(_) => Ok(false),
            Err(e) if e.is_not_found() => drop_ports(at).map(|()| true),
            Err(e) => Err(e),
        }
    }

    fn replaced(&self, at: &mut At<'_, '_>) -> Result<()> {
        if at.item.physical_id.is_none() {
            return Ok(());
        }
        let id = id(at)?;
        let Some(mut server) = at.tx.find::<pileus_compute::Server>(&Scope::All, id)? else { return Ok(()) };
        for nic in std::mem::take(&mut server.nics) {
            let done = if nic.owned {
                ports::delete(at.tx, at.ctx, nic.port)
            } else {
                ports::unbind(at.tx, nic.port)
            };
            match done {
                Err(e) if !e.is_not_found() => return Err(e),
                _ => {}
            }
        }
        at.tx.put(&server)?;
        drop_ports(at)
    }

    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = id(at)?;
        let server = servers::get(at.tx, &Scope::All, id)?;
        match server.status() {
            "ACTIVE" => Ok(()),
            other => {
                Err(Error::bad_request(format!("'status': expected 'ACTIVE', got '{other}'")).code("Error"))
            }
        }
    }

    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let Some(id) = view.item.physical_id.as_ref().and_then(|id| id.parse::<ServerId>().ok()) else {
            return Ok(Some(Json::Null));
        };
        let server = servers::get(rd, &Scope::All, id)?;
        Ok(Some(match name {
            "name" | "instance_name" => server.name.clone().into(),
            "addresses" => addresses(&server),
            "networks" => plain_addresses(&server),
            "first_address" => {
                let first = server.nics.iter().flat_map(|n| &n.fixed_ips).next();
                first.map_or_else(|| "".into(), |(_, ip)| ip.to_string().into())
            }
            "accessIPv4" => server.access_ip_v4.clone().into(),
            "accessIPv6" => server.access_ip_v6.clone().into(),
            "status" => server.status().into(),
            "tags" => json!(server.tags),
            "show" => show(&server),
            _ => return Ok(None),
        }))
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(250)
    }
}

fn id(at: &At<'_, '_>) -> Result<ServerId> {
    at.physical_id()?.parse()
}

fn strings(value: &Json) -> Vec<String> {
    value.as_array().into_iter().flatten().filter(|v| !v.is_null()).map(python::str).collect()
}

fn metadata(value: &Json) -> BTreeMap<String, String> {
    let text = |v: &Json| if v.is_object() || v.is_array() { v.to_string() } else { python::str(v) };
    value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), text(v))).collect()
}

fn invalid(message: String) -> Error {
    Error::bad_request(message).code("StackValidationFailed")
}

/// What compute is asked for.
fn asked(at: &mut At<'_, '_>) -> Result<ServerCreate> {
    let Some(image) = at.text("image") else {
        let message = format!("Neither image nor bootable volume is specified for instance {}", at.item.name);
        return Err(invalid(message));
    };
    let image = images::find(at.tx, at.ctx, &image)?.id;
    let wanted = at.text("flavor").unwrap_or_default();
    let flavor = flavors::find(at.tx, at.ctx, &wanted)?.flavorid.clone();
    let mut asked = ServerCreate::new(&at.name_or_physical("name"), Some(image), &flavor);
    asked.key_name = at.text("key_name");
    asked.nics = nics(at)?;
    asked.security_groups = strings(at.property("security_groups"));
    asked.user_data = user_data::encoded(at)?;
    asked.personality = at
        .property("personality")
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, content)| {
            use base64::{Engine, engine::general_purpose::STANDARD};
            (path.clone(), STANDARD.encode(python::str(content)))
        })
        .collect();
    asked.metadata = metadata(at.property("metadata"));
    asked.tags = strings(at.property("tags"));
    asked.config_drive = at.property("config_drive") == &Json::Bool(true);
    asked.availability_zone = at.text("availability_zone");
    if let Some(config) = at.text("diskConfig") {
        asked.disk_config = config;
    }
    Ok(asked)
}

fn nics(at: &mut At<'_, '_>) -> Result<NicRequests> {
    let given = at.property("networks").as_array().cloned().unwrap_or_default();
    let text = |entry: &Json, key: &str| {
        entry.get(key).and_then(Json::as_str).filter(|s| !s.is_empty()).map(str::to_owned)
    };
    if let [one] = given.as_slice()
        && let Some(how) = text(one, "allocate_network")
    {
        return Ok(if how == "none" { NicRequests::None } else { NicRequests::Auto });
    }
    if given.is_empty() {
        return Ok(NicRequests::Auto);
    }
    let mut out = Vec::new();
    for (index, entry) in given.iter().enumerate() {
        let mut nic = NicRequest { tag: text(entry, "tag"), ..NicRequest::default() };
        if let Some(ip) = text(entry, "fixed_ip") {
            nic.fixed_ip =
                Some(ip.parse::<IpAddr>().map_err(|_| invalid(format!("Invalid IP address {ip}")))?);
        }
        let subnet = match text(entry, "subnet") {
            Some(name) => Some(subnets::find(at.tx, at.ctx, &name)?),
            None => None,
        };
        if let Some(port) = text(entry, "port") {
            nic.port = Some(ports::find(at.tx, at.ctx, &port)?.id);
            nic.fixed_ip = None;
            out.push(nic);
            continue;
        }
        nic.network = match text(entry, "network").or_else(|| text(entry, "uuid")) {
            Some(name) => Some(networks::find(at.tx, at.ctx, &name)?.id),
            None => subnet.as_ref().map(|s| s.network_id),
        };
        let Some(network_id) = nic.network else {
            return Err(invalid(format!(
                "One of the properties \"network\", \"port\", \"allocate_network\" or \"subnet\" should be set for the specified network of server \"{}\".",
                at.item.name
            )));
        };
        if let Some(subnet) = subnet {
            // Nova takes no subnet: the stack makes the port.
            let fixed_ips = vec![ports::FixedIpRequest { subnet_id: Some(subnet.id), ip: nic.fixed_ip }];
            let name = format!("{}-port-{index}", at.item.name);
            let asked = ports::PortCreate { network_id, name, fixed_ips, ..ports::PortCreate::default() };
            let port = ports::create(at.tx, at.ctx, asked)?;
            let own = at.item.data.entry("internal_ports").or_insert_with(|| json!([]));
            if let Json::Array(own) = own {
                own.push(port.id.to_string().into());
            }
            (nic.port, nic.network, nic.fixed_ip) = (Some(port.id), None, None);
        }
        out.push(nic);
    }
    Ok(NicRequests::These(out))
}

/// Removes the ports that the stack made for its server.
fn drop_ports(at: &mut At<'_, '_>) -> Result<()> {
    for id in strings(at.item.data.get("internal_ports").unwrap_or(&Json::Null)) {
        match ports::delete(at.tx, at.ctx, id.parse::<PortId>()?) {
            Err(e) if !e.is_not_found() => return Err(e),
            _ => {}
        }
    }
    at.item.data.remove("internal_ports");
    Ok(())
}

/// Addresses by network, each by its name and by its id.
fn by_network(server: &pileus_compute::Server, one: impl Fn(&Nic, IpAddr) -> Json) -> Json {
    let mut out = Map::new();
    for nic in &server.nics {
        let addresses: Vec<Json> = nic.fixed_ips.iter().map(|(_, ip)| one(nic, *ip)).collect();
        for key in [nic.network_name.clone(), nic.network.to_string()] {
            if let Json::Array(all) = out.entry(key).or_insert_with(|| json!([])) {
                all.extend(addresses.iter().cloned());
            }
        }
    }
    Json::Object(out)
}

fn addresses(server: &pileus_compute::Server) -> Json {
    by_network(server, |nic, ip| {
        json!({
            "addr": ip,
            "port": nic.port,
            "version": if ip.is_ipv4() { 4 } else { 6 },
            "OS-EXT-IPS:type": "fixed",
            "OS-EXT-IPS-MAC:mac_addr": nic.mac,
        })
    })
}

fn plain_addresses(server: &pileus_compute::Server) -> Json {
    by_network(server, |_, ip| json!(ip))
}

/// The server as Nova shows it to its owner.
fn show(server: &pileus_compute::Server) -> Json {
    let groups: Vec<Json> = server.security_groups.iter().map(|g| json!({"name": g})).collect();
    json!({
        "id": server.id,
        "name": server.name,
        "status": server.status(),
        "tenant_id": server.project_id,
        "user_id": server.user_id,
        "metadata": server.metadata,
        "image": server.image.as_ref().map(|i| json!({"id": i.id})),
        "flavor": {"id": server.flavor.flavorid},
        "created": server.created_at.z(),
        "updated": server.updated_at.z(),
        "addresses": addresses(server),
        "accessIPv4": server.access_ip_v4,
        "accessIPv6": server.access_ip_v6,
        "key_name": server.key_name,
        "config_drive": if server.config_drive { "True" } else { "" },
        "security_groups": groups,
        "OS-DCF:diskConfig": server.disk_config,
        "OS-EXT-AZ:availability_zone": server.availability_zone,
        "OS-EXT-STS:task_state": server.task_state.map(|t| t.word()),
        "OS-EXT-STS:vm_state": server.vm_state.word(),
        "OS-EXT-STS:power_state": server.power_state as u8,
        "OS-SRV-USG:launched_at": server.launched_at.map(|t| t.micros()),
        "OS-SRV-USG:terminated_at": null,
    })
}
