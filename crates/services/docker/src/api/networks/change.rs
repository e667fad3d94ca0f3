//! Containers plugged in and out by hand, networks removed.

use std::collections::BTreeMap;

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Resource, Stored};
use serde_json::{Value, json};

use super::{super::Flags, Call, body, containers};
use crate::{
    Container, Docker, Network,
    engine::networks::{mode, place, predefined, told},
    model::shape,
    store::Endpoint,
};

/// The container of a name or an id (or its beginning).
async fn container(docker: &Docker, name: &str) -> Result<Stored<Container>> {
    let name = name.trim_start_matches('/');
    let all = containers(docker).await?;
    let exact = all.iter().position(|c| c.id == name || c.name == name);
    let found = exact.or_else(|| all.iter().position(|c| !name.is_empty() && c.id.starts_with(name)));
    found.and_then(|n| all.into_iter().nth(n)).ok_or_else(|| Container::not_found(name))
}

/// Writes down a container's places.
async fn keep(docker: &Docker, id: &str, endpoints: BTreeMap<String, Endpoint>) -> Result<()> {
    let id = id.to_owned();
    let write = docker.store.write(move |tx| {
        tx.update::<Container>(&Scope::All, &id, |c| {
            c.endpoints.clone_from(&endpoints);
            Ok(())
        })
        .map(drop)
    });
    write.await
}

pub async fn connect(mut call: Call) -> Result<Reply> {
    let body = body::needed(&mut call, shape::CONNECT).await?;
    let docker = call.state.clone();
    let network = docker.network(call.param("id")).await?;
    let name = body["Container"].as_str().unwrap_or("");
    let id = container(&docker, name).await?.id.clone();
    let lock = docker.lock(&id);
    let _busy = lock.lock().await;
    let mut container = container(&docker, &id).await?.value;
    let shares = mode(&container.host_config).to_owned();
    if network.driver == "host" || shares == "host" {
        return Err(Error::forbidden("container cannot be connected to host network"));
    }
    if shares.starts_with("container:") {
        return Err(Error::bad_request(
            "container sharing network namespace with another container or host cannot be connected to any other network",
        ));
    }
    if network.driver == "null" || shares == "none" {
        return Err(Error::forbidden(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
        ));
    }
    if container.endpoints.contains_key(&network.name) {
        return Err(Error::forbidden(format!(
            "endpoint with name {} already exists in network {}",
            container.name, network.name
        )));
    }
    container.endpoints.insert(network.name.clone(), place(&network, &body["EndpointConfig"])?);
    if container.runs() {
        let done = async {
            docker.attach(&mut container, &network.name).await?;
            docker.write_files(&container).await?;
            docker.joined(&container).await
        };
        if let Err(e) = done.await {
            if let Some(mut place) = container.endpoints.remove(&network.name) {
                unplug(&docker, &container, &network, &mut place).await?;
            }
            return Err(e);
        }
    }
    keep(&docker, &container.id, container.endpoints.clone()).await?;
    Ok(Reply::empty(200))
}

/// Takes a place of a container that runs away.
async fn unplug(
    docker: &Docker,
    container: &Container,
    network: &Network,
    place: &mut Endpoint,
) -> Result<()> {
    if !place.interface.is_empty() {
        let spec = docker.endpoint_spec(&container.id, network, place, false).await?;
        docker.host.remove_endpoint(&spec).await?;
    }
    docker.leave(&container.id, &network.name, place).await
}

pub async fn disconnect(mut call: Call) -> Result<Reply> {
    let body = body::needed(&mut call, shape::CONNECT).await?;
    let docker = call.state.clone();
    let network = docker.network(call.param("id")).await?;
    let name = body["Container"].as_str().unwrap_or("");
    let id = container(&docker, name).await?.id.clone();
    let lock = docker.lock(&id);
    let _busy = lock.lock().await;
    let mut container = container(&docker, &id).await?.value;
    if network.driver == "host" {
        return Err(Error::forbidden("container cannot be disconnected from host network"));
    }
    let Some(mut place) = container.endpoints.remove(&network.name) else {
        return Err(Error::forbidden(format!(
            "container {} is not connected to network {}",
            container.id, network.name
        )));
    };
    if container.runs() {
        unplug(&docker, &container, &network, &mut place).await?;
        docker.ensure_places(&container).await?;
        docker.write_files(&container).await?;
        docker.joined(&container).await?;
    }
    keep(&docker, &container.id, container.endpoints.clone()).await?;
    Ok(Reply::empty(200))
}

/// Takes a network away.
async fn drop_network(docker: &Docker, network: &Network) -> Result<()> {
    docker.remove_link(network).await?;
    let id = network.id.clone();
    docker.store.write(move |tx| tx.delete::<Network>(&id).map(drop)).await?;
    docker.events.emit("network", "destroy", &network.id, told(&network.name, &network.driver, None));
    Ok(())
}

pub async fn remove(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let network = docker.network(call.param("id")).await?;
    if predefined(&network.name) {
        return Err(Error::forbidden(format!(
            "{} is a pre-defined network and cannot be removed",
            network.name
        )));
    }
    if network.config_only && docker.networks().await?.iter().any(|n| n.config_from == network.name) {
        return Err(Error::forbidden(format!(
            "error while removing network: configuration network \"{}\" is in use",
            network.name
        )));
    }
    let live = docker.live.lock().await;
    let active: Vec<String> = live
        .values()
        .filter_map(|c| {
            let place = c.endpoints.values().find(|e| e.network_id == network.id && !e.id.is_empty())?;
            Some(format!("name:\"{}\" id:\"{}\"", c.name, place.id.get(..12).unwrap_or(&place.id)))
        })
        .collect();
    // A container that is just starting has taken its address.
    if !active.is_empty() || !network.addresses.is_empty() {
        return Err(Error::forbidden(format!(
            "error while removing network: network {} has active endpoints ({})",
            network.name,
            active.join(", ")
        )));
    }
    drop_network(docker, &network).await?;
    drop(live);
    Ok(Reply::no_content())
}

/// `DELETE /containers/web/db?link=1`: the link by which `web` knows `db`.
pub async fn unlink(call: Call) -> Result<Reply> {
    let (owner, alias) = (call.param("id"), call.param("alias"));
    if !call.flag("link") {
        return Err(Container::not_found(&format!("{owner}/{alias}")));
    }
    call.state.unlink(owner, alias).await?;
    Ok(Reply::no_content())
}

pub async fn prune(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let filters = call.filters()?;
    filters.allow(&["label", "label!", "until"])?;
    let until = filters.of("until").first().map(|t| moment(t)).transpose()?;
    let containers = containers(docker).await?;
    let mut gone: Vec<String> = Vec::new();
    for network in docker.networks().await? {
        let used = containers.iter().any(|c| c.endpoints.values().any(|e| e.network_id == network.id));
        let old = until.is_none_or(|u| network.created_ns <= u);
        if !predefined(&network.name)
            && !network.config_only
            && !used
            && old
            && filters.labels(&network.labels)
        {
            drop_network(docker, &network).await?;
            gone.push(network.name.clone());
        }
    }
    let told = BTreeMap::from([("reclaimed".to_owned(), "0".to_owned())]);
    docker.events.emit("network", "prune", "", told);
    Reply::ok(&json!({"NetworksDeleted": if gone.is_empty() { Value::Null } else { json!(gone) }}))
}

/// `until`: a moment, or how long ago (`10m`, `1h30m`); in nanoseconds.
fn moment(text: &str) -> Result<i64> {
    if let Ok(at) = super::super::system::moment(text) {
        return Ok(at.unwrap_or(0));
    }
    let bad = || Error::bad_request(format!("invalid until filter: {text}"));
    let (mut ns, mut digits) = (0_i64, String::new());
    for c in text.chars() {
        let unit: i64 = match c {
            '0'..='9' => {
                digits.push(c);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(bad()),
        };
        let n: i64 = std::mem::take(&mut digits).parse().map_err(|_| bad())?;
        ns = n.saturating_mul(unit).saturating_mul(1_000_000_000).saturating_add(ns);
    }
    if digits.is_empty() { Ok(crate::events::now_ns() - ns) } else { Err(bad()) }
}
