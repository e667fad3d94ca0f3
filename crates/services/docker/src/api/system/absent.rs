//! What this engine doesn't have: swarms, plugins, checkpoints, BuildKit's sessions. It says so as the
//! reference does.

use std::sync::Arc;

use http::Method;
use pileus_base::{Error, Result};
use pileus_http::{Reply, Routes};
use serde_json::json;

use super::{Call, SOCKET};
use crate::Docker;

/// Paths of swarm, all their methods.
const SWARM: &[&str] = &[
    "/swarm",
    "/swarm/{*rest}",
    "/nodes",
    "/nodes/{*rest}",
    "/services",
    "/services/{*rest}",
    "/tasks",
    "/tasks/{*rest}",
    "/secrets",
    "/secrets/{*rest}",
    "/configs",
    "/configs/{*rest}",
];

pub fn routes(mut table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    for method in [Method::GET, Method::POST, Method::DELETE] {
        for path in SWARM {
            table = table.route(method.clone(), path, SOCKET, no_swarm);
        }
        table = table.route(method.clone(), "/plugins/{*rest}", SOCKET, no_plugin);
        table = table.route(method.clone(), "/containers/{id}/checkpoints", SOCKET, no_checkpoint);
        table = table.route(method, "/containers/{id}/checkpoints/{checkpoint}", SOCKET, no_checkpoint);
    }
    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        table = table.route(method.clone(), "/", SOCKET, nowhere).route(method, "/{*rest}", SOCKET, nowhere);
    }
    table.get("/plugins", SOCKET, plugins).post("/session", SOCKET, no_buildkit).post(
        "/grpc",
        SOCKET,
        no_buildkit,
    )
}

async fn no_swarm(call: Call) -> Result<Reply> {
    if call.method == Method::POST && call.param("rest") == "leave" {
        return Err(Error::unavailable("This node is not part of a swarm"));
    }
    Err(Error::unavailable(
        "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
    ))
}

async fn plugins(_: Call) -> Result<Reply> {
    Reply::ok(&json!([]))
}

async fn nowhere(_: Call) -> Result<Reply> {
    Err(Error::not_found("page not found"))
}

async fn no_plugin(call: Call) -> Result<Reply> {
    let rest = call.param("rest");
    let name = match rest.rsplit_once('/') {
        Some((name, "json" | "enable" | "disable" | "upgrade" | "push" | "set")) => name,
        _ => rest,
    };
    if matches!(name, "pull" | "create" | "privileges") {
        return Err(Error::not_implemented("plugins are not supported"));
    }
    Err(Error::not_found(format!("plugin \"{name}\" not found")))
}

async fn no_checkpoint(_: Call) -> Result<Reply> {
    Err(Error::not_implemented(
        "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
    ))
}

async fn no_buildkit(_: Call) -> Result<Reply> {
    Err(Error::not_implemented(
        "BuildKit is not supported by this engine: set DOCKER_BUILDKIT=0 to build with the classic builder",
    ))
}
