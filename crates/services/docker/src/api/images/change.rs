//! Tagging, removing, pruning.

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::show::moment;
use crate::{
    Container, Image,
    api::{Call, Flags},
    model::reference::{Reference, is_tag},
};

/// `POST /images/{name}/tag`
pub(super) async fn tag(call: Call) -> Result<Reply> {
    let (repo, tag) = (call.text("repo"), call.text("tag"));
    let mut to = Reference::parse(&repo)?;
    if to.digest.is_some() {
        return Err(Error::bad_request("refusing to create a tag with a digest reference"));
    }
    if !tag.is_empty() {
        if !is_tag(&tag) {
            return Err(Error::bad_request("invalid tag format"));
        }
        to.tag = Some(tag);
    }
    let image = call.state.image(call.param("name")).await?;
    call.state.tag_image(&image, &to).await?;
    Ok(Reply::empty(201))
}

/// `DELETE /images/{name}`
pub(super) async fn remove(call: Call) -> Result<Reply> {
    let name = call.param("name");
    if name.trim().is_empty() {
        return Err(Error::bad_request("image name cannot be blank"));
    }
    let done = call.state.remove_image(name, call.flag("force"), !call.flag("noprune")).await?;
    Reply::ok(&done)
}

/// `POST /images/prune`
pub(super) async fn prune(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["dangling", "label", "label!", "until"])?;
    let dangling = match filters.of("dangling").first().map(String::as_str) {
        None | Some("true" | "1" | "True") => true,
        Some("false" | "0" | "False") => false,
        Some(other) => return Err(Error::bad_request(format!("invalid filter 'dangling=[{other}]'"))),
    };
    let until = filters.of("until").first().map(|u| moment(u)).transpose()?;
    let docker = &call.state;
    let containers = docker
        .store
        .read(|rd| rd.list::<Container>(&pileus_base::Scope::All, &pileus_store::Query::all()))
        .await?;
    let before = total(&docker.images().await?);
    let mut gone: Vec<Value> = Vec::new();
    for image in docker.images().await? {
        let value = image.value();
        let created = value["created"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
        let young = until.is_some_and(|u| created.is_some_and(|c| c.as_second() >= u));
        let labels = serde_json::from_value(value["config"]["Labels"].clone()).unwrap_or_default();
        let named = !image.tags.is_empty() || !image.digests.is_empty();
        let used = containers.iter().any(|c| c.image_id == image.id);
        if young || used || (dangling && named) || !filters.labels(&labels) {
            continue;
        }
        let names: Vec<String> = match image.tags.is_empty() {
            true => vec![image.id.clone()],
            false => image.tags.clone(),
        };
        for name in names {
            match docker.remove_image(&name, false, true).await {
                Ok(done) => gone.extend(done),
                // It has children, or something began to use it.
                Err(e) if e.is_not_found() || e.kind() == pileus_base::Kind::Conflict => {}
                Err(e) => return Err(e),
            }
        }
    }
    docker.sweep_images().await?;
    let after = total(&docker.images().await?);
    docker.events.emit(
        "image",
        "prune",
        "",
        [("reclaimed".to_owned(), before.saturating_sub(after).to_string())].into(),
    );
    let list = if gone.is_empty() { Value::Null } else { Value::Array(gone) };
    Reply::ok(&json!({ "ImagesDeleted": list, "SpaceReclaimed": before.saturating_sub(after) }))
}

/// What all layers take, each counted once.
fn total(images: &[pileus_store::Stored<Image>]) -> u64 {
    let all: std::collections::BTreeMap<&String, u64> =
        images.iter().flat_map(|i| i.layers.iter().zip(i.layer_bytes.iter().copied())).collect();
    all.values().sum()
}

/// `POST /build/prune`: there is no cache apart from images.
pub(super) async fn prune_builds(call: Call) -> Result<Reply> {
    let known = [
        "until",
        "id",
        "label",
        "type",
        "inuse",
        "shared",
        "private",
        "parent",
        "description",
        "mutable",
        "immutable",
    ];
    if let Err(e) = call.filters()?.allow(&known) {
        return Err(Error::bad_request(format!("failed to prune build cache: {}", e.message())));
    }
    Reply::ok(&json!({ "CachesDeleted": null, "SpaceReclaimed": 0 }))
}
