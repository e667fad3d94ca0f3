//! Errors as Nova writes them: `{"itemNotFound": {"code": 404, "message": "…"}}`.

use http::HeaderName;
use pileus_base::{Error, Kind};
use pileus_http::{Family, Fault, Microversions, Version, public_message, status_of};
use serde_json::json;

/// Nova's family.
pub static FAMILY: Family = Family {
    name: "compute",
    fault,
    denied: |rule| format!("Policy doesn't allow {rule} to be performed."),
    versions: Some(Microversions {
        service: "compute",
        min: Version(2, 1),
        max: Version(2, 79),
        legacy_header: Some(HeaderName::from_static("x-openstack-nova-api-version")),
    }),
    request_id_header: Some(HeaderName::from_static("x-compute-request-id")),
    body_max: 256 * 1024,
};

fn fault(error: &Error) -> Fault {
    let status = match error.kind() {
        Kind::OverQuota => 403,
        other => status_of(other),
    };
    // nova/api/openstack/wsgi.py, Fault._fault_names
    let name = match status {
        400 => "badRequest",
        401 => return pileus_http::openstack_fault(error),
        403 => "forbidden",
        404 => "itemNotFound",
        405 => "badMethod",
        409 => "conflictingRequest",
        413 => "overLimit",
        415 => "badMediaType",
        429 => "overLimit",
        501 => "notImplemented",
        503 => "serviceUnavailable",
        _ => "computeFault",
    };
    let message = match error.kind() {
        Kind::Internal => {
            "Unexpected API Error. Please report this to the administrator and look at its log."
        }
        _ => public_message(error),
    };
    Fault::json(status, &json!({name: {"code": status, "message": message}}))
}
