//! Listing, inspecting, history.

use std::collections::{BTreeMap, HashSet};

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use crate::{
    Docker, Image,
    api::{Call, Flags, dialect::minor, mv},
    events::rfc3339,
    model::reference::{familiar, repository_of},
};

fn created(value: &Value) -> i64 {
    seconds(value["created"].as_str().unwrap_or_default())
}

fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second)
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(value["config"]["Labels"].clone()).unwrap_or_default()
}

fn shown(names: &[String]) -> Vec<&str> {
    names.iter().map(|n| familiar(n)).collect()
}

/// Whether a name or repository fits a pattern of `reference`: `*` within a segment, with or without tag.
fn fits(pattern: &str, name: &str) -> bool {
    let shape: String = pattern
        .chars()
        .map(|c| match c {
            '*' => "[^/]*".to_owned(),
            '?' => "[^/]".to_owned(),
            c => regex::escape(&c.to_string()),
        })
        .collect();
    let Ok(shape) = regex::Regex::new(&format!("^{shape}$")) else { return false };
    [name, familiar(name), repository_of(name), familiar(repository_of(name))]
        .iter()
        .any(|n| shape.is_match(n))
}

/// The time that `until` and such ask for, in seconds: a number, RFC 3339, or a duration before now.
pub(super) fn moment(text: &str) -> Result<i64> {
    let bad = || Error::bad_request(format!("invalid filter 'until={text}'"));
    if let Some(whole) = text.split('.').next().and_then(|t| t.parse::<i64>().ok()) {
        return Ok(whole);
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.as_second());
    }
    let (mut total, mut number) = (0, 0_i64);
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                let digit = i64::from(c.to_digit(10).unwrap_or(0));
                number = number.checked_mul(10).and_then(|n| n.checked_add(digit)).ok_or_else(bad)?;
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return Err(bad()),
        };
        total += number.checked_mul(unit).ok_or_else(bad)?;
        number = 0;
    }
    Ok(jiff::Timestamp::now().as_second() - total)
}

/// `GET /images/json`
pub(super) async fn list(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["dangling", "label", "label!", "before", "since", "reference", "until"])?;
    let docker = &call.state;
    let all = docker.images().await?;
    let parents: HashSet<&str> = all.iter().map(|i| i.parent.as_str()).collect();
    let (mut before, mut since) = (None, None);
    for name in filters.of("before") {
        before = Some(created(&docker.image(name).await?.value()));
    }
    for name in filters.of("since") {
        since = Some(created(&docker.image(name).await?.value()));
    }
    for until in filters.of("until") {
        let until = moment(until)?;
        before = Some(before.map_or(until, |b: i64| b.min(until)));
    }
    let dangling = match filters.of("dangling").first().map(String::as_str) {
        None => None,
        Some("true" | "1") => Some(true),
        Some("false" | "0") => Some(false),
        Some(other) => return Err(Error::bad_request(format!("invalid filter 'dangling=[{other}]'"))),
    };
    let minor = minor(&call.uri);
    let mut rows = Vec::new();
    for image in &all {
        let value = image.value();
        let at = created(&value);
        let (mut tags, mut digests) = (image.tags.clone(), image.digests.clone());
        let nameless = tags.is_empty();
        if nameless && !call.flag("all") && digests.is_empty() && parents.contains(&*image.id) {
            continue;
        }
        if before.is_some_and(|b| at >= b) || since.is_some_and(|s| at <= s) {
            continue;
        }
        if dangling.is_some_and(|d| d != nameless) || !filters.labels(&labels(&value)) {
            continue;
        }
        let patterns = filters.of("reference");
        if !patterns.is_empty() {
            tags.retain(|t| patterns.iter().any(|p| fits(p, t)));
            digests.retain(|d| patterns.iter().any(|p| fits(p, d)));
            if tags.is_empty() && digests.is_empty() {
                continue;
            }
        }
        let shared = if call.flag("shared-size") { shared_size(image, &all) } else { -1 };
        let mut row = json!({
            "Containers": -1,
            "Created": at,
            "Id": image.id,
            "Labels": value["config"]["Labels"],
            "ParentId": image.parent,
            "RepoDigests": shown(&digests),
            "RepoTags": shown(&tags),
            "SharedSize": shared,
            "Size": image.size(),
        });
        if minor < mv::NETWORKS_AT_CREATE {
            row["VirtualSize"] = json!(image.size());
        }
        if minor < mv::NAMELESS_IMAGES && nameless && digests.is_empty() {
            row["RepoTags"] = json!(["<none>:<none>"]);
            row["RepoDigests"] = json!(["<none>@<none>"]);
        }
        rows.push((at, row));
    }
    rows.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    Reply::ok(&rows.into_iter().map(|(_, row)| row).collect::<Vec<_>>())
}

fn shared_size(image: &Image, all: &[pileus_store::Stored<Image>]) -> i64 {
    let others: HashSet<&String> = all.iter().filter(|i| i.id != image.id).flat_map(|i| &i.layers).collect();
    let shared = image.layers.iter().zip(&image.layer_bytes).filter(|(l, _)| others.contains(l));
    i64::try_from(shared.map(|(_, bytes)| bytes).sum::<u64>()).unwrap_or(i64::MAX)
}

/// `GET /images/{name}/json`
pub(super) async fn inspect(call: Call) -> Result<Reply> {
    let image = call.state.image(call.param("name")).await?;
    let value = image.value();
    let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut config = value["config"].clone();
    if !config.is_object() {
        config = json!({});
    }
    let created = match text("created") {
        none if none.is_empty() => rfc3339(0),
        created => created,
    };
    let mut answer = json!({
        "Id": image.id,
        "RepoTags": shown(&image.tags),
        "RepoDigests": shown(&image.digests),
        "Parent": image.parent,
        "Comment": last_comment(&value),
        "Created": created,
        "DockerVersion": text("docker_version"),
        "Author": text("author"),
        "Config": config,
        "Architecture": text("architecture"),
        "Os": text("os"),
        "Size": image.size(),
        "GraphDriver": graph(&image, &call.state),
        "RootFS": { "Type": "layers", "Layers": value["rootfs"]["diff_ids"] },
        "Metadata": { "LastTagTime": rfc3339(if image.tags.is_empty() { 0 } else { image.tagged_ns }) },
    });
    if !text("variant").is_empty() {
        answer["Variant"] = json!(text("variant"));
    }
    let minor = minor(&call.uri);
    with_fields(&mut answer["Config"], IMAGE_FIELDS);
    if minor < mv::IMAGE_CONFIG {
        with_fields(&mut answer["Config"], CONTAINER_FIELDS);
    }
    if minor < mv::NETWORKS_AT_CREATE {
        answer["VirtualSize"] = json!(image.size());
    }
    if minor < mv::PLAIN_ALIASES {
        answer["Container"] = json!(text("container"));
        answer["ContainerConfig"] = value["container_config"].clone();
        if !answer["ContainerConfig"].is_object() {
            answer["ContainerConfig"] = json!({});
        }
        with_fields(&mut answer["ContainerConfig"], IMAGE_FIELDS);
        with_fields(&mut answer["ContainerConfig"], CONTAINER_FIELDS);
    }
    Reply::ok(&answer)
}

/// Fields of a configuration that are shown though nothing is in them, and what they are then.
const IMAGE_FIELDS: &str = r#"{"Cmd": null, "Entrypoint": null, "Env": null, "Labels": null, "OnBuild": null, "User": "",
    "Volumes": null, "WorkingDir": ""}"#;
const CONTAINER_FIELDS: &str = r#"{"AttachStderr": false, "AttachStdin": false, "AttachStdout": false, "Domainname": "",
    "Hostname": "", "Image": "", "OpenStdin": false, "StdinOnce": false, "Tty": false}"#;

fn with_fields(config: &mut Value, fields: &str) {
    let fields: serde_json::Map<String, Value> = serde_json::from_str(fields).unwrap_or_default();
    for (key, empty) in fields {
        let list = config[&key].as_array().is_some_and(Vec::is_empty);
        if config.get(&key).is_none() || list {
            config[key] = empty;
        }
    }
}

/// Where an image's layers are: the topmost is what an overlay would call its upper one.
fn graph(image: &Image, docker: &Docker) -> Value {
    let at = |layer: &String| docker.options.state_dir.join("layers").join(layer);
    let Some((top, below)) = image.layers.split_last() else {
        return json!({"Name": "overlay2", "Data": null});
    };
    let mut data = json!({
        "MergedDir": at(top).join("merged"), "UpperDir": at(top).join("diff"), "WorkDir": at(top).join("work"),
    });
    if !below.is_empty() {
        let lower: Vec<String> =
            below.iter().rev().map(|l| at(l).join("diff").display().to_string()).collect();
        data["LowerDir"] = json!(lower.join(":"));
    }
    json!({"Name": "overlay2", "Data": data})
}

fn last_comment(value: &Value) -> String {
    let last = value["history"].as_array().and_then(|h| h.last()).and_then(|h| h["comment"].as_str());
    value["comment"].as_str().filter(|c| !c.is_empty()).or(last).unwrap_or_default().to_owned()
}

/// `GET /images/{name}/history`
pub(super) async fn history(call: Call) -> Result<Reply> {
    let docker: &Docker = &call.state;
    let image = docker.image(call.param("name")).await?;
    let value = image.value();
    let mut sizes = image.layer_bytes.iter();
    let mut rows = Vec::new();
    for entry in value["history"].as_array().into_iter().flatten() {
        let empty = entry["empty_layer"].as_bool().unwrap_or(false);
        let size = if empty { 0 } else { sizes.next().copied().unwrap_or(0) };
        rows.push(json!({
            "Id": "<missing>",
            "Created": seconds(entry["created"].as_str().unwrap_or_default()),
            "CreatedBy": entry["created_by"].as_str().unwrap_or_default(),
            "Tags": null,
            "Size": size,
            "Comment": entry["comment"].as_str().unwrap_or_default(),
        }));
    }
    rows.reverse();
    let mut next = Some(image.value);
    for row in &mut rows {
        let Some(image) = next.take() else { break };
        row["Id"] = json!(image.id);
        if !image.tags.is_empty() {
            row["Tags"] = json!(shown(&image.tags));
        }
        if !image.parent.is_empty() {
            next = docker.image(&image.parent).await.ok().map(|i| i.value);
        }
    }
    Reply::ok(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_fit_patterns() {
        let name = "docker.io/library/busybox:1.36";
        assert!(fits("busybox", name) && fits("busy*:1.*", name) && fits("busybox:1.36", name));
        assert!(!fits("alpine", name) && !fits("busybox:2", name));
        assert!(fits("127.0.0.1:5000/*", "127.0.0.1:5000/x:1"));
    }

    #[test]
    fn moments_are_numbers_dates_or_durations() {
        assert_eq!(moment("12").unwrap(), 12);
        assert_eq!(moment("1970-01-01T00:01:00Z").unwrap(), 60);
        assert!(moment("1h30m").unwrap() < jiff::Timestamp::now().as_second());
        assert!(moment("x").is_err());
    }
}
