//! Hashing of passwords with bcrypt, as Keystone does, off the runtime and only so many at once.

use std::sync::Arc;

use pileus_base::{Error, Result};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

/// bcrypt reads no more than this; longer passwords are reduced by SHA-256 first.
const BCRYPT_MAX: usize = 72;

/// Hashes and verifies.
pub(crate) struct Hasher {
    rounds: u32,
    slots: Arc<Semaphore>,
    /// A hash of nothing in particular: verified where there is no user, so that it takes as long.
    decoy: String,
}

impl Hasher {
    /// A hasher of 2^`rounds`. Blocks.
    pub fn new(rounds: u32) -> Result<Self> {
        let cores = std::thread::available_parallelism().map_or(2, |n| n.get());
        let decoy = hash_now("no password", rounds)?;
        Ok(Self { rounds, slots: Arc::new(Semaphore::new(cores)), decoy })
    }

    /// The hash of `password`.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let (password, rounds) = (password.to_owned(), self.rounds);
        self.run(move || hash_now(&password, rounds)).await
    }

    /// Whether `password` is the one behind `hash`; without a hash, `false` after as long a time.
    pub async fn verify(&self, password: &str, hash: Option<&str>) -> Result<bool> {
        let (password, known) = (password.to_owned(), hash.is_some());
        let hash = hash.unwrap_or(&self.decoy).to_owned();
        let fits = self.run(move || Ok(bcrypt::verify(reduced(&password), &hash).unwrap_or(false))).await?;
        Ok(fits && known)
    }

    async fn run<T: Send + 'static>(&self, f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let _slot = self.slots.acquire().await.map_err(|e| Error::wrap("failed to hash", e))?;
        tokio::task::spawn_blocking(f).await.map_err(|e| Error::wrap("failed to hash", e))?
    }
}

fn hash_now(password: &str, rounds: u32) -> Result<String> {
    bcrypt::hash(reduced(password), rounds).map_err(|e| Error::wrap("failed to hash a password", e))
}

fn reduced(password: &str) -> Vec<u8> {
    if password.len() <= BCRYPT_MAX {
        return password.as_bytes().to_vec();
    }
    hex(&Sha256::digest(password.as_bytes())).into_bytes()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A fresh secret of `bytes` random bytes, in URL-safe base64.
pub(crate) fn random(bytes: usize) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut raw = Vec::with_capacity(bytes + 16);
    // A version 4 UUID has 122 random bits from the system; six of them are fixed.
    while raw.len() < bytes {
        raw.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
    }
    raw.truncate(bytes);
    URL_SAFE_NO_PAD.encode(raw)
}
