//! The container engine among the daemon's parts: how it is opened, and its TCP listener.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Context, anyhow, bail};
use pileus_base::Scope;
use pileus_docker::{Docker, Options, Pool};
use pileus_host::ContainerHost;
use pileus_identity::Project;
use pileus_network::Networks;
use pileus_store::{Query, Store};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{config, daemon::told, state, tls};

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
        userns_remap: Some(config.userns_remap.clone()),
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

/// The engine's listener for other hosts.
pub struct Tcp {
    /// Bound.
    pub listener: TcpListener,
    /// Its TLS; `None` on loopback alone.
    pub acceptor: Option<TlsAcceptor>,
    /// Where it is.
    pub address: SocketAddr,
}

/// Where clients find the engine, for `pileus status`.
pub fn addresses(state_dir: &Path, tcp: Option<&Tcp>) -> Vec<String> {
    let mut all = vec![format!("unix://{}", state::docker_socket(state_dir).display())];
    if let Some(tcp) = tcp {
        let how = if tcp.acceptor.is_some() { "mutual TLS" } else { "without TLS" };
        all.push(format!("tcp://{} ({how})", tcp.address));
    }
    all
}

/// The engine's TCP listener, where `[docker] tcp` asks for one, and its TLS.
///
/// Whoever gets in is root's equal on this host: so clients show a certificate of the given authority. Without
/// TLS it is served on loopback alone, and only where `tcp_plain` says so.
pub async fn tcp(config: &config::Docker) -> anyhow::Result<Option<Tcp>> {
    let Some(at) = config.tcp else { return Ok(None) };
    let files = [&config.tls_ca, &config.tls_cert, &config.tls_key];
    let acceptor = match files.map(|f| f.is_empty()) {
        [false, false, false] => {
            let [ca, cert, key] = files.map(Path::new);
            Some(tls::mutual(ca, cert, key).context("[docker] tcp")?)
        }
        [true, true, true] if config.tcp_plain && at.ip().is_loopback() => {
            tracing::warn!(address = %at, "the container engine is served without TLS: every local user is root's equal");
            None
        }
        [true, true, true] => bail!(
            "[docker] tcp: {at} needs tls_ca, tls_cert and tls_key (without TLS only loopback is served, with tcp_plain = true)"
        ),
        _ => bail!("[docker] tcp: tls_ca, tls_cert and tls_key belong together"),
    };
    let listener =
        TcpListener::bind(at).await.with_context(|| format!("[docker] tcp: failed to listen at {at}"))?;
    let address = listener.local_addr()?;
    Ok(Some(Tcp { listener, acceptor, address }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(change: impl FnOnce(&mut config::Docker)) -> String {
        let mut config = config::Docker { tcp: "127.0.0.1:0".parse().ok(), ..config::Docker::default() };
        change(&mut config);
        match tcp(&config).await {
            Ok(_) => String::new(),
            Err(e) => format!("{e:#}"),
        }
    }

    #[tokio::test]
    async fn plain_tcp_is_for_loopback_and_on_request() {
        assert!(refusal(|_| ()).await.contains("needs tls_ca"));
        assert_eq!(refusal(|c| c.tcp_plain = true).await, "");
        let off = |c: &mut config::Docker| {
            c.tcp = "0.0.0.0:0".parse().ok();
            c.tcp_plain = true;
        };
        assert!(refusal(off).await.contains("needs tls_ca"));
        assert!(refusal(|c| c.tls_ca = "/ca.pem".into()).await.contains("belong together"));
    }
}
