//! Compute, image and network on a real listener; the token is the project's name and the user's, and
//! `admin` is an administrator. Jobs run once [`Bench::go`] has been called.

use std::{sync::Arc, time::Duration};

use pileus_agent::{Agent, LateMetadata, Simulate};
use pileus_base::{Caller, InstanceId, ProjectRef, Result, UserRef};
use pileus_compute::{Compute, Options};
use pileus_host::{BoxFuture, Host};
use pileus_http::{Authenticator, Metrics, Mount, Server};
use pileus_image::Images;
use pileus_jobs::{Jobs, Runner, RunnerConfig};
use pileus_network::Networks;
use pileus_placement::Placement;
use pileus_store::{Location, Store};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::host::Echoing;

struct Tokens;

impl Authenticator for Tokens {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<Caller>>> {
        let domain_name: Arc<str> = "Default".into();
        let project = ProjectRef {
            id: token.into(),
            name: token.into(),
            domain_id: "default".into(),
            domain_name: domain_name.clone(),
        };
        let user = UserRef { id: token.into(), name: token.into(), domain_id: "default".into(), domain_name };
        let roles: &[&str] = match token {
            "admin" => &["admin", "member", "reader"],
            "reader" => &["reader"],
            _ => &["member", "reader"],
        };
        let roles = roles.iter().map(|r| (*r).into()).collect();
        let caller = Caller { user: Some(user), roles, project: Some(project), ..Caller::default() };
        Box::pin(async move { Ok(Arc::new(caller)) })
    }
}

pub struct Bench {
    pub address: std::net::SocketAddr,
    pub compute: Arc<Compute>,
    pub host: Arc<Agent>,
    pub store: Store,
    /// What servers are made of: 1 KiB, raw, public.
    pub image: String,
    server: Server,
    runner: Option<Runner>,
    _dir: tempfile::TempDir,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
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
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }
    /// The fault's message.
    #[track_caller]
    pub fn message(&self) -> String {
        let body = self.json();
        let fault = body.as_object().unwrap().values().next().unwrap();
        assert_eq!(fault["code"], self.status, "{body}");
        fault["message"].as_str().unwrap().to_owned()
    }
}

pub async fn start() -> Bench {
    start_with(Options::default(), Simulate::default()).await
}

pub async fn start_with(options: Options, simulate: Simulate) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let agent = pileus_agent::Options {
        state_dir: dir.path().to_owned(),
        instance: InstanceId::generate(),
        simulate: Some(simulate),
    };
    let agent = Agent::open(agent, Arc::new(LateMetadata::default())).await.unwrap();
    let host: Arc<dyn Host> = Arc::new(Echoing(agent.clone()));
    let image_options = pileus_image::Options { state_dir: dir.path().to_owned(), ..Default::default() };
    let images = Images::open(store.clone(), image_options, host.clone()).await.unwrap();
    let networks = Networks::open(store.clone(), host.clone(), Default::default()).await.unwrap();
    let placement = Placement::open(store.clone()).await.unwrap();
    let opened = Compute::open(store.clone(), host, images.clone(), networks.clone(), placement, options);
    let compute = opened.await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(Arc::new(Tokens), Arc::new(Metrics::default()), "/identity");
    let mounts = vec![
        Mount { prefix: "/compute", service: Arc::new(compute.service()) },
        Mount { prefix: "/image", service: Arc::new(images.service()) },
        Mount { prefix: "/networking", service: Arc::new(networks.service()) },
    ];
    server.tcp(listener, None, mounts);
    let image = String::new();
    let (runner, host) = (None, agent);
    let mut bench = Bench { address, compute, host, store, image, server, runner, _dir: dir };
    bench.image = bench.upload("tiny", &vec![7; 1024]).await;
    bench
}

/// One more header.
pub fn at(version: &str) -> String {
    format!("OpenStack-API-Version: compute {version}\r\n")
}

impl Bench {
    /// Runs jobs from now on.
    pub fn go(&mut self) {
        self.runner = Some(self.compute.jobs(Jobs::new(self.store.clone())).start(RunnerConfig::default()));
    }
    /// Runs none until the next [`Bench::go`].
    pub async fn hold(&mut self) {
        if let Some(runner) = self.runner.take() {
            runner.stop().await;
        }
    }

    /// One request on a connection of its own, below any service. `more` are further header lines.
    pub async fn raw(&self, token: &str, method: &str, path: &str, more: &str, body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let token = if token.is_empty() { String::new() } else { format!("X-Auth-Token: {token}\r\n") };
        let media = if more.contains("Content-Type") { "" } else { "Content-Type: application/json\r\n" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\n{token}{media}{more}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head[9..12].parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }
    /// One request below `/compute/v2.1`, at microversion `version`.
    pub async fn ask(&self, token: &str, version: &str, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(token, method, &format!("/compute/v2.1{path}"), &at(version), body.as_bytes()).await
    }
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "2.79", "GET", path, Value::Null).await
    }
    pub async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(token, "2.79", "POST", path, body).await
    }
    pub async fn put(&self, token: &str, path: &str, body: Value) -> Answer {
        self.ask(token, "2.79", "PUT", path, body).await
    }
    pub async fn delete(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "2.79", "DELETE", path, Value::Null).await
    }
    pub async fn act(&self, token: &str, server: &str, action: Value) -> Answer {
        self.post(token, &format!("/servers/{server}/action"), action).await
    }

    /// An active public raw image of this content.
    pub async fn upload(&self, name: &str, data: &[u8]) -> String {
        let asked =
            json!({"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public"});
        let made = self.raw("admin", "POST", "/image/v2/images", "", asked.to_string().as_bytes()).await;
        let id = made.is(201).json()["id"].as_str().unwrap().to_owned();
        let (path, media) =
            (format!("/image/v2/images/{id}/file"), "Content-Type: application/octet-stream\r\n");
        self.raw("admin", "PUT", &path, media, data).await.is(204);
        id
    }
    /// A network resource; what was answered.
    pub async fn network(&self, token: &str, name: &str, fields: Value) -> Value {
        let (path, body) = (format!("/networking/v2.0/{name}s"), json!({name: fields}).to_string());
        self.raw(token, "POST", &path, "", body.as_bytes()).await.is(201).json()[name].take()
    }
    /// A network with the subnet 10.0.0.0/24; its id.
    pub async fn lan(&self, token: &str, name: &str) -> String {
        let network = id(&self.network(token, "network", json!({"name": name})).await);
        let asked = json!({"network_id": network, "ip_version": 4, "cidr": "10.0.0.0/24"});
        self.network(token, "subnet", asked).await;
        network
    }
    /// The body that asks for a server called `name`, with `more` fields.
    pub fn server(&self, name: &str, more: Value) -> Value {
        let mut server = json!({"name": name, "imageRef": self.image, "flavorRef": "1", "networks": "auto"});
        server.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"server": server})
    }
    /// Asks for a server; its id.
    pub async fn make(&self, token: &str, name: &str, more: Value) -> String {
        let made = self.post(token, "/servers", self.server(name, more)).await.is(202);
        id(&made.json()["server"])
    }
    pub async fn show(&self, token: &str, server: &str) -> Value {
        self.get(token, &format!("/servers/{server}")).await.is(200).json()["server"].take()
    }
    /// The server once nothing is being done to it.
    pub async fn settled(&self, token: &str, server: &str) -> Value {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        loop {
            let shown = self.show(token, server).await;
            if shown["OS-EXT-STS:task_state"].is_null() {
                return shown;
            }
            assert!(tokio::time::Instant::now() < deadline, "{shown}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    /// Waits until the server is gone.
    pub async fn gone(&self, token: &str, server: &str) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        while self.get(token, &format!("/servers/{server}")).await.status != 404 {
            assert!(tokio::time::Instant::now() < deadline, "{server} stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    pub async fn stop(mut self) {
        self.hold().await;
        self.server.stop().await;
    }
}

pub fn id(of: &Value) -> String {
    of["id"].as_str().unwrap().to_owned()
}

/// What `field` is in each of a list's items.
pub fn each<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|i| i[field].as_str().unwrap()).collect()
}
