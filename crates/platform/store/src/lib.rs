//! The store: resources as JSON documents with declared indexes and unique keys.
//!
//! ```text
//!   write(|tx| …) ──► one writer (SQLite: a thread, a savepoint each in a group commit;
//!                     PostgreSQL: SERIALIZABLE on a blocking pool, run again on 40001)
//!   read(|rd| …)  ──► a snapshot on a connection of its own
//!   watch(kinds)  ──► a nudge after every commit that touched one of them
//! ```
//!
//! A closure given to `write` has no side effects outside its transaction: it may run more than once.
//! It is synchronous; no hashing, file, process or network work belongs inside. Dropping the future of
//! `write` does not take the work back: it may have committed.

#![forbid(unsafe_code)]

mod postgres;
mod query;
mod resource;
mod schema;
mod sql;
mod sqlite;
mod tx;
mod watch;

use std::{path::PathBuf, sync::Arc};

use pileus_base::{Error, Result};

pub use query::{Direction, Query};
pub use resource::{Indexes, Resource, Stored, Unique};
pub use tx::{Read, Taken, Tx, taken};
pub use watch::Watch;

use crate::{postgres::Postgres, sqlite::Sqlite, watch::Watchers};

/// Where a store keeps its data.
#[derive(Debug, Clone)]
pub enum Location {
    /// A file, made where missing. `durable` waits for the disk at every commit (`synchronous=FULL`).
    Sqlite {
        /// The database file.
        path: PathBuf,
        /// Survive a power cut without losing the last commits.
        durable: bool,
    },
    /// A PostgreSQL database, as a connection string.
    Postgres(String),
}

/// A handle to the store; cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Engine,
    watchers: Arc<Watchers>,
}

#[derive(Clone)]
enum Engine {
    Sqlite(Arc<Sqlite>),
    Postgres(Arc<Postgres>),
}

impl Store {
    /// Opens the store, making or migrating its tables.
    ///
    /// # Errors
    /// 503 where the engine can't be reached; 500 where a newer program wrote the state.
    pub async fn open(location: Location) -> Result<Self> {
        let watchers = Arc::new(Watchers::default());
        let nudge = watchers.clone();
        let opened = tokio::task::spawn_blocking(move || match location {
            Location::Sqlite { path, durable } => {
                Ok(Engine::Sqlite(Arc::new(Sqlite::open(path, durable, nudge)?)))
            }
            Location::Postgres(url) => Ok(Engine::Postgres(Arc::new(Postgres::open(&url, nudge)?))),
        });
        let engine = opened.await.map_err(|e| Error::wrap("failed to open the store", e))??;
        Ok(Self { engine, watchers })
    }

    /// Runs `f` in a transaction and commits what it did, unless it fails: then nothing of it remains.
    ///
    /// # Errors
    /// Those of `f`; 503 where the engine can't commit.
    pub async fn write<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(e) => e.write(f).await,
            Engine::Postgres(e) => e.clone().write(f).await,
        }
    }

    /// Runs `f` over a snapshot.
    ///
    /// # Errors
    /// Those of `f`; 503 where the engine can't be reached.
    pub async fn read<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Read<'_>) -> Result<T> + Send + 'static,
    {
        match &self.engine {
            Engine::Sqlite(e) => e.clone().read(f).await,
            Engine::Postgres(e) => e.clone().read(f).await,
        }
    }

    /// Writes a copy of the store, as it is at one moment, to a new file.
    ///
    /// # Errors
    /// 501 on PostgreSQL, which has tools of its own; 500 where the file can't be written.
    pub async fn copy_to(&self, path: PathBuf) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(e) => e.clone().copy_to(path).await,
            Engine::Postgres(_) => Err(Error::not_implemented(
                "the store is PostgreSQL's: back it up with pg_dump, and the state directory by itself",
            )),
        }
    }

    /// Nudges after every commit that touched a resource of `kinds`.
    pub fn watch(&self, kinds: &[&'static str]) -> Watch {
        self.watchers.add(kinds)
    }
}
