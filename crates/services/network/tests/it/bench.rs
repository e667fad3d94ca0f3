//! The service on a real listener; the token is the project's name, and `admin` is an administrator.

use std::{
    net::IpAddr,
    path::Path,
    sync::{Arc, Mutex},
};

use pileus_base::{
    Caller, Error, ProjectRef, Result,
    ids::{NetworkId, PortId, ServerId},
};
use pileus_host::{
    BoxFuture, DiskSpec, Host, HostEvent, HostFacts, ImageFacts, ImageFile, NetworkSpec, PortSpec,
    ServerSpec, ServerStatus, Stop, Stream,
};
use pileus_http::{Authenticator, Metrics, Mount, Server};
use pileus_network::{Networks, Options};
use pileus_store::{Location, Store};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::broadcast,
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
        let roles: &[&str] = match token {
            "admin" => &["admin", "member", "reader"],
            "reader" => &["reader"],
            _ => &["member", "reader"],
        };
        let roles = roles.iter().map(|r| (*r).into()).collect();
        Box::pin(async move { Ok(Arc::new(Caller { roles, project: Some(project), ..Caller::default() })) })
    }
}

/// A host that only notes which networks and ports it was asked for.
#[derive(Default)]
pub struct Recorder {
    pub networks: Mutex<Vec<NetworkSpec>>,
    pub ports: Mutex<Vec<PortSpec>>,
}

fn done() -> BoxFuture<'static, Result<()>> {
    Box::pin(async { Ok(()) })
}

fn none<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    Box::pin(async { Err(Error::not_implemented("not in this test")) })
}

#[rustfmt::skip]
impl Host for Recorder {
    fn inspect_image<'a>(&'a self, _: &'a Path, _: &'a str) -> BoxFuture<'a, Result<ImageFacts>> { none() }
    fn prune_images<'a>(&'a self, _: &'a [ImageFile]) -> BoxFuture<'a, Result<()>> { Box::pin(async { Ok(()) }) }
    fn facts(&self) -> BoxFuture<'_, Result<HostFacts>> { none() }
    fn ensure_disk<'a>(&'a self, _: &'a DiskSpec) -> BoxFuture<'a, Result<()>> { none() }
    fn remove_disks(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn disk_owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>> { none() }
    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>> {
        self.networks.lock().unwrap().push(spec.clone());
        done()
    }
    fn remove_network(&self, _: NetworkId) -> BoxFuture<'_, Result<()>> { none() }
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>> { none() }
    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>> {
        self.ports.lock().unwrap().push(spec.clone());
        done()
    }
    fn remove_port(&self, _: NetworkId, _: PortId) -> BoxFuture<'_, Result<()>> { none() }
    fn ports(&self, _: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>> { none() }
    fn dial(&self, _: NetworkId, _: IpAddr, _: u16) -> BoxFuture<'_, Result<Box<dyn Stream>>> { none() }
    fn ensure_server<'a>(&'a self, _: &'a ServerSpec) -> BoxFuture<'a, Result<()>> { none() }
    fn stop_server(&self, _: ServerId, _: Stop) -> BoxFuture<'_, Result<()>> { none() }
    fn reset_server(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn pause_server(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn unpause_server(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn suspend_server(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn resume_server<'a>(&'a self, _: &'a ServerSpec) -> BoxFuture<'a, Result<()>> { none() }
    fn remove_server(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn server(&self, _: ServerId) -> BoxFuture<'_, Result<ServerStatus>> { none() }
    fn servers(&self) -> BoxFuture<'_, Result<Vec<(ServerId, ServerStatus)>>> { none() }
    fn console_log(&self, _: ServerId, _: Option<usize>) -> BoxFuture<'_, Result<Vec<u8>>> { none() }
    fn serial(&self, _: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>> { none() }
    fn vnc(&self, _: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>> { none() }
    fn events(&self) -> broadcast::Receiver<HostEvent> { broadcast::channel(1).1 }
}

pub struct Bench {
    address: std::net::SocketAddr,
    pub networks: Arc<Networks>,
    pub host: Arc<Recorder>,
    pub store: Store,
    server: Server,
    _dir: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.body);
        self
    }
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
    /// The fault's type.
    #[track_caller]
    pub fn kind(&self) -> String {
        self.json()["NeutronError"]["type"].as_str().unwrap_or_default().to_owned()
    }
}

pub async fn start() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let host = Arc::new(Recorder::default());
    let networks = Networks::open(store.clone(), host.clone(), Options::default()).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(Arc::new(Tokens), Arc::new(Metrics::default()), "/identity");
    server.tcp(listener, None, vec![Mount { prefix: "/networking", service: Arc::new(networks.service()) }]);
    Bench { address, networks, host, store, server, _dir: dir }
}

impl Bench {
    /// One request on a connection of its own.
    pub async fn ask(&self, token: &str, method: &str, path: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let token = if token.is_empty() { String::new() } else { format!("X-Auth-Token: {token}\r\n") };
        let request = format!(
            "{method} /networking{path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\n{token}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { status: head[9..12].parse().unwrap(), body: body.to_owned() }
    }
    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(token, "POST", &format!("/v2.0/{path}"), &body.to_string()).await
    }
    pub async fn put(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(token, "PUT", &format!("/v2.0/{path}"), &body.to_string()).await
    }
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "GET", &format!("/v2.0/{path}"), "").await
    }
    pub async fn delete(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "DELETE", &format!("/v2.0/{path}"), "").await
    }
    /// Makes one thing; what was answered.
    pub async fn make(&self, token: &str, name: &str, fields: Value) -> Value {
        let path = format!("{}s", name.replace('_', "-"));
        self.post(token, &path, json!({name: fields})).await.is(201).json()[name].take()
    }
    /// A network and its subnet 10.0.0.0/24.
    pub async fn lan(&self, token: &str, fields: Value) -> (String, String) {
        let network = id(&self.make(token, "network", fields).await);
        let asked = json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"});
        let subnet = id(&self.make(token, "subnet", asked).await);
        (network, subnet)
    }
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

pub fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}
