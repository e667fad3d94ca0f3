//! The route table. One line a route: path, Keystone's name of the rule with its default check, handler.
//!
//! Where a rule reads `authenticated`, its handler decides by what is asked of whom (one's own user, one's
//! own project).

mod app_creds;
mod assignments;
mod common;
mod documents;
mod domains;
mod groups;
mod projects;
mod roles;
mod tokens;
mod trusts;
mod users;
mod versions;

use std::sync::Arc;

use pileus_base::Error;
use pileus_http::{Call, Family, Method, Routes, Service, openstack_fault};
use pileus_policy::Rule;

use crate::{
    Identity,
    model::{
        catalog::{CatalogService, Endpoint, Limit, Policy, Region, RegisteredLimit},
        projects::{Group, Role},
        users::User,
    },
};

type Req = Call<Arc<Identity>>;

static FAMILY: Family = Family {
    name: "identity",
    fault: openstack_fault,
    denied: |rule| format!("You are not authorized to perform the requested action: {rule}."),
    versions: None,
    request_id_header: None,
    body_max: 112 * 1024,
};

const fn open(name: &'static str) -> Rule {
    Rule::anyone(name)
}
const fn any(name: &'static str) -> Rule {
    Rule::authenticated(name)
}
const fn reader(name: &'static str) -> Rule {
    Rule::system_reader(name)
}
const fn admin(name: &'static str) -> Rule {
    Rule::admin(name)
}

/// The whole table.
pub(crate) fn service(id: Arc<Identity>) -> Service {
    let r = Routes::new(&FAMILY, id).get("/", open("identity:versions"), versions::all).get(
        "/v3",
        open("identity:version"),
        versions::v3,
    );
    unbuilt(delegation(documents(resources(grants(auth(r)))))).build()
}

/// Trusts and application credentials.
fn delegation(r: Table) -> Table {
    let trusts = "/v3/OS-TRUST/trusts";
    let creds = "/v3/users/{id}/application_credentials";
    r.get(trusts, any("identity:list_trusts"), trusts::list)
        .post(trusts, any("identity:create_trust"), trusts::create)
        .get(&format!("{trusts}/{{id}}"), any("identity:get_trust"), trusts::show)
        .delete(&format!("{trusts}/{{id}}"), any("identity:delete_trust"), trusts::delete)
        .get(&format!("{trusts}/{{id}}/roles"), any("identity:list_roles_for_trust"), trusts::roles)
        .get(&format!("{trusts}/{{id}}/roles/{{role}}"), any("identity:get_role_for_trust"), trusts::role)
        .get(creds, any("identity:list_application_credentials"), app_creds::list)
        .post(creds, any("identity:create_application_credential"), app_creds::create)
        .get(&format!("{creds}/{{cred}}"), any("identity:get_application_credential"), app_creds::show)
        .delete(
            &format!("{creds}/{{cred}}"),
            any("identity:delete_application_credential"),
            app_creds::delete,
        )
}

/// What the API has and we do not yet: 501, never a canned answer.
fn unbuilt(mut r: Table) -> Table {
    let user = "/v3/users/{id}";
    for (path, rule) in [
        (format!("{user}/access_rules"), any("identity:list_access_rules")),
        (format!("{user}/credentials/OS-EC2"), any("identity:ec2_list_credentials")),
        (format!("{user}/credentials/OS-EC2/{{*rest}}"), any("identity:ec2_get_credential")),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            r = r.route(method, &path, rule, |_| async {
                Err(Error::not_implemented("This part of the identity API is not served yet."))
            });
        }
    }
    r
}

type Table = Routes<Arc<Identity>>;

fn auth(r: Table) -> Table {
    r.post("/v3/auth/tokens", open("identity:issue_token"), tokens::create)
        .get("/v3/auth/tokens", any("identity:validate_token"), tokens::show)
        .delete("/v3/auth/tokens", any("identity:revoke_token"), tokens::revoke)
        .get("/v3/auth/catalog", any("identity:get_auth_catalog"), tokens::catalog)
        .get("/v3/auth/projects", any("identity:get_auth_projects"), tokens::projects)
        .get("/v3/auth/domains", any("identity:get_auth_domains"), tokens::domains)
        .get("/v3/auth/system", any("identity:get_auth_system"), tokens::system)
        .get("/v3/OS-REVOKE/events", reader("identity:list_revoke_events"), tokens::events)
}

fn resources(r: Table) -> Table {
    r.get("/v3/domains", reader("identity:list_domains"), domains::list)
        .post("/v3/domains", admin("identity:create_domain"), domains::create)
        .get("/v3/domains/{id}", any("identity:get_domain"), domains::show)
        .patch("/v3/domains/{id}", admin("identity:update_domain"), domains::update)
        .delete("/v3/domains/{id}", admin("identity:delete_domain"), domains::delete)
        .get("/v3/projects", reader("identity:list_projects"), projects::list)
        .post("/v3/projects", admin("identity:create_project"), projects::create)
        .get("/v3/projects/{id}", any("identity:get_project"), projects::show)
        .patch("/v3/projects/{id}", admin("identity:update_project"), projects::update)
        .delete("/v3/projects/{id}", admin("identity:delete_project"), projects::delete)
        .get("/v3/projects/{id}/tags", any("identity:list_project_tags"), projects::tags)
        .put("/v3/projects/{id}/tags", admin("identity:update_project_tags"), projects::change_tags)
        .delete("/v3/projects/{id}/tags", admin("identity:delete_project_tags"), projects::change_tags)
        .get("/v3/projects/{id}/tags/{tag}", any("identity:get_project_tag"), projects::has_tag)
        .put("/v3/projects/{id}/tags/{tag}", admin("identity:create_project_tag"), projects::change_tags)
        .delete("/v3/projects/{id}/tags/{tag}", admin("identity:delete_project_tag"), projects::change_tags)
        .get("/v3/users", reader("identity:list_users"), common::list::<User>)
        .post("/v3/users", admin("identity:create_user"), users::create)
        .get("/v3/users/{id}", any("identity:get_user"), users::show)
        .patch("/v3/users/{id}", admin("identity:update_user"), users::update)
        .delete("/v3/users/{id}", admin("identity:delete_user"), users::delete)
        .post("/v3/users/{id}/password", open("identity:change_password"), users::change_password)
        .get("/v3/users/{id}/groups", any("identity:list_groups_for_user"), users::groups)
        .get("/v3/users/{id}/projects", any("identity:list_user_projects"), users::projects)
        .get("/v3/groups", reader("identity:list_groups"), common::list::<Group>)
        .post("/v3/groups", admin("identity:create_group"), groups::create)
        .get("/v3/groups/{id}", reader("identity:get_group"), common::one::<Group>)
        .patch("/v3/groups/{id}", admin("identity:update_group"), common::patch::<Group>)
        .delete("/v3/groups/{id}", admin("identity:delete_group"), groups::delete)
        .get("/v3/groups/{id}/users", reader("identity:list_users_in_group"), groups::members)
        .get("/v3/groups/{id}/users/{user}", any("identity:check_user_in_group"), groups::member)
        .put("/v3/groups/{id}/users/{user}", admin("identity:add_user_to_group"), groups::member)
        .delete("/v3/groups/{id}/users/{user}", admin("identity:remove_user_from_group"), groups::member)
}

fn grants(mut r: Table) -> Table {
    r = r
        .get("/v3/roles", reader("identity:list_roles"), roles::list)
        .post("/v3/roles", admin("identity:create_role"), roles::create)
        .get("/v3/roles/{id}", reader("identity:get_role"), common::one::<Role>)
        .patch("/v3/roles/{id}", admin("identity:update_role"), roles::update)
        .delete("/v3/roles/{id}", admin("identity:delete_role"), roles::delete)
        .get("/v3/roles/{id}/implies", reader("identity:list_implied_roles"), roles::implies)
        .get("/v3/roles/{id}/implies/{implied}", reader("identity:get_implied_role"), roles::implication)
        .put("/v3/roles/{id}/implies/{implied}", admin("identity:create_implied_role"), roles::implication)
        .delete("/v3/roles/{id}/implies/{implied}", admin("identity:delete_implied_role"), roles::implication)
        .get("/v3/role_inferences", reader("identity:list_role_inference_rules"), roles::inferences)
        .get("/v3/role_assignments", any("identity:list_role_assignments"), assignments::list);
    for target in ["/projects/{project}", "/domains/{domain}", "/system"] {
        for actor in ["/users/{user}", "/groups/{group}"] {
            let (inherit, direct) = (target != "/system", format!("/v3{target}{actor}/roles"));
            r = grant(r, &direct, "");
            if inherit {
                r = grant(r, &format!("/v3/OS-INHERIT{target}{actor}/roles"), "/inherited_to_projects");
            }
        }
    }
    r
}

/// The four routes of grants at one place.
fn grant(r: Table, path: &str, tail: &str) -> Table {
    let (all, one) = (format!("{path}{tail}"), format!("{path}/{{role}}{tail}"));
    r.get(&all, reader("identity:list_grants"), assignments::held)
        .get(&one, reader("identity:check_grant"), assignments::grant)
        .put(&one, admin("identity:create_grant"), assignments::grant)
        .delete(&one, admin("identity:revoke_grant"), assignments::grant)
}

fn documents(r: Table) -> Table {
    r.get("/v3/regions", any("identity:list_regions"), common::list::<Region>)
        .post("/v3/regions", admin("identity:create_region"), documents::create_region)
        .get("/v3/regions/{id}", any("identity:get_region"), common::one::<Region>)
        .put("/v3/regions/{id}", admin("identity:create_region"), documents::create_region)
        .patch("/v3/regions/{id}", admin("identity:update_region"), common::patch::<Region>)
        .delete("/v3/regions/{id}", admin("identity:delete_region"), documents::delete_region)
        .get("/v3/services", reader("identity:list_services"), common::list::<CatalogService>)
        .post("/v3/services", admin("identity:create_service"), documents::create_service)
        .get("/v3/services/{id}", reader("identity:get_service"), common::one::<CatalogService>)
        .patch("/v3/services/{id}", admin("identity:update_service"), common::patch::<CatalogService>)
        .delete("/v3/services/{id}", admin("identity:delete_service"), documents::delete_service)
        .get("/v3/endpoints", reader("identity:list_endpoints"), documents::endpoints)
        .post("/v3/endpoints", admin("identity:create_endpoint"), documents::create_endpoint)
        .get("/v3/endpoints/{id}", reader("identity:get_endpoint"), documents::show_endpoint)
        .patch("/v3/endpoints/{id}", admin("identity:update_endpoint"), documents::update_endpoint)
        .delete("/v3/endpoints/{id}", admin("identity:delete_endpoint"), common::remove::<Endpoint>)
        .get("/v3/credentials", any("identity:list_credentials"), documents::credentials)
        .post("/v3/credentials", any("identity:create_credential"), documents::create_credential)
        .get("/v3/credentials/{id}", any("identity:get_credential"), documents::show_credential)
        .patch("/v3/credentials/{id}", any("identity:update_credential"), documents::update_credential)
        .delete("/v3/credentials/{id}", any("identity:delete_credential"), documents::delete_credential)
        .get("/v3/policies", reader("identity:list_policies"), common::list::<Policy>)
        .post("/v3/policies", admin("identity:create_policy"), documents::create_policy)
        .get("/v3/policies/{id}", reader("identity:get_policy"), common::one::<Policy>)
        .patch("/v3/policies/{id}", admin("identity:update_policy"), common::patch::<Policy>)
        .delete("/v3/policies/{id}", admin("identity:delete_policy"), common::remove::<Policy>)
        .get("/v3/registered_limits", any("identity:list_registered_limits"), common::list::<RegisteredLimit>)
        .post(
            "/v3/registered_limits",
            admin("identity:create_registered_limits"),
            documents::create_registered_limits,
        )
        .get(
            "/v3/registered_limits/{id}",
            any("identity:get_registered_limit"),
            common::one::<RegisteredLimit>,
        )
        .patch(
            "/v3/registered_limits/{id}",
            admin("identity:update_registered_limit"),
            common::patch::<RegisteredLimit>,
        )
        .delete(
            "/v3/registered_limits/{id}",
            admin("identity:delete_registered_limit"),
            common::remove::<RegisteredLimit>,
        )
        .get("/v3/limits", any("identity:list_limits"), documents::limits)
        .post("/v3/limits", admin("identity:create_limits"), documents::create_project_limits)
        .get("/v3/limits/model", any("identity:get_limit_model"), documents::limits_model)
        .get("/v3/limits/{id}", any("identity:get_limit"), documents::show_limit)
        .patch("/v3/limits/{id}", admin("identity:update_limit"), common::patch::<Limit>)
        .delete("/v3/limits/{id}", admin("identity:delete_limit"), common::remove::<Limit>)
}
