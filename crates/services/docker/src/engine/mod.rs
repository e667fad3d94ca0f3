//! What takes place: the changes behind the API's calls, over the host's verbs and the store.

pub mod build;
pub mod execs;
pub mod images;
pub mod networks;
pub mod registry;
pub mod volumes;
pub mod watch;
