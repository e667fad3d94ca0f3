//! Routes of volumes.

use std::{collections::BTreeMap, sync::Arc};

use pileus_base::{Error, Result, Scope};
use pileus_http::{Reply, Routes};
use pileus_store::{Query, Resource, Stored};
use serde_json::{Value, json};

use super::{Call, Flags, SOCKET, body};
use crate::{
    Container, Docker, Volume,
    engine::{networks::options, volumes::uses},
    events::rfc3339,
    model::shape,
};

/// Adds the routes of volumes.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
        .get("/volumes", SOCKET, list)
        .post("/volumes/create", SOCKET, create)
        .post("/volumes/prune", SOCKET, prune)
        .get("/volumes/{name}", SOCKET, inspect)
        .put("/volumes/{name}", SOCKET, update)
        .delete("/volumes/{name}", SOCKET, remove)
}

/// A volume as the API shows it.
pub(super) fn view(docker: &Docker, v: &Volume) -> Value {
    json!({
        "CreatedAt": rfc3339(v.created_ns - v.created_ns % 1_000_000_000),
        "Driver": "local",
        "Labels": if v.labels.is_empty() { Value::Null } else { json!(v.labels) },
        "Mountpoint": docker.volume_path(&v.name),
        "Name": v.name,
        "Options": if v.options.is_empty() { Value::Null } else { json!(v.options) },
        "Scope": "local",
    })
}

async fn all(docker: &Docker) -> Result<(Vec<Stored<Volume>>, Vec<Stored<Container>>)> {
    docker
        .store
        .read(|rd| {
            let volumes = rd.list::<Volume>(&Scope::All, &Query::all())?;
            Ok((volumes, rd.list::<Container>(&Scope::All, &Query::all())?))
        })
        .await
}

async fn list(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["name", "driver", "label", "label!", "dangling"])?;
    let dangling = match filters.of("dangling") {
        [] => None,
        [one] if matches!(one.as_str(), "true" | "1" | "True") => Some(true),
        [one] if matches!(one.as_str(), "false" | "0" | "False") => Some(false),
        other => {
            return Err(Error::bad_request(format!("invalid filter 'dangling=[{}]'", other.join(" "))));
        }
    };
    let (mut volumes, containers) = all(&call.state).await?;
    let names = filters.of("name");
    volumes.retain(|v| {
        (names.is_empty() || names.iter().any(|n| v.name.contains(n.as_str())))
            && filters.passes("driver", "local")
            && filters.labels(&v.labels)
            && dangling.is_none_or(|d| uses(&containers, &v.name).is_empty() == d)
    });
    let views: Vec<Value> = volumes.iter().map(|v| view(&call.state, v)).collect();
    Reply::ok(&json!({"Volumes": views, "Warnings": null}))
}

async fn create(mut call: Call) -> Result<Reply> {
    let body = body::maybe(&mut call, shape::VOLUME).await?;
    let driver = body["Driver"].as_str().unwrap_or("");
    if !matches!(driver, "" | "local") {
        return Err(Error::not_found(format!(
            "create {}: error looking up volume plugin {driver}: plugin \"{driver}\" not found",
            body["Name"].as_str().unwrap_or("")
        )));
    }
    if body["ClusterVolumeSpec"].is_object() {
        return Err(Error::unavailable(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
        ));
    }
    let name = body["Name"].as_str().unwrap_or("");
    let made = call.state.ensure_volume(name, options(&body["DriverOpts"]), options(&body["Labels"])).await?;
    Reply::json(201, &view(&call.state, &made.0))
}

async fn find(call: &Call) -> Result<Stored<Volume>> {
    let name = call.param("name").to_owned();
    call.state.store.read(move |rd| rd.get::<Volume>(&Scope::All, &name)).await
}

async fn inspect(call: Call) -> Result<Reply> {
    let volume = find(&call).await?;
    let mut shown = view(&call.state, &volume);
    if volume.labels.is_empty() {
        shown["Labels"] = Value::Null;
    }
    Reply::ok(&shown)
}

async fn update(_: Call) -> Result<Reply> {
    Err(Error::unavailable("volume update only valid for cluster volumes, but swarm is unavailable"))
}

async fn remove(call: Call) -> Result<Reply> {
    let name = call.param("name").to_owned();
    let (volumes, containers) = all(&call.state).await?;
    let Some(volume) = volumes.iter().find(|v| v.name == name) else {
        return if call.flag("force") { Ok(Reply::no_content()) } else { Err(Volume::not_found(&name)) };
    };
    let used = uses(&containers, &volume.name);
    if !used.is_empty() {
        return Err(Error::conflict(format!("remove {name}: volume is in use - [{}]", used.join(", "))));
    }
    call.state.remove_volume(&name).await?;
    Ok(Reply::no_content())
}

async fn prune(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["label", "label!", "all"])?;
    let named = filters.of("all").iter().any(|a| matches!(a.as_str(), "true" | "1" | "True"));
    let (volumes, containers) = all(&call.state).await?;
    let (mut gone, mut bytes) = (Vec::new(), 0);
    for v in volumes {
        let wanted = (named || v.anonymous) && filters.labels(&v.labels);
        if wanted && uses(&containers, &v.name).is_empty() {
            let path = call.state.volume_path(&v.name);
            let size = tokio::task::spawn_blocking(move || super::system::tree_size(&path));
            bytes += size.await.unwrap_or(0);
            call.state.remove_volume(&v.name).await?;
            gone.push(v.name.clone());
        }
    }
    let told = BTreeMap::from([("reclaimed".to_owned(), bytes.to_string())]);
    call.state.events.emit("volume", "prune", "", told);
    Reply::ok(&json!({"VolumesDeleted": gone, "SpaceReclaimed": bytes}))
}
