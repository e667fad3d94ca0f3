//! What macvlan and ipvlan networks hang from: a link of the host's, a VLAN made for the network, or a link that
//! leads nowhere where the network names none or is internal.

use pileus_base::Result;

use super::modes;
use crate::{Docker, Network};

/// The parent that a network's options name.
pub(super) fn named(network: &Network) -> Option<&str> {
    network.options.get("parent").map(String::as_str).filter(|p| !p.is_empty() && !network.internal)
}

/// Whether nothing leaves a network.
pub(super) fn closed(network: &Network) -> bool {
    let hangs = matches!(network.driver.as_str(), "macvlan" | "ipvlan");
    network.internal || (hangs && named(network).is_none())
}

impl Docker {
    /// Makes the link that a new network of these drivers needs, and notes it there; the host's own links need
    /// nothing.
    ///
    /// # Errors
    /// In the reference's words where the name is none of a VLAN, or the kernel lacks such links.
    pub(crate) async fn make_parent(&self, network: &mut Network) -> Result<()> {
        let hangs = matches!(network.driver.as_str(), "macvlan" | "ipvlan");
        if !hangs || named(network).is_some_and(modes::there) {
            return Ok(());
        }
        network.link = self.ensure_parent(network).await?;
        Ok(())
    }

    pub(super) async fn ensure_parent(&self, network: &Network) -> Result<String> {
        self.host.ensure_parent(&network.id, named(network)).await
    }

    /// Takes the link away that a network has made.
    pub(crate) async fn remove_link(&self, network: &Network) -> Result<()> {
        match network.driver.as_str() {
            "bridge" => self.host.remove_bridge(&network.id, &network.link).await,
            _ if network.link.is_empty() => Ok(()),
            _ => self.host.remove_parent(&network.link).await,
        }
    }
}
