//! Placement through real HTTP; the token is the role.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use pileus_base::{Caller, ProjectRef, Result};
use pileus_http::{Authenticator, BoxFuture, Metrics, Mount, Server};
use pileus_placement::{Placement, allocations};
use pileus_store::{Location, Store};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use uuid::Uuid;

struct Tokens;

impl Authenticator for Tokens {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<Caller>>> {
        let project =
            ProjectRef { id: "p".into(), name: "p".into(), domain_id: "d".into(), domain_name: "d".into() };
        let roles = vec![token.into(), "reader".into()];
        Box::pin(async move { Ok(Arc::new(Caller { roles, project: Some(project), ..Caller::default() })) })
    }
}

struct Bench {
    address: std::net::SocketAddr,
    server: Server,
    store: Store,
    _dir: tempfile::TempDir,
}

async fn start() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let placement = Placement::open(store.clone()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(Arc::new(Tokens), Arc::new(Metrics::default()), "/identity");
    server.tcp(listener, None, vec![Mount { prefix: "/placement", service: Arc::new(placement.service()) }]);
    Bench { address, server, store, _dir: dir }
}

impl Bench {
    async fn ask(&self, token: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /placement{path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\nX-Auth-Token: {token}\r\nOpenStack-API-Version: placement 1.39\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or(Value::Null))
    }
    #[track_caller]
    fn is(answer: (u16, Value), status: u16) -> Value {
        assert_eq!(answer.0, status, "{}", answer.1);
        answer.1
    }
    async fn get(&self, path: &str) -> Value {
        Self::is(self.ask("admin", "GET", path, Value::Null).await, 200)
    }
    /// A provider with four processors; its path.
    async fn provider(&self) -> String {
        let made = self.ask("admin", "POST", "/resource_providers", json!({"name": "host"})).await;
        let path = format!("/resource_providers/{}", Self::is(made, 200)["uuid"].as_str().unwrap());
        let four = json!({"resource_provider_generation": 0, "inventories": {"VCPU": {"total": 5, "reserved": 1, "max_unit": 3}}});
        Self::is(self.ask("admin", "PUT", &format!("{path}/inventories"), four).await, 200);
        path
    }
}

fn claim(provider: &str, amount: u64, generation: Value) -> Value {
    let id = provider.rsplit('/').next().unwrap();
    json!({
        "allocations": {id: {"resources": {"VCPU": amount}}}, "project_id": "p", "user_id": "u",
        "consumer_generation": generation, "consumer_type": "INSTANCE",
    })
}

#[tokio::test]
async fn claims_stay_within_capacity() {
    let b = start().await;
    let provider = b.provider().await;
    let of = |n: u8| format!("/allocations/{}", Uuid::from_bytes([n; 16]));
    let table = [
        (1, claim(&provider, 3, Value::Null), 204),
        (1, claim(&provider, 3, Value::Null), 409),
        (1, claim(&provider, 2, json!(0)), 204),
        (2, claim(&provider, 3, Value::Null), 409),
        (2, claim(&provider, 4, Value::Null), 409),
        (2, claim(&provider, 0, Value::Null), 400),
        (2, json!({"allocations": 1, "project_id": "p"}), 400),
        (2, json!({"allocations": {}}), 400),
        (2, claim(&Uuid::from_bytes([9; 16]).to_string(), 1, Value::Null), 400),
        (2, claim(&provider, 2, Value::Null), 204),
    ];
    for (consumer, body, status) in table {
        let (got, answer) = b.ask("admin", "PUT", &of(consumer), body.clone()).await;
        assert_eq!(got, status, "{consumer} {body}: {answer}");
    }
    assert_eq!(b.get(&format!("{provider}/usages")).await["usages"]["VCPU"], 4);
    assert_eq!(b.get("/usages?project_id=p").await["usages"]["all"]["usages"]["VCPU"], 4);
    assert!(
        b.get("/allocation_candidates?resources=VCPU:1").await["allocation_requests"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    Bench::is(b.ask("admin", "DELETE", &provider, Value::Null).await, 409);
    let none = json!({"resource_provider_generation": 1, "inventories": {}});
    let inuse = Bench::is(b.ask("admin", "PUT", &format!("{provider}/inventories"), none).await, 409);
    assert_eq!(inuse["errors"][0]["code"], "placement.inventory.inuse");
    let nothing = json!({"allocations": {}, "project_id": "p", "user_id": "u", "consumer_generation": 1});
    Bench::is(b.ask("admin", "PUT", &of(1), nothing).await, 204);
    Bench::is(b.ask("admin", "DELETE", &of(1), Value::Null).await, 404);
    Bench::is(b.ask("admin", "DELETE", &of(2), Value::Null).await, 204);
    assert_eq!(b.get(&format!("{provider}/usages")).await["usages"]["VCPU"], 0);
    assert_eq!(
        b.get("/allocation_candidates?resources=VCPU:1").await["allocation_requests"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    for (query, many) in [
        ("&required=!HW_NONE", 1),
        ("&required=HW_NONE", 0),
        ("&required=in:HW_NONE,HW_NEITHER", 0),
        ("&limit=1", 1),
        ("&member_of=8a1b1b6e-0000-4000-8000-000000000000", 0),
        ("&in_tree=8a1b1b6e-0000-4000-8000-000000000000", 0),
    ] {
        let found = b.get(&format!("/allocation_candidates?resources=VCPU:1{query}")).await;
        assert_eq!(found["allocation_requests"].as_array().unwrap().len(), many, "{query}");
    }
    Bench::is(b.ask("admin", "DELETE", &provider, Value::Null).await, 204);
    b.server.stop().await;
}

#[tokio::test]
async fn bad_input_and_strangers_are_refused() {
    let b = start().await;
    let provider = b.provider().await;
    for (token, method, path, body, status) in [
        ("member", "GET", "/resource_providers".to_owned(), Value::Null, 403),
        ("member", "GET", provider.clone(), Value::Null, 403),
        ("member", "GET", "/usages?project_id=other".into(), Value::Null, 403),
        ("member", "GET", "/usages?project_id=p".into(), Value::Null, 200),
        ("admin", "POST", "/resource_providers".into(), json!({"name": "host"}), 409),
        ("admin", "POST", "/resource_providers".into(), json!({"name": ""}), 400),
        ("admin", "POST", "/resource_providers".into(), json!({"name": "x", "uuid": "x"}), 400),
        ("admin", "GET", "/resource_providers/nothing".into(), Value::Null, 404),
        ("admin", "GET", "/allocation_candidates".into(), Value::Null, 400),
        ("admin", "GET", "/allocation_candidates?resources=VCPU".into(), Value::Null, 400),
        ("admin", "GET", "/allocation_candidates?resources=VCPU:1&colour=red".into(), Value::Null, 400),
        ("admin", "GET", "/allocation_candidates?resources=VCPU:1&limit=0".into(), Value::Null, 400),
        ("admin", "GET", "/allocation_candidates?resources=VCPU:1&in_tree=x".into(), Value::Null, 400),
        ("admin", "GET", "/allocation_candidates?resources=VCPU:1&group_policy=x".into(), Value::Null, 400),
        (
            "admin",
            "GET",
            "/allocation_candidates?resources=VCPU:1&resources1=VCPU:1".into(),
            Value::Null,
            501,
        ),
        ("admin", "GET", "/allocations/nothing".into(), Value::Null, 400),
        (
            "admin",
            "PUT",
            format!("{provider}/inventories"),
            json!({"inventories": {"VCPU": {"total": "x"}}}),
            400,
        ),
        (
            "admin",
            "PUT",
            format!("{provider}/traits"),
            json!({"traits": [], "resource_provider_generation": 9}),
            409,
        ),
    ] {
        let (got, answer) = b.ask(token, method, &path, body.clone()).await;
        assert_eq!(got, status, "{method} {path} {body}: {answer}");
        if got >= 400 {
            assert_eq!(answer["errors"][0]["status"], status, "{answer}");
        }
    }
    b.server.stop().await;
}

#[tokio::test]
async fn two_cannot_have_the_last() {
    let b = start().await;
    b.provider().await;
    let ask = |n: u8| {
        b.store.write(move |tx| {
            allocations::claim(tx, Uuid::from_bytes([n; 16]), &"p".into(), None, &[("VCPU", 3)], &[])
        })
    };
    let (one, two) = tokio::join!(ask(1), ask(2));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1);
    let lost = one.err().or(two.err()).unwrap();
    assert_eq!(lost.code_word(), Some("NoValidHost"));
    for _ in 0..2 {
        let release = |tx: &mut pileus_store::Tx<'_>| {
            allocations::release(tx, Uuid::from_bytes([1; 16]))?;
            allocations::release(tx, Uuid::from_bytes([2; 16]))
        };
        b.store.write(release).await.unwrap();
    }
    ask(3).await.unwrap();
    b.server.stop().await;
}
