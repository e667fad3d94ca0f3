//! The route table. A stack's path is `/v1/{project}/stacks/{name}/{id}`; shorter ones lead there.

mod actions;
mod configs;
mod events;
mod info;
mod list;
mod lookup;
mod outputs;
mod resources;
mod stacks;
mod types;

use std::sync::Arc;

use pileus_base::{Error, Result, Scope, ids::ProjectId, ids::StackId};
use pileus_http::{Call, Listing, Method, Params, Routes, Service, Sort};
use pileus_store::{Read, Stored};

use crate::{
    Stacks, rules,
    store::stacks::{Stack, not_found},
    wire::fault::{FAMILY, unbuilt},
};

type Req = Call<Arc<Stacks>>;
type Table = Routes<Arc<Stacks>>;

const METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
const STACK: &str = "/v1/{project}/stacks/{name}/{id}";

/// The whole table.
pub(crate) fn service(stacks: Arc<Stacks>) -> Service {
    let r = Routes::new(&FAMILY, stacks)
        .get("/", rules::VERSIONS, info::versions)
        .get("/v1", rules::VERSIONS, info::versions)
        .get("/v1/{project}/stacks", rules::STACKS_INDEX, list::index)
        .get("/v1/{project}/stacks/detail", rules::STACKS_DETAIL, list::detail)
        .post("/v1/{project}/stacks", rules::STACKS_CREATE, stacks::create)
        .post("/v1/{project}/stacks/preview", rules::STACKS_PREVIEW, stacks::preview)
        .post("/v1/{project}/validate", rules::STACKS_VALIDATE, stacks::validate)
        .get("/v1/{project}/build_info", rules::BUILD_INFO, info::build_info)
        .get("/v1/{project}/services", rules::SERVICES, info::services)
        .get("/v1/{project}/resource_types", rules::TYPES_INDEX, types::index)
        .get("/v1/{project}/resource_types/{type}", rules::TYPES_SHOW, types::show)
        .get("/v1/{project}/resource_types/{type}/template", rules::TYPES_TEMPLATE, types::template)
        .get("/v1/{project}/template_versions", rules::TEMPLATE_VERSIONS, types::versions)
        .get(
            "/v1/{project}/template_versions/{version}/functions",
            rules::TEMPLATE_FUNCTIONS,
            types::functions,
        );
    unbuilt_routes(lookups(configs(resources(one(r))))).build()
}

fn one(r: Table) -> Table {
    r.get(STACK, rules::STACKS_SHOW, stacks::show)
        .put(STACK, rules::STACKS_UPDATE, stacks::update)
        .patch(STACK, rules::STACKS_UPDATE_PATCH, stacks::update_patch)
        .delete(STACK, rules::STACKS_DELETE, stacks::delete)
        .put(&below("/preview"), rules::STACKS_PREVIEW_UPDATE, stacks::preview_update)
        .patch(&below("/preview"), rules::STACKS_PREVIEW_UPDATE, stacks::preview_update)
        .delete(&below("/abandon"), rules::STACKS_ABANDON, stacks::abandon)
        .get(&below("/export"), rules::STACKS_EXPORT, stacks::export)
        .post(&below("/actions"), rules::ACTIONS, actions::act)
        .get(&below("/template"), rules::STACKS_TEMPLATE, stacks::template)
        .get(&below("/environment"), rules::STACKS_ENVIRONMENT, stacks::environment)
        .get(&below("/files"), rules::STACKS_FILES, stacks::files)
        .get(&below("/outputs"), rules::STACKS_OUTPUTS, outputs::index)
        .get(&below("/outputs/{key}"), rules::STACKS_OUTPUT, outputs::show)
}

fn resources(r: Table) -> Table {
    let of = |rest: &str| below(&format!("/resources/{{resource}}{rest}"));
    r.get(&below("/resources"), rules::RESOURCES_INDEX, resources::index)
        .get(&of(""), rules::RESOURCES_SHOW, resources::show)
        .patch(&of(""), rules::RESOURCES_UNHEALTHY, resources::mark)
        .get(&of("/metadata"), rules::RESOURCES_METADATA, resources::metadata)
        .post(&of("/signal"), rules::RESOURCES_SIGNAL, resources::signal)
        .get(&of("/events"), rules::EVENTS_INDEX, events::index)
        .get(&of("/events/{event}"), rules::EVENTS_SHOW, events::show)
        .get(&below("/events"), rules::EVENTS_INDEX, events::index)
}

fn configs(r: Table) -> Table {
    r.get("/v1/{project}/software_configs", rules::CONFIGS_INDEX, configs::index)
        .post("/v1/{project}/software_configs", rules::CONFIGS_CREATE, configs::create)
        .get("/v1/{project}/software_configs/{config}", rules::CONFIGS_SHOW, configs::show)
        .delete("/v1/{project}/software_configs/{config}", rules::CONFIGS_DELETE, configs::delete)
}

/// Paths with a name or an id alone, and what stands below them.
fn lookups(mut r: Table) -> Table {
    for method in METHODS {
        r = r.route(method.clone(), "/v1/{project}/stacks/{name}", rules::STACKS_LOOKUP, lookup::stack);
        for word in ["resources", "events", "template", "environment", "files", "actions", "outputs"] {
            let path = format!("/v1/{{project}}/stacks/{{name}}/{word}");
            r = r.route(method.clone(), &path, rules::STACKS_LOOKUP, lookup::stack);
        }
    }
    r.get("/v1/{project}/stacks/{name}/resources/{*rest}", rules::STACKS_LOOKUP, lookup::stack).get(
        "/v1/{project}/stacks/{name}/outputs/{*rest}",
        rules::STACKS_LOOKUP,
        lookup::stack,
    )
}

/// What the API has and we do not: 501, never a canned answer.
fn unbuilt_routes(mut r: Table) -> Table {
    for (path, what, rule) in [
        (below("/snapshots"), "Stack snapshot", rules::STACKS_SNAPSHOTS),
        (below("/snapshots/{*rest}"), "Stack snapshot", rules::STACKS_SNAPSHOTS),
        ("/v1/{project}/software_deployments".into(), "Software deployment", rules::DEPLOYMENTS),
        ("/v1/{project}/software_deployments/{*rest}".into(), "Software deployment", rules::DEPLOYMENTS),
    ] {
        for method in METHODS {
            r = r.route(method, &path, rule, move |_| async move { Err(unbuilt(what)) });
        }
    }
    r
}

fn below(rest: &str) -> String {
    format!("{STACK}{rest}")
}

/// The project of the path, which must be the token's.
fn project(call: &Req) -> Result<ProjectId> {
    let own = call.ctx.project_id()?;
    if own.as_str() == call.param("project") {
        return Ok(own.clone());
    }
    Err(Error::forbidden("You are not authorized to complete this action."))
}

/// What a call may see: its own project.
fn scope(call: &Req) -> Result<Scope> {
    project(call).map(Scope::Project)
}

/// The stack of a path, in a transaction: id and name must belong together.
fn stack_in(rd: &mut Read<'_>, scope: &Scope, name: &str, id: &str) -> Result<Stored<Stack>> {
    let found = match id.parse::<StackId>() {
        Ok(id) => rd.find::<Stack>(scope, id)?,
        Err(_) => None,
    };
    found.filter(|s| s.name == name).ok_or_else(|| not_found(&format!("{name}/{id}")))
}

/// The stack of a path.
async fn stack(call: &Req) -> Result<Stored<Stack>> {
    let scope = scope(call)?;
    let (name, id) = (call.param("name").to_owned(), call.param("id").to_owned());
    call.state.store.read(move |rd| stack_in(rd, &scope, &name, &id)).await
}

/// The page that a query asks for, in the order of `sort`.
fn page(query: &Params, sort: Vec<Sort>) -> Result<Listing> {
    let limit = match query.get("limit") {
        None => None,
        Some(text) => {
            let bad = || Error::bad_request(format!("Only integer is allowed by limit, got '{text}'"));
            Some(text.parse::<usize>().map_err(|_| bad())?)
        }
    };
    let marker = query.get("marker").filter(|m| !m.is_empty()).map(str::to_owned);
    Ok(Listing { sort, limit, marker, reverse: false })
}
