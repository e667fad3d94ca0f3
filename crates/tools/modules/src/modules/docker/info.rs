//! `docker_container_info`, `docker_image_info`, `docker_network_info`, `docker_volume_info`, `docker_host_info`.

use serde_json::{Value, json};

use super::client::{Docker, Pair, encode, filters};
use super::names;
use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Reply};

/// What is found at a path, and whether it is there.
fn one(cx: &mut Cx<'_>, key: &str, path: impl Fn(&str) -> String) -> Reply {
    let docker = Docker::connect(cx)?;
    let found = docker.find(&path(&encode(&cx.string("name"))), &[])?;
    Ok(map! {"changed" => false, "exists" => found.is_some(), key => found})
}

/// `docker_container_info`.
pub fn container(cx: &mut Cx<'_>) -> Reply {
    one(cx, "container", |name| format!("/containers/{name}/json"))
}

/// `docker_network_info`.
pub fn network(cx: &mut Cx<'_>) -> Reply {
    one(cx, "network", |name| format!("/networks/{name}"))
}

/// `docker_volume_info`.
pub fn volume(cx: &mut Cx<'_>) -> Reply {
    one(cx, "volume", |name| format!("/volumes/{name}"))
}

/// `docker_image_info`: the named images that are there, or all.
pub fn image(cx: &mut Cx<'_>) -> Reply {
    let docker = Docker::connect(cx)?;
    let wanted = match cx.opt_list("name") {
        Some(names) => names,
        None => {
            let all = docker.get("/images/json", &[])?;
            all.as_array()
                .into_iter()
                .flatten()
                .filter_map(|i| i["Id"].as_str().map(str::to_string))
                .collect()
        }
    };
    let mut images = Vec::new();
    for name in &wanted {
        let name = if names::is_id(name) {
            name.clone()
        } else {
            let (repository, tag) = names::split(name, "latest");
            names::join(&repository, &tag)
        };
        images.extend(names::find(&docker, &name)?);
    }
    Ok(map! {"changed" => false, "images" => images})
}

/// The fields of an object that lists show unless everything is asked for.
fn short(item: &Value, fields: &[&str]) -> Value {
    let kept = fields.iter().filter_map(|f| Some(((*f).to_string(), item.get(*f)?.clone())));
    Value::Object(kept.collect())
}

/// `docker_host_info`.
pub fn host(cx: &mut Cx<'_>) -> Reply {
    let docker = Docker::connect(cx).map_err(|fail| fail.with("can_talk_to_docker", false))?;
    let mut out =
        map! {"changed" => false, "can_talk_to_docker" => true, "host_info" => docker.get("/info", &[])?};
    let verbose = cx.bool("verbose_output");
    if cx.bool("disk_usage") {
        let usage = docker.get("/system/df", &[])?;
        let layers = json!({"LayersSize": usage["LayersSize"]});
        out.insert("disk_usage".into(), if verbose { usage } else { layers });
    }
    const CONTAINER: &[&str] = &["Id", "Image", "Command", "Created", "Status", "Ports", "Names"];
    const NETWORK: &[&str] = &["Id", "Driver", "Name", "Scope"];
    let lists: [(&str, &str, &[&str]); 4] = [
        ("containers", "/containers/json", CONTAINER),
        ("images", "/images/json", &["Id", "RepoTags", "Created", "Size"]),
        ("networks", "/networks", NETWORK),
        ("volumes", "/volumes", &["Driver", "Name"]),
    ];
    for (name, path, fields) in lists {
        if !cx.bool(name) {
            continue;
        }
        let mut query: Vec<Pair<'_>> = Vec::new();
        query.extend(filters(cx.raw(&format!("{name}_filters"))).map(|text| ("filters", text)));
        if name == "containers" {
            query.push(("all", u8::from(cx.bool("containers_all")).to_string()));
        }
        let mut found = docker
            .get(path, &query)
            .map_err(|e| Fail::msg(format!("Error inspecting docker host for {name}: {e}")))?;
        if name == "volumes" {
            found = found["Volumes"].take();
        }
        let items = found.as_array().map_or(&[][..], Vec::as_slice);
        let shown =
            items.iter().map(|i| if verbose { i.clone() } else { short(i, fields) }).collect::<Vec<_>>();
        out.insert(name.into(), shown.into());
    }
    Ok(out)
}
