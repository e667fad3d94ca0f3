//! The service on a real listener; the token is the project's name, and `admin` is an administrator.

use std::{net::IpAddr, path::Path, sync::Arc};

use pileus_base::{
    Caller, Error, ProjectRef, Result,
    ids::{NetworkId, PortId, ServerId},
};
use pileus_host::{
    BoxFuture, DiskSpec, Host, HostEvent, HostFacts, ImageFacts, ImageFile, NetworkSpec, PortSpec,
    ServerSpec, ServerStatus, Stop, Stream,
};
use pileus_http::{Authenticator, Metrics, Mount, Server};
use pileus_image::{Images, Options};
use pileus_jobs::{Jobs, Runner, RunnerConfig};
use pileus_reconcile::{Reconcilers, Running};
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

/// Images must begin with `good`; nothing else is there.
struct Examiner;

fn none<T: Send + 'static>() -> BoxFuture<'static, Result<T>> {
    Box::pin(async { Err(Error::not_implemented("not in this test")) })
}

#[rustfmt::skip]
impl Host for Examiner {
    fn inspect_image<'a>(&'a self, path: &'a Path, _: &'a str) -> BoxFuture<'a, Result<ImageFacts>> {
        Box::pin(async move {
            let mut start = [0; 4];
            let mut file = tokio::fs::File::open(path).await.unwrap();
            if file.read_exact(&mut start).await.is_err() || &start != b"good" {
                return Err(Error::bad_request("Image content does not match disk_format"));
            }
            Ok(ImageFacts { virtual_size_bytes: 1 << 30 })
        })
    }
    fn prune_images<'a>(&'a self, _: &'a [ImageFile]) -> BoxFuture<'a, Result<()>> { Box::pin(async { Ok(()) }) }
    fn facts(&self) -> BoxFuture<'_, Result<HostFacts>> { none() }
    fn ensure_disk<'a>(&'a self, _: &'a DiskSpec) -> BoxFuture<'a, Result<()>> { none() }
    fn remove_disks(&self, _: ServerId) -> BoxFuture<'_, Result<()>> { none() }
    fn disk_owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>> { none() }
    fn ensure_network<'a>(&'a self, _: &'a NetworkSpec) -> BoxFuture<'a, Result<()>> { none() }
    fn remove_network(&self, _: NetworkId) -> BoxFuture<'_, Result<()>> { none() }
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>> { none() }
    fn ensure_port<'a>(&'a self, _: &'a PortSpec) -> BoxFuture<'a, Result<()>> { none() }
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
    pub address: std::net::SocketAddr,
    pub images: Arc<Images>,
    pub store: Store,
    server: Server,
    pub dir: tempfile::TempDir,
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
        serde_json::from_str(&self.body).unwrap()
    }
}

pub const JSON: &str = "application/json";
pub const PATCH: &str = "application/openstack-images-v2.1-json-patch";
pub const DATA: &str = "application/octet-stream";

pub async fn start(max_upload_bytes: u64, project_bytes: Option<u64>) -> Bench {
    start_with(|o| {
        o.max_upload_bytes = max_upload_bytes;
        o.project_bytes = project_bytes;
    })
    .await
}

/// One that may fetch from this host.
pub async fn start_local() -> Bench {
    start_with(|o| o.web_download_allow = vec!["127.0.0.0/8".parse().unwrap()]).await
}

pub async fn start_with(configure: impl FnOnce(&mut Options)) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let mut options = Options { state_dir: dir.path().into(), ..Options::default() };
    configure(&mut options);
    let images = Images::open(store.clone(), options, Arc::new(Examiner)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut server = Server::new(Arc::new(Tokens), Arc::new(Metrics::default()), "/identity");
    server.tcp(listener, None, vec![Mount { prefix: "/image", service: Arc::new(images.service()) }]);
    Bench { address, images, store, server, dir }
}

impl Bench {
    /// One request on a connection of its own.
    pub async fn ask(&self, token: &str, method: &str, path: &str, media: &str, body: &[u8]) -> Answer {
        let mut stream = self.begin(token, method, path, media, body.len()).await;
        stream.write_all(body).await.unwrap();
        finish(stream).await
    }
    /// A request whose body is still to come.
    pub async fn begin(&self, token: &str, method: &str, path: &str, media: &str, len: usize) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head = format!(
            "{method} /image{path} HTTP/1.1\r\nHost: cloud:1\r\nConnection: close\r\nX-Auth-Token: {token}\r\nContent-Type: {media}\r\nContent-Length: {len}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }
    pub async fn send(&self, token: &str, method: &str, path: &str, body: Value) -> Answer {
        self.ask(token, method, path, JSON, body.to_string().as_bytes()).await
    }
    pub async fn get(&self, token: &str, path: &str) -> Answer {
        self.ask(token, "GET", path, JSON, b"").await
    }
    pub async fn patch(&self, token: &str, path: &str, changes: Value) -> Answer {
        self.ask(token, "PATCH", path, PATCH, changes.to_string().as_bytes()).await
    }
    /// Makes an image with these fields beside its formats; its path.
    pub async fn make(&self, token: &str, fields: Value) -> String {
        let mut body = json!({"name": "one", "disk_format": "raw", "container_format": "bare"});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let made = self.send(token, "POST", "/v2/images", body).await.is(201).json();
        format!("/v2/images/{}", made["id"].as_str().unwrap())
    }
    pub async fn upload(&self, token: &str, image: &str, data: &[u8]) -> Answer {
        self.ask(token, "PUT", &format!("{image}/file"), DATA, data).await
    }
    /// Waits until the image has this status.
    pub async fn until(&self, image: &str, status: &str) {
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        while self.get("admin", image).await.is(200).json()["status"] != status {
            assert!(tokio::time::Instant::now() < deadline, "never {status}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    /// Names in the directory of images' data.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("images")).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }
    /// Bytes that the project is charged for.
    pub async fn charged(&self, project: &'static str) -> i64 {
        let read = self.store.read(move |rd| rd.counter(pileus_image::BYTES_COUNTER, &project.into()));
        read.await.unwrap()
    }
    pub fn run_jobs(&self) -> Runner {
        self.images.jobs(Jobs::new(self.store.clone())).start(RunnerConfig::default())
    }
    pub fn reconcile(&self) -> Running {
        self.images.reconcilers(Reconcilers::new(self.store.clone())).start()
    }
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

pub async fn finish(mut stream: TcpStream) -> Answer {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head[9..12].parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
