//! What clients find before they log in: the version documents.

use pileus_base::Result;
use pileus_http::Reply;
use serde_json::{Value, json};

use super::Req;

fn version(call: &Req) -> Value {
    json!({
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": call.base.url("/v3/")}],
        "media-types": [{"base": "application/json",
                         "type": "application/vnd.openstack.identity-v3+json"}],
    })
}

pub(super) async fn all(call: Req) -> Result<Reply> {
    let body = json!({"versions": {"values": [version(&call)]}});
    Ok(Reply::json(300, &body)?.location(call.base.url("/v3/")))
}

pub(super) async fn v3(call: Req) -> Result<Reply> {
    Reply::ok(&json!({"version": version(&call)}))
}
