//! `community.docker.docker_image_pull`: an image, fetched where it is missing or always.

use serde_json::{Value, json};

use super::client::{self, Docker};
use super::names;
use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};

/// Which calls are done natively.
pub fn covers(params: &Map) -> bool {
    client::covers(params) && params.get("platform").is_none_or(Value::is_null)
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let name = cx.string("name");
    if names::is_id(&name) {
        return Err(Fail::msg("Cannot pull an image by ID"));
    }
    let default = cx.string("tag");
    let (repository, tag) = names::split(&name, &default);
    if !tag.starts_with("sha256:") && !names::valid_tag(&tag) {
        return Err(Fail::msg(format!("\"{tag}\" is not a valid docker tag!")));
    }
    let docker = Docker::connect(cx)?;
    let whole = names::join(&repository, &tag);
    let before = names::find(&docker, &whole)?;
    let was = match &before {
        Some(image) => json!({"id": image["Id"]}),
        None => json!({"exists": false}),
    };
    if before.is_some() && cx.str("pull") == Some("not_present") {
        let diff = json!({"before": was, "after": was});
        return Ok(
            map! {"changed" => false, "actions" => Value::Array(Vec::new()), "image" => before, "diff" => diff},
        );
    }
    let (mut changed, mut is, mut image) =
        (true, json!({"id": "unknown"}), before.clone().unwrap_or(json!({})));
    if !cx.check {
        names::pull(&docker, &repository, &tag, None)?;
        image = names::find(&docker, &whole)?.unwrap_or(json!({}));
        is = json!({"id": image["Id"]});
        changed = before.is_none_or(|b| b["Id"] != image["Id"]);
    }
    let diff = json!({"before": was, "after": is});
    let actions = [format!("Pulled image {whole}")];
    Ok(map! {"changed" => changed, "actions" => actions, "image" => image, "diff" => diff})
}
