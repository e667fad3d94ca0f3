//! `GET /system/df`: what takes room.

use std::collections::BTreeMap;

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::Query;
use serde_json::{Value, json};

use super::Call;
use crate::api::{dialect, mv};
use crate::{Container, Image, Volume, engine::volumes::uses};

/// What may be asked for.
const KINDS: [&str; 4] = ["container", "image", "volume", "build-cache"];

pub async fn df(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let minor = dialect::minor(&call.uri);
    let wanted: Vec<&str> = if minor < mv::DF_TYPES { Vec::new() } else { call.query.all("type").collect() };
    if let Some(other) = wanted.iter().find(|k| !KINDS.contains(k)) {
        return Err(Error::bad_request(format!("unknown object type: {other}")));
    }
    let asks = |kind: &str| wanted.is_empty() || wanted.contains(&kind);
    let (containers, images, volumes) = docker
        .store
        .read(|rd| {
            Ok((
                rd.list::<Container>(&Scope::All, &Query::all())?,
                rd.list::<Image>(&Scope::All, &Query::all())?,
                rd.list::<Volume>(&Scope::All, &Query::all())?,
            ))
        })
        .await?;
    let mut layers: BTreeMap<&str, u64> = BTreeMap::new();
    for image in &images {
        layers.extend(image.layers.iter().map(String::as_str).zip(image.layer_bytes.iter().copied()));
    }
    let image_views: Vec<Value> = images.iter().map(|i| image_view(i, &images, &containers)).collect();
    let networks = docker.network_map().await?;
    let mut container_views = Vec::new();
    if asks("container") {
        for c in &containers {
            let written = docker.host.container_size(&c.id).await.unwrap_or(0);
            let image = images.iter().find(|i| i.id == c.image_id).map_or(0, |i| i.size());
            container_views.push(crate::model::views::row(c, &networks, Some((written, written + image))));
        }
    }
    let mut volume_views = Vec::new();
    if asks("volume") {
        for v in &volumes {
            let path = docker.volume_path(&v.name);
            let size = tokio::task::spawn_blocking(move || tree_size(&path)).await.unwrap_or(0);
            let mut view = super::super::volumes::view(docker, v);
            view["UsageData"] = json!({"Size": size, "RefCount": uses(&containers, &v.name).len()});
            volume_views.push(view);
        }
    }
    let show = |kind: &str, all: Vec<Value>| if asks(kind) { json!(all) } else { Value::Null };
    let mut out = json!({
        "Images": show("image", image_views),
        "Containers": show("container", container_views),
        "Volumes": show("volume", volume_views),
        "BuildCache": if asks("build-cache") { json!([]) } else { Value::Null },
    });
    if minor < mv::DF_TYPES {
        out["BuilderSize"] = json!(0);
    }
    if minor < mv::NETWORKS_AT_CREATE {
        for image in out["Images"].as_array_mut().into_iter().flatten() {
            image["VirtualSize"] = image["Size"].clone();
        }
    }
    if asks("image") {
        // Compressed layers are kept too, for pushing and saving: they take room as well.
        let blobs: std::collections::BTreeSet<&String> =
            images.iter().flat_map(|i| i.blobs.values()).collect();
        let mut size: u64 = layers.values().sum();
        for blob in blobs {
            size += docker.blobs().size(blob).await.unwrap_or(0);
        }
        out["LayersSize"] = json!(size);
    }
    Reply::ok(&out)
}

fn image_view(
    i: &Image,
    all: &[pileus_store::Stored<Image>],
    containers: &[pileus_store::Stored<Container>],
) -> Value {
    let others: Vec<&String> = all.iter().filter(|o| o.id != i.id).flat_map(|o| &o.layers).collect();
    let shared: u64 =
        i.layers.iter().zip(&i.layer_bytes).filter(|(l, _)| others.contains(l)).map(|(_, b)| b).sum();
    let config = i.value();
    let created = config["created"].as_str().and_then(|t| t.parse::<jiff::Timestamp>().ok());
    let familiar = |name: &String| crate::model::reference::familiar(name).to_owned();
    json!({
        "Id": i.id,
        "ParentId": i.parent,
        "RepoTags": i.tags.iter().map(familiar).collect::<Vec<_>>(),
        "RepoDigests": i.digests.iter().map(familiar).collect::<Vec<_>>(),
        "Created": created.map_or(0, jiff::Timestamp::as_second),
        "Size": i.size(),
        "SharedSize": shared,
        "Labels": config["config"]["Labels"],
        "Containers": containers.iter().filter(|c| c.image_id == i.id).count(),
    })
}

/// What a tree's files take, in bytes; links aren't followed.
pub(in crate::api) fn tree_size(path: &std::path::Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else { return 0 };
    entries
        .flatten()
        .map(|e| match e.metadata() {
            Ok(m) if m.is_dir() => tree_size(&e.path()),
            Ok(m) => m.len(),
            Err(_) => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    #[test]
    fn trees_are_summed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        std::fs::write(dir.path().join("a/b"), b"12345").unwrap();
        std::fs::write(dir.path().join("c"), b"12").unwrap();
        assert_eq!(super::tree_size(dir.path()), 7);
    }
}
