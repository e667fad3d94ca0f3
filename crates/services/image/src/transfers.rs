//! What is known of an image's data while it is on its way, beside the image: bytes reserved, what was
//! staged, the task that imports it, and whether the last import failed.

use pileus_base::{
    Result, Scope,
    ids::{ImageId, ProjectId},
};
use pileus_store::{Read, Resource, Stored, Tx};
use serde::{Deserialize, Serialize};

use crate::{import::TaskId, model::Image, usage};

/// What data was found to be while it came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// In bytes.
    pub size: u64,
    /// In hex.
    pub md5: String,
    /// In hex.
    pub sha512: String,
    /// What a guest sees, in bytes, once it was examined.
    pub virtual_size: Option<u64>,
}

/// Data on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// The image.
    pub image: ImageId,
    /// Whom it is charged to.
    pub owner: Option<ProjectId>,
    /// Charged beyond the image's size.
    pub reserved: u64,
    /// What lies in the staging file.
    pub staged: Option<Received>,
    /// Who imports it.
    pub task: Option<TaskId>,
    /// Whether the last import failed.
    pub failed: bool,
}

impl Resource for Transfer {
    const KIND: &'static str = "image.transfer";
    fn id(&self) -> String {
        self.image.to_string()
    }
    fn project(&self) -> Option<&ProjectId> {
        self.owner.as_ref()
    }
    fn not_found(id: &str) -> pileus_base::Error {
        Image::not_found(id)
    }
}

/// That of the image, if there is any.
pub fn find(rd: &mut Read<'_>, id: ImageId) -> Result<Option<Stored<Transfer>>> {
    rd.find(&Scope::All, id)
}

/// Begins anew: what was reserved before is given back.
pub fn open(tx: &mut Tx<'_>, image: &Image, task: Option<TaskId>) -> Result<()> {
    close(tx, image.id)?;
    tx.insert(&Transfer {
        image: image.id,
        owner: image.owner.clone(),
        reserved: 0,
        staged: None,
        task,
        failed: false,
    })
}

/// Gives back what is reserved.
pub fn release(tx: &mut Tx<'_>, transfer: &mut Transfer) -> Result<()> {
    usage::charge(tx, transfer.owner.as_ref(), -usage::signed(transfer.reserved))?;
    transfer.reserved = 0;
    Ok(())
}

/// Ends it, and gives back what is reserved; it may not be there.
pub fn close(tx: &mut Tx<'_>, id: ImageId) -> Result<()> {
    if let Some(mut transfer) = tx.find::<Transfer>(&Scope::All, id)? {
        release(tx, &mut transfer)?;
        tx.delete::<Transfer>(id)?;
    }
    Ok(())
}
