//! Routes of images.

mod change;
mod show;
mod transfer;

use std::sync::Arc;

use pileus_http::Routes;

use crate::{Docker, api::SOCKET};

/// Adds the routes of images.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
        .get("/images/json", SOCKET, show::list)
        .get("/images/{name}/json", SOCKET, show::inspect)
        .get("/images/{name}/history", SOCKET, show::history)
        .post("/images/{name}/tag", SOCKET, change::tag)
        .delete("/images/{name}", SOCKET, change::remove)
        .post("/images/prune", SOCKET, change::prune)
        .post("/build/prune", SOCKET, change::prune_builds)
        .post("/images/load", SOCKET, transfer::load)
        .post("/images/create", SOCKET, transfer::create)
        .get("/images/get", SOCKET, transfer::save)
        .get("/images/{name}/get", SOCKET, transfer::save)
        .post("/images/{name}/push", SOCKET, transfer::push)
        .get("/images/search", SOCKET, transfer::search)
        .get("/distribution/{name}/json", SOCKET, transfer::distribution)
        .post("/auth", SOCKET, transfer::auth)
}
