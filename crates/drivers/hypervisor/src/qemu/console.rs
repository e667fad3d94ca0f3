//! What guests write to their consoles: a log that is cut before it fills the disk.

use std::{path::Path, time::Duration};

use pileus_base::{Error, Result};

use super::{Inner, command::CONSOLE};

/// Most that is kept of a console.
const MOST: u64 = 1 << 20;
/// How often consoles are looked at.
pub(super) const TICK: Duration = Duration::from_secs(5);

impl Inner {
    /// Cuts consoles that have grown too long to their last half. QEMU appends, so nothing is torn.
    pub(super) fn trim_consoles(&self) {
        for id in self.ids().unwrap_or_default() {
            let path = self.place(id).join(CONSOLE);
            let long = std::fs::metadata(&path).is_ok_and(|m| m.len() > MOST);
            if !long {
                continue;
            }
            let cut = std::fs::read(&path).and_then(|all| {
                let keep = all.len().saturating_sub(usize::try_from(MOST / 2).unwrap_or(0));
                std::fs::write(&path, &all[keep..])
            });
            if let Err(e) = cut {
                tracing::warn!(server_id = %id, error = %e, "a console's log was not cut");
            }
        }
    }
}

/// What a guest has written, of its directory; nothing where it never ran.
///
/// # Errors
/// 500 where it can't be read.
pub(super) async fn read(dir: &Path) -> Result<Vec<u8>> {
    let path = dir.join(CONSOLE);
    match tokio::fs::read(&path).await {
        Ok(log) => Ok(log),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(Error::wrap(format!("failed to read `{}`", path.display()), e)),
    }
}
