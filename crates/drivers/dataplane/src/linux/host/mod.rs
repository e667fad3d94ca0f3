//! Containers' networks in the host's own namespace.
//!
//! ```text
//!   host:  bridge ── veth ─┐                  rules.rs: one table, replaced whole; publish.rs: ports held
//!                          └─ eth0 in <state-dir>/netns/c-<container>, with a resolver at 127.0.0.11
//! ```
//! What the rules are made of is kept in `<state-dir>/bridges.json`, so that a restarted daemon, while all
//! is being ensured again, never loads fewer than there were.

mod bridge;
mod datagrams;
mod endpoint;
mod foreign;
mod names;
mod netlink;
mod nfnetlink;
mod parent;
mod publish;
mod redirect;
mod rules;
mod sandbox;

use std::{
    collections::{BTreeSet, HashMap},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use ipnet::IpNet;
use nfnetlink::Element;
use parking_lot::Mutex;
use pileus_base::{Error, InstanceId, Result};

use super::{Linux, netns};
use crate::{
    BoxFuture,
    bridges::{BridgeSpec, Bridges, EndpointSpec, Names, PublishedPort},
};

/// The state of it.
pub struct Host {
    state_dir: PathBuf,
    instance: InstanceId,
    known: Mutex<rules::Known>,
    /// What was loaded last; the lock is held while rules or ports change.
    loaded: tokio::sync::Mutex<Option<Loaded>>,
    held: Mutex<HashMap<String, Vec<publish::Held>>>,
    resolvers: Mutex<HashMap<String, names::Resolver>>,
    /// Held while a resolver is opened.
    serving: tokio::sync::Mutex<()>,
    /// Namespaces for containers to come, and whether more are being made.
    spare: Arc<Mutex<Vec<OwnedFd>>>,
    /// The socket that ports are published by.
    netfilter: Arc<Mutex<Option<OwnedFd>>>,
    refilling: Arc<AtomicBool>,
}

impl Host {
    /// Reads what a former daemon knew.
    pub fn open(state_dir: &Path, instance: InstanceId) -> Self {
        let known: rules::Known = std::fs::read(state_dir.join("bridges.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        let host = Self {
            state_dir: state_dir.to_owned(),
            instance,
            known: Mutex::default(),
            loaded: tokio::sync::Mutex::default(),
            held: Mutex::default(),
            resolvers: Mutex::default(),
            serving: tokio::sync::Mutex::default(),
            spare: Arc::default(),
            netfilter: Arc::default(),
            refilling: Arc::default(),
        };
        let mut standing = known;
        standing.bridges.retain(|_, b| bridge::exists(&b.link));
        standing.ports.retain(|container, _| netns::pinned(&host.sandbox(container)));
        *host.known.lock() = standing;
        host
    }

    /// Loads what changed of the rules: elements by themselves, the whole table where its chains changed, or
    /// where somebody else took it away.
    async fn apply(&self, loaded: &mut Option<Loaded>) -> Result<()> {
        let known = self.known.lock().clone();
        let table = self.instance.cgroup();
        let wanted = Loaded { frame: rules::frame(&table, &known), elements: rules::elements(&known) };
        if loaded.as_ref() == Some(&wanted) {
            return Ok(());
        }
        // Whatever fails below, the next one loads all.
        let former = loaded.take();
        let file = self.state_dir.join("bridges.json");
        let netfilter = self.netfilter.clone();
        let done = blocking(move || {
            load(&netfilter, &table, former.as_ref(), &wanted)?;
            let failed = |e: io::Error| Error::wrap(format!("failed to write `{}`", file.display()), e);
            let text = serde_json::to_vec(&known).map_err(|e| failed(e.into()))?;
            let fresh = file.with_extension("new");
            std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &file)).map_err(failed)?;
            Ok(wanted)
        });
        *loaded = Some(done.await?);
        Ok(())
    }
}

/// Rules that have been loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Loaded {
    frame: String,
    elements: BTreeSet<Element>,
}

fn load(
    netfilter: &Mutex<Option<OwnedFd>>,
    table: &str,
    former: Option<&Loaded>,
    wanted: &Loaded,
) -> Result<()> {
    if let Some(former) = former.filter(|f| f.frame == wanted.frame) {
        let gone: Vec<&Element> = former.elements.difference(&wanted.elements).collect();
        let come: Vec<&Element> = wanted.elements.difference(&former.elements).collect();
        let mut kept = netfilter.lock();
        let changed = kept.take().map_or_else(nfnetlink::open, Ok).and_then(|socket| {
            nfnetlink::change(&socket, table, &gone, &come)?;
            *kept = Some(socket);
            Ok(())
        });
        match changed {
            Ok(()) => return Ok(()),
            Err(e) => tracing::debug!(error = %e, "published ports are loaded with all rules"),
        }
    }
    rules::load(&rules::script(table, &wanted.frame, &wanted.elements))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::wrap("work on the network panicked", e))?
}

fn failed(doing: &'static str) -> impl Fn(io::Error) -> Error {
    move |e| Error::wrap(doing, e)
}

fn check_link(name: &str) -> Result<()> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
    if name.is_empty() || name.len() > 15 || name == "." || name == ".." || !name.bytes().all(fine) {
        return Err(Error::bad_request(format!("'{name}' is not the name of a link")));
    }
    Ok(())
}

impl Bridges for Linux {
    fn ensure_bridge<'a>(&'a self, spec: &'a BridgeSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.ensure_bridge(spec))
    }
    fn remove_bridge<'a>(&'a self, network: &'a str, link: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.remove_bridge(network, link))
    }
    fn ensure_parent<'a>(
        &'a self,
        network: &'a str,
        parent: Option<&'a str>,
    ) -> BoxFuture<'a, Result<String>> {
        Box::pin(self.host.ensure_parent(network, parent))
    }
    fn remove_parent<'a>(&'a self, link: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.remove_parent(link))
    }
    fn routed(&self) -> BoxFuture<'_, Result<Vec<IpNet>>> {
        Box::pin(blocking(|| Ok(bridge::routed())))
    }
    fn ensure_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<PathBuf>> {
        Box::pin(self.host.ensure_sandbox(container))
    }
    fn remove_sandbox<'a>(&'a self, container: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.remove_sandbox(container))
    }
    fn sandboxes(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(async { self.host.sandboxes() })
    }
    fn ensure_endpoint<'a>(&'a self, spec: &'a EndpointSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.ensure_endpoint(spec))
    }
    fn remove_endpoint<'a>(&'a self, spec: &'a EndpointSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.remove_endpoint(spec))
    }
    fn publish<'a>(
        &'a self,
        container: &'a str,
        ports: &'a [PublishedPort],
    ) -> BoxFuture<'a, Result<Vec<PublishedPort>>> {
        Box::pin(self.host.publish(container, ports))
    }
    fn serve_names<'a>(&'a self, container: &'a str, names: &'a Names) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.host.serve_names(container, names))
    }
    fn forward_drops(&self) -> BoxFuture<'_, Result<Vec<String>>> {
        Box::pin(blocking(foreign::drops))
    }
    fn sandbox_path(&self, container: &str) -> PathBuf {
        self.host.sandbox(container)
    }
}

/// Names shared with the servers that answer with them.
type Shared = Arc<parking_lot::RwLock<Names>>;
