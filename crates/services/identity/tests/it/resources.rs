//! Projects, users, groups, roles, the catalog's parts, credentials.

use serde_json::{Value, json};

use crate::bench::{project, start};

#[tokio::test]
async fn projects_form_a_tree() {
    let b = start().await;
    let t = b.admin().await;
    let make = |body: Value| {
        let (b, t) = (&b, t.clone());
        async move { b.ask("POST", "/v3/projects", &t, json!({"project": body})).await }
    };
    let top = make(json!({"name": "top", "tags": ["a"]})).await.is(201).text("/project/id");
    let leaf = make(json!({"name": "leaf", "parent_id": top})).await.is(201);
    assert_eq!(leaf.body["project"]["parent_id"], json!(top));
    let leaf = leaf.text("/project/id");
    let twice = make(json!({"name": "top"})).await.is(409);
    let why = "Conflict occurred attempting to store project - it is not permitted to have two projects with the same name in the same domain: top.";
    assert_eq!(twice.message(), why);
    let shown = b.get(&format!("/v3/projects/{leaf}?parents_as_list"), &t).await.is(200);
    assert_eq!(shown.body["project"]["parents"][0]["project"]["id"], json!(top));
    b.ask("DELETE", &format!("/v3/projects/{top}"), &t, Value::Null).await.is(403);
    b.ask("PUT", &format!("/v3/projects/{leaf}/tags/x"), &t, Value::Null).await.is(201);
    assert_eq!(b.get("/v3/projects?tags=x", &t).await.is(200).text("/projects/0/id"), leaf);
    assert_eq!(b.get("/v3/projects?name=leaf", &t).await.body["projects"].as_array().unwrap().len(), 1);
    let missing = b.get("/v3/projects/demo-net", &t).await.is(404);
    assert_eq!(missing.message(), "Could not find project: demo-net.");
    for bad in [
        json!({}),
        json!({"name": ""}),
        json!({"name": 5}),
        json!({"name": "x".repeat(65)}),
        json!({"name": "e", "enabled": "yes"}),
    ] {
        make(bad).await.is(400);
    }
    make(json!({"name": "x", "domain_id": "nowhere"})).await.is(404);
    b.ask("DELETE", &format!("/v3/projects/{leaf}"), &t, Value::Null).await.is(204);
    b.ask("DELETE", &format!("/v3/projects/{top}"), &t, Value::Null).await.is(204);
    // another tenant
    let demo = b.demo().await;
    b.get(&format!("/v3/projects/{}", b.made.demo_project_id), &demo).await.is(200);
    b.get(&format!("/v3/projects/{}", b.made.admin_project_id), &demo).await.is(403);
}

#[tokio::test]
async fn users_never_show_their_hash() {
    let b = start().await;
    let t = b.admin().await;
    let id = b.user(&t, "u").await;
    let path = format!("/v3/users/{id}");
    let text =
        b.get(&path, &t).await.is(200).body.to_string() + &b.get("/v3/users", &t).await.body.to_string();
    assert!(!text.contains("$2") && !text.contains("_password\""), "{text}");
    let twice = b.ask("POST", "/v3/users", &t, json!({"user": {"name": "u"}})).await.is(409);
    let why = "Conflict occurred attempting to store user - Duplicate entry found with name u at domain ID default.";
    assert_eq!(twice.message(), why);
    // a client can't plant what is ours
    let planted = json!({"user": {"_password": "x", "email": "e@x", "id": id}});
    b.ask("PATCH", &path, &t, planted).await.is(200);
    let own = b.login("u", "secret", Value::Null).await.is(201).token();
    b.get(&path, &own).await.is(200);
    b.get(&format!("/v3/users/{}", b.made.admin_user_id), &own).await.is(403);
    b.ask("PATCH", &path, &own, json!({"user": {"email": "x"}})).await.is(403);
    b.ask("DELETE", &path, &t, Value::Null).await.is(204);
    b.get(&path, &own).await.is(401);
    assert_eq!(b.get(&path, &t).await.is(404).message(), format!("Could not find user: {id}."));
}

#[tokio::test]
async fn groups_and_inherited_roles_count() {
    let b = start().await;
    let t = b.admin().await;
    let user = b.user(&t, "u").await;
    let group =
        b.ask("POST", "/v3/groups", &t, json!({"group": {"name": "g"}})).await.is(201).text("/group/id");
    let member = format!("/v3/groups/{group}/users/{user}");
    b.ask("HEAD", &member, &t, Value::Null).await.is(404);
    b.ask("PUT", &member, &t, Value::Null).await.is(204);
    b.ask("HEAD", &member, &t, Value::Null).await.is(204);
    let role = b.role(&t, "reader").await;
    let inherit = format!("/v3/OS-INHERIT/domains/default/groups/{group}/roles/{role}/inherited_to_projects");
    b.login("u", "secret", project("demo")).await.is(401);
    b.ask("PUT", &inherit, &t, Value::Null).await.is(204);
    let token = b.login("u", "secret", project("demo")).await.is(201);
    assert_eq!(token.text("/token/roles/0/name"), "reader");
    let query = format!("/v3/role_assignments?effective&include_names&user.id={user}");
    let all = b.get(&query, &t).await.is(200).body;
    assert!(
        all["role_assignments"].as_array().unwrap().iter().any(|a| a["scope"]["project"]["name"] == "demo"),
        "{all}"
    );
    let all = b.get("/v3/role_assignments?include_names", &t).await.is(200).body;
    assert!(all["role_assignments"].as_array().unwrap().len() >= 5);
    b.ask("DELETE", &format!("/v3/groups/{group}"), &t, Value::Null).await.is(204);
    b.get("/v3/auth/projects", &token.token()).await.is(401);
}

#[tokio::test]
async fn roles_imply_others() {
    let b = start().await;
    let t = b.admin().await;
    b.ask("POST", "/v3/roles", &t, json!({"role": {"name": "member"}})).await.is(409);
    let new = b.ask("POST", "/v3/roles", &t, json!({"role": {"name": "new"}})).await.is(201).text("/role/id");
    let reader = b.role(&t, "reader").await;
    let rule = format!("/v3/roles/{new}/implies/{reader}");
    b.ask("PUT", &rule, &t, Value::Null).await.is(201);
    b.get("/v3/role_inferences", &t).await.is(200);
    b.ask("HEAD", &rule, &t, Value::Null).await.is(204);
    b.ask("DELETE", &rule, &t, Value::Null).await.is(204);
    b.ask("DELETE", &rule, &t, Value::Null).await.is(404);
}

#[tokio::test]
async fn domains_go_only_when_disabled() {
    let b = start().await;
    let t = b.admin().await;
    let id =
        b.ask("POST", "/v3/domains", &t, json!({"domain": {"name": "d"}})).await.is(201).text("/domain/id");
    let path = format!("/v3/domains/{id}");
    let user = json!({"user": {"name": "u", "domain_id": id, "password": "p"}});
    let user = b.ask("POST", "/v3/users", &t, user).await.is(201).text("/user/id");
    b.ask("DELETE", &path, &t, Value::Null).await.is(403);
    b.ask("PATCH", &path, &t, json!({"domain": {"enabled": false}})).await.is(200);
    b.ask("DELETE", &path, &t, Value::Null).await.is(204);
    b.get(&format!("/v3/users/{user}"), &t).await.is(404);
    assert_eq!(b.get("/v3/domains?name=Default", &t).await.is(200).text("/domains/0/id"), "default");
}

#[tokio::test]
async fn the_catalogs_parts_and_credentials() {
    let b = start().await;
    let t = b.admin().await;
    b.ask("PUT", "/v3/regions/r1", &t, json!({"region": {}})).await.is(201);
    b.ask("PUT", "/v3/regions/r1", &t, json!({"region": {}})).await.is(409);
    let s = b
        .ask("POST", "/v3/services", &t, json!({"service": {"type": "x"}}))
        .await
        .is(201)
        .text("/service/id");
    let e = json!({"endpoint": {"service_id": s, "interface": "public", "url": "http://x/%(project_id)s", "region": "r1"}});
    let e = b.ask("POST", "/v3/endpoints", &t, e).await.is(201);
    assert_eq!(e.text("/endpoint/region_id"), "r1");
    b.ask("DELETE", "/v3/regions/r1", &t, Value::Null).await.is(403);
    b.ask("DELETE", &format!("/v3/services/{s}"), &t, Value::Null).await.is(204);
    b.ask("DELETE", "/v3/regions/r1", &t, Value::Null).await.is(204);
    let demo = b.demo().await;
    let c = json!({"credential": {"type": "cert", "blob": "s3cret", "user_id": b.made.demo_user_id}});
    let c = b.ask("POST", "/v3/credentials", &demo, c).await.is(201);
    assert_eq!(c.text("/credential/blob"), "s3cret");
    let path = format!("/v3/credentials/{}", c.text("/credential/id"));
    assert_eq!(b.get(&path, &t).await.is(200).text("/credential/blob"), "s3cret");
    let other = json!({"credential": {"type": "cert", "blob": "x", "user_id": b.made.admin_user_id}});
    b.ask("POST", "/v3/credentials", &demo, other).await.is(403);
    b.ask("DELETE", &path, &demo, Value::Null).await.is(204);
    assert_eq!(b.get("/", "").await.status, 300);
    assert_eq!(b.get("/v3", "").await.is(200).text("/version/links/0/href"), "http://cloud:1/identity/v3/");
}
