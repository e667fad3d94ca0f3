//! `OS::Neutron::Port`.

use pileus_base::{Ctx, Result, Scope, ids::PortId, ids::SecurityGroupId};
use pileus_network::{networks, ports, security_groups, subnets};
use pileus_store::{Read, Tx};
use serde_json::{Map, json};

use super::{entry, gone, parsed, strings};
use crate::{
    model::{
        Constraint, Json, Property,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// The type.
pub struct Port;

fn groups(tx: &mut Tx<'_>, ctx: &Ctx, value: &Json) -> Result<Option<Vec<SecurityGroupId>>> {
    if value.is_null() {
        return Ok(None);
    }
    let names = strings(value);
    let ids: Result<Vec<_>> = names.iter().map(|n| Ok(security_groups::find(tx, ctx, n)?.id)).collect();
    ids.map(Some)
}

fn pairs(value: &Json) -> Result<Vec<ports::AddressPair>> {
    let known: Vec<Json> = value
        .as_array()
        .into_iter()
        .flatten()
        .map(|e| {
            let pairs = e.as_object().into_iter().flatten().filter(|(_, v)| !v.is_null());
            Json::Object(pairs.map(|(k, v)| (k.clone(), v.clone())).collect())
        })
        .collect();
    serde_json::from_value(known.into()).map_err(|e| {
        pileus_base::Error::bad_request(format!("Invalid input for allowed_address_pairs. Reason: {e}."))
            .code("BadRequest")
    })
}

impl Kind for Port {
    fn name(&self) -> &'static str {
        "OS::Neutron::Port"
    }
    fn about(&self) -> &'static str {
        "A resource for managing Neutron ports."
    }
    fn schema(&self) -> Schema {
        let ip = Property::entries([
            ("subnet", Property::string().constraint(Constraint::custom("neutron.subnet"))),
            ("ip_address", Property::string().constraint(Constraint::custom("ip_addr"))),
        ]);
        let pair = Property::entries([
            ("mac_address", Property::string().constraint(Constraint::custom("mac_addr"))),
            ("ip_address", Property::string().required()),
        ]);
        schema([
            ("name", Property::string().updatable()),
            ("network", Property::string().required().constraint(Constraint::custom("neutron.network"))),
            ("device_id", Property::string().default("").updatable()),
            ("device_owner", Property::string().default("").updatable()),
            ("fixed_ips", Property::list_of(ip)),
            ("security_groups", Property::list().updatable()),
            ("admin_state_up", Property::boolean().default(true).updatable()),
            ("mac_address", Property::string().constraint(Constraint::custom("mac_addr"))),
            ("allowed_address_pairs", Property::list_of(pair)),
            ("port_security_enabled", Property::boolean()),
            ("binding:vnic_type", Property::string().default("normal")),
            ("dns_name", Property::string()),
            ("value_specs", Property::map().default(json!({}))),
            ("qos_policy", Property::string().unimplemented()),
            ("tags", Property::list_of(Property::string()).updatable()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("admin_state_up", "The administrative state of this port."),
            ("device_id", "Unique identifier for the device."),
            ("device_owner", "Name of the network owning the port."),
            ("fixed_ips", "Fixed IP addresses."),
            ("mac_address", "MAC address of the port."),
            ("name", "Friendly name of the port."),
            ("network_id", "Unique identifier for the network owning the port."),
            ("security_groups", "A list of security groups for the port."),
            ("status", "The status of the port."),
            ("tenant_id", "Tenant owning the port."),
            ("allowed_address_pairs", "Additional MAC/IP address pairs allowed to pass through a port."),
            ("subnets", "A list of all subnet attributes for the port."),
            ("port_security_enabled", "Port security enabled of the port."),
            ("show", "Detailed information about resource."),
        ]
    }
    fn after_siblings(&self) -> &'static [&'static str] {
        &["OS::Neutron::Subnet"]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let wanted = at.text("network").unwrap_or_default();
        let network_id = networks::find(at.tx, at.ctx, &wanted)?.id;
        let mut fixed_ips = Vec::new();
        for given in at.property("fixed_ips").as_array().cloned().unwrap_or_default() {
            let subnet_id = match entry(&given, "subnet") {
                Some(name) => Some(subnets::find(at.tx, at.ctx, &name)?.id),
                None => None,
            };
            let ip = entry(&given, "ip_address").map(|ip| parsed("fixed_ips", &ip)).transpose()?;
            fixed_ips.push(ports::FixedIpRequest { subnet_id, ip });
        }
        let wanted = at.property("security_groups").clone();
        let asked = ports::PortCreate {
            network_id,
            name: at.name_or_physical("name"),
            mac: at.text("mac_address"),
            fixed_ips,
            security_groups: groups(at.tx, at.ctx, &wanted)?,
            device_id: at.text("device_id").unwrap_or_default(),
            device_owner: at.text("device_owner").unwrap_or_default(),
            dns_name: at.text("dns_name"),
            admin_up: at.property("admin_state_up") != &Json::Bool(false),
            port_security: at.property("port_security_enabled").as_bool(),
            allowed_address_pairs: pairs(at.property("allowed_address_pairs"))?,
            vnic_type: at.text("binding:vnic_type").unwrap_or_else(|| "normal".into()),
            ..ports::PortCreate::default()
        };
        let made = ports::create(at.tx, at.ctx, asked)?;
        at.item.physical_id = Some(made.id.to_string());
        Ok(())
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, changed: &[String]) -> Result<()> {
        let id: PortId = at.physical_id()?.parse()?;
        let name = at.name_or_physical("name");
        let up = at.property("admin_state_up") != &Json::Bool(false);
        let wanted = at.property("security_groups").clone();
        let groups = groups(at.tx, at.ctx, &wanted)?;
        let tags = strings(at.property("tags"));
        let (device, owner) =
            (at.text("device_id").unwrap_or_default(), at.text("device_owner").unwrap_or_default());
        ports::update(at.tx, at.ctx, id, |_, p| {
            for property in changed {
                match property.as_str() {
                    "name" => p.name.clone_from(&name),
                    "admin_state_up" => p.admin_up = up,
                    "security_groups" => p.security_groups = groups.clone().unwrap_or_default(),
                    "device_id" => p.device_id.clone_from(&device),
                    "device_owner" => p.device_owner.clone_from(&owner),
                    "tags" => p.standard.tags.clone_from(&tags),
                    _ => {}
                }
            }
            Ok(())
        })
        .map(drop)
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        gone(ports::delete(at.tx, at.ctx, at.physical_id()?.parse()?))
    }
    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = at.physical_id()?.parse()?;
        ports::get(at.tx, &Scope::All, id).map(drop)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let id: PortId = view.item.physical_id.as_deref().unwrap_or_default().parse()?;
        let port = ports::get(rd, &Scope::All, id)?;
        let ips: Vec<Json> =
            port.fixed_ips.iter().map(|f| json!({"subnet_id": f.subnet_id, "ip_address": f.ip})).collect();
        if name == "subnets" {
            let each = port.fixed_ips.iter().map(|f| {
                let subnet = subnets::get(rd, view.ctx, f.subnet_id)?;
                Ok(json!({"id": subnet.id, "name": subnet.name, "cidr": subnet.cidr.to_string(), "gateway_ip": subnet.gateway_ip, "network_id": subnet.network_id}))
            });
            return Ok(Some(Json::Array(each.collect::<Result<_>>()?)));
        }
        let shown = json!({
            "id": port.id,
            "name": port.name,
            "network_id": port.network_id,
            "tenant_id": port.project_id,
            "project_id": port.project_id,
            "mac_address": port.mac,
            "fixed_ips": ips,
            "status": if port.active { "ACTIVE" } else { "DOWN" },
            "admin_state_up": port.admin_up,
            "device_id": port.device_id,
            "device_owner": port.device_owner,
            "security_groups": port.security_groups,
            "port_security_enabled": port.port_security,
            "allowed_address_pairs": port.allowed_address_pairs,
            "binding:vnic_type": port.vnic_type,
            "dns_name": port.dns_name,
            "tags": port.standard.tags,
        });
        Ok(if name == "show" { Some(shown) } else { shown.get(name).cloned() })
    }
}
