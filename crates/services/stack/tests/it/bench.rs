//! A service on a real listener, with a runner and reconcilers; the token is the project's name.

use std::sync::Arc;

use pileus_base::{Caller, ProjectRef, Result, UserRef};
use pileus_http::{Authenticator, BoxFuture, Metrics, Mount, Server};
use pileus_jobs::{Jobs, Runner, RunnerConfig};
use pileus_reconcile::{Reconcilers, Running};
use pileus_stack::{Stacks, types::Registry};
use pileus_store::{Location, Store};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

struct Tokens;

impl Authenticator for Tokens {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<Caller>>> {
        let project = ProjectRef {
            id: token.into(),
            name: token.into(),
            domain_id: "default".into(),
            domain_name: "Default".into(),
        };
        let user = UserRef {
            id: "u".into(),
            name: "bob".into(),
            domain_id: "default".into(),
            domain_name: "Default".into(),
        };
        let roles = vec!["member".into(), "reader".into()];
        let caller = Caller { user: Some(user), roles, project: Some(project), ..Caller::default() };
        Box::pin(async move { Ok(Arc::new(caller)) })
    }
}

pub struct Bench {
    address: std::net::SocketAddr,
    server: Server,
    runner: Runner,
    reconcilers: Running,
    _dir: tempfile::TempDir,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
    pub fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap_or_default()
    }
}

/// A store in a directory of its own.
async fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    (dir, store)
}

pub async fn start() -> Bench {
    let (dir, store) = store().await;
    let stacks = Stacks::with_types(store.clone(), Registry::new()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(Arc::new(Tokens), Arc::new(Metrics::default()), "/identity");
    server.tcp(listener, None, vec![Mount { prefix: "/heat-api", service: Arc::new(stacks.service()) }]);
    let runner = stacks.jobs(Jobs::new(store.clone())).start(RunnerConfig::default());
    let reconcilers = stacks.reconcilers(Reconcilers::new(store)).start();
    Bench { address, server, runner, reconcilers, _dir: dir }
}

impl Bench {
    /// One request below the project `p`.
    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_as("p", method, &format!("/v1/p{path}"), body).await
    }
    /// One request by `token`.
    pub async fn ask_as(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = format!(
            "{method} /heat-api{path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\nX-Auth-Token: {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head[9..12].parse().unwrap();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { status, head: head.to_owned(), body }
    }
    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, Value::Null).await
    }
    /// Makes a stack; its path.
    pub async fn create(&self, name: &str, template: &str) -> String {
        let body = serde_json::json!({"stack_name": name, "template": template});
        let made = self.ask("POST", "/stacks", body).await.is(201);
        format!("/stacks/{name}/{}", made.body["stack"]["id"].as_str().unwrap())
    }
    /// The stack once nothing is under way.
    pub async fn settled(&self, path: &str) -> Value {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let stack = self.get(path).await.is(200).body["stack"].clone();
            if !stack["stack_status"].as_str().unwrap().ends_with("_IN_PROGRESS") {
                return stack;
            }
            assert!(tokio::time::Instant::now() < deadline, "{stack}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
    pub async fn stop(self) {
        self.server.stop().await;
        self.runner.stop().await;
        self.reconcilers.stop().await;
    }
}
