//! The route table: one line a route, each with its rule.

pub mod consoles;
mod extra_specs;
mod flavors;
mod hypervisors;
mod instance_actions;
mod interfaces;
mod keypairs;
mod limits;
mod quotas;
mod security_groups;
mod server_actions;
mod server_create;
mod server_list;
mod server_metadata;
mod server_password;
mod server_rebuild;
mod server_tags;
mod servers;
mod services;
mod versions;

use std::sync::Arc;

use pileus_base::{Error, Result, ids::ServerId};
use pileus_http::{Method, Reply, Routes, Service};
use pileus_store::{Resource, Stored};

use crate::{Compute, FAMILY, Server, rules as r, store, wire::servers::Viewer};

/// A request to this service.
pub(crate) type Call = pileus_http::Call<Arc<Compute>>;

/// The table.
pub fn routes(compute: Arc<Compute>) -> Service {
    let table = Routes::new(&FAMILY, compute)
        .get("/", r::VERSIONS, versions::list)
        .get("/v2", r::VERSIONS, versions::v20)
        .get("/v2.1", r::VERSIONS, versions::v21)
        .get("/consoles/serial", r::CONSOLE_ATTACH, consoles::serial)
        .get("/consoles/vnc", r::CONSOLE_ATTACH, consoles::vnc)
        .get("/v2.1/extensions", r::EXTENSIONS, versions::extensions)
        .get("/v2.1/extensions/{alias}", r::EXTENSIONS, versions::extension)
        .get("/v2.1/servers", r::SERVERS_INDEX, server_list::index)
        .post("/v2.1/servers", r::SERVERS_CREATE, server_create::create)
        .get("/v2.1/servers/detail", r::SERVERS_DETAIL, server_list::detail)
        .get("/v2.1/servers/{id}", r::SERVERS_SHOW, servers::show)
        .put("/v2.1/servers/{id}", r::SERVERS_UPDATE, servers::update)
        .delete("/v2.1/servers/{id}", r::SERVERS_DELETE, servers::delete)
        .post("/v2.1/servers/{id}/action", r::SERVERS_ACTION, server_actions::act)
        .get("/v2.1/servers/{id}/ips", r::IPS_INDEX, servers::ips)
        .get("/v2.1/servers/{id}/ips/{network}", r::IPS_SHOW, servers::ips_of)
        .get("/v2.1/servers/{id}/diagnostics", r::DIAGNOSTICS, servers::diagnostics)
        .get("/v2.1/servers/{id}/os-server-password", r::PASSWORD_SHOW, server_password::show)
        .delete("/v2.1/servers/{id}/os-server-password", r::PASSWORD_CLEAR, server_password::clear)
        .get("/v2.1/servers/{id}/metadata", r::METADATA_INDEX, server_metadata::index)
        .post("/v2.1/servers/{id}/metadata", r::METADATA_CREATE, server_metadata::merge)
        .put("/v2.1/servers/{id}/metadata", r::METADATA_UPDATE_ALL, server_metadata::replace)
        .get("/v2.1/servers/{id}/metadata/{key}", r::METADATA_SHOW, server_metadata::show)
        .put("/v2.1/servers/{id}/metadata/{key}", r::METADATA_UPDATE, server_metadata::set)
        .delete("/v2.1/servers/{id}/metadata/{key}", r::METADATA_DELETE, server_metadata::delete)
        .get("/v2.1/servers/{id}/tags", r::TAGS_INDEX, server_tags::index)
        .put("/v2.1/servers/{id}/tags", r::TAGS_UPDATE_ALL, server_tags::replace)
        .delete("/v2.1/servers/{id}/tags", r::TAGS_DELETE_ALL, server_tags::clear)
        .get("/v2.1/servers/{id}/tags/{tag}", r::TAGS_SHOW, server_tags::show)
        .put("/v2.1/servers/{id}/tags/{tag}", r::TAGS_UPDATE, server_tags::add)
        .delete("/v2.1/servers/{id}/tags/{tag}", r::TAGS_DELETE, server_tags::delete)
        .get("/v2.1/servers/{id}/os-instance-actions", r::ACTIONS_LIST, instance_actions::index)
        .get("/v2.1/servers/{id}/os-instance-actions/{request}", r::ACTIONS_SHOW, instance_actions::show)
        .post("/v2.1/servers/{id}/remote-consoles", r::REMOTE_CONSOLES, consoles::create)
        .get("/v2.1/servers/{id}/os-interface", r::INTERFACES_LIST, interfaces::index)
        .get("/v2.1/servers/{id}/os-interface/{port}", r::INTERFACES_SHOW, interfaces::show)
        .get("/v2.1/servers/{id}/os-volume_attachments", r::VOLUMES_ATTACHED, interfaces::volumes)
        .get("/v2.1/servers/{id}/os-security-groups", r::SERVER_GROUPS_OF, security_groups::of_server)
        .get("/v2.1/os-security-groups", r::SERVER_GROUPS_OF, security_groups::index)
        .post("/v2.1/os-security-groups", r::SERVERS_ACTION, security_groups::create)
        .get("/v2.1/os-security-groups/{id}", r::SERVER_GROUPS_OF, security_groups::show)
        .put("/v2.1/os-security-groups/{id}", r::SERVERS_ACTION, security_groups::update)
        .delete("/v2.1/os-security-groups/{id}", r::SERVERS_ACTION, security_groups::delete)
        .post("/v2.1/os-security-group-rules", r::SERVERS_ACTION, security_groups::create_rule)
        .delete("/v2.1/os-security-group-rules/{id}", r::SERVERS_ACTION, security_groups::delete_rule)
        .get("/v2.1/flavors", r::FLAVORS_INDEX, flavors::index)
        .post("/v2.1/flavors", r::FLAVORS_CREATE, flavors::create)
        .get("/v2.1/flavors/detail", r::FLAVORS_INDEX, flavors::detail)
        .get("/v2.1/flavors/{id}", r::FLAVORS_INDEX, flavors::show)
        .put("/v2.1/flavors/{id}", r::FLAVORS_UPDATE, flavors::update)
        .delete("/v2.1/flavors/{id}", r::FLAVORS_DELETE, flavors::delete)
        .get("/v2.1/flavors/{id}/os-flavor-access", r::FLAVOR_ACCESS, flavors::access)
        .post("/v2.1/flavors/{id}/action", r::FLAVOR_ACCESS_ADD, flavors::change_access)
        .get("/v2.1/flavors/{id}/os-extra_specs", r::EXTRA_SPECS_INDEX, extra_specs::index)
        .post("/v2.1/flavors/{id}/os-extra_specs", r::EXTRA_SPECS_CREATE, extra_specs::create)
        .get("/v2.1/flavors/{id}/os-extra_specs/{key}", r::EXTRA_SPECS_SHOW, extra_specs::show)
        .put("/v2.1/flavors/{id}/os-extra_specs/{key}", r::EXTRA_SPECS_UPDATE, extra_specs::set)
        .delete("/v2.1/flavors/{id}/os-extra_specs/{key}", r::EXTRA_SPECS_DELETE, extra_specs::delete)
        .get("/v2.1/os-keypairs", r::KEYPAIRS_INDEX, keypairs::index)
        .post("/v2.1/os-keypairs", r::KEYPAIRS_CREATE, keypairs::create)
        .get("/v2.1/os-keypairs/{name}", r::KEYPAIRS_SHOW, keypairs::show)
        .delete("/v2.1/os-keypairs/{name}", r::KEYPAIRS_DELETE, keypairs::delete)
        .get("/v2.1/os-hypervisors", r::HYPERVISORS, hypervisors::index)
        .get("/v2.1/os-hypervisors/detail", r::HYPERVISORS, hypervisors::detail)
        .get("/v2.1/os-hypervisors/statistics", r::HYPERVISORS, hypervisors::statistics)
        .get("/v2.1/os-hypervisors/{id}", r::HYPERVISORS, hypervisors::show)
        .get("/v2.1/os-hypervisors/{id}/uptime", r::HYPERVISORS, hypervisors::uptime)
        .get("/v2.1/os-hypervisors/{id}/search", r::HYPERVISORS, hypervisors::search)
        .get("/v2.1/os-hypervisors/{id}/servers", r::HYPERVISORS, hypervisors::servers)
        .get("/v2.1/os-services", r::SERVICES, services::index)
        .put("/v2.1/os-services/{id}", r::SERVICES_UPDATE, services::update)
        .get("/v2.1/os-availability-zone", r::ZONES, services::zones)
        .get("/v2.1/os-availability-zone/detail", r::ZONES_DETAIL, services::zones_detail)
        .get("/v2.1/os-quota-sets/{project}", r::QUOTAS_SHOW, quotas::show)
        .put("/v2.1/os-quota-sets/{project}", r::QUOTAS_UPDATE, quotas::update)
        .delete("/v2.1/os-quota-sets/{project}", r::QUOTAS_DELETE, quotas::delete)
        .get("/v2.1/os-quota-sets/{project}/defaults", r::QUOTAS_SHOW, quotas::defaults)
        .get("/v2.1/os-quota-sets/{project}/detail", r::QUOTAS_DETAIL, quotas::detail)
        .get("/v2.1/os-quota-class-sets/{class}", r::QUOTA_CLASSES, quotas::class)
        .put("/v2.1/os-quota-class-sets/{class}", r::QUOTA_CLASSES, quotas::update_class)
        .get("/v2.1/limits", r::LIMITS, limits::show);
    unbuilt(table).build()
}

/// The rest of Nova's paths: known, and honest about not being there yet.
fn unbuilt(mut table: Routes<Arc<Compute>>) -> Routes<Arc<Compute>> {
    const PATHS: [(Method, &str); 12] = [
        (Method::GET, "/v2.1/os-aggregates"),
        (Method::POST, "/v2.1/os-aggregates"),
        (Method::GET, "/v2.1/os-server-groups"),
        (Method::POST, "/v2.1/os-server-groups"),
        (Method::GET, "/v2.1/os-migrations"),
        (Method::GET, "/v2.1/os-simple-tenant-usage"),
        (Method::GET, "/v2.1/os-simple-tenant-usage/{project}"),
        (Method::POST, "/v2.1/servers/{id}/os-interface"),
        (Method::DELETE, "/v2.1/servers/{id}/os-interface/{port}"),
        (Method::POST, "/v2.1/servers/{id}/os-volume_attachments"),
        (Method::GET, "/v2.1/servers/{id}/topology"),
        (Method::GET, "/v2.1/servers/{id}/migrations"),
    ];
    for (method, path) in PATHS {
        table = table.route(method, path, r::SERVERS_ACTION, |call: Call| async move {
            Err(Error::not_implemented(format!("{} {} is not built yet.", call.method, call.path)))
        });
    }
    table
}

/// A feature that the asked microversion doesn't have: as if the path weren't there.
pub(crate) fn no_such_path() -> Error {
    Error::not_found("The resource could not be found.")
}

impl Compute {
    /// The server that `{id}` names, if the caller may see it.
    pub(crate) async fn named(&self, call: &Call) -> Result<Stored<Server>> {
        let id: ServerId = call.id("id", Server::not_found)?;
        let scope = call.scope.clone();
        self.store.read(move |rd| store::servers::get(rd, &scope, id)).await
    }
}

/// How this call wants servers shown.
pub(crate) fn viewer(call: &Call) -> Viewer<'_> {
    Viewer { base: &call.base, version: call.version, admin: call.ctx.is_admin() }
}

/// 202 without a body.
pub(crate) fn accepted() -> Reply {
    Reply::empty(202)
}
