//! Which version of the API this is, and who serves it.

use pileus_base::{Result, Time};
use pileus_http::Reply;
use serde_json::json;

use super::Req;

/// `GET /`
pub async fn versions(call: Req) -> Result<Reply> {
    let href = call.base.url("/v1/");
    let version = json!({"id": "v1.0", "status": "CURRENT", "links": [{"rel": "self", "href": href}]});
    Reply::json(300, &json!({"versions": [version]}))
}

/// `GET /build_info`
pub async fn build_info(call: Req) -> Result<Reply> {
    super::project(&call)?;
    let revision = json!({"revision": concat!("pileus-", env!("CARGO_PKG_VERSION"))});
    Reply::ok(&json!({"api": revision, "engine": revision}))
}

/// `GET /services`: the one engine is the daemon that answers.
pub async fn services(call: Req) -> Result<Reply> {
    super::project(&call)?;
    let now = Time::now().micros();
    let service = json!({
        "binary": "heat-engine",
        "engine_id": "pileus",
        "host": "pileus",
        "hostname": "pileus",
        "topic": "engine",
        "report_interval": 60,
        "created_at": now,
        "updated_at": now,
        "deleted_at": null,
        "status": "up",
    });
    Reply::ok(&json!({"services": [service]}))
}
