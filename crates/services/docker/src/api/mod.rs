//! The Engine API: the route table, one file per kind of object.

mod body;
mod build;
mod containers;
mod dialect;
mod execs;
mod images;
mod networks;
mod system;
mod volumes;
mod wire;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use pileus_base::{Error, Kind};
use pileus_http::{Call as HttpCall, Family, Fault, Routes, Service, status_of};
use pileus_policy::Rule;
use serde_json::json;

use crate::Docker;

/// A request to the engine.
pub(crate) type Call = HttpCall<Arc<Docker>>;

/// Parameters of a request as Docker reads them.
pub(crate) trait Flags {
    /// A boolean: anything but empty, 0, no, false, none.
    fn flag(&self, name: &str) -> bool;
    /// A text; empty where there is none.
    fn text(&self, name: &str) -> String;
    /// The parameter `filters`.
    fn filters(&self) -> pileus_base::Result<wire::Filters>;
}

/// The newest version served, and the oldest.
pub const API_VERSION: &str = "1.51";
/// The oldest version that is answered.
pub const MIN_API_VERSION: &str = "1.24";

/// Versions of the API (their minor numbers) at which answers changed.
pub(crate) mod mv {
    /// `df` is asked for kinds of objects.
    pub const DF_TYPES: u32 = 42;
    /// Lists of images name what has no name as nothing.
    pub const NAMELESS_IMAGES: u32 = 43;
    /// A container is plugged into several networks as it is made; `VirtualSize` goes.
    pub const NETWORKS_AT_CREATE: u32 = 44;
    /// Aliases are those that were asked for; the container of an image goes.
    pub const PLAIN_ALIASES: u32 = 45;
    /// A container's fields in an image's configuration go.
    pub const IMAGE_CONFIG: u32 = 50;
}

/// Who may open the engine's socket may do everything, as with the reference.
pub(crate) const SOCKET: Rule = Rule::anyone("docker:socket");

/// Docker's words on the wire.
pub static FAMILY: Family = Family {
    name: "docker",
    fault: |e: &Error| {
        let status = match e.kind() {
            Kind::MethodNotAllowed => 404,
            kind => status_of(kind),
        };
        Fault::json(status, &json!({ "message": message(e) }))
    },
    denied: |_| "permission denied".into(),
    versions: None,
    request_id_header: None,
    body_max: 4 << 20,
};

/// The engine shows its 500s: who reads them is root on this host.
fn message(e: &Error) -> String {
    match e.kind() {
        Kind::Internal => e.chain(),
        // The reference's router knows no other answer.
        Kind::MethodNotAllowed => "page not found".to_owned(),
        _ => e.message().to_owned(),
    }
}

/// All routes.
pub fn routes(docker: Arc<Docker>) -> Service {
    let table = Routes::new(&FAMILY, docker).rewrite(path).stamp(stamp).reword(dialect::words);
    let table = system::routes(containers::routes(execs::routes(table)));
    build::routes(networks::routes(volumes::routes(images::routes(table)))).build()
}

fn stamp(headers: &mut HeaderMap) {
    headers.insert("api-version", HeaderValue::from_static(API_VERSION));
    headers.insert("docker-experimental", HeaderValue::from_static("false"));
    headers.insert("ostype", HeaderValue::from_static("linux"));
    headers.insert("server", HeaderValue::from_static("Docker/28.2.2 (linux)"));
}

/// The path without its version, and with names that hold slashes as one segment.
///
/// # Errors
/// 400 for a version that is not served.
fn path(path: &str) -> pileus_base::Result<String> {
    let mut rest = path;
    if let Some((version, below)) = path.strip_prefix("/v").and_then(|p| p.split_once('/'))
        && version.starts_with(|c: char| c.is_ascii_digit())
    {
        // The tools of containers/image (skopeo, podman) load and save as 1.22; nothing of that has changed since.
        let old_tools = matches!(below, "images/get" | "images/load") && matches!(version, "1.22" | "1.23");
        if !old_tools {
            check_version(version)?;
        }
        rest = &path[path.len() - below.len() - 1..];
    }
    for prefix in ["/images/", "/distribution/"] {
        let Some(name) = rest.strip_prefix(prefix) else { continue };
        let (name, verb) = match name.rsplit_once('/') {
            Some((name, verb @ ("json" | "history" | "push" | "tag" | "get"))) => (name, Some(verb)),
            _ => (name, None),
        };
        let name = name.replace('/', "%2F");
        return Ok(match verb {
            Some(verb) => format!("{prefix}{name}/{verb}"),
            None => format!("{prefix}{name}"),
        });
    }
    Ok(rest.to_owned())
}

fn check_version(version: &str) -> pileus_base::Result<()> {
    let read = |v: &str| -> Option<(u32, u32)> {
        let (major, minor) = v.split_once('.')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    let asked = read(version).ok_or_else(|| Error::bad_request(format!("invalid version {version}")))?;
    if read(MIN_API_VERSION).is_some_and(|min| asked < min) {
        return Err(Error::bad_request(format!(
            "client version {version} is too old. Minimum supported API version is {MIN_API_VERSION}, please upgrade your client to a newer version"
        )));
    }
    if read(API_VERSION).is_some_and(|max| asked > max) {
        return Err(Error::bad_request(format!(
            "client version {version} is too new. Maximum supported API version is {API_VERSION}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lose_their_version_and_keep_names_whole() {
        let of = |p: &str| path(p).unwrap();
        assert_eq!(of("/v1.41/containers/json"), "/containers/json");
        assert_eq!(of("/version"), "/version");
        assert_eq!(of("/v1.51/images/a/b:c/json"), "/images/a%2Fb:c/json");
        assert_eq!(of("/images/127.0.0.1:5000/x/y/push"), "/images/127.0.0.1:5000%2Fx%2Fy/push");
        assert_eq!(of("/images/json"), "/images/json");
        assert!(path("/v1.12/info").is_err());
        assert!(path("/v1.22/images/load").is_ok() && path("/v1.22/images/json").is_err());
        assert!(path("/v1.99/info").is_err());
    }
}
