//! Who waits for a directory to change: one inotify descriptor for the whole engine, a counter for each
//! directory that somebody watches. The kernel allows few descriptors, and many watches on each.

use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, OnceLock},
};

use parking_lot::Mutex;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::{io::unix::AsyncFd, sync::watch};

/// All that is watched. The descriptor is opened by the first who watches.
pub struct Notices {
    flags: WatchFlags,
    inner: OnceLock<Arc<Inner>>,
}

struct Inner {
    fd: AsyncFd<OwnedFd>,
    /// By the kernel's number of the watch.
    watched: Mutex<HashMap<i32, watch::Sender<u64>>>,
}

/// A directory that is watched.
pub struct Notice {
    inner: Arc<Inner>,
    number: i32,
    changes: Option<watch::Receiver<u64>>,
}

impl Notices {
    /// Watches for files that are written, made, or moved.
    pub fn of_writes() -> Self {
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        Self { flags, inner: OnceLock::new() }
    }

    /// Watches for files that are moved.
    pub fn of_moves() -> Self {
        Self { flags: WatchFlags::MOVED_TO | WatchFlags::ONLYDIR, inner: OnceLock::new() }
    }

    /// Watches a directory from now on.
    ///
    /// # Errors
    /// Those of the kernel: no such directory, too many watches.
    pub fn watch(&self, dir: &Path) -> io::Result<Notice> {
        let inner = match self.inner.get() {
            Some(inner) => inner.clone(),
            None => self.open()?,
        };
        let mut watched = inner.watched.lock();
        let number = inotify::add_watch(inner.fd.get_ref(), dir, self.flags)?;
        let changes = watched.entry(number).or_insert_with(|| watch::Sender::new(0)).subscribe();
        drop(watched);
        Ok(Notice { inner, number, changes: Some(changes) })
    }

    fn open(&self) -> io::Result<Arc<Inner>> {
        #[expect(deprecated, reason = "it owns its descriptor, and the other way is unsafe")]
        let fd = AsyncFd::new(inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?)?;
        let made = Arc::new(Inner { fd, watched: Mutex::default() });
        let inner = self.inner.get_or_init(|| made.clone()).clone();
        if Arc::ptr_eq(&made, &inner) {
            tokio::spawn(made.run());
        }
        Ok(inner)
    }
}

impl Inner {
    async fn run(self: Arc<Self>) {
        while let Ok(mut ready) = self.fd.readable().await {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(self.fd.get_ref(), &mut buffer);
            loop {
                match reader.next() {
                    Ok(event) => self.tell(event.wd(), event.events()),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(e) => return tracing::error!("failed to watch logs: {e}"),
                }
            }
            ready.clear_ready();
        }
    }

    fn tell(&self, number: i32, events: ReadFlags) {
        let mut watched = self.watched.lock();
        if events.contains(ReadFlags::QUEUE_OVERFLOW) {
            watched.values().for_each(|w| w.send_modify(|n| *n += 1));
        } else if events.contains(ReadFlags::IGNORED) {
            // Whoever still watches is woken by the end of the counter.
            watched.remove(&number);
        } else if let Some(w) = watched.get(&number) {
            w.send_modify(|n| *n += 1);
        }
    }
}

impl Notice {
    /// Returns once the directory has changed since the last look; never where it is gone.
    pub async fn changed(&mut self) {
        if let Some(changes) = &mut self.changes
            && changes.changed().await.is_ok()
        {
            return;
        }
        self.changes = None;
        std::future::pending().await
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        self.changes = None;
        let mut watched = self.inner.watched.lock();
        if watched.get(&self.number).is_some_and(|w| w.receiver_count() == 0) {
            watched.remove(&self.number);
            // A directory that is gone has no watch any more.
            let _ = inotify::remove_watch(self.inner.fd.get_ref(), self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_watches_is_woken_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let notices = Notices::of_writes();
        let mut one = notices.watch(dir.path()).unwrap();
        let mut two = notices.watch(dir.path()).unwrap();
        std::fs::write(dir.path().join("log"), "x").unwrap();
        one.changed().await;
        drop(one);
        two.changed().await;
        std::fs::write(dir.path().join("log"), "y").unwrap();
        two.changed().await;
        drop(two);
        assert!(notices.inner.get().unwrap().watched.lock().is_empty());
        assert!(notices.watch(&dir.path().join("none")).is_err());
    }
}
