//! The agent: [`Host`] over the drivers of one machine. It translates specs, opens taps for guests, and
//! passes on what happens; it decides nothing.

#![forbid(unsafe_code)]

mod bridges;
mod containers;
mod facts;
mod layers;
mod metadata;
mod translate;

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use pileus_base::{
    Error, InstanceId, Result,
    ids::{NetworkId, PortId, ServerId},
};
use pileus_dataplane::{Dataplane, linux::Linux};
use pileus_disks::Disks;
use pileus_host::{
    BoxFuture, DiskSpec, Host, HostEvent, HostFacts, ImageFacts, ImageFile, NetworkSpec, PortSpec, Power,
    ServerEvent, ServerSpec, ServerStatus, Stop, Stream,
};
use pileus_hypervisor::{GuestState, Hypervisor, qemu::Qemu, sim::Behaviour};
use tokio::sync::broadcast;

pub use metadata::LateMetadata;
pub use pileus_dataplane::linux::netns_path;

/// The group that guests run as, who may read prepared images.
const GUESTS_GROUP: u32 = pileus_hypervisor::qemu::FIRST_UID;

/// What the agent is opened with.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state directory.
    pub state_dir: PathBuf,
    /// What marks this cloud's things on the host.
    pub instance: InstanceId,
    /// Simulate, and how.
    pub simulate: Option<Simulate>,
}

/// How simulated guests behave.
#[derive(Debug, Clone, Copy, Default)]
pub struct Simulate {
    /// How long starting or stopping takes.
    pub latency_ms: u64,
    /// Of a thousand starts, how many fail.
    pub failures_per_mille: u32,
    /// Makes them the same each time.
    pub seed: u64,
}

/// One machine.
pub struct Agent {
    state_dir: PathBuf,
    hypervisor: Arc<dyn Hypervisor>,
    disks: Arc<dyn Disks>,
    dataplane: Arc<dyn Dataplane>,
    layers: pileus_layers::Layers,
    bridges: Arc<dyn pileus_dataplane::Bridges>,
    containers: Arc<dyn pileus_containers::Containers>,
    events: broadcast::Sender<HostEvent>,
}

impl Agent {
    /// Opens the drivers and adopts what runs. Guests' metadata requests go to `metadata`.
    ///
    /// # Errors
    /// Those of the drivers.
    pub async fn open(options: Options, metadata: Arc<LateMetadata>) -> Result<Arc<Self>> {
        let dir = &options.state_dir;
        let bridges: Arc<dyn pileus_dataplane::Bridges>;
        let (hypervisor, disks, dataplane): (Arc<dyn Hypervisor>, Arc<dyn Disks>, Arc<dyn Dataplane>) =
            match options.simulate {
                Some(s) => {
                    let behaviour = Behaviour {
                        latency: Duration::from_millis(s.latency_ms),
                        failures_per_mille: s.failures_per_mille,
                        seed: s.seed,
                    };
                    let dataplane = Arc::new(pileus_dataplane::sim::Sim::default());
                    bridges = dataplane.clone();
                    (
                        Arc::new(pileus_hypervisor::sim::Sim::open(&dir.join("sim-guests"), behaviour)?),
                        Arc::new(pileus_disks::sim::Sim::default()),
                        dataplane,
                    )
                }
                None => {
                    let dataplane = Arc::new(Linux::open(dir, options.instance.clone(), metadata)?);
                    bridges = dataplane.clone();
                    (
                        Arc::new(Qemu::open(&dir.join("guests"), options.instance.clone()).await?),
                        Arc::new(pileus_disks::file::File::open(dir, Some(GUESTS_GROUP))?),
                        dataplane,
                    )
                }
            };
        let layers = pileus_layers::Layers::open(dir, pileus_layers::Limits::default())?;
        let containers: Arc<dyn pileus_containers::Containers> = match options.simulate {
            Some(_) => Arc::new(pileus_containers::sim::Sim),
            None => Arc::new(pileus_containers::linux::Linux::open(dir, &options.instance.cgroup())?),
        };
        let events = broadcast::channel(1024).0;
        let (mut heard, tell, asked) = (hypervisor.events(), events.clone(), hypervisor.clone());
        tokio::spawn(async move {
            loop {
                let id = match heard.recv().await {
                    Ok(id) => id,
                    Err(broadcast::error::RecvError::Lagged(_)) => continue,
                    Err(broadcast::error::RecvError::Closed) => return,
                };
                if let Ok(state) = asked.state(id).await {
                    let event = ServerEvent::Power(status(state).power);
                    // Nobody may be listening.
                    let _ = tell.send(HostEvent::Server(id, event));
                }
            }
        });
        let state_dir = dir.clone();
        Ok(Arc::new(Self { state_dir, hypervisor, disks, dataplane, containers, layers, bridges, events }))
    }

    /// The guest as the hypervisor needs to know it, with its disks' places and its taps.
    async fn start(&self, spec: &ServerSpec) -> Result<()> {
        let running =
            matches!(self.hypervisor.state(spec.id).await?, GuestState::Running | GuestState::Paused);
        let mut taps = Vec::new();
        for nic in spec.nics.iter().filter(|_| !running) {
            taps.extend(self.dataplane.open_tap(nic.network, nic.port).await?);
        }
        let guest = translate::guest(spec, &*self.disks)?;
        self.hypervisor.ensure_started(&guest, taps).await
    }
}

fn status(state: GuestState) -> ServerStatus {
    let (power, reason) = match state {
        GuestState::Absent => (Power::Absent, None),
        GuestState::Running => (Power::Running, None),
        GuestState::Paused => (Power::Paused, None),
        GuestState::Suspended => (Power::Suspended, None),
        GuestState::Off => (Power::Shutdown, None),
        GuestState::Crashed(why) => (Power::Crashed, Some(why)),
    };
    ServerStatus { power, reason }
}

/// The last `lines` of a console.
fn tail(log: Vec<u8>, lines: Option<usize>) -> Vec<u8> {
    let Some(lines) = lines else { return log };
    let body = log.strip_suffix(b"\n").unwrap_or(&log);
    let breaks = body.iter().enumerate().rev().filter(|(_, b)| **b == b'\n');
    let from = match lines {
        0 => log.len(),
        n => breaks.map(|(at, _)| at + 1).nth(n - 1).unwrap_or(0),
    };
    log[from..].to_vec()
}

impl Host for Agent {
    fn facts(&self) -> BoxFuture<'_, Result<HostFacts>> {
        Box::pin(async move { facts::read(&self.state_dir, self.hypervisor.facts().await?) })
    }

    fn inspect_image<'a>(&'a self, path: &'a Path, format: &'a str) -> BoxFuture<'a, Result<ImageFacts>> {
        Box::pin(async move {
            let info = self.disks.inspect(path, format).await?;
            Ok(ImageFacts { virtual_size_bytes: info.virtual_size })
        })
    }
    fn ensure_disk<'a>(&'a self, spec: &'a DiskSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.disks.ensure(&translate::disk(spec)).await })
    }
    fn remove_disks(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.disks.remove(server)
    }
    fn disk_owners(&self) -> BoxFuture<'_, Result<Vec<ServerId>>> {
        self.disks.owners()
    }
    fn prune_images<'a>(&'a self, keep: &'a [ImageFile]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let keep: Vec<_> = keep.iter().map(translate::base).collect();
            self.disks.prune(&keep).await
        })
    }

    fn ensure_network<'a>(&'a self, spec: &'a NetworkSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.dataplane.ensure_network(&translate::network(spec)?).await })
    }
    fn remove_network(&self, network: NetworkId) -> BoxFuture<'_, Result<()>> {
        self.dataplane.remove_network(network)
    }
    fn networks(&self) -> BoxFuture<'_, Result<Vec<NetworkId>>> {
        self.dataplane.networks()
    }
    fn ensure_port<'a>(&'a self, spec: &'a PortSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { self.dataplane.ensure_port(&translate::port(spec)?).await })
    }
    fn remove_port(&self, network: NetworkId, port: PortId) -> BoxFuture<'_, Result<()>> {
        self.dataplane.remove_port(network, port)
    }
    fn ports(&self, network: NetworkId) -> BoxFuture<'_, Result<Vec<PortId>>> {
        self.dataplane.ports(network)
    }
    fn dial(&self, network: NetworkId, to: IpAddr, port: u16) -> BoxFuture<'_, Result<Box<dyn Stream>>> {
        Box::pin(
            async move { Ok(Box::new(self.dataplane.dial(network, to, port).await?) as Box<dyn Stream>) },
        )
    }

    fn ensure_server<'a>(&'a self, spec: &'a ServerSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.start(spec))
    }
    fn stop_server(&self, server: ServerId, how: Stop) -> BoxFuture<'_, Result<()>> {
        let grace = match how {
            Stop::Graceful { timeout_ms } => timeout_ms,
            Stop::Hard => 0,
        };
        self.hypervisor.stop(server, grace)
    }
    fn reset_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.hypervisor.reset(server)
    }
    fn pause_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.hypervisor.pause(server, true)
    }
    fn unpause_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.hypervisor.pause(server, false)
    }
    fn suspend_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.hypervisor.suspend(server)
    }
    fn resume_server<'a>(&'a self, spec: &'a ServerSpec) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.start(spec))
    }
    fn remove_server(&self, server: ServerId) -> BoxFuture<'_, Result<()>> {
        self.hypervisor.remove(server)
    }
    fn server(&self, server: ServerId) -> BoxFuture<'_, Result<ServerStatus>> {
        Box::pin(async move { self.hypervisor.state(server).await.map(status) })
    }
    fn servers(&self) -> BoxFuture<'_, Result<Vec<(ServerId, ServerStatus)>>> {
        Box::pin(async move {
            let all = self.hypervisor.list().await?;
            Ok(all.into_iter().map(|(id, state)| (id, status(state))).collect())
        })
    }
    fn console_log(&self, server: ServerId, lines: Option<usize>) -> BoxFuture<'_, Result<Vec<u8>>> {
        Box::pin(async move { Ok(tail(self.hypervisor.console_log(server).await?, lines)) })
    }
    fn serial(&self, server: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(Box::new(self.hypervisor.serial(server).await?) as Box<dyn Stream>) })
    }
    fn vnc(&self, server: ServerId) -> BoxFuture<'_, Result<Box<dyn Stream>>> {
        Box::pin(async move { Ok(Box::new(self.hypervisor.vnc(server).await?) as Box<dyn Stream>) })
    }
    fn events(&self) -> broadcast::Receiver<HostEvent> {
        self.events.subscribe()
    }
}

/// The error for a thing of the wrong shape, which a service should have refused.
fn wrong(what: &str, value: &str) -> Error {
    Error::bad_request(format!("'{value}' is not a {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tail_counts_lines() {
        let log = b"a\nb\nc\n".to_vec();
        let of = |n| String::from_utf8(tail(log.clone(), n)).unwrap();
        assert_eq!(of(None), "a\nb\nc\n");
        assert_eq!(of(Some(2)), "b\nc\n");
        assert_eq!(of(Some(9)), "a\nb\nc\n");
        assert_eq!(of(Some(0)), "");
    }
}
