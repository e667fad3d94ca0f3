//! The connections of a run, each opened at its first use.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use pileus_modules::{FetchReply, FetchRequest};

use super::{Connection, Error, Options};

/// Fetches a URL for a module on a target (TLS is the controller's).
pub type Fetcher = dyn Fn(&FetchRequest) -> Result<FetchReply, String> + Send + Sync;

/// The connections of a run.
#[derive(Default)]
pub struct Pool {
    connections: Mutex<HashMap<Options, Arc<Connection>>>,
    fetcher: Option<Arc<Fetcher>>,
}

impl Pool {
    /// No connections yet. `fetcher` serves modules that want a URL.
    pub fn new(fetcher: Option<Arc<Fetcher>>) -> Self {
        Pool { connections: Mutex::default(), fetcher }
    }

    /// The connection with these options, opened at its first use only.
    pub fn get(&self, options: &Options) -> Result<Arc<Connection>, Error> {
        if let Some(connection) = self.connections.lock().get(options) {
            return Ok(connection.clone());
        }
        let connection = Arc::new(Connection::open(options, self.fetcher.clone())?);
        Ok(self.connections.lock().entry(options.clone()).or_insert(connection).clone())
    }

    /// Forgets a connection (`meta: reset_connection`).
    pub fn reset(&self, options: &Options) {
        if let Some(connection) = self.connections.lock().remove(options) {
            connection.close();
        }
    }

    /// Ends all of them.
    pub fn close(&self) {
        for (_, connection) in self.connections.lock().drain() {
            connection.close();
        }
    }
}
