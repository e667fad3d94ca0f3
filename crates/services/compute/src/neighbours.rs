//! What a port that is no server's may know of itself at 169.254.169.254: a container on a tenant's network, of
//! the engine's driver `pileus`. The same pages as a server's, as far as they apply.

use pileus_base::{Error, Result};
use pileus_host::{MetadataAnswer, MetadataQuery};
use pileus_network::ports;
use serde_json::json;

use crate::Compute;

/// The owner of containers' ports.
const CONTAINER: &str = "docker:container";

impl Compute {
    /// The page that a container asks for; `None` where the query came from none.
    pub(crate) async fn container_page(&self, query: &MetadataQuery) -> Result<Option<MetadataAnswer>> {
        let (network, peer) = (query.network, query.peer);
        let read = self.store.read(move |rd| ports::by_address(rd, network, peer));
        let Some(port) = read.await?.filter(|p| p.device_owner == CONTAINER) else { return Ok(None) };
        let host = if port.dns_name.is_empty() { &port.name } else { &port.dns_name };
        let path = query.path.split('?').next().unwrap_or("");
        let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
        let text = match *parts {
            [] => "2009-04-04\nlatest".to_owned(),
            ["openstack"] => "latest".to_owned(),
            ["openstack", _] => "meta_data.json".to_owned(),
            ["openstack", _, "meta_data.json"] => json!({
                "uuid": port.device_id, "name": port.name, "hostname": host, "project_id": port.project_id,
                "meta": {}, "keys": [],
            })
            .to_string(),
            [_] => "meta-data/".to_owned(),
            [_, "meta-data"] => "hostname\ninstance-id\nlocal-hostname\nlocal-ipv4\nmac".to_owned(),
            [_, "meta-data", "hostname" | "local-hostname"] => host.clone(),
            [_, "meta-data", "instance-id"] => port.device_id.clone(),
            [_, "meta-data", "local-ipv4"] => peer.to_string(),
            [_, "meta-data", "mac"] => port.mac.clone(),
            _ => return Err(Error::not_found("no such page")),
        };
        let json = text.starts_with('{');
        let media = if json { "application/json" } else { "text/plain; charset=UTF-8" };
        Ok(Some(MetadataAnswer { status: 200, media: media.into(), body: text.into_bytes() }))
    }
}
