//! The list, and pruning.

use std::collections::BTreeMap;

use pileus_base::{Error, Kind, Result, Scope};
use pileus_http::Reply;
use pileus_store::{Query, Stored};
use serde_json::{Value, json};

use crate::{
    Container, Docker, Image, Network,
    api::{Call, Flags, wire::Filters},
    events::now_ns,
    model::{moment::moment, views},
    store::Status,
};

impl Docker {
    /// All networks by id.
    pub(in crate::api) async fn network_map(&self) -> Result<BTreeMap<String, Network>> {
        let all: Vec<Stored<Network>> = self.store.read(|r| r.list(&Scope::All, &Query::all())).await?;
        Ok(all.into_iter().map(|n| (n.id.clone(), n.value)).collect())
    }

    /// What a container has written, and all of its files.
    pub(in crate::api) async fn sizes(&self, c: &Container) -> Result<(u64, u64)> {
        let own = self.host.container_size(&c.id).await?;
        let below = self.image(&c.image_id).await.map(|i| i.size()).unwrap_or(0);
        Ok((own, own + below))
    }
}

const NAMES: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const STATUSES: [&str; 7] = ["created", "running", "paused", "restarting", "exited", "removing", "dead"];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Refuses filters that can't be.
fn check(filters: &Filters) -> Result<()> {
    filters.allow(&NAMES)?;
    let invalid =
        |name: &str, value: &str| Err(Error::bad_request(format!("invalid filter '{name}={value}'")));
    if let Some(other) = filters.of("status").iter().find(|v| !STATUSES.contains(&v.as_str())) {
        return invalid("status", other);
    }
    if let Some(other) = filters.of("health").iter().find(|v| !HEALTH.contains(&v.as_str())) {
        return Err(Error::bad_request(format!("unrecognized filter value for health: {other}")));
    }
    if let Some(other) = filters.of("exited").iter().find(|v| v.parse::<i32>().is_err()) {
        return invalid("exited", other);
    }
    for name in ["publish", "expose"] {
        if let Some(other) = filters.of(name).iter().find(|v| range(v).is_none()) {
            return invalid(name, other);
        }
    }
    match filters.of("is-task") {
        [] => Ok(()),
        [one] if boolean(one).is_some() => Ok(()),
        other => invalid("is-task", &format!("[{}]", other.join(" "))),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

/// `80`, `80/udp`, `8000-8010/tcp`: from, to, protocol.
fn range(text: &str) -> Option<(u16, u16, &str)> {
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (from, to) = ports.split_once('-').unwrap_or((ports, ports));
    let (from, to) = (from.parse().ok()?, to.parse().ok()?);
    (from <= to && matches!(protocol, "tcp" | "udp" | "sctp")).then_some((from, to, protocol))
}

/// Whether a port (`80/tcp`) is within what a filter asks for.
fn port_within(asked: &str, have: &str) -> bool {
    let (Some((from, to, protocol)), Some((port, _, of))) = (range(asked), range(have)) else { return false };
    protocol == of && (from..=to).contains(&port)
}

/// Images of those names, and all that were made of them.
async fn ancestors(docker: &Docker, names: &[String]) -> Result<Vec<String>> {
    let mut wanted = Vec::new();
    for name in names {
        if let Ok(image) = docker.image(name).await {
            wanted.push(image.value.id);
        }
    }
    let all: Vec<Stored<Image>> = docker.store.read(|r| r.list(&Scope::All, &Query::all())).await?;
    loop {
        let child = |i: &&Stored<Image>| wanted.contains(&i.parent) && !wanted.contains(&i.id);
        let more: Vec<String> = all.iter().filter(child).map(|i| i.id.clone()).collect();
        if more.is_empty() {
            return Ok(wanted);
        }
        wanted.extend(more);
    }
}

pub async fn list(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let filters = call.filters()?;
    check(&filters)?;
    let limit = limit(&call)?;
    let narrowed = ["status"].iter().any(|n| !filters.of(n).is_empty());
    let all = call.flag("all") || limit > 0 || narrowed;
    let mut bounds = (i64::MIN, i64::MAX);
    for name in filters.of("since") {
        bounds.0 = docker.container(name).await?.created_ns;
    }
    for name in filters.of("before") {
        bounds.1 = docker.container(name).await?.created_ns;
    }
    let images = ancestors(docker, filters.of("ancestor")).await?;
    let (networks, sized) = (docker.network_map().await?, call.flag("size"));
    let mut rows = Vec::new();
    let containers = docker.containers().await?;
    for c in &containers {
        let shown = all || c.runs() || c.state.status == Status::Restarting;
        let between = c.created_ns > bounds.0 && c.created_ns < bounds.1;
        let image = filters.of("ancestor").is_empty() || images.contains(&c.image_id);
        if !(shown && between && image && passes(c, &filters)) {
            continue;
        }
        let size = if sized { Some(docker.sizes(c).await?) } else { None };
        let mut row = views::row(c, &networks, size);
        let linked = crate::engine::networks::links::names(c, containers.iter());
        if let Some(names) = row["Names"].as_array_mut() {
            names.extend(linked.into_iter().map(Value::from));
        }
        rows.push(row);
        if limit > 0 && rows.len() >= limit {
            break;
        }
    }
    Reply::ok(&rows)
}

/// How many are wanted; 0 for all.
fn limit(call: &Call) -> Result<usize> {
    match call.text("limit") {
        none if none.is_empty() => Ok(0),
        text => match text.parse::<i64>() {
            Ok(n) => Ok(usize::try_from(n).unwrap_or(0)),
            Err(_) => Err(Error::bad_request(format!("strconv.Atoi: parsing \"{text}\": invalid syntax"))),
        },
    }
}

fn passes(c: &Container, filters: &Filters) -> bool {
    let any = |name: &str, f: &dyn Fn(&str) -> bool| {
        let asked = filters.of(name);
        asked.is_empty() || asked.iter().any(|a| f(a))
    };
    let slashed = format!("/{}", c.name);
    let named = |asked: &str| match regex::Regex::new(asked) {
        Ok(r) => r.is_match(&slashed) || r.is_match(&c.name),
        Err(_) => slashed.contains(asked),
    };
    let health = c.state.health.as_ref().and_then(|h| h["Status"].as_str()).unwrap_or("none");
    let exited = |a: &str| !c.runs() && c.state.started_ns > 0 && a == c.state.exit_code.to_string();
    any("id", &|a| c.id.starts_with(a))
        && any("name", &named)
        && filters.labels(&c.labels())
        && any("status", &|a| views::word(c.state.status) == a)
        && any("network", &|a| c.endpoints.iter().any(|(n, e)| n == a || e.network_id.starts_with(a)))
        && any("volume", &|a| {
            let named = |m: &Value| if m["Name"].is_string() { m["Name"] == a } else { m["Source"] == a };
            c.mounts.iter().any(|m| named(m) || m["Destination"] == a)
        })
        && any("exited", &exited)
        && any("health", &|a| health == a)
        && any("expose", &|a| {
            c.config["ExposedPorts"].as_object().is_some_and(|all| all.keys().any(|have| port_within(a, have)))
        })
        && any("publish", &|a| {
            let asked = c.host_config["PortBindings"].as_object();
            asked.is_some_and(|all| all.keys().any(|have| port_within(a, have)))
                || c.published.iter().any(|p| port_within(a, &format!("{}/{}", p.port, p.protocol)))
        })
        // Nothing here is a task of a swarm's.
        && any("is-task", &|a| boolean(a) == Some(false))
}

pub async fn prune(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["until", "label", "label!"])?;
    let until = match filters.of("until") {
        [] => i64::MAX,
        [one] => moment(one, now_ns())?,
        _ => return Err(Error::bad_request("more than one until filter specified")),
    };
    let (mut gone, mut bytes) = (Vec::new(), 0);
    for c in call.state.containers().await? {
        let idle = matches!(c.state.status, Status::Created | Status::Exited | Status::Dead);
        if !idle || c.created_ns > until || !filters.labels(&c.labels()) {
            continue;
        }
        bytes += call.state.host.container_size(&c.id).await.unwrap_or(0);
        // Who has been started or removed meanwhile is left alone.
        match call.state.remove_container(&c.id, false, false).await {
            Ok(()) => gone.push(c.id),
            Err(e) if matches!(e.kind(), Kind::NotFound | Kind::Conflict) => {}
            Err(e) => return Err(e),
        }
    }
    let deleted = if gone.is_empty() { Value::Null } else { json!(gone) };
    Reply::ok(&json!({"ContainersDeleted": deleted, "SpaceReclaimed": bytes}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_cannot_be_are_refused() {
        let said = |text: &str| match check(&Filters::read(text).unwrap()) {
            Ok(()) => String::new(),
            Err(e) => e.message().to_owned(),
        };
        assert_eq!(said(r#"{"status":["running"],"exited":["137"],"publish":["80-90/udp"]}"#), "");
        assert_eq!(said(r#"{"status":["runs"]}"#), "invalid filter 'status=runs'");
        assert_eq!(said(r#"{"x":["y"]}"#), "invalid filter 'x'");
        for bad in [r#"{"exited":["a"]}"#, r#"{"health":["ill"]}"#, r#"{"expose":["90-80"]}"#] {
            assert!(!said(bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn ports_are_matched_by_ranges() {
        assert!(port_within("80", "80/tcp") && port_within("8000-8010/udp", "8005/udp"));
        assert!(!port_within("80", "80/udp") && !port_within("81-90", "80/tcp"));
    }
}
