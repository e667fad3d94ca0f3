//! Lists: repositories, tags, what refers to a manifest.

use std::collections::BTreeSet;

use http::{HeaderName, header};
use pileus_base::{Result, Scope};
use pileus_http::Reply;
use pileus_store::Query;
use serde_json::{Value, json};

use super::{Call, access::project_of, unknown, wrong};
use crate::{
    model::reference::is_digest,
    store::registry::{Manifest, Repository, Tag},
};

/// Cuts a sorted list to the page that `n` and `last` ask for, and names the next one.
fn page(call: &Call, all: Vec<String>, path: &str) -> Result<(Vec<String>, Option<String>)> {
    let last = call.query.get("last").unwrap_or_default().to_owned();
    let mut rest: Vec<String> = all.into_iter().filter(|one| last.is_empty() || *one > last).collect();
    let Some(n) = call.query.get("n") else { return Ok((rest, None)) };
    let n: usize =
        n.parse().map_err(|_| wrong("PAGINATION_NUMBER_INVALID", "invalid number of results requested"))?;
    if n >= rest.len() || n == 0 {
        rest.truncate(n);
        return Ok((rest, None));
    }
    rest.truncate(n);
    let next = rest.last().map(|last| format!("<{path}?n={n}&last={}>; rel=\"next\"", encode(last)));
    Ok((rest, next))
}

fn encode(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

fn answer(value: &Value, next: Option<String>) -> Result<Reply> {
    let reply = Reply::ok(value)?;
    Ok(match next {
        Some(next) => reply.header(header::LINK, next),
        None => reply,
    })
}

/// `GET /v2/_catalog`: the repositories of the caller's project.
pub(super) async fn catalog(call: Call) -> Result<Reply> {
    let project = match project_of(&call).await? {
        Ok(project) => project,
        Err(reply) => return Ok(reply),
    };
    let engine = project == call.state.docker.options.project;
    let query = Query::by("project", &project);
    let scope = Scope::Project(project.clone());
    let all = call.state.docker.store.read(move |rd| rd.list::<Manifest>(&scope, &query)).await?;
    let names: BTreeSet<String> = all.into_iter().map(|m| m.value.at.name).collect();
    let prefix = match engine {
        true => String::new(),
        false => match call.state.project(project.0.as_ref()).await? {
            Some(project) => format!("{}/", project.name),
            None => String::new(),
        },
    };
    let names = names.into_iter().map(|name| format!("{prefix}{name}")).collect();
    let (names, next) = page(&call, names, "/v2/_catalog")?;
    answer(&json!({ "repositories": names }), next)
}

/// `GET /v2/<name>/tags/list`
pub(super) async fn tags(call: Call, at: Repository) -> Result<Reply> {
    let name = call.param("name").to_owned();
    let (tags, known) = call
        .state
        .docker
        .store
        .read(move |rd| {
            let tags = rd.list::<Tag>(&Scope::All, &at.query())?;
            let known = rd.first::<Manifest>(&Scope::All, at.query())?.is_some();
            Ok((tags, known))
        })
        .await?;
    if !known {
        return Err(unknown("NAME_UNKNOWN", "repository name not known to registry"));
    }
    let mut names: Vec<String> = tags.into_iter().map(|t| t.value.name).collect();
    names.sort();
    let (names, next) = page(&call, names, &format!("/v2/{name}/tags/list"))?;
    answer(&json!({ "name": name, "tags": names }), next)
}

/// `GET /v2/<name>/referrers/<digest>`
pub(super) async fn referrers(call: Call, at: Repository) -> Result<Reply> {
    let digest = call.param("digest").to_owned();
    if !is_digest(&digest) {
        return Err(wrong("DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    let kind = call.query.get("artifactType").map(str::to_owned);
    let query = at.query().eq("subject", &digest);
    let all = call.state.docker.store.read(move |rd| rd.list::<Manifest>(&Scope::All, &query)).await?;
    let fits = |m: &Manifest| kind.is_none() || m.artifact == kind;
    let list: Vec<Value> = all.iter().filter(|m| fits(m)).map(|m| descriptor(m)).collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": list,
    });
    let mut reply = Reply::bytes(200, "application/vnd.oci.image.index.v1+json", index.to_string());
    if kind.is_some() {
        reply = reply.header(HeaderName::from_static("oci-filters-applied"), "artifactType");
    }
    Ok(reply)
}

fn descriptor(manifest: &Manifest) -> Value {
    let mut out = json!({
        "mediaType": manifest.media,
        "digest": manifest.digest,
        "size": manifest.text.len(),
    });
    if let Some(kind) = &manifest.artifact {
        out["artifactType"] = json!(kind);
    }
    if manifest.annotations.is_object() {
        out["annotations"] = manifest.annotations.clone();
    }
    out
}
