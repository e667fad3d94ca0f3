//! Routes of containers.

mod facts;
mod files;
pub(super) mod hijack;
mod life;
mod lists;
mod socket;
pub(super) mod streams;
mod top;

pub(super) use life::size as life_size;

use std::sync::Arc;

use pileus_http::Routes;

use super::SOCKET;
use crate::Docker;

/// Adds the routes of containers.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    let head = http::Method::HEAD;
    table
        .post("/containers/create", SOCKET, life::create)
        .get("/containers/json", SOCKET, lists::list)
        .post("/containers/prune", SOCKET, lists::prune)
        .get("/containers/{id}/json", SOCKET, facts::inspect)
        .post("/containers/{id}/start", SOCKET, life::start)
        .post("/containers/{id}/stop", SOCKET, life::stop)
        .post("/containers/{id}/restart", SOCKET, life::restart)
        .post("/containers/{id}/kill", SOCKET, life::kill)
        .post("/containers/{id}/pause", SOCKET, life::pause)
        .post("/containers/{id}/unpause", SOCKET, life::unpause)
        .post("/containers/{id}/rename", SOCKET, life::rename)
        .post("/containers/{id}/update", SOCKET, life::update)
        .post("/containers/{id}/wait", SOCKET, life::wait)
        .delete("/containers/{id}", SOCKET, life::remove)
        .post("/containers/{id}/attach", SOCKET, streams::attach)
        .get("/containers/{id}/attach/ws", SOCKET, streams::attach_ws)
        .get("/containers/{id}/logs", SOCKET, streams::logs)
        .post("/containers/{id}/resize", SOCKET, life::resize)
        .get("/containers/{id}/top", SOCKET, top::top)
        .get("/containers/{id}/stats", SOCKET, facts::stats)
        .get("/containers/{id}/changes", SOCKET, files::changes)
        .get("/containers/{id}/export", SOCKET, files::export)
        .get("/containers/{id}/archive", SOCKET, files::get)
        .route(head, "/containers/{id}/archive", SOCKET, files::stat)
        .put("/containers/{id}/archive", SOCKET, files::put)
        .post("/commit", SOCKET, files::commit)
}
