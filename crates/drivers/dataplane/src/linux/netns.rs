//! Network namespaces, pinned by a bind mount on a file. Work inside one is done on a thread of its own,
//! which ends with the work: a runtime's worker never leaves the namespace it was born in.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use pileus_base::{Error, Result, ids::NetworkId};
use rustix::{
    mount::{UnmountFlags, mount_bind, unmount},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};
use tokio::sync::oneshot;

/// `statfs` of a pinned namespace has this type (linux/magic.h).
const NSFS_MAGIC: i64 = 0x6e73_6673;

/// Where a network's namespace is pinned.
pub fn path(state_dir: &Path, network: NetworkId) -> PathBuf {
    state_dir.join("netns").join(network.to_string())
}

/// Whether a namespace is pinned at `path`; a plain file is what a reboot leaves.
pub fn pinned(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|s| s.f_type == NSFS_MAGIC)
}

async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let (answer, answered) = oneshot::channel();
    std::thread::Builder::new()
        .name("netns".into())
        .spawn(move || {
            // Who asked may have gone.
            let _ = answer.send(work());
        })
        .map_err(|e| Error::wrap("failed to start a thread", e))?;
    answered.await.map_err(|_| Error::internal("work in a namespace panicked"))?
}

/// Makes a namespace and pins it at `path`.
///
/// # Errors
/// 500 where the kernel refuses.
pub async fn create(path: PathBuf) -> Result<()> {
    on_thread(move || {
        let failed =
            |e: std::io::Error| Error::wrap(format!("failed to make the namespace `{}`", path.display()), e);
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(failed)?;
        }
        File::create(&path).map_err(failed)?;
        // SAFETY: this thread was made for it, shares no file descriptor table trick, and ends after it.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|e| failed(e.into()))?;
        mount_bind("/proc/thread-self/ns/net", &path).map_err(|e| failed(e.into()))
    })
    .await
}

/// Makes a namespace that nothing is pinned to yet, and does `prepare` inside.
///
/// # Errors
/// 500 where the kernel refuses; those of `prepare`.
pub async fn fresh(prepare: impl FnOnce() -> Result<()> + Send + 'static) -> Result<OwnedFd> {
    on_thread(move || {
        let failed = |e: std::io::Error| Error::wrap("failed to make a namespace", e);
        // SAFETY: this thread was made for it, shares no file descriptor table trick, and ends after it.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.map_err(|e| failed(e.into()))?;
        prepare()?;
        File::open("/proc/thread-self/ns/net").map(OwnedFd::from).map_err(failed)
    })
    .await
}

/// Pins a namespace at `path`.
///
/// # Errors
/// 500 where it can't be mounted.
pub fn pin(namespace: &OwnedFd, path: &Path) -> Result<()> {
    let failed = |e: std::io::Error| Error::wrap(format!("failed to pin `{}`", path.display()), e);
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(failed)?;
    }
    File::create(path).map_err(failed)?;
    mount_bind(format!("/proc/self/fd/{}", namespace.as_raw_fd()), path).map_err(|e| failed(e.into()))
}

/// Removes the pin; the namespace goes with its last user.
///
/// # Errors
/// 500 where it can't be removed.
pub fn remove(path: &Path) -> Result<()> {
    if pinned(path) {
        unmount(path, UnmountFlags::DETACH)
            .map_err(|e| Error::wrap(format!("failed to unmount `{}`", path.display()), e))?;
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::wrap(format!("failed to remove `{}`", path.display()), e))
        }
        _ => Ok(()),
    }
}

/// Runs `work` inside the namespace.
///
/// # Errors
/// Those of `work`; 500 where the namespace can't be entered.
pub async fn run<T: Send + 'static>(
    path: PathBuf,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    on_thread(move || {
        let failed =
            |e: std::io::Error| Error::wrap(format!("failed to enter the namespace `{}`", path.display()), e);
        let file = File::open(&path).map_err(failed)?;
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|e| failed(e.into()))?;
        work()
    })
    .await
}
