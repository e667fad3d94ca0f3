//! The HTTP edge, the same for every API.
//!
//! ```text
//!   listener ─► Server: longest mounted prefix ─► Service: route ─► token → Ctx ─► rule → Scope
//!            ─► microversion ─► handler(Call) ─► Reply, or Error → the family's fault ─► access log, metrics
//! ```
//!
//! A service builds its route table with [`Routes`]: method, path, rule, handler, one line each; there is
//! no route without a rule. Handlers take a [`Call`] and give a [`Reply`] or a product [`Error`]. How an
//! error looks on the wire is told once per API [`Family`].
//!
//! [`Error`]: pileus_base::Error

#![forbid(unsafe_code)]

mod body;
mod call;
mod family;
mod list;
mod metrics;
mod query;
mod reply;
mod routes;
mod server;
mod version;

pub use body::{Body, Chunks};
pub use call::{Base, Call, Upgraded};
pub use family::{Family, Fault, openstack_fault, public_message, status_of};
pub use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
pub use list::{Listing, Sort};
pub use metrics::Metrics;
pub use query::Params;
pub use reply::Reply;
pub use routes::{Authenticator, BoxFuture, RouteInfo, Routes, Service};
pub use server::{Mount, Server};
pub use version::{Microversions, Version};
