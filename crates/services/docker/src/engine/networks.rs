//! Networks: the default ones, places on them, ports published, names.

use std::collections::BTreeMap;

use pileus_base::Result;
use pileus_store::Stored;
use serde_json::Value;

use crate::{Container, Docker, Network, store::Endpoint};

impl Docker {
    /// Makes the default networks (`bridge`, `host`, `none`) and brings all bridges about again.
    pub(crate) async fn open_networks(&self) -> Result<()> {
        Ok(())
    }

    /// The network of a name or an id (or its beginning).
    ///
    /// # Errors
    /// 404, `network X not found`.
    pub(crate) async fn network(&self, name: &str) -> Result<Stored<Network>> {
        Err(<Network as pileus_store::Resource>::not_found(name))
    }

    /// The places that a new container will have: of `HostConfig.NetworkMode` and
    /// `NetworkingConfig.EndpointsConfig`; no address is taken yet.
    ///
    /// # Errors
    /// 404 for a network that isn't there, 400 for settings that don't fit it.
    pub(crate) async fn endpoints(
        &self,
        _host_config: &Value,
        _networking: &Value,
    ) -> Result<BTreeMap<String, Endpoint>> {
        Ok(BTreeMap::new())
    }

    /// Before a start: the namespace with its endpoints, addresses, published ports and names, and the
    /// files `hosts`, `hostname` and `resolv.conf` in `<state-dir>/containers/<id>/`. Gives the namespace's path
    /// (`None` for the host's own). Undone by [`Docker::disconnect_all`] where it fails.
    pub(crate) async fn connect_all(&self, _container: &mut Container) -> Result<Option<std::path::PathBuf>> {
        Ok(None)
    }

    /// After an end: all of it away; done twice without complaint.
    pub(crate) async fn disconnect_all(&self, _container: &mut Container) -> Result<()> {
        Ok(())
    }

    /// After the daemon's start, for a container that runs on: rules, proxies and resolver again.
    pub(crate) async fn reconnect(&self, _container: &Container) -> Result<()> {
        Ok(())
    }
}
