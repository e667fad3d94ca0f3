//! What takes place: the changes behind the API's calls, over the host's verbs and the store.

pub mod build;
pub mod commit;
pub mod containers;
pub mod execs;
pub mod health;
pub mod images;
pub mod life;
pub mod logs;
pub mod networks;
mod open;
pub mod reason;
pub mod registry;
pub mod shm;
pub mod spec;
pub mod streams;
pub mod update;
pub mod volumes;
pub mod watch;
