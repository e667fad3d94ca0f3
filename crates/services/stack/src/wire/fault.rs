//! Faults in Heat's form: the exception's name, its message, and what the status means.

use pileus_base::{Error, Kind};
use pileus_http::{Family, Fault, public_message, status_of};
use serde_json::json;

/// Heat's family.
pub static FAMILY: Family = Family {
    name: "orchestration",
    fault,
    denied: |_| "You are not authorized to complete this action.".into(),
    versions: None,
    request_id_header: None,
    body_max: 4 << 20,
};

fn fault(error: &Error) -> Fault {
    let status = status_of(error.kind());
    let (title, explanation, name) = match error.kind() {
        Kind::BadRequest | Kind::Unprocessable => (
            "Bad Request",
            "The server could not comply with the request since it is either malformed or otherwise incorrect.",
            "HTTPBadRequest",
        ),
        Kind::Unauthorized => (
            "Unauthorized",
            "This server could not verify that you are authorized to access the document you requested.",
            "HTTPUnauthorized",
        ),
        Kind::Forbidden => ("Forbidden", "Access was denied to this resource.", "Forbidden"),
        Kind::NotFound => ("Not Found", "The resource could not be found.", "HTTPNotFound"),
        Kind::MethodNotAllowed => {
            ("Method Not Allowed", "The method is not allowed for this resource.", "HTTPMethodNotAllowed")
        }
        Kind::Conflict => {
            ("Conflict", "There was a conflict when trying to complete your request.", "HTTPConflict")
        }
        Kind::OverQuota => ("Forbidden", "Access was denied to this resource.", "StackResourceLimitExceeded"),
        Kind::TooLarge => {
            ("Request limit exceeded", "The request is larger than the limit.", "RequestLimitExceeded")
        }
        Kind::NotImplemented => {
            ("Not Implemented", "The server does not support the requested feature.", "HTTPNotImplemented")
        }
        Kind::Unavailable => {
            ("Service Unavailable", "The server is currently unavailable.", "HTTPServiceUnavailable")
        }
        _ => (
            "Internal Server Error",
            "The server has either erred or is incapable of performing the requested operation.",
            "HTTPInternalServerError",
        ),
    };
    // Python's own exceptions come out of Heat as bad requests.
    let name = match error.code_word() {
        Some("PolicyNotAuthorized") => "Forbidden",
        Some("ValueError" | "TypeError" | "KeyError") if error.kind() == Kind::BadRequest => "HTTPBadRequest",
        Some(code) => code,
        None => name,
    };
    let status = if matches!(error.kind(), Kind::OverQuota) { 403 } else { status };
    let status = if matches!(error.kind(), Kind::Unprocessable) { 400 } else { status };
    let body = json!({
        "code": status,
        "error": {"message": public_message(error), "traceback": null, "type": name},
        "explanation": explanation,
        "title": title,
    });
    Fault::json(status, &body)
}

/// What the API has and is not built.
pub fn unbuilt(what: &str) -> Error {
    Error::not_implemented(format!("{what} is not supported."))
}
