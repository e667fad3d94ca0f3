//! `OS::Neutron::Net`.

use pileus_base::{Result, ids::NetworkId};
use pileus_network::networks;
use pileus_store::Read;
use serde_json::{Map, json};

use super::gone;
use crate::{
    model::{
        Json, Property,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// The MTU of networks that say none.
const MTU: u32 = 1500;

/// The type.
pub struct Net;

impl Kind for Net {
    fn name(&self) -> &'static str {
        "OS::Neutron::Net"
    }
    fn about(&self) -> &'static str {
        "A resource for managing Neutron net."
    }
    fn schema(&self) -> Schema {
        schema([
            ("name", Property::string().updatable()),
            ("value_specs", Property::map().default(json!({})).updatable()),
            ("admin_state_up", Property::boolean().default(true).updatable()),
            ("tenant_id", Property::string()),
            ("shared", Property::boolean().default(false).updatable()),
            ("dhcp_agent_ids", Property::list().unimplemented()),
            ("port_security_enabled", Property::boolean().updatable()),
            ("qos_policy", Property::string().unimplemented()),
            ("dns_domain", Property::string().updatable()),
            ("availability_zone_hints", Property::list().updatable()),
            ("tags", Property::list_of(Property::string()).updatable()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("status", "The status of the network."),
            ("name", "The name of the network."),
            ("subnets", "Subnets of this network."),
            ("admin_state_up", "The administrative status of the network."),
            ("tenant_id", "The tenant owning this network."),
            ("mtu", "The maximum transmission unit size(in bytes) for the network."),
            ("port_security_enabled", "Port security enabled of the network."),
            ("show", "Detailed information about resource."),
        ]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let mtu = at.property("value_specs")["mtu"].as_u64().and_then(|m| u32::try_from(m).ok());
        let asked = networks::NetworkCreate {
            name: at.name_or_physical("name"),
            admin_up: at.property("admin_state_up").as_bool(),
            shared: at.property("shared") == &Json::Bool(true),
            mtu,
            port_security: at.property("port_security_enabled").as_bool(),
            project_id: at.text("tenant_id").map(Into::into),
            dns_domain: at.text("dns_domain").unwrap_or_default(),
            ..networks::NetworkCreate::default()
        };
        let tags = super::strings(at.property("tags"));
        let made = networks::create(at.tx, at.ctx, asked, MTU)?;
        if !tags.is_empty() {
            networks::update(at.tx, at.ctx, made.id, |n| {
                n.standard.tags = tags;
                Ok(())
            })?;
        }
        at.item.physical_id = Some(made.id.to_string());
        Ok(())
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, _: &[String]) -> Result<()> {
        let id: NetworkId = at.physical_id()?.parse()?;
        let name = at.name_or_physical("name");
        let (up, secure) =
            (at.property("admin_state_up").as_bool(), at.property("port_security_enabled").as_bool());
        let (domain, tags) = (at.text("dns_domain").unwrap_or_default(), super::strings(at.property("tags")));
        networks::update(at.tx, at.ctx, id, |n| {
            n.name = name;
            n.admin_up = up.unwrap_or(true);
            n.port_security = secure.unwrap_or(n.port_security);
            n.dns_domain = domain;
            n.standard.tags = tags;
            Ok(())
        })
        .map(drop)
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        gone(networks::delete(at.tx, at.ctx, at.physical_id()?.parse()?))
    }
    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = at.physical_id()?.parse()?;
        networks::get(at.tx, at.ctx, id).map(drop)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let id: NetworkId = view.item.physical_id.as_deref().unwrap_or_default().parse()?;
        let network = networks::get(rd, view.ctx, id)?;
        let subnets: Vec<Json> = network.subnets(rd)?.iter().map(|s| s.id.to_string().into()).collect();
        let shown = json!({
            "id": network.id,
            "name": network.name,
            "status": "ACTIVE",
            "subnets": subnets,
            "admin_state_up": network.admin_up,
            "tenant_id": network.project_id,
            "project_id": network.project_id,
            "shared": network.shared,
            "mtu": network.mtu,
            "port_security_enabled": network.port_security,
            "dns_domain": network.dns_domain,
            "description": network.standard.description,
            "tags": network.standard.tags,
        });
        Ok(if name == "show" { Some(shown) } else { shown.get(name).cloned() })
    }
}
