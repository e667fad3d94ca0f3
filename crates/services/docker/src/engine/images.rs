//! Images: finding, keeping, removing.

use pileus_base::Result;
use pileus_store::Stored;

use crate::{Docker, Image};

impl Docker {
    /// Makes the store of images ready.
    pub(crate) async fn open_images(&self) -> Result<()> {
        Ok(())
    }

    /// The image of a name, tag, digest or id (or its beginning).
    ///
    /// # Errors
    /// 404, `No such image: X`.
    pub(crate) async fn image(&self, name: &str) -> Result<Stored<Image>> {
        Err(<Image as pileus_store::Resource>::not_found(name))
    }
}
