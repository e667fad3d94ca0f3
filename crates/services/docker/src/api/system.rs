//! Routes of the engine itself: whether it is there, what it is, what it has, what happens; and the parts of
//! the API that this engine doesn't have, which say so.

mod absent;
mod df;
mod events;
mod info;
mod limits;

use std::sync::Arc;

pub(super) use df::tree_size;
pub(super) use events::moment;

use http::header;
use pileus_base::Result;
use pileus_http::{Reply, Routes};
use serde_json::json;

use super::{API_VERSION, Call, MIN_API_VERSION, SOCKET};
use crate::Docker;

/// Adds the routes of system.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    let table = table
        .get("/_ping", SOCKET, ping)
        .get("/version", SOCKET, version)
        .get("/info", SOCKET, info::info)
        .get("/events", SOCKET, events::events)
        .get("/system/df", SOCKET, df::df);
    absent::routes(table)
}

async fn ping(call: Call) -> Result<Reply> {
    let text: &'static [u8] = if call.method == http::Method::HEAD { b"" } else { b"OK" };
    Ok(Reply::bytes(200, "text/plain; charset=utf-8", text)
        .header(header::HeaderName::from_static("builder-version"), "1")
        .header(header::HeaderName::from_static("swarm"), "inactive")
        .header(header::CACHE_CONTROL, "no-cache, no-store, must-revalidate")
        .header(header::PRAGMA, "no-cache"))
}

/// The machine's architecture as Go names it.
fn go_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

async fn version(_: Call) -> Result<Reply> {
    let version = env!("CARGO_PKG_VERSION");
    let uname = rustix::system::uname();
    let kernel = uname.release().to_string_lossy();
    let details = json!({
        "ApiVersion": API_VERSION,
        "Arch": go_arch(),
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": kernel,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
    });
    Reply::ok(&json!({
        "Platform": {"Name": "Pileus"},
        "Components": [{"Name": "Engine", "Version": version, "Details": details}],
        "Version": version,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "",
        "GoVersion": "",
        "Os": "linux",
        "Arch": go_arch(),
        "KernelVersion": kernel,
        "BuildTime": "",
    }))
}
