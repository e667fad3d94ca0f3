//! Volumes, and what a container mounts.

use pileus_base::Result;
use serde_json::Value;

use crate::{Container, Docker, Image};

impl Docker {
    /// The mounts of a new container, of `HostConfig.Binds`, `.Mounts`, `.VolumesFrom`, `Config.Volumes`
    /// and the image's volumes: as `inspect` shows them. Volumes that are missing are made, and seeded with
    /// what the image has there.
    ///
    /// # Errors
    /// 400 in the reference's words for a mount that can't be.
    pub(crate) async fn mounts(
        &self,
        _config: &Value,
        _host_config: &Value,
        _image: &Image,
    ) -> Result<Vec<Value>> {
        Ok(Vec::new())
    }

    /// After a container has gone: its anonymous volumes too, where asked.
    pub(crate) async fn release_volumes(&self, _container: &Container, _remove: bool) -> Result<()> {
        Ok(())
    }
}
