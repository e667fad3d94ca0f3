//! Identity: Keystone's v3 API. Who someone is, which roles they hold on what, tokens, the catalog.
//!
//! ```text
//!   api/      the route table and one file per resource
//!   auth/     logging in; a token's contents; from a token to a caller
//!   model/    what is kept, which is also what is shown
//!   grants    roles: direct, by group, inherited, implied
//!   catalog   the catalog as a token shows it
//!   bootstrap what the first start makes
//!   keys, secrets   Fernet keys and password hashes
//! ```
//!
//! Every change goes through `Identity::write`, which drops the cache of validated tokens after the
//! commit: a revocation counts at once.

#![forbid(unsafe_code)]

mod api;
mod auth;
mod bootstrap;
mod catalog;
mod grants;
mod keys;
mod model;
mod secrets;

use std::{path::PathBuf, sync::Arc};

use parking_lot::RwLock;
use pileus_base::{Error, Result, Scope, Time, ids::ProjectId};
use pileus_store::{Query, Read, Store, Tx};

pub use auth::validate::Validated;
pub use bootstrap::{Bootstrap, Bootstrapped, CatalogEntry};
pub use model::{projects::Project, rules::PasswordRules, users::User};

use crate::{
    keys::Keys,
    model::access::{AppCred, Revocation, Trust},
    secrets::Hasher,
};

/// How identity behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the daemon keeps its state; keys are below `identity/`.
    pub state_dir: PathBuf,
    /// Password rules and lockout.
    pub passwords: PasswordRules,
    /// How long a token lives, in seconds.
    pub token_ttl_s: i64,
    /// bcrypt's cost, as a power of two.
    pub bcrypt_rounds: u32,
    /// The region of the catalog.
    pub region: String,
    /// Fernet keys kept, the staged one included.
    pub max_active_keys: usize,
    /// The age in seconds at which the primary key is replaced.
    pub rotate_keys_s: u64,
}

impl Options {
    /// Keystone's defaults, with state below `state_dir`.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self {
            state_dir: state_dir.into(),
            passwords: PasswordRules::default(),
            token_ttl_s: 3_600,
            bcrypt_rounds: 12,
            region: "RegionOne".into(),
            max_active_keys: 3,
            rotate_keys_s: 7 * 86_400,
        }
    }
}

/// The identity service.
pub struct Identity {
    store: Store,
    options: Options,
    keys: Keys,
    credential_keys: Keys,
    hasher: Hasher,
    cache: auth::validate::Cache,
    listed: RwLock<Option<(u64, catalog::Listed)>>,
}

impl Identity {
    /// Opens the service, making its keys where there are none.
    ///
    /// # Errors
    /// 500 where the keys can't be read or written.
    pub async fn open(store: Store, options: Options) -> Result<Arc<Self>> {
        let opened = tokio::task::spawn_blocking(move || {
            let dir = options.state_dir.join("identity");
            Ok(Arc::new(Self {
                keys: Keys::open(&dir.join("keys"), options.max_active_keys)?,
                credential_keys: Keys::open(&dir.join("credential-keys"), 3)?,
                hasher: Hasher::new(options.bcrypt_rounds)?,
                cache: auth::validate::Cache::default(),
                listed: RwLock::new(None),
                store,
                options,
            }))
        });
        opened.await.map_err(|e| Error::wrap("failed to open identity", e))?
    }

    /// The route table.
    pub fn service(self: &Arc<Self>) -> pileus_http::Service {
        api::service(self.clone())
    }

    /// Logs in by an `auth` object of `POST /v3/auth/tokens`: a token, and for how many seconds it is good.
    ///
    /// # Errors
    /// 400 where the object is malformed, 401 where it proves nothing.
    pub async fn log_in(&self, auth: &serde_json::Value) -> Result<(String, i64)> {
        let (token, found) = auth::issue::issue(self, auth).await?;
        Ok((token, found.payload.expires.secs() - Time::now().secs()))
    }

    /// Makes the staged token key primary. Tokens made before stay valid until their key is dropped,
    /// `max_active_keys - 1` rotations later.
    ///
    /// # Errors
    /// 500 where the keys can't be written.
    pub async fn rotate_keys(self: &Arc<Self>) -> Result<()> {
        let id = self.clone();
        let rotated = tokio::task::spawn_blocking(move || id.keys.rotate());
        rotated.await.map_err(|e| Error::wrap("failed to rotate keys", e))?
    }

    /// What must be done now and then: rotates an old key and removes what has ended. Idempotent; call it
    /// about every hour.
    ///
    /// # Errors
    /// Those of the store and of [`Identity::rotate_keys`].
    pub async fn upkeep(self: &Arc<Self>) -> Result<()> {
        let id = self.clone();
        let age = tokio::task::spawn_blocking(move || id.keys.age_s());
        let ttl = u64::try_from(self.options.token_ttl_s).unwrap_or_default();
        if age.await.map_err(|e| Error::wrap("failed to look at keys", e))??
            >= self.options.rotate_keys_s.max(ttl)
        {
            self.rotate_keys().await?;
        }
        let now = Time::now();
        self.write(move |tx| {
            for r in tx.list::<Revocation>(&Scope::All, &Query::all())? {
                if r.until <= now {
                    tx.delete::<Revocation>(&r.audit_id)?;
                }
            }
            for t in tx.list::<Trust>(&Scope::All, &Query::all())? {
                if t.expired(now) {
                    tx.delete::<Trust>(&t.id)?;
                }
            }
            for c in tx.list::<AppCred>(&Scope::All, &Query::all())? {
                if c.expired(now) {
                    tx.delete::<AppCred>(&c.id)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// A write after which no cached token is trusted. The work is done even where the future is dropped
    /// after the commit: it runs on a task of its own.
    pub(crate) async fn write<T, F>(self: &Arc<Self>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let id = self.clone();
        let done = tokio::spawn(async move {
            let done = id.store.write(f).await;
            id.cache.invalidate();
            done
        });
        done.await.map_err(|e| Error::wrap("failed to write", e))?
    }
}

/// The project `id`, in the caller's transaction; domains are none.
///
/// # Errors
/// Those of the store.
pub fn project(rd: &mut Read<'_>, id: &ProjectId) -> Result<Option<Project>> {
    Ok(rd.find::<Project>(&Scope::All, id)?.map(|p| p.value).filter(|p| !p.is_domain))
}

/// The user `id`, in the caller's transaction.
///
/// # Errors
/// Those of the store.
pub fn user(rd: &mut Read<'_>, id: &pileus_base::ids::UserId) -> Result<Option<User>> {
    Ok(rd.find::<User>(&Scope::All, id)?.map(|u| u.value))
}

/// Rotates an old key and forgets revocations that have ended.
struct Upkeep(Arc<Identity>);

impl pileus_reconcile::Reconciler for Upkeep {
    const NAME: &'static str = "identity.upkeep";

    async fn reconcile(&self) -> Result<pileus_reconcile::Report> {
        self.0.upkeep().await?;
        Ok(pileus_reconcile::Report::default())
    }
}

impl Identity {
    /// Registers the reconcilers.
    pub fn reconcilers(
        self: &Arc<Self>,
        reconcilers: pileus_reconcile::Reconcilers,
    ) -> pileus_reconcile::Reconcilers {
        reconcilers.register(Upkeep(self.clone()), std::time::Duration::from_secs(3600))
    }
}
