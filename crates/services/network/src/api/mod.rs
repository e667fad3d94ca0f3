//! The route table, Neutron's faults, and what every list does.

mod attrs;
mod extensions;
mod groups;
mod list;
mod networks;
mod ports;
mod quotas;
mod subnets;
mod tags;

use std::sync::Arc;

use pileus_base::{Error, Kind, Result};
use pileus_http::{Family, Fault, Reply, Routes, Service, public_message, status_of};
use serde_json::json;

use crate::{Networks, rules as r};

/// Neutron's family.
pub static FAMILY: Family = Family {
    name: "network",
    fault,
    denied: |rule| format!("(rule:{rule}) is disallowed by policy"),
    versions: None,
    request_id_header: None,
    body_max: 4 << 20,
};

fn fault(error: &Error) -> Fault {
    let status = status_of(error.kind());
    if status == 401 {
        return pileus_http::openstack_fault(error);
    }
    let kind = error.code_word().unwrap_or(match error.kind() {
        Kind::NotFound => "HTTPNotFound",
        Kind::BadRequest => "HTTPBadRequest",
        Kind::Conflict => "Conflict",
        Kind::Forbidden => "PolicyNotAuthorized",
        Kind::NotImplemented => "HTTPNotImplemented",
        Kind::MethodNotAllowed => "HTTPMethodNotAllowed",
        _ => "HTTPInternalServerError",
    });
    let message = match error.kind() {
        Kind::Internal => "Request Failed: internal server error while processing your request.",
        _ => public_message(error),
    };
    Fault::json(status, &json!({"NeutronError": {"type": kind, "message": message, "detail": ""}}))
}

pub(crate) type Call = pileus_http::Call<Arc<Networks>>;

/// The table.
pub fn routes(networks: Arc<Networks>) -> Service {
    Routes::new(&FAMILY, networks)
        .get("/", r::VERSIONS, versions)
        .get("/v2.0", r::EXTENSIONS, resources)
        .get("/v2.0/extensions", r::EXTENSIONS, extensions::index)
        .get("/v2.0/extensions/{alias}", r::EXTENSIONS, extensions::show)
        .get("/v2.0/networks", r::GET_NETWORK, networks::index)
        .post("/v2.0/networks", r::CREATE_NETWORK, networks::create)
        .get("/v2.0/networks/{id}", r::GET_NETWORK, networks::show)
        .put("/v2.0/networks/{id}", r::UPDATE_NETWORK, networks::update)
        .delete("/v2.0/networks/{id}", r::DELETE_NETWORK, networks::delete)
        .get("/v2.0/subnets", r::GET_SUBNET, subnets::index)
        .post("/v2.0/subnets", r::CREATE_SUBNET, subnets::create)
        .get("/v2.0/subnets/{id}", r::GET_SUBNET, subnets::show)
        .put("/v2.0/subnets/{id}", r::UPDATE_SUBNET, subnets::update)
        .delete("/v2.0/subnets/{id}", r::DELETE_SUBNET, subnets::delete)
        .get("/v2.0/ports", r::GET_PORT, ports::index)
        .post("/v2.0/ports", r::CREATE_PORT, ports::create)
        .get("/v2.0/ports/{id}", r::GET_PORT, ports::show)
        .put("/v2.0/ports/{id}", r::UPDATE_PORT, ports::update)
        .delete("/v2.0/ports/{id}", r::DELETE_PORT, ports::delete)
        .get("/v2.0/security-groups", r::GET_GROUP, groups::index)
        .post("/v2.0/security-groups", r::CREATE_GROUP, groups::create)
        .get("/v2.0/security-groups/{id}", r::GET_GROUP, groups::show)
        .put("/v2.0/security-groups/{id}", r::UPDATE_GROUP, groups::update)
        .delete("/v2.0/security-groups/{id}", r::DELETE_GROUP, groups::delete)
        .get("/v2.0/security-group-rules", r::GET_RULE, groups::rules)
        .post("/v2.0/security-group-rules", r::CREATE_RULE, groups::create_rule)
        .get("/v2.0/security-group-rules/{id}", r::GET_RULE, groups::show_rule)
        .delete("/v2.0/security-group-rules/{id}", r::DELETE_RULE, groups::delete_rule)
        .get("/v2.0/{kind}/{id}/tags", r::GET_TAGS, tags::index)
        .put("/v2.0/{kind}/{id}/tags", r::UPDATE_TAGS, tags::replace)
        .delete("/v2.0/{kind}/{id}/tags", r::UPDATE_TAGS, tags::clear)
        .get("/v2.0/{kind}/{id}/tags/{tag}", r::GET_TAGS, tags::show)
        .put("/v2.0/{kind}/{id}/tags/{tag}", r::UPDATE_TAGS, tags::add)
        .delete("/v2.0/{kind}/{id}/tags/{tag}", r::UPDATE_TAGS, tags::remove)
        .get("/v2.0/quotas/{project}", r::GET_QUOTA, quotas::show)
        .put("/v2.0/quotas/{project}", r::UPDATE_QUOTA, quotas::update)
        .delete("/v2.0/quotas/{project}", r::UPDATE_QUOTA, quotas::reset)
        .get("/v2.0/quotas/{project}/default", r::GET_QUOTA, quotas::defaults)
        .get("/v2.0/quotas/{project}/details.json", r::GET_QUOTA, quotas::details)
        .get("/v2.0/agents", r::GET_AGENT, extensions::agents)
        .get("/v2.0/availability_zones", r::GET_ZONES, extensions::zones)
        .build()
}

async fn versions(call: Call) -> Result<Reply> {
    let href = call.base.url("/v2.0/");
    Reply::ok(
        &json!({"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": href}]}]}),
    )
}

async fn resources(call: Call) -> Result<Reply> {
    let one = |name: &str, collection: &str| {
        json!({"name": name, "collection": collection,
               "links": [{"rel": "self", "href": call.base.url(&format!("/v2.0/{collection}"))}]})
    };
    let all = [
        one("network", "networks"),
        one("subnet", "subnets"),
        one("port", "ports"),
        one("security_group", "security-groups"),
    ];
    Reply::ok(&json!({"resources": all}))
}
