//! A service of one's own: a fresh state, a port, a small client.

use std::sync::Arc;

use pileus_http::{Metrics, Mount, Server};
use pileus_identity::{Bootstrap, Bootstrapped, CatalogEntry, Identity, Options};
use pileus_store::{Location, Store};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub struct Bench {
    pub identity: Arc<Identity>,
    pub made: Bootstrapped,
    address: std::net::SocketAddr,
    _server: Server,
    _dir: tempfile::TempDir,
}

/// An answer.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Value,
}

impl Answer {
    pub fn token(&self) -> String {
        let line = self.head.lines().find(|l| l.to_ascii_lowercase().starts_with("x-subject-token:"));
        line.unwrap_or_else(|| panic!("no token: {} {}", self.status, self.body))[16..].trim().to_owned()
    }
    pub fn text(&self, pointer: &str) -> String {
        let found = self.body.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or_else(|| panic!("no {pointer} in {}", self.body)).to_owned()
    }
    pub fn message(&self) -> String {
        self.text("/error/message")
    }
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
}

pub async fn start() -> Bench {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut Options)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let mut options = Options { bcrypt_rounds: 4, ..Options::new(dir.path()) };
    change(&mut options);
    let identity = Identity::open(store, options).await.unwrap();
    let made = identity.bootstrap(world("http://127.0.0.1:8700")).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(identity.clone(), Arc::new(Metrics::default()), "/identity");
    let mount = |prefix| Mount { prefix, service: Arc::new(identity.service()) };
    server.tcp(listener, None, vec![mount("/identity"), mount("")]);
    Bench { identity, made, address, _server: server, _dir: dir }
}

pub fn world(base_url: &str) -> Bootstrap {
    let entry = |service_type: &str, path: &str| CatalogEntry {
        service_type: service_type.into(),
        name: service_type.into(),
        path: path.into(),
    };
    let services = vec![
        entry("identity", "/identity"),
        entry("compute", "/compute/v2.1"),
        entry("orchestration", "/heat-api/v1/$(project_id)s"),
    ];
    Bootstrap { base_url: base_url.into(), services }
}

pub fn by_password(user: &str, password: &str, scope: Value) -> Value {
    let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    if !scope.is_null() {
        auth["scope"] = scope;
    }
    json!({"auth": auth})
}

pub fn project(name: &str) -> Value {
    json!({"project": {"name": name, "domain": {"id": "default"}}})
}

impl Bench {
    pub async fn ask(&self, method: &str, path: &str, token: &str, body: Value) -> Answer {
        self.ask_with(method, path, token, "", body).await
    }
    pub async fn ask_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &str,
        body: Value,
    ) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let token = if token.is_empty() { String::new() } else { format!("X-Auth-Token: {token}\r\n") };
        let request = format!(
            "{method} /identity{path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\n{token}{headers}\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let body = serde_json::from_str(body).unwrap_or(Value::Null);
        Answer { status: head[9..12].parse().unwrap(), head: head.to_owned(), body }
    }
    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.ask("GET", path, token, Value::Null).await
    }
    pub async fn login(&self, user: &str, password: &str, scope: Value) -> Answer {
        self.ask("POST", "/v3/auth/tokens", "", by_password(user, password, scope)).await
    }
    pub async fn admin(&self) -> String {
        let password = self.made.admin_password.clone().unwrap();
        self.login("admin", &password, project("admin")).await.is(201).token()
    }
    pub async fn demo(&self) -> String {
        let password = self.made.demo_password.clone().unwrap();
        self.login("demo", &password, project("demo")).await.is(201).token()
    }
    /// Makes a user with password `secret`; the id.
    pub async fn user(&self, admin: &str, name: &str) -> String {
        let body = json!({"user": {"name": name, "password": "secret"}});
        self.ask("POST", "/v3/users", admin, body).await.is(201).text("/user/id")
    }
    pub async fn role(&self, admin: &str, name: &str) -> String {
        self.get(&format!("/v3/roles?name={name}"), admin).await.is(200).text("/roles/0/id")
    }
}
