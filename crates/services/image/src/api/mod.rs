//! The route table, versions, faults, schemas.

mod data;
mod images;
mod imports;
mod members;
mod metadefs;
mod patch;
mod tasks;
mod view;

pub use view::{set, view};

use std::sync::Arc;

use pileus_base::{Error, Kind, Result};
use pileus_http::{Family, Fault, Reply, Routes, Service, public_message, status_of};
use serde_json::json;

use crate::{Images, rules as r};

/// Glance's family.
pub static FAMILY: Family = Family {
    name: "image",
    fault,
    denied: |rule| format!("You are not authorized to complete {rule} action."),
    versions: None,
    request_id_header: None,
    body_max: 1 << 20,
};

/// Glance writes its faults as HTML.
fn fault(error: &Error) -> Fault {
    let status = match error.kind() {
        Kind::OverQuota => 413,
        other => status_of(other),
    };
    if status == 401 {
        return pileus_http::openstack_fault(error);
    }
    let title = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
    let escape = |t: &str| t.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let body = format!(
        "<html>\n <head>\n  <title>{status} {title}</title>\n </head>\n <body>\n  <h1>{status} {title}</h1>\n  {}<br /><br />\n\n\n </body>\n</html>",
        escape(public_message(error))
    );
    Fault { status, media: "text/html; charset=UTF-8", body: body.into_bytes() }
}

pub(crate) type Call = pileus_http::Call<Arc<Images>>;

/// The table.
pub fn routes(images: Arc<Images>) -> Service {
    let routes = Routes::new(&FAMILY, images)
        .get("/", r::VERSIONS, versions)
        .get("/versions", r::VERSIONS, versions)
        .get("/v2", r::VERSIONS, versions)
        .get("/v2/images", r::GET_IMAGES, images::list)
        .post("/v2/images", r::ADD_IMAGE, images::create)
        .delete("/v2/images", r::DELETE_IMAGE, images::delete_nothing)
        .get("/v2/images/{id}", r::GET_IMAGE, images::show)
        .patch("/v2/images/{id}", r::MODIFY_IMAGE, patch::patch)
        .delete("/v2/images/{id}", r::DELETE_IMAGE, images::delete)
        .put("/v2/images/{id}/file", r::UPLOAD_IMAGE, data::upload)
        .get("/v2/images/{id}/file", r::DOWNLOAD_IMAGE, data::download)
        .put("/v2/images/{id}/tags/{tag}", r::MODIFY_IMAGE, images::add_tag)
        .delete("/v2/images/{id}/tags/{tag}", r::MODIFY_IMAGE, images::remove_tag)
        .post("/v2/images/{id}/actions/deactivate", r::DEACTIVATE, images::deactivate)
        .post("/v2/images/{id}/actions/reactivate", r::REACTIVATE, images::reactivate)
        .get("/v2/images/{id}/members", r::GET_MEMBERS, members::list)
        .post("/v2/images/{id}/members", r::ADD_MEMBER, members::add)
        .get("/v2/images/{id}/members/{member}", r::GET_MEMBERS, members::show)
        .put("/v2/images/{id}/members/{member}", r::MODIFY_MEMBER, members::update)
        .delete("/v2/images/{id}/members/{member}", r::DELETE_MEMBER, members::remove)
        .get("/v2/schemas/image", r::SCHEMAS, |_| async { Reply::ok(&view::schema()) })
        .get("/v2/schemas/images", r::SCHEMAS, |_| async { Reply::ok(&view::list_schema()) })
        .get("/v2/schemas/member", r::SCHEMAS, |_| async { Reply::ok(&members::schema()) })
        .get("/v2/schemas/members", r::SCHEMAS, |_| async { Reply::ok(&members::list_schema()) })
        .get("/v2/schemas/task", r::SCHEMAS, |_| async { Reply::ok(&tasks::schema()) })
        .get("/v2/schemas/tasks", r::SCHEMAS, |_| async { Reply::ok(&tasks::list_schema()) })
        .get("/v2/info/import", r::STORES, |_| async { Reply::ok(&imports::methods()) })
        .get("/v2/info/stores", r::STORES, |_| async { Reply::ok(&imports::stores()) })
        .put("/v2/images/{id}/stage", r::UPLOAD_IMAGE, data::stage)
        .post("/v2/images/{id}/import", r::MODIFY_IMAGE, imports::import)
        .get("/v2/images/{id}/tasks", r::GET_IMAGE, tasks::of_image)
        .get("/v2/tasks", r::TASKS, tasks::list)
        .post("/v2/tasks", r::TASKS, tasks::create)
        .get("/v2/tasks/{id}", r::TASKS, tasks::show)
        .delete("/v2/tasks/{id}", r::TASKS, tasks::delete);
    metadefs::routes(routes).build()
}

async fn versions(call: Call) -> Result<Reply> {
    let version = |n: u8| {
        json!({
            "id": format!("v2.{n}"),
            "status": if n == 9 { "CURRENT" } else { "SUPPORTED" },
            "links": [{"rel": "self", "href": call.base.url("/v2/")}],
        })
    };
    let all: Vec<_> = [9, 7, 6, 5, 4, 3, 2, 1, 0].map(version).into();
    Reply::json(300, &json!({"versions": all}))
}
