//! The registry that is built in: OCI's distribution API at `/v2/` of the cloud's main port.
//!
//! ```text
//!   client ─► /v2/… ─► access (a token of the cloud's, or the engine's own) ─► documents: tags, manifests, links
//!                                                                          └─► blobs of the engine's store
//! ```
//! Repositories belong to projects: `name` is the engine's project's, `project/name` another's, and nobody
//! sees those of a project in which they have no role. `library/name` is `name`, so that the registry can
//! stand for Docker Hub as a mirror. A blob is on disk once, whoever pushed it and whether an image of the
//! engine uses it too; a repository's links say which blobs it has. What no document refers to any more is
//! swept by the engine ([`Docker::sweep_images`]).
//!
//! Source: OCI Distribution Specification 1.1; Docker's token specification.

mod access;
mod blobs;
mod lists;
mod manifests;
mod tokens;
mod uploads;

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use pileus_base::{Error, Kind, Result, Scope};
use pileus_http::{Call as HttpCall, Family, Fault, Reply, Routes, Service, status_of};
use pileus_identity::{Identity, Project};
use pileus_policy::Rule;
use pileus_store::Query;
use serde_json::json;

use crate::{Docker, model::reference::is_component, store::registry::Repository};
use access::{PULL, PUSH, guarded};

pub(crate) use uploads::forgotten;

/// The registry.
pub(crate) struct Registry {
    docker: Arc<Docker>,
    identity: Arc<Identity>,
    /// Uploads under way that nobody writes to just now.
    uploads: Mutex<HashMap<String, uploads::Upload>>,
}

/// A request to it.
pub(crate) type Call = HttpCall<Arc<Registry>>;

/// Who may do what is told by the repository and the token, which [`access`] looks at.
const OPEN: Rule = Rule::anyone("registry:token");

/// The largest manifest, as the reference has it.
const MANIFEST_MAX: usize = 4 << 20;

static FAMILY: Family = Family {
    name: "registry",
    fault: |e: &Error| {
        let code = e.code_word().unwrap_or(match e.kind() {
            Kind::NotFound => "NAME_UNKNOWN",
            Kind::Unauthorized => "UNAUTHORIZED",
            Kind::Forbidden => "DENIED",
            Kind::TooLarge => "SIZE_INVALID",
            Kind::TooMany => "TOOMANYREQUESTS",
            Kind::Internal => "UNKNOWN",
            _ => "UNSUPPORTED",
        });
        let message = match e.kind() {
            Kind::Internal => "unknown error",
            _ => e.message(),
        };
        Fault::json(status_of(e.kind()), &json!({ "errors": [{ "code": code, "message": message }] }))
    },
    denied: |_| "requested access to the resource is denied".into(),
    versions: None,
    request_id_header: None,
    body_max: MANIFEST_MAX,
};

impl Docker {
    /// The registry's route table, for `/v2` of the main port.
    pub fn registry(self: &Arc<Self>, identity: Arc<Identity>) -> Service {
        let registry = Arc::new(Registry { docker: self.clone(), identity, uploads: Mutex::default() });
        Routes::new(&FAMILY, registry)
            .rewrite(path)
            .stamp(|headers| {
                let version = http::HeaderValue::from_static("registry/2.0");
                headers.insert("docker-distribution-api-version", version);
            })
            .get("/", OPEN, access::base)
            .get("/token", OPEN, tokens::get)
            .post("/token", OPEN, tokens::post)
            .get("/_catalog", OPEN, lists::catalog)
            .get("/{name}/tags/list", OPEN, |call| guarded(call, PULL, lists::tags))
            .get("/{name}/referrers/{digest}", OPEN, |call| guarded(call, PULL, lists::referrers))
            .get("/{name}/manifests/{reference}", OPEN, |call| guarded(call, PULL, manifests::get))
            .put("/{name}/manifests/{reference}", OPEN, |call| guarded(call, PUSH, manifests::put))
            .delete("/{name}/manifests/{reference}", OPEN, |call| guarded(call, PUSH, manifests::delete))
            .get("/{name}/blobs/{digest}", OPEN, |call| guarded(call, PULL, blobs::get))
            .delete("/{name}/blobs/{digest}", OPEN, |call| guarded(call, PUSH, blobs::delete))
            .post("/{name}/uploads", OPEN, |call| guarded(call, PUSH, uploads::start))
            .get("/{name}/uploads/{id}", OPEN, |call| guarded(call, PUSH, uploads::status))
            .route(http::Method::PATCH, "/{name}/uploads/{id}", OPEN, |call| {
                guarded(call, PUSH, uploads::append)
            })
            .put("/{name}/uploads/{id}", OPEN, |call| guarded(call, PUSH, uploads::finish))
            .delete("/{name}/uploads/{id}", OPEN, |call| guarded(call, PUSH, uploads::cancel))
            .build()
    }
}

/// The path with the repository's name, which holds slashes, as one segment.
///
/// # Errors
/// None: a path of no known form is no route.
fn path(path: &str) -> Result<String> {
    let whole = |name: &str| name.trim_matches('/').replace('/', "%2F");
    if let Some(name) = path.strip_suffix("/tags/list") {
        return Ok(format!("/{}/tags/list", whole(name)));
    }
    if let Some(name) = path.strip_suffix("/blobs/uploads") {
        return Ok(format!("/{}/uploads", whole(name)));
    }
    let forms = [
        ("/blobs/uploads/", "uploads"),
        ("/blobs/", "blobs"),
        ("/manifests/", "manifests"),
        ("/referrers/", "referrers"),
    ];
    for (between, verb) in forms {
        if let Some((name, last)) = path.rsplit_once(between)
            && !last.contains('/')
            && name.len() > 1
        {
            return Ok(format!("/{}/{verb}/{last}", whole(name)));
        }
    }
    Ok(path.to_owned())
}

fn wrong(code: &'static str, message: impl Into<String>) -> Error {
    Error::bad_request(message).code(code)
}

fn unknown(code: &'static str, message: impl Into<String>) -> Error {
    Error::not_found(message).code(code)
}

impl Registry {
    /// The repository of a name.
    ///
    /// # Errors
    /// 400 for what is no name.
    async fn repository(&self, name: &str) -> Result<Repository> {
        if name.is_empty() || name.len() > 255 || !name.split('/').all(is_component) {
            return Err(wrong("NAME_INVALID", "invalid repository name"));
        }
        let engine = self.docker.options.project.clone();
        let mut found = Repository { project: engine.clone(), name: name.to_owned() };
        if let Some((first, rest)) = name.split_once('/')
            && let Some(project) = self.project(first).await?
        {
            found = Repository { project: project.id, name: rest.to_owned() };
        }
        if found.project == engine
            && let Some(rest) = found.name.strip_prefix("library/")
        {
            found.name = rest.to_owned();
        }
        Ok(found)
    }

    /// The project of a name or id, if there is one.
    async fn project(&self, name: &str) -> Result<Option<Project>> {
        let name = name.to_owned();
        let engine = self.docker.options.project.clone();
        self.docker
            .store
            .read(move |rd| {
                if let Some(found) = rd.find::<Project>(&Scope::All, &name)? {
                    return Ok(Some(found.value).filter(|p| !p.is_domain));
                }
                // Names are unique within a domain: the engine's.
                let domain = rd.find::<Project>(&Scope::All, &engine)?.and_then(|p| p.value.domain_id);
                let all = rd.list::<Project>(&Scope::All, &Query::by("name", &name))?;
                Ok(all.into_iter().map(|p| p.value).find(|p| !p.is_domain && p.domain_id == domain))
            })
            .await
    }
}

/// An answer that names content.
fn with_digest(reply: Reply, digest: &str) -> Reply {
    reply.header(http::HeaderName::from_static("docker-content-digest"), digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_one_segment() {
        let of = |p: &str| path(p).unwrap();
        assert_eq!(of("/"), "/");
        assert_eq!(of("/_catalog"), "/_catalog");
        assert_eq!(of("/a/b/tags/list"), "/a%2Fb/tags/list");
        assert_eq!(of("/a/b/blobs/uploads"), "/a%2Fb/uploads");
        assert_eq!(of("/a/b/blobs/uploads/x"), "/a%2Fb/uploads/x");
        assert_eq!(of("/a/blobs/sha256:0"), "/a/blobs/sha256:0");
        assert_eq!(of("/a/manifests/latest"), "/a/manifests/latest");
        assert_eq!(of("/a/manifests/manifests/latest"), "/a%2Fmanifests/manifests/latest");
        assert_eq!(of("/blobs/x"), "/blobs/x");
    }
}
