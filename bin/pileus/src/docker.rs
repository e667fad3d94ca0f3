//! The container engine among the daemon's parts: how it is opened, and its socket.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use anyhow::{Context, anyhow};
use pileus_base::Scope;
use pileus_docker::{Docker, Options, Pool};
use pileus_host::ContainerHost;
use pileus_identity::Project;
use pileus_network::Networks;
use pileus_store::{Query, Store};
use tokio::net::UnixListener;

use crate::{config, daemon::told, state};

/// Opens the engine in its project's scope.
pub async fn open(
    state: &state::StateDir,
    config: &config::Docker,
    store: &Store,
    host: Arc<dyn ContainerHost>,
    networks: &Arc<Networks>,
    base_url: &str,
) -> anyhow::Result<Arc<Docker>> {
    let name = config.project.clone();
    let find = store.read(move |rd| rd.first::<Project>(&Scope::All, Query::by("name", &name)));
    let project = find.await.map_err(told)?;
    let project =
        project.ok_or_else(|| anyhow!("[docker] project: there is no project `{}`", config.project))?;
    let options = Options {
        state_dir: state.path.clone(),
        project: project.value.id,
        mirrors: config.mirrors.clone(),
        mirrors_authoritative: config.mirrors_authoritative,
        insecure_registries: config.insecure_registries.clone(),
        publish_ip: config.publish_ip,
        address_pools: pools(config)?,
        bip: config.bip,
        registry: base_url.to_owned(),
    };
    Docker::open(store.clone(), host, networks.clone(), options).await.map_err(told)
}

/// The pools of networks' ranges.
fn pools(config: &config::Docker) -> anyhow::Result<Vec<Pool>> {
    let checked = |p: &config::AddressPool| {
        let pool = Pool { base: p.base.trunc(), size: p.size };
        let fits = p.size >= p.base.prefix_len() && p.size <= p.base.max_prefix_len().saturating_sub(2);
        fits.then_some(pool).ok_or_else(|| {
            anyhow!("[docker] default_address_pools: no range of /{} fits into {}", p.size, p.base)
        })
    };
    config.default_address_pools.iter().map(checked).collect()
}

/// The engine's socket: for root, and for the group where the host has it.
pub fn socket(state_dir: &Path, group: &str) -> anyhow::Result<UnixListener> {
    let path = state::docker_socket(state_dir);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("failed to replace `{}`", path.display()));
        }
        _ => {}
    }
    let failed = || format!("failed to listen at `{}`", path.display());
    let listener = UnixListener::bind(&path).with_context(failed)?;
    if let Some(gid) = gid(group) {
        std::os::unix::fs::chown(&path, None, Some(gid)).with_context(failed)?;
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o660)).with_context(failed)?;
    Ok(listener)
}

/// A group's number, of `/etc/group`.
fn gid(name: &str) -> Option<u32> {
    let text = std::fs::read_to_string("/etc/group").ok()?;
    let line = text.lines().find(|l| l.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}
