//! `/dev/shm` of containers that share it (`IpcMode: shareable`, and `container:X` for the others): a tmpfs of the
//! host in the container's directory, mounted from its start to its end.

use std::{
    ffi::CString,
    path::{Path, PathBuf},
};

use pileus_base::{Error, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use serde_json::json;

use crate::{Container, Docker, store::Status};

impl Docker {
    fn shm_path(&self, id: &str) -> PathBuf {
        self.container_dir(id).join("shm")
    }

    /// What is at a container's `/dev/shm`, made where it is its own to share; `None` where that isn't shared.
    ///
    /// # Errors
    /// 400 and 409 in the reference's words where another container's can't be had.
    pub(crate) async fn shm(&self, c: &Container) -> Result<Option<PathBuf>> {
        let mode = c.host_config["IpcMode"].as_str().unwrap_or("");
        if let Some(other) = mode.strip_prefix("container:") {
            let other =
                self.container(other).await.map_err(|e| Error::bad_request(e.message().to_owned()))?;
            if other.state.status == Status::Restarting {
                return Err(Error::conflict(format!(
                    "Container {} is restarting, wait until the container is running",
                    other.id
                )));
            }
            if !other.runs() {
                return Err(Error::conflict(format!("container {} is not running", other.id)));
            }
            let path = self.shm_path(&other.id);
            return match other.host_config["IpcMode"] == json!("host") {
                true => Ok(Some("/dev/shm".into())),
                false if path.is_dir() => Ok(Some(path)),
                false => Err(Error::bad_request(format!(
                    "container {}: non-shareable IPC (hint: use IpcMode:shareable for the donor container)",
                    other.id
                ))),
            };
        }
        if mode != "shareable" {
            return Ok(None);
        }
        let path = self.shm_path(&c.id);
        clear(&path);
        let failed = |e: std::io::Error| Error::wrap(format!("failed to mount {}", path.display()), e);
        tokio::fs::create_dir_all(&path).await.map_err(failed)?;
        let size = c.host_config["ShmSize"].as_i64().filter(|n| *n > 0).unwrap_or(64 << 20);
        let data = CString::new(format!("mode=1777,size={size}"))
            .map_err(|e| Error::wrap("failed to write mount options", e))?;
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC | MountFlags::NODEV;
        mount("shm", &path, "tmpfs", flags, Some(data.as_c_str())).map_err(|e| failed(e.into()))?;
        Ok(Some(path))
    }

    /// Takes it away; done twice, nothing.
    pub(crate) fn clear_shm(&self, c: &Container) {
        if c.host_config["IpcMode"] == json!("shareable") {
            clear(&self.shm_path(&c.id));
        }
    }
}

fn clear(path: &Path) {
    let _ = unmount(path, UnmountFlags::DETACH);
    // Only where it is empty, which it is without its mount.
    let _ = std::fs::remove_dir(path);
}
