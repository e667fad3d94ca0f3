//! A container's network namespace, pinned below the state directory beside those of tenants' networks.

use std::{path::PathBuf, sync::atomic::Ordering};

use pileus_base::{Error, Result};

use super::{Host, failed, netlink::Netlink, netns};

/// Namespaces made ahead: the kernel takes its time over one.
const SPARE: usize = 4;
/// What containers may do that hosts' users may not: low ports and `ping` need no privilege inside.
const SYSCTLS: [(&str, &str); 2] =
    [("net/ipv4/ip_unprivileged_port_start", "0"), ("net/ipv4/ping_group_range", "0 2147483647")];

fn check(container: &str) -> Result<()> {
    if container.len() < 12 || !container.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err(Error::bad_request(format!("'{container}' is not a container's id")));
    }
    Ok(())
}

/// Inside a new namespace: `lo` up, and the sysctls.
fn prepare() -> Result<()> {
    let failed = failed("failed to make a container's namespace");
    let mut netlink = Netlink::open().map_err(&failed)?;
    if let Some(lo) = netlink.index("lo").map_err(&failed)? {
        netlink.up(lo, None).map_err(&failed)?;
    }
    for (name, value) in SYSCTLS {
        if let Err(e) = std::fs::write(format!("/proc/sys/{name}"), value) {
            tracing::debug!(name, error = %e, "a sysctl was not set");
        }
    }
    Ok(())
}

impl Host {
    /// Where a container's namespace is pinned.
    pub fn sandbox(&self, container: &str) -> PathBuf {
        let short: String = container.chars().take(12).collect();
        self.state_dir.join("netns").join(format!("c-{short}"))
    }

    /// Names of files here are the ids in full.
    fn register(&self) -> PathBuf {
        self.state_dir.join("sandboxes")
    }

    pub(super) async fn ensure_sandbox(&self, container: &str) -> Result<PathBuf> {
        check(container)?;
        let path = self.sandbox(container);
        if netns::pinned(&path) {
            return Ok(path);
        }
        let failed = failed("failed to make a container's namespace");
        std::fs::create_dir_all(self.register()).map_err(&failed)?;
        std::fs::write(self.register().join(container), "").map_err(&failed)?;
        let ready = self.spare.lock().pop();
        let namespace = match ready {
            Some(namespace) => namespace,
            None => netns::fresh(prepare).await?,
        };
        netns::pin(&namespace, &path)?;
        self.refill();
        Ok(path)
    }

    /// Makes namespaces for the next containers, one after the other.
    fn refill(&self) {
        let (spare, busy) = (self.spare.clone(), self.refilling.clone());
        if busy.swap(true, Ordering::AcqRel) {
            return;
        }
        tokio::spawn(async move {
            while spare.lock().len() < SPARE {
                match netns::fresh(prepare).await {
                    Ok(namespace) => spare.lock().push(namespace),
                    Err(e) => {
                        tracing::debug!(error = e.chain(), "no namespace was made ahead");
                        break;
                    }
                }
            }
            busy.store(false, Ordering::Release);
        });
    }

    pub(super) async fn remove_sandbox(&self, container: &str) -> Result<()> {
        check(container)?;
        self.resolvers.lock().remove(container);
        self.unpublish(container).await?;
        let path = self.sandbox(container);
        if netns::pinned(&path) {
            // The namespace may live on in a process that holds it; its links shall not.
            let emptied = netns::run(path.clone(), || {
                let failed = failed("failed to remove a container's links");
                let mut netlink = Netlink::open().map_err(&failed)?;
                let links = std::fs::read_to_string("/proc/thread-self/net/dev").map_err(&failed)?;
                let names = links.lines().filter_map(|l| l.split_once(':')).map(|(name, _)| name.trim());
                for link in names.filter(|l| *l != "lo") {
                    // What the kernel makes in every namespace (tunl0, …) can't be removed.
                    if let Err(e) = netlink.remove(link) {
                        tracing::debug!(link, error = %e, "a link of a container remains");
                    }
                }
                Ok(())
            });
            if let Err(e) = emptied.await {
                tracing::debug!(error = e.chain(), "links of a container remain");
            }
        }
        netns::remove(&path)?;
        match std::fs::remove_file(self.register().join(container)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::wrap("failed to forget a container's namespace", e))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn sandboxes(&self) -> Result<Vec<String>> {
        let Ok(entries) = std::fs::read_dir(self.register()) else { return Ok(Vec::new()) };
        let named = entries.flatten().filter_map(|e| e.file_name().into_string().ok());
        Ok(named.filter(|c| netns::pinned(&self.sandbox(c))).collect())
    }
}
