//! The HTTP edge against a real client connection.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::sync::Arc;

use pileus_base::{Caller, Error, ProjectRef, Result};
use pileus_http::{
    Authenticator, BoxFuture, Call, Family, Metrics, Mount, Reply, Routes, Server, openstack_fault,
};
use pileus_policy::Rule;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

static FAMILY: Family = Family {
    name: "test",
    fault: openstack_fault,
    denied: |rule| format!("no {rule}"),
    versions: None,
    request_id_header: None,
    body_max: 1000,
};

/// The token is the role's name.
struct Tokens;

impl Authenticator for Tokens {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<Caller>>> {
        Box::pin(async move {
            if token == "bad" {
                return Err(Error::unauthorized("bad token"));
            }
            let project = ProjectRef {
                id: "p".into(),
                name: "p".into(),
                domain_id: "d".into(),
                domain_name: "d".into(),
            };
            let roles = vec![token.into()];
            Ok(Arc::new(Caller { roles, project: Some(project), ..Caller::default() }))
        })
    }
}

async fn show(call: Call<()>) -> Result<Reply> {
    Reply::ok(
        &json!({"id": call.param("id"), "scope": format!("{:?}", call.scope), "self": call.base.url("/x")}),
    )
}
async fn make(mut call: Call<()>) -> Result<Reply> {
    let body: Value = call.json().await?;
    Reply::json(201, &body)
}
async fn broken(_: Call<()>) -> Result<Reply> {
    panic!("a defect")
}

struct Bench {
    address: std::net::SocketAddr,
    server: Server,
}

async fn start() -> Bench {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(Arc::new(Tokens), Arc::new(Metrics::default()), "/identity");
    let service = Routes::new(&FAMILY, ())
        .get("/", Rule::anyone("root"), |_| async { Reply::ok(&json!({})) })
        .get("/things/{id}", Rule::reader("things:show"), show)
        .get("/things/{thing_id}/broken", Rule::anyone("things:broken"), broken)
        .post("/things", Rule::admin("things:make"), make)
        .build();
    server.tcp(listener, None, vec![Mount { prefix: "/api", service: Arc::new(service) }]);
    Bench { address, server }
}

/// One request on a connection of its own: the status, the head, the body.
async fn ask(b: &Bench, request: String) -> (u16, String, String) {
    let mut stream = TcpStream::connect(b.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), head.to_ascii_lowercase(), body.to_owned())
}

fn get(path: &str, token: &str) -> String {
    let token = if token.is_empty() { String::new() } else { format!("X-Auth-Token: {token}\r\n") };
    format!("GET {path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\n{token}\r\n")
}
fn post(path: &str, token: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\nX-Auth-Token: {token}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_request_runs_through_token_rule_and_handler() {
    let b = start().await;
    let (status, head, body) = ask(&b, get("/api/things/a%20b/", "reader")).await;
    assert_eq!(status, 200, "{body}");
    assert!(head.contains("x-openstack-request-id: req-"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body, json!({"id": "a b", "scope": "Project(p)", "self": "http://cloud:1/api/x"}));

    let (status, head, body) = ask(&b, get("/api/things/a", "")).await;
    assert_eq!(status, 401, "{body}");
    assert!(head.contains("www-authenticate: keystone uri=\"http://cloud:1/identity\""));
    assert_eq!(ask(&b, get("/api/things/a", "bad")).await.0, 401);
    assert_eq!(ask(&b, get("/api/", "bad")).await.0, 200, "an open route takes a stale token");
    let (status, _, body) = ask(&b, post("/api/things", "reader", "{}")).await;
    assert_eq!((status, body.contains("no things:make")), (403, true));
    for (path, status) in [("/api/nothing", 404), ("/other", 404), ("/apiary", 404), ("/api/things/%00", 404)]
    {
        assert_eq!(ask(&b, get(path, "admin")).await.0, status, "{path}");
    }
    assert_eq!(ask(&b, post("/api/things/a", "admin", "{}")).await.0, 405);
    b.server.stop().await;
}

#[tokio::test]
async fn bad_bodies_are_told_apart() {
    let b = start().await;
    assert_eq!(ask(&b, post("/api/things", "admin", "{\"a\": 1}")).await.0, 201);
    assert_eq!(ask(&b, post("/api/things", "admin", "{")).await.0, 400);
    assert_eq!(ask(&b, post("/api/things", "admin", "{\"a\": \"\\u0000\"}")).await.0, 400);
    assert_eq!(ask(&b, post("/api/things", "admin", &format!("\"{}\"", "x".repeat(2000)))).await.0, 413);
    let deep = format!("{}{}", "[".repeat(400), "]".repeat(400));
    assert_eq!(ask(&b, post("/api/things", "admin", &deep)).await.0, 400);
    let (status, _, body) = ask(&b, get("/api/things/a/broken", "")).await;
    assert_eq!((status, body.contains("defect")), (500, false));
    b.server.stop().await;
}
