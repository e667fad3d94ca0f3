//! The network as modules need it: names without NSS, connections with a time limit, URLs, HTTP/1.1.

pub mod get;
pub mod http;
pub mod resolve;
pub mod url;
pub mod wire;
