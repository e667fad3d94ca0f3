//! Images: Glance's API over files below the state directory.
//!
//! ```text
//!   PUT /file ─► images/<id>.<random>.part (hashed as it comes) ─► examined by the host ─► synced, renamed
//!             ─► images/<id> ─► ACTIVE, in one transaction with its checksums
//! ```
//! An upload that breaks off leaves the image queued and nothing else; a reconciler removes files that no
//! image owns. [`import`] brings data in as a job; [`web`] fetches it, and guards what may be fetched.

#![forbid(unsafe_code)]

mod api;
pub mod images;
pub mod import;
mod metadefs;
mod model;
mod rules;
mod tasks;
mod transfers;
mod upload;
mod usage;
pub mod web;

use std::{path::PathBuf, sync::Arc, time::Duration};

use ipnet::IpNet;
use pileus_base::{Error, Result};
use pileus_host::{Host, ImageFile};
use pileus_jobs::Jobs;
use pileus_reconcile::Reconcilers;
use pileus_store::Store;

pub use api::FAMILY;
pub use model::{Image, Status, Visibility};
pub use usage::COUNTER as BYTES_COUNTER;

/// What may be configured.
#[derive(Debug, Clone)]
pub struct Options {
    /// The state directory.
    pub state_dir: PathBuf,
    /// Largest upload, in bytes.
    pub max_upload_bytes: u64,
    /// What a project's images may take together, in bytes; `None` for no limit.
    pub project_bytes: Option<u64>,
    /// Addresses that web-download may fetch from besides the public internet.
    pub web_download_allow: Vec<IpNet>,
    /// A file with the certificates of authorities that web-download trusts, instead of the system's.
    pub web_download_ca: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/pileus".into(),
            max_upload_bytes: 1 << 40,
            project_bytes: None,
            web_download_allow: Vec::new(),
            web_download_ca: None,
        }
    }
}

/// The service.
pub struct Images {
    pub(crate) store: Store,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) options: Options,
    pub(crate) dir: PathBuf,
    pub(crate) web: web::Web,
    pub(crate) fetches: import::Fetches,
}

impl Images {
    /// Opens the service.
    ///
    /// # Errors
    /// 500 where its directory can't be made.
    pub async fn open(store: Store, options: Options, host: Arc<dyn Host>) -> Result<Arc<Self>> {
        let dir = options.state_dir.join("images");
        let failed = |e| Error::wrap(format!("failed to make `{}`", dir.display()), e);
        tokio::fs::create_dir_all(&dir).await.map_err(failed)?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        tokio::fs::set_permissions(&dir, private).await.map_err(failed)?;
        let guard = web::Guard::Public(options.web_download_allow.clone());
        let web = web::Web::new(guard, options.web_download_ca.clone());
        Ok(Arc::new(Self { store, host, options, dir, web, fetches: import::Fetches::default() }))
    }

    /// The route table.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::routes(self.clone())
    }

    /// Registers the jobs.
    pub fn jobs(self: &Arc<Self>, jobs: Jobs) -> Jobs {
        jobs.register(import::ImportJob::new(self.clone()))
    }

    /// Registers the reconcilers.
    pub fn reconcilers(self: &Arc<Self>, reconcilers: Reconcilers) -> Reconcilers {
        reconcilers.register(tasks::Sweep(self.clone()), Duration::from_secs(600))
    }

    /// An image's data on the host.
    pub fn file(&self, image: &Image) -> ImageFile {
        ImageFile {
            id: image.id,
            path: self.path(image.id),
            format: image.disk_format.clone().unwrap_or_default(),
            checksum: image.os_hash_value.clone().unwrap_or_default(),
        }
    }

    pub(crate) fn path(&self, id: pileus_base::ids::ImageId) -> PathBuf {
        self.dir.join(id.to_string())
    }
}
