//! Logging in, validation, revocation.

use pileus_http::Authenticator;
use pileus_identity::PasswordRules;
use serde_json::{Value, json};

use crate::bench::{project, start, start_with, world};

#[tokio::test]
async fn a_scoped_token_has_keystones_shape() {
    let b = start().await;
    let password = b.made.admin_password.clone().unwrap();
    let made = b.login("admin", &password, project("admin")).await.is(201);
    let token = &made.body["token"];
    let keys: Vec<&str> = token.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "methods",
        "user",
        "audit_ids",
        "expires_at",
        "issued_at",
        "project",
        "is_domain",
        "roles",
        "catalog",
    ];
    assert_eq!(keys, wanted);
    assert_eq!(token["user"]["domain"], json!({"id": "default", "name": "Default"}));
    let expires = token["expires_at"].as_str().unwrap();
    assert!(expires.len() == 27 && expires.ends_with('Z'), "{expires}");
    let mut roles: Vec<_> =
        token["roles"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["admin", "manager", "member", "reader"]);
    let urls: Vec<String> = token["catalog"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| s["endpoints"][0]["url"].as_str().unwrap().to_owned())
        .collect();
    let heat = format!("http://cloud:1/heat-api/v1/{}", b.made.admin_project_id);
    assert!(urls.contains(&heat) && urls.contains(&"http://cloud:1/compute/v2.1".into()), "{urls:?}");

    let text = made.token();
    let shown = b
        .ask_with("GET", "/v3/auth/tokens", &text, &format!("X-Subject-Token: {text}\r\n"), Value::Null)
        .await
        .is(200);
    assert_eq!(shown.body["token"]["audit_ids"], token["audit_ids"]);
    let caller = b.identity.authenticate(&text).await.unwrap();
    assert!(caller.has_role("admin") && !caller.system);
    b.get("/v3/auth/catalog", &text).await.is(200);
    b.get("/v3/auth/projects", &text).await.is(200);
    assert_eq!(b.get("/v3/auth/system", &text).await.is(200).body["system"], json!([{"all": true}]));
}

#[tokio::test]
async fn scopes_and_rescoping() {
    let b = start().await;
    let password = b.made.admin_password.clone().unwrap();
    let unscoped = b.login("admin", &password, json!("unscoped")).await.is(201);
    assert!(unscoped.body["token"].get("roles").is_none());
    let system = b.login("admin", &password, json!({"system": {"all": true}})).await.is(201);
    assert_eq!(system.body["token"]["system"], json!({"all": true}));
    b.login("admin", &password, json!({"domain": {"id": "default"}})).await.is(401);
    // without a scope: the default project
    let default = b.login("admin", &password, Value::Null).await.is(201);
    assert_eq!(default.text("/token/project/name"), "admin");
    let auth = json!({"auth": {"identity": {"methods": ["token"], "token": {"id": unscoped.token()}}, "scope": project("demo")}});
    let again = b.ask("POST", "/v3/auth/tokens", "", auth).await.is(201);
    assert_eq!(again.text("/token/expires_at"), unscoped.text("/token/expires_at"));
    assert_eq!(again.body["token"]["methods"], json!(["password", "token"]));
    assert_eq!(again.body["token"]["audit_ids"][1], unscoped.body["token"]["audit_ids"][0]);
}

#[tokio::test]
async fn bad_logins() {
    let b = start().await;
    let refused = b.login("admin", "wrong", Value::Null).await.is(401);
    let wanted = json!({"error": {"code": 401, "message": "The request you have made requires authentication.", "title": "Unauthorized"}});
    assert_eq!(refused.body, wanted);
    b.login("nobody", "wrong", Value::Null).await.is(401);
    let demo = b.made.demo_password.clone().unwrap();
    b.login("demo", &demo, project("admin")).await.is(401);
    b.login("demo", &demo, project("nowhere")).await.is(401);
    for bad in
        [json!({}), json!({"auth": {}}), json!({"auth": {"identity": {"methods": ["password"]}}}), json!([])]
    {
        b.ask("POST", "/v3/auth/tokens", "", bad).await.is(400);
    }
    b.get("/v3/users", "gAAAAArubbish").await.is(401);
    b.get("/v3/users", &b.demo().await).await.is(403);
}

#[tokio::test]
async fn revocation_is_immediate() {
    let b = start().await;
    let admin = b.admin().await;
    let revoke = |token: String| {
        let head = format!("X-Subject-Token: {token}\r\n");
        let (b, admin) = (&b, admin.clone());
        async move { b.ask_with("DELETE", "/v3/auth/tokens", &admin, &head, Value::Null).await.is(204) }
    };
    let (one, other) = (b.demo().await, b.demo().await);
    b.get("/v3/auth/projects", &one).await.is(200);
    revoke(one.clone()).await;
    b.get("/v3/auth/projects", &one).await.is(401);
    b.get("/v3/auth/projects", &other).await.is(200);

    let demo = format!("/v3/users/{}", b.made.demo_user_id);
    let change =
        json!({"user": {"original_password": b.made.demo_password.clone().unwrap(), "password": "new"}});
    b.ask("POST", &format!("{demo}/password"), "", change.clone()).await.is(204);
    b.get("/v3/auth/projects", &other).await.is(401);
    b.ask("POST", &format!("{demo}/password"), "", change).await.is(401);

    let third = b.login("demo", "new", project("demo")).await.is(201).token();
    let role = b.role(&admin, "member").await;
    let grant = format!("/v3/projects/{}/users/{}/roles/{role}", b.made.demo_project_id, b.made.demo_user_id);
    b.ask("DELETE", &grant, &admin, Value::Null).await.is(204);
    b.get("/v3/auth/projects", &third).await.is(401);
    b.ask("PUT", &grant, &admin, Value::Null).await.is(204);

    let fourth = b.login("demo", "new", project("demo")).await.is(201).token();
    b.ask("PATCH", &demo, &admin, json!({"user": {"enabled": false}})).await.is(200);
    b.get("/v3/auth/projects", &fourth).await.is(401);
    b.ask("PATCH", &demo, &admin, json!({"user": {"enabled": true}})).await.is(200);
    b.get("/v3/auth/projects", &fourth).await.is(401);
}

#[tokio::test]
async fn lockout() {
    let b = start_with(|o| {
        o.passwords = PasswordRules {
            lockout_attempts: Some(2),
            lockout_s: 3600,
            unique_last: 2,
            ..Default::default()
        };
    })
    .await;
    let admin = b.admin().await;
    let id = b.user(&admin, "u").await;
    let change = |old: &str, new: &str| json!({"user": {"original_password": old, "password": new}});
    let path = format!("/v3/users/{id}/password");
    let again = b.ask("POST", &path, "", change("secret", "secret")).await.is(400);
    assert!(again.message().contains("identical to the last 2"), "{}", again.message());
    b.login("u", "secret", Value::Null).await.is(201);
    b.login("u", "no", Value::Null).await.is(401);
    b.login("u", "no", Value::Null).await.is(401);
    b.login("u", "secret", Value::Null).await.is(401);
}

#[tokio::test]
async fn rotated_keys_keep_old_tokens_and_a_second_start_changes_nothing() {
    let b = start().await;
    let token = b.admin().await;
    b.identity.rotate_keys().await.unwrap();
    b.ask("POST", "/v3/regions", &token, json!({"region": {}})).await.is(201);
    b.get("/v3/users", &token).await.is(200);
    b.get("/v3/users", &b.admin().await).await.is(200);
    let again = b.identity.bootstrap(world("http://127.0.0.1:9999")).await.unwrap();
    assert_eq!((again.admin_password, again.admin_user_id), (None, b.made.admin_user_id.clone()));
    let all = b.get("/v3/endpoints", &token).await.is(200).body;
    assert_eq!(all["endpoints"].as_array().unwrap().len(), 9);
    assert!(all["endpoints"][0]["url"].as_str().unwrap().starts_with("http://127.0.0.1:9999/"));
    assert!(all["endpoints"][0].get("_own").is_none());
    b.identity.upkeep().await.unwrap();
}
