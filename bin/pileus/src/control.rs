//! The control socket: what `pileus status`, `jobs`, `ssh` and `down` ask the daemon, and its client.
//!
//! Also the root of the main port: health and metrics.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context, bail};
use http_body_util::{BodyExt, Full};
use hyper::{Request, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pileus_base::{Error, Result, Scope};
use pileus_host::Host;
use pileus_http::{Call, Family, Metrics, Reply, RouteInfo, Routes, Service, openstack_fault};
use pileus_policy::Rule;
use pileus_reconcile::Running;
use pileus_store::Store;
use serde_json::{Value, json};
use tokio::{net::UnixStream, sync::Notify};

use crate::state::socket;

static FAMILY: Family = Family {
    name: "control",
    fault: openstack_fault,
    denied: |rule| format!("{rule} is not allowed."),
    versions: None,
    request_id_header: None,
    body_max: 64 * 1024,
};

/// What the socket's answers are made of.
pub struct Parts {
    /// The container engine, where it is served.
    pub docker: Option<Arc<pileus_docker::Docker>>,
    /// Where clients of it find it.
    pub engine: Vec<String>,
    pub store: Store,
    pub host: Arc<dyn Host>,
    pub reconcilers: Arc<Running>,
    pub metrics: Arc<Metrics>,
    pub stop: Arc<Notify>,
    pub base_url: String,
    pub state_dir: PathBuf,
    pub leaving: Mutex<Leaving>,
    /// Every API's routes: mount, method, path, rule, whether it needs no token.
    pub routes: OnceLock<Vec<(&'static str, RouteInfo)>>,
}

/// How far `pileus down` goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leaving {
    /// The daemon alone.
    #[default]
    Daemon,
    /// Servers too.
    Guests,
    /// Everything of this cloud on the host.
    Purge,
}

/// The socket's mode is its rule: who can open it, may.
const OWNER: Rule = Rule::anyone("pileus:control");
const HEALTH: Rule = Rule::anyone("pileus:health");

/// The control socket's routes.
pub fn service(parts: Arc<Parts>) -> Service {
    Routes::new(&FAMILY, parts)
        .get("/status", OWNER, status)
        .get("/routes", OWNER, routes)
        .get("/jobs", OWNER, jobs)
        .post("/jobs/{id}/resume", OWNER, resume)
        .post("/docker/explain", OWNER, crate::explain::serve)
        .post("/docker/fsck", OWNER, crate::fsck::serve)
        .post("/stop", OWNER, stop)
        .post("/backup", OWNER, crate::backup::serve)
        .get("/inventory", OWNER, crate::inventory::serve)
        .get("/servers/{server}", OWNER, server)
        .post("/servers/{server}/dial/{port}", OWNER, dial)
        .post("/servers/{server}/console", OWNER, console)
        .build()
}

/// What is at the root of the main port besides the APIs.
pub fn root(parts: Arc<Parts>) -> Service {
    Routes::new(&FAMILY, parts)
        .get("/healthz", HEALTH, |_| async { Ok(Reply::bytes(200, "text/plain", "ok\n")) })
        .get("/readyz", HEALTH, ready)
        .get("/metrics", HEALTH, metrics)
        .build()
}

/// A request on the control socket.
pub type Asked = Call<Arc<Parts>>;

async fn ready(call: Asked) -> Result<Reply> {
    call.state.store.read(|rd| rd.counter("schema", &"".into())).await?;
    Ok(Reply::bytes(200, "text/plain", "ok\n"))
}

async fn metrics(call: Asked) -> Result<Reply> {
    Ok(Reply::bytes(200, "text/plain; version=0.0.4", call.state.metrics.render()))
}

async fn status(call: Asked) -> Result<Reply> {
    let p = &call.state;
    let facts = p.host.facts().await?;
    let servers = p.host.servers().await?;
    let networks = p.host.networks().await?;
    Reply::ok(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "url": p.base_url,
        "state_dir": p.state_dir,
        "host": facts,
        "servers_on_host": servers.len(),
        "networks_on_host": networks.len(),
        "engine": p.engine,
        "reconcilers": p.reconcilers.statuses(),
    }))
}

async fn routes(call: Asked) -> Result<Reply> {
    let all = call.state.routes.get().into_iter().flatten();
    let view = |(mount, r): &(&str, RouteInfo)| json!({"mount": mount, "method": r.method, "path": r.path, "rule": r.rule, "open": r.open});
    Reply::ok(&json!({"routes": all.map(view).collect::<Vec<_>>()}))
}

async fn jobs(call: Asked) -> Result<Reply> {
    let list = call.state.store.read(|rd| pileus_jobs::list(rd, &pileus_jobs::Filter::default())).await?;
    Reply::ok(&json!({"jobs": list}))
}

async fn resume(call: Asked) -> Result<Reply> {
    let id = call.id("id", |t| Error::not_found(format!("there is no job {t}")))?;
    call.state.store.write(move |tx| pileus_jobs::resume(tx, id)).await?;
    Ok(Reply::no_content())
}

async fn stop(mut call: Asked) -> Result<Reply> {
    let body: Value = call.value().await?;
    let leaving = match (body["purge"] == true, body["guests"] == true) {
        (true, _) => Leaving::Purge,
        (false, true) => Leaving::Guests,
        _ => Leaving::Daemon,
    };
    *call.state.leaving.lock() = leaving;
    call.state.stop.notify_one();
    Reply::json(202, &json!({"pid": std::process::id()}))
}

async fn find(call: &Asked) -> Result<pileus_compute::Server> {
    let name = call.param("server").to_owned();
    let read = call.state.store.read(move |rd| pileus_compute::servers::find(rd, &Scope::All, &name));
    Ok(read.await?.value)
}

async fn server(call: Asked) -> Result<Reply> {
    let server = find(&call).await?;
    Reply::ok(&json!({
        "id": server.id,
        "name": server.name,
        "networks": server.nics.iter().map(|n| n.network).collect::<Vec<_>>(),
    }))
}

/// Hands the connection over to `stream` once the answer is out.
fn hand_over(mut call: Asked, mut stream: Box<dyn pileus_host::Stream>) -> Result<Reply> {
    let upgraded = call.upgrade()?;
    tokio::spawn(async move {
        if let Ok(mut io) = upgraded.await {
            // Either side's end is the other's.
            let _ = tokio::io::copy_bidirectional(&mut io, &mut stream).await;
        }
    });
    Ok(Reply::empty(101).header(header::UPGRADE, "pileus").header(header::CONNECTION, "Upgrade"))
}

async fn dial(call: Asked) -> Result<Reply> {
    let server = find(&call).await?;
    let port: u16 = call.param("port").parse().map_err(|_| Error::bad_request("the port is no number"))?;
    let first = server.nics.iter().find_map(|n| n.fixed_ips.first().map(|(_, ip)| (n.network, *ip)));
    let (network, ip) = first.ok_or_else(|| Error::conflict("the server has no address"))?;
    let stream = call.state.host.dial(network, ip, port).await?;
    hand_over(call, stream)
}

async fn console(call: Asked) -> Result<Reply> {
    let server = find(&call).await?;
    let stream = call.state.host.serial(server.id).await?;
    hand_over(call, stream)
}

impl Parts {
    /// After the daemon's parts have stopped: what `pileus down` asked for beyond that.
    pub async fn ended(&self) -> anyhow::Result<()> {
        let leaving = *self.leaving.lock();
        if leaving == Leaving::Daemon {
            return Ok(());
        }
        if let Some(docker) = &self.docker {
            docker.end(leaving == Leaving::Purge).await.map_err(crate::daemon::told)?;
        }
        for (id, _) in self.host.servers().await.map_err(crate::daemon::told)? {
            self.host.remove_server(id).await.map_err(crate::daemon::told)?;
        }
        if leaving == Leaving::Purge {
            for network in self.host.networks().await.map_err(crate::daemon::told)? {
                self.host.remove_network(network).await.map_err(crate::daemon::told)?;
            }
        }
        Ok(())
    }
}

/// One request to the daemon; its JSON answer.
pub async fn ask(state_dir: &Path, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
    let mut sender = connect(state_dir).await?;
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "pileus")
        .body(Full::new(bytes::Bytes::from(body.to_string())))?;
    let answer = sender.send_request(request).await.context("the daemon broke off")?;
    let status = answer.status();
    let bytes = answer.into_body().collect().await?.to_bytes();
    let value: Value = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes)? };
    if !status.is_success() {
        bail!("{}", value["error"]["message"].as_str().unwrap_or("the daemon refused"));
    }
    Ok(value)
}

/// One request to the daemon; its answer's body, to be read as it comes.
pub async fn download(state_dir: &Path, path: &str, body: &Value) -> anyhow::Result<hyper::body::Incoming> {
    let mut sender = connect(state_dir).await?;
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header(header::HOST, "pileus")
        .body(Full::new(bytes::Bytes::from(body.to_string())))?;
    let answer = sender.send_request(request).await.context("the daemon broke off")?;
    if answer.status().is_success() {
        return Ok(answer.into_body());
    }
    let bytes = answer.into_body().collect().await?.to_bytes();
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    bail!("{}", value["error"]["message"].as_str().unwrap_or("the daemon refused"))
}

/// A byte stream through the daemon.
pub async fn stream(state_dir: &Path, path: &str) -> anyhow::Result<TokioIo<hyper::upgrade::Upgraded>> {
    let mut sender = connect(state_dir).await?;
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header(header::HOST, "pileus")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "pileus")
        .body(Full::new(bytes::Bytes::new()))?;
    let answer = sender.send_request(request).await.context("the daemon broke off")?;
    if answer.status() != 101 {
        let bytes = answer.into_body().collect().await?.to_bytes();
        let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        bail!("{}", value["error"]["message"].as_str().unwrap_or("the daemon refused"));
    }
    Ok(TokioIo::new(hyper::upgrade::on(answer).await?))
}

async fn connect(state_dir: &Path) -> anyhow::Result<http1::SendRequest<Full<bytes::Bytes>>> {
    let path = socket(state_dir);
    let stream = UnixStream::connect(&path)
        .await
        .with_context(|| format!("no daemon answers at `{}`: start one with `pileus up`", path.display()))?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection.with_upgrades());
    Ok(sender)
}

/// Runs `work` on a small runtime, for subcommands.
pub fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}
