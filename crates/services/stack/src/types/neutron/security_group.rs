//! `OS::Neutron::SecurityGroup`.

use pileus_base::{Result, ids::SecurityGroupId};
use pileus_network::security_groups::{self, Rule};
use pileus_store::{Read, Tx};
use serde_json::{Map, json};

use super::{entry, gone, parsed};
use crate::{
    model::{
        Constraint, Json, Property, python,
        schema::{Schema, schema},
    },
    types::{At, Kind, View},
};

/// The type.
pub struct SecurityGroup;

/// What a rule of the template asks for; `own` is the group itself.
fn rule(tx: &mut Tx<'_>, ctx: &pileus_base::Ctx, given: &Json, own: SecurityGroupId) -> Result<Rule> {
    let text = |key: &str, or: &str| entry(given, key).unwrap_or_else(|| or.to_owned());
    let mut rule = Rule::open(&text("direction", "ingress"), &text("ethertype", "IPv4"), None);
    rule.protocol = entry(given, "protocol");
    rule.port_range_min = python::to_int(&given["port_range_min"]);
    rule.port_range_max = python::to_int(&given["port_range_max"]);
    if text("remote_mode", "remote_ip_prefix") == "remote_group_id" {
        rule.remote_group_id = Some(match entry(given, "remote_group_id") {
            Some(name) => security_groups::find(tx, ctx, &name)?.id,
            None => own,
        });
    } else {
        rule.remote_ip_prefix =
            entry(given, "remote_ip_prefix").map(|p| parsed("remote_ip_prefix", &p)).transpose()?;
    }
    Ok(rule)
}

/// Makes the group's rules those of the template, and what Neutron gives every group to send by.
fn apply(at: &mut At<'_, '_>, id: SecurityGroupId) -> Result<()> {
    let given = at.property("rules").as_array().cloned().unwrap_or_default();
    let mut wanted = Vec::new();
    for one in &given {
        wanted.push(rule(at.tx, at.ctx, one, id)?);
    }
    if !wanted.iter().any(|r| r.direction == "egress") {
        wanted.extend(["IPv4", "IPv6"].map(|family| Rule::open("egress", family, None)));
    }
    let have = security_groups::get(at.tx, at.ctx, id)?.rules.clone();
    for old in have.iter().filter(|h| !wanted.iter().any(|w| w.same(h))) {
        security_groups::remove_rule(at.tx, at.ctx, old.id)?;
    }
    for new in wanted.iter().filter(|w| !have.iter().any(|h| h.same(w))) {
        security_groups::add_rule(at.tx, at.ctx, id, new)?;
    }
    Ok(())
}

impl Kind for SecurityGroup {
    fn name(&self) -> &'static str {
        "OS::Neutron::SecurityGroup"
    }
    fn about(&self) -> &'static str {
        "A resource for managing Neutron security groups."
    }
    fn schema(&self) -> Schema {
        let port = || Property::integer().updatable().constraint(Constraint::range(Some(0), Some(65_535)));
        let of = |values: &[&str], or: &str| {
            Property::string().default(or).updatable().constraint(Constraint::one_of(values))
        };
        let rule = Property::entries([
            ("direction", of(&["ingress", "egress"], "ingress")),
            ("ethertype", of(&["IPv4", "IPv6"], "IPv4")),
            ("port_range_min", port()),
            ("port_range_max", port()),
            ("protocol", Property::string().updatable()),
            ("remote_mode", of(&["remote_ip_prefix", "remote_group_id"], "remote_ip_prefix")),
            (
                "remote_group_id",
                Property::string().updatable().constraint(Constraint::custom("neutron.security_group")),
            ),
            ("remote_ip_prefix", Property::string().updatable().constraint(Constraint::custom("net_cidr"))),
        ]);
        schema([
            ("name", Property::string().updatable()),
            ("description", Property::string().updatable()),
            ("rules", Property::list_of(rule).default(json!([])).updatable()),
        ])
    }
    fn attributes(&self) -> &'static [(&'static str, &'static str)] {
        &[("show", "Detailed information about resource.")]
    }
    fn create(&self, at: &mut At<'_, '_>) -> Result<()> {
        let (name, about) = (at.name_or_physical("name"), at.text("description").unwrap_or_default());
        let made = security_groups::create(at.tx, &at.stack.project_id, &name, &about, true)?;
        at.item.physical_id = Some(made.id.to_string());
        apply(at, made.id)
    }
    fn update(&self, at: &mut At<'_, '_>, _: &Map<String, Json>, _: &[String]) -> Result<()> {
        let id: SecurityGroupId = at.physical_id()?.parse()?;
        let (name, about) = (at.name_or_physical("name"), at.text("description").unwrap_or_default());
        security_groups::update(at.tx, at.ctx, id, |g| {
            g.name = name;
            g.standard.description = about;
            Ok(())
        })?;
        apply(at, id)
    }
    fn delete(&self, at: &mut At<'_, '_>) -> Result<()> {
        gone(security_groups::delete(at.tx, at.ctx, at.physical_id()?.parse()?))
    }
    fn check(&self, at: &mut At<'_, '_>) -> Result<()> {
        let id = at.physical_id()?.parse()?;
        security_groups::get(at.tx, at.ctx, id).map(drop)
    }
    fn attribute(&self, rd: &mut Read<'_>, view: &View<'_>, name: &str) -> Result<Option<Json>> {
        let id: SecurityGroupId = view.item.physical_id.as_deref().unwrap_or_default().parse()?;
        let group = security_groups::get(rd, view.ctx, id)?;
        let rules: Vec<Json> = group
            .rules
            .iter()
            .map(|r| {
                json!({
                    "id": r.id,
                    "direction": r.direction,
                    "ethertype": r.ethertype,
                    "protocol": r.protocol,
                    "port_range_min": r.port_range_min,
                    "port_range_max": r.port_range_max,
                    "remote_ip_prefix": r.remote_ip_prefix.map(|p| p.to_string()),
                    "remote_group_id": r.remote_group_id,
                    "security_group_id": group.id,
                })
            })
            .collect();
        let shown = json!({
            "id": group.id,
            "name": group.name,
            "description": group.standard.description,
            "tenant_id": group.project_id,
            "project_id": group.project_id,
            "security_group_rules": rules,
        });
        Ok((name == "show").then_some(shown))
    }
}
