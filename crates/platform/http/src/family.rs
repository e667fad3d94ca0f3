//! API families: how errors, versions and request ids look on one service's wire.

use http::{HeaderName, StatusCode};
use pileus_base::{Error, Kind};
use serde_json::{Value, json};

use crate::Microversions;

/// An error as bytes.
#[derive(Debug)]
pub struct Fault {
    /// The status.
    pub status: u16,
    /// The media type.
    pub media: &'static str,
    /// The body.
    pub body: Vec<u8>,
}

impl Fault {
    /// A JSON fault.
    pub fn json(status: u16, body: &Value) -> Self {
        Self { status, media: "application/json", body: body.to_string().into_bytes() }
    }
}

/// What is particular to one API.
pub struct Family {
    /// The service's short name, in logs and metrics.
    pub name: &'static str,
    /// An error as this API writes it.
    pub fault: fn(&Error) -> Fault,
    /// The message to a caller whom the rule of this name refuses.
    pub denied: fn(rule: &str) -> String,
    /// The microversions served, where the API has any.
    pub versions: Option<Microversions>,
    /// A second header for the request id (`x-compute-request-id`).
    pub request_id_header: Option<HeaderName>,
    /// Largest JSON body taken, in bytes.
    pub body_max: usize,
}

/// The usual status of a kind, where the family has no other.
pub fn status_of(kind: Kind) -> u16 {
    match kind {
        Kind::BadRequest => 400,
        Kind::Unauthorized => 401,
        Kind::Forbidden => 403,
        Kind::NotFound => 404,
        Kind::MethodNotAllowed => 405,
        Kind::NotAcceptable => 406,
        Kind::Conflict | Kind::OverQuota => 409,
        Kind::Gone => 410,
        Kind::PreconditionFailed => 412,
        Kind::TooLarge => 413,
        Kind::UnsupportedMedia => 415,
        Kind::Unprocessable => 422,
        Kind::TooMany => 429,
        Kind::Internal => 500,
        Kind::NotImplemented => 501,
        Kind::Unavailable => 503,
    }
}

/// The text of a 500: never the internals.
pub fn public_message(error: &Error) -> &str {
    match error.kind() {
        Kind::Internal => {
            "The server has either erred or is incapable of performing the requested operation."
        }
        _ => error.message(),
    }
}

/// The form `{"error": {"code", "title", "message"}}` that Keystone writes, and that serves where a path
/// belongs to no API.
pub fn openstack_fault(error: &Error) -> Fault {
    let status = status_of(error.kind());
    let title = StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error");
    let message = public_message(error);
    Fault::json(status, &json!({"error": {"code": status, "message": message, "title": title}}))
}
