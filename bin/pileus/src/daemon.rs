//! The composition root: every part, in the order in which they stand on each other.
//!
//! ```text
//!   state dir ─► store ─► host ─► identity ─► image, placement ─► network ─► compute ─► stack
//!             ─► jobs, reconcilers ─► listeners
//! ```

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use pileus_agent::Agent;
use pileus_compute::Compute;
use pileus_host::{Host, HostEvent};
use pileus_http::{Metrics, Mount, Server};
use pileus_identity::{Bootstrap, CatalogEntry, Identity};
use pileus_image::Images;
use pileus_jobs::{Jobs, Runner, RunnerConfig};
use pileus_network::Networks;
use pileus_placement::Placement;
use pileus_reconcile::{Reconcilers, Running};
use pileus_stack::Stacks;
use pileus_store::{Location, Store};
use tokio::{
    net::TcpListener,
    sync::{Notify, broadcast::error::RecvError},
};

use crate::{
    clouds::{self, Clouds},
    config::Config,
    control, docker,
    docker_link::Link,
    sockets::{self, Reach},
    state::{StateDir, docker_socket, socket},
    tls,
};

/// Where each API is mounted, its classic port, and what the catalog says of it.
struct Api {
    kind: &'static str,
    name: &'static str,
    prefix: &'static str,
    path: &'static str,
    port: u16,
}

const APIS: [Api; 6] = [
    Api { kind: "identity", name: "keystone", prefix: "/identity", path: "/identity", port: 5000 },
    Api { kind: "image", name: "glance", prefix: "/image", path: "/image", port: 9292 },
    Api { kind: "placement", name: "placement", prefix: "/placement", path: "/placement", port: 8778 },
    Api { kind: "network", name: "neutron", prefix: "/networking", path: "/networking", port: 9696 },
    Api { kind: "compute", name: "nova", prefix: "/compute", path: "/compute/v2.1", port: 8774 },
    Api {
        kind: "orchestration",
        name: "heat",
        prefix: "/heat-api",
        path: "/heat-api/v1/$(project_id)s",
        port: 8004,
    },
];

/// The running cloud.
pub struct Daemon {
    base_url: String,
    server: Server,
    runner: Arc<Runner>,
    reconcilers: Arc<Running>,
    stop: Arc<Notify>,
    parts: Arc<control::Parts>,
    docker_link: Option<Link>,
}

/// An error of the product as one of the program.
pub fn told(e: pileus_base::Error) -> anyhow::Error {
    anyhow!("{}", e.chain())
}

impl Daemon {
    /// Starts everything.
    pub async fn start(state: &StateDir, config: Config, simulate: bool) -> anyhow::Result<Self> {
        let listen = config.daemon.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("failed to listen at {listen}: is it in use? Give another address with --listen")
        })?;
        let listen = listener.local_addr()?;
        let store = Store::open(location(&state.path, &config)).await.map_err(told)?;
        let (agent, metadata) = agent(state, &config, simulate).await?;
        let host: Arc<dyn Host> = agent.clone();
        let facts = host.facts().await.map_err(told)?;
        if facts.accelerator == "none" && !simulate {
            tracing::warn!(reason = facts.accelerator_reason, "servers can't be started");
        }
        if facts.accelerator == "tcg" {
            tracing::warn!(
                reason = facts.accelerator_reason,
                "no hardware acceleration: guests run emulated, and slower"
            );
        }
        let acceptor = match listen.ip().is_loopback() {
            true => None,
            false => Some(tls::acceptor(&state.path, listen.ip(), &facts.hostname)?),
        };
        let base_url = base_url(listen, acceptor.is_some(), &facts.hostname);

        let identity = identity(state, &config, &store, &base_url, acceptor.is_some()).await?;
        let images = images(state, &config, &store, &host).await?;
        let placement = Placement::open(store.clone()).await.map_err(told)?;
        let networks = networks(&config, &store, &host).await?;
        let options = compute_options(&config);
        let compute = Compute::open(
            store.clone(),
            host.clone(),
            images.clone(),
            networks.clone(),
            placement.clone(),
            options,
        );
        let compute = compute.await.map_err(told)?;
        metadata.set(compute.clone());
        let stacks =
            Stacks::open(store.clone(), compute.clone(), images.clone(), networks.clone(), identity.clone());
        let stacks = stacks.await.map_err(told)?;

        let docker = match config.docker.enabled && !simulate {
            true => Some(docker::open(state, &config.docker, &store, agent, &networks, &base_url).await?),
            false => None,
        };
        let tcp = match docker {
            Some(_) => docker::tcp(&config.docker).await?,
            None => None,
        };
        let engine = docker.iter().flat_map(|_| docker::addresses(&state.path, tcp.as_ref())).collect();

        let jobs = Jobs::new(store.clone());
        let jobs = stacks.jobs(compute.jobs(images.jobs(jobs)));
        let owner = state.instance.to_string();
        let runner = RunnerConfig { concurrency: config.daemon.jobs, owner, ..RunnerConfig::default() };
        let runner = Arc::new(jobs.start(runner));
        let reconcilers = Reconcilers::new(store.clone());
        let reconcilers = identity.reconcilers(images.reconcilers(networks.reconcilers(reconcilers)));
        let reconcilers = Arc::new(stacks.reconcilers(compute.reconcilers(reconcilers)).start());
        follow(&host, &reconcilers);

        let metrics = Arc::new(Metrics::default());
        let stop = Arc::new(Notify::new());
        let parts = Arc::new(control::Parts {
            store,
            docker: docker.clone(),
            engine,
            host,
            reconcilers: reconcilers.clone(),
            metrics: metrics.clone(),
            stop: stop.clone(),
            base_url: base_url.clone(),
            state_dir: state.path.clone(),
            leaving: parking_lot::Mutex::default(),
            routes: std::sync::OnceLock::new(),
        });
        let mut server = Server::new(identity.clone(), metrics, "/identity");
        let services = [
            identity.service(),
            images.service(),
            placement.service(),
            networks.service(),
            compute.service(),
            stacks.service(),
        ];
        let table = APIS.iter().zip(&services);
        let table = table.flat_map(|(api, s)| s.routes().iter().map(|r| (api.prefix, r.clone())));
        // Set once: there is one start.
        let _ = parts.routes.set(table.collect());
        let mut mounts = vec![Mount { prefix: "", service: Arc::new(control::root(parts.clone())) }];
        for (api, service) in APIS.iter().zip(services) {
            mounts.push(Mount { prefix: api.prefix, service: Arc::new(service) });
        }
        if let Some(docker) = &docker {
            let registry = Arc::new(docker.registry(identity.clone()));
            mounts.push(Mount { prefix: "/v2", service: registry });
        }
        if config.daemon.classic_ports {
            for (api, mount) in APIS.iter().zip(&mounts[1..]) {
                let at = SocketAddr::new(listen.ip(), api.port);
                let listener =
                    TcpListener::bind(at).await.with_context(|| format!("failed to listen at {at}"))?;
                let mount = Mount { prefix: "", service: mount.service.clone() };
                server.tcp(listener, acceptor.clone(), vec![mount]);
            }
        }
        server.tcp(listener, acceptor, mounts);
        server.unix(
            sockets::listen(&socket(&state.path), Reach::Owner)?,
            vec![Mount { prefix: "", service: Arc::new(control::service(parts.clone())) }],
        );
        let mut docker_link = None;
        if let Some(docker) = docker {
            let mount = Mount { prefix: "", service: Arc::new(docker.service()) };
            let reach = Reach::Group(&config.docker.group);
            server.unix(sockets::listen(&docker_socket(&state.path), reach)?, vec![mount.clone()]);
            docker_link = config.docker.link.then(|| Link::make(&state.path)).flatten();
            if let Some(docker::Tcp { listener, acceptor, .. }) = tcp {
                server.tcp(listener, acceptor, vec![mount]);
            }
        }
        Ok(Self { base_url, server, runner, reconcilers, stop, parts, docker_link })
    }

    /// Where it is served.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns once `pileus down` has asked.
    pub async fn asked_to_stop(&self) {
        self.stop.notified().await;
    }

    /// Stops in reverse order; servers run on, unless `pileus down` asked for them too.
    pub async fn stop(self) -> anyhow::Result<()> {
        drop(self.docker_link);
        self.server.stop().await;
        self.reconcilers.stop().await;
        self.runner.stop().await;
        self.parts.ended().await
    }
}

fn location(state_dir: &Path, config: &Config) -> Location {
    match config.daemon.database.as_str() {
        "sqlite" => Location::Sqlite { path: state_dir.join("state.db"), durable: config.daemon.durable },
        url => Location::Postgres(url.to_owned()),
    }
}

fn base_url(listen: SocketAddr, secure: bool, hostname: &str) -> String {
    let scheme = if secure { "https" } else { "http" };
    if listen.ip().is_unspecified() {
        format!("{scheme}://{hostname}:{}", listen.port())
    } else {
        format!("{scheme}://{listen}")
    }
}

async fn agent(
    state: &StateDir,
    config: &Config,
    simulate: bool,
) -> anyhow::Result<(Arc<Agent>, Arc<pileus_agent::LateMetadata>)> {
    let metadata = Arc::new(pileus_agent::LateMetadata::default());
    let options = pileus_agent::Options {
        state_dir: state.path.clone(),
        instance: state.instance.clone(),
        simulate: simulate.then_some(pileus_agent::Simulate {
            latency_ms: config.simulate.latency_ms,
            failures_per_mille: config.simulate.failures_per_mille,
            seed: config.simulate.seed,
        }),
    };
    let agent = Agent::open(options, metadata.clone()).await.map_err(told)?;
    Ok((agent, metadata))
}

async fn identity(
    state: &StateDir,
    config: &Config,
    store: &Store,
    base_url: &str,
    secure: bool,
) -> anyhow::Result<Arc<Identity>> {
    let c = &config.identity;
    let mut options = pileus_identity::Options::new(&state.path);
    options.token_ttl_s = c.token_ttl_s.into();
    options.bcrypt_rounds = c.password_rounds;
    options.passwords.lockout_attempts = (c.lockout_failures > 0).then_some(c.lockout_failures);
    options.passwords.lockout_s = c.lockout_s.into();
    if !c.password_regex.is_empty() {
        let regex = regex::Regex::new(&c.password_regex).context("[identity] password_regex is wrong")?;
        options.passwords.regex = Some(regex);
        options.passwords.regex_description = Some(c.password_regex_description.clone());
    }
    let identity = Identity::open(store.clone(), options).await.map_err(told)?;
    let services = APIS
        .iter()
        .map(|a| CatalogEntry { service_type: a.kind.into(), name: a.name.into(), path: a.path.into() })
        .collect();
    let made =
        identity.bootstrap(Bootstrap { base_url: base_url.to_owned(), services }).await.map_err(told)?;
    if let (Some(admin), Some(demo)) = (&made.admin_password, &made.demo_password) {
        let ca = state.path.join("ca.pem");
        let ca = secure.then_some(ca.as_path());
        clouds::write(&state.path, &Clouds { base_url, admin_password: admin, demo_password: demo, ca })?;
    }
    Ok(identity)
}

async fn images(
    state: &StateDir,
    config: &Config,
    store: &Store,
    host: &Arc<dyn Host>,
) -> anyhow::Result<Arc<Images>> {
    let c = &config.image;
    let options = pileus_image::Options {
        state_dir: state.path.clone(),
        max_upload_bytes: c.max_gib << 30,
        project_bytes: (c.project_gib > 0).then_some(c.project_gib << 30),
        web_download_allow: c.web_download_allow.clone(),
        web_download_ca: (!c.web_download_ca.is_empty()).then(|| c.web_download_ca.clone().into()),
    };
    Images::open(store.clone(), options, host.clone()).await.map_err(told)
}

async fn networks(config: &Config, store: &Store, host: &Arc<dyn Host>) -> anyhow::Result<Arc<Networks>> {
    let options =
        pileus_network::Options { mtu: config.network.mtu, dns_domain: config.network.dns_domain.clone() };
    Networks::open(store.clone(), host.clone(), options).await.map_err(told)
}

fn compute_options(config: &Config) -> pileus_compute::Options {
    let c = &config.compute;
    pileus_compute::Options {
        resume_after_reboot: c.resume_after_reboot,
        force_config_drive: c.force_config_drive,
        cpu_ratio: c.cpu_ratio,
        ram_ratio: c.ram_ratio,
        disk_ratio: c.disk_ratio,
        ..pileus_compute::Options::default()
    }
}

/// Wakes the reconcilers that care when the host tells of something.
fn follow(host: &Arc<dyn Host>, reconcilers: &Arc<Running>) {
    let (mut events, reconcilers) = (host.events(), Arc::downgrade(reconcilers));
    tokio::spawn(async move {
        loop {
            let names: &[&str] = match events.recv().await {
                Ok(HostEvent::Server(..)) => &[pileus_compute::POWER_SYNC],
                Ok(HostEvent::Network(_)) => &[pileus_network::HOST_SYNC],
                Err(RecvError::Lagged(_)) => &[pileus_compute::POWER_SYNC, pileus_network::HOST_SYNC],
                Err(RecvError::Closed) => return,
            };
            let Some(reconcilers) = reconcilers.upgrade() else { return };
            names.iter().for_each(|n| _ = reconcilers.nudge(n));
        }
    });
}
