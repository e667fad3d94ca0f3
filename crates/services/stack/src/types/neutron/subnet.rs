//! `OS::Neutron::Subnet`.

use std::net::IpAddr;

use pileus_base::{Result, ids::SubnetId};
use pileus_network::{networks, subnets};
use pileus_store::Read;
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
pub struct Subnet;

fn pools(value: &Json) -> Result<Option<Vec<subnets::Pool>>> {
    let given = value.as_array().filter(|a| !a.is_empty());
    let ip = |e: &Json, key: &str| parsed::<IpAddr>("allocation_pools", &entry(e, key).unwrap_or_default());
    let one = |e: &Json| Ok(subnets::Pool { start: ip(e, "start")?, end: ip(e, "end")? });
    given.map(|a| a.iter().map(one).collect()).transpose()
}

fn routes(value: &Json) -> Result<Vec<subnets::Route>> {
    let one = |e: &Json| {
        Ok(subnets::Route {
            destination: parsed("host_routes", &entry(e, "destination").unwrap_or_default())?,
            nexthop: parsed("host_routes", &entry(e, "nexthop").unwrap_or_default())?,
        })
    };
    value.as_array().into_iter().flatten().map(one).collect()
}

fn servers(value: &Json) -> Result<Vec<IpAddr>> {
    strings(value).iter().map(|s| parsed("dns_nameservers", s)).collect()
}

impl Kind for Subnet {
    fn name(&self) -> &'static str {
        "OS::Neutron::Subnet"
    }
    fn about(&self) -> &'static str {
        "A resource for managing Neutron subnets."
    }
    fn schema(&self) -> Schema {
        let ip = || Property::string().constraint(Constraint::custom("ip_addr"));
        let modes = ["dhcpv6-stateful", "dhcpv6-stateless", "slaac"];
        let mode = || Property::string().constraint(Constraint::one_of(&modes));
        let pool = Property::entries([("start", ip().required()), ("end", ip().required())]);
        let route = Property::entries([
            ("destination", Property::string().required().constraint(Constraint::custom("net_cidr"))),
            ("nexthop", ip().required()),
        ]);
        schema([
            ("network", Property::string().required().constraint(Constraint::custom("neutron.network"))),
            ("subnetpool", Property::string().unimplemented()),
            ("prefixlen", Property::integer().unimplemented()),
            ("cidr", Property::string().constraint(Constraint::custom("net_cidr"))),
            ("value_specs", Property::map().default(json!({})).updatable()),
            ("name", Property::string().updatable()),
            ("ip_version", Property::integer().default(4)),
            ("dns_nameservers", Property::list().default(json!([])).updatable()),
            ("gateway_ip", Property::string().updatable()),
            ("enable_dhcp", Property::boolean().default(true).updatable()),
            ("allocation_pools", Property::list_of(pool).updatable()),
            ("tenant_id", Property::string()),
            ("host_routes", Property::list_of(route).updatable()),
            ("ipv6_ra_mode", mode()),
            ("ipv6_address_mode", mode()),
            ("segment", Property::string().unimplemented()),
            ("tags", Property::list_of(Property::string()).updatable()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[
            ("name", "Friendly name of the subnet."),
            ("network_id", "Parent network of the subnet."),
            ("tenant_id", "Tenant owning the subnet."),
            ("allocation_pools", "Ip allocation pools and their ranges."),
            ("gateway_ip", "Ip of the subnet's gateway."),
            ("dns_nameservers", "List of dns nameservers."),
            ("host_routes", "Additional routes for this subnet."),
            ("ip_version", "Ip version for the subnet."),
            ("cidr", "CIDR block notation for this subnet."),
            ("enable_dhcp", "'true' if DHCP is enabled for this subnet; 'false' otherwise."),
            ("show", "Detailed information about resource."),
        ]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let wanted = at.text("network").unwrap_or_default();
        let network = networks::find(at.tx, at.ctx, &wanted)?.id;
        let cidr = parsed("cidr", &at.text("cidr").unwrap_or_default())?;
        let mut asked = subnets::SubnetCreate::new(network, cidr);
        asked.name = at.name_or_physical("name");
        asked.gateway_ip = match at.property("gateway_ip").as_str() {
            None => None,
            Some("" | "null") => Some(None),
            Some(ip) => Some(Some(parsed("gateway_ip", ip)?)),
        };
        asked.pools = pools(at.property("allocation_pools"))?;
        asked.enable_dhcp = at.property("enable_dhcp").as_bool();
        asked.dns_nameservers = servers(at.property("dns_nameservers"))?;
        asked.host_routes = routes(at.property("host_routes"))?;
        asked.ipv6_address_mode = at.text("ipv6_address_mode");
        asked.ipv6_ra_mode = at.text("ipv6_ra_mode");
        let made = subnets::create(at.tx, at.ctx, asked)?;
        at.item.physical_id = Some(made.id.to_string());
        Ok(())
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, changed: &[String]) -> Result<()> {
        let id: SubnetId = at.physical_id()?.parse()?;
        let name = at.name_or_physical("name");
        let dns = servers(at.property("dns_nameservers"))?;
        let (routes, pools) = (routes(at.property("host_routes"))?, pools(at.property("allocation_pools"))?);
        let dhcp = at.property("enable_dhcp") != &Json::Bool(false);
        let tags = strings(at.property("tags"));
        let gateway = match at.property("gateway_ip").as_str() {
            None | Some("" | "null") => None,
            Some(ip) => Some(parsed("gateway_ip", ip)?),
        };
        let changed = changed.to_vec();
        subnets::update(at.tx, at.ctx, id, |s| {
            for property in &changed {
                match property.as_str() {
                    "name" => s.name.clone_from(&name),
                    "dns_nameservers" => s.dns_nameservers.clone_from(&dns),
                    "host_routes" => s.host_routes.clone_from(&routes),
                    "allocation_pools" => s.pools = pools.clone().unwrap_or_else(|| s.pools.clone()),
                    "enable_dhcp" => s.enable_dhcp = dhcp,
                    "gateway_ip" => s.gateway_ip = gateway,
                    "tags" => s.standard.tags.clone_from(&tags),
                    _ => {}
                }
            }
            Ok(())
        })
        .map(drop)
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        gone(subnets::delete(at.tx, at.ctx, at.physical_id()?.parse()?))
    }
    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = at.physical_id()?.parse()?;
        subnets::get(at.tx, at.ctx, id).map(drop)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let id: SubnetId = view.item.physical_id.as_deref().unwrap_or_default().parse()?;
        let subnet = subnets::get(rd, view.ctx, id)?;
        let pools: Vec<Json> = subnet.pools.iter().map(|p| json!({"start": p.start, "end": p.end})).collect();
        let routes = subnet.host_routes.iter();
        let routes: Vec<Json> =
            routes.map(|r| json!({"destination": r.destination.to_string(), "nexthop": r.nexthop})).collect();
        let shown = json!({
            "id": subnet.id,
            "name": subnet.name,
            "network_id": subnet.network_id,
            "tenant_id": subnet.project_id,
            "project_id": subnet.project_id,
            "allocation_pools": pools,
            "gateway_ip": subnet.gateway_ip,
            "dns_nameservers": subnet.dns_nameservers,
            "host_routes": routes,
            "ip_version": subnet.ip_version(),
            "cidr": subnet.cidr.to_string(),
            "enable_dhcp": subnet.enable_dhcp,
            "ipv6_address_mode": subnet.ipv6_address_mode,
            "ipv6_ra_mode": subnet.ipv6_ra_mode,
            "description": subnet.standard.description,
            "tags": subnet.standard.tags,
        });
        Ok(if name == "show" { Some(shown) } else { shown.get(name).cloned() })
    }
}
