//! The list, and pruning.

use std::collections::BTreeMap;

use pileus_base::{Result, Scope};
use pileus_http::Reply;
use pileus_store::{Query, Stored};
use serde_json::{Value, json};

use crate::{
    Container, Docker, Network,
    api::{Call, Flags, system::moment, wire::Filters},
    model::views,
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

const NAMES: [&str; 13] = [
    "ancestor", "before", "exited", "expose", "health", "id", "label", "name", "network", "publish", "since",
    "status", "volume",
];

pub async fn list(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let filters = call.filters()?;
    filters.allow(&NAMES)?;
    let limit = call.text("limit").parse::<usize>().unwrap_or(0);
    let narrowed = ["status", "exited", "before", "since"].iter().any(|n| !filters.of(n).is_empty());
    let all = call.flag("all") || limit > 0 || narrowed;
    let mut bounds = (i64::MIN, i64::MAX);
    for name in filters.of("since") {
        bounds.0 = docker.container(name).await?.created_ns;
    }
    for name in filters.of("before") {
        bounds.1 = docker.container(name).await?.created_ns;
    }
    let mut images = Vec::new();
    for name in filters.of("ancestor") {
        images.push(docker.image(name).await.map(|i| i.value.id).unwrap_or_else(|_| name.clone()));
    }
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
    let port = |asked: &str, have: &str| asked == have || format!("{asked}/tcp") == have;
    let exited = |a: &str| c.state.status == Status::Exited && a == c.state.exit_code.to_string();
    any("id", &|a| c.id.starts_with(a))
        && any("name", &named)
        && filters.labels(&c.labels())
        && any("status", &|a| views::word(c.state.status) == a)
        && any("network", &|a| c.endpoints.iter().any(|(n, e)| n == a || e.network_id.starts_with(a)))
        && any("volume", &|a| c.mounts.iter().any(|m| m["Name"] == a || m["Destination"] == a))
        && any("exited", &exited)
        && any("health", &|a| health == a)
        && any("expose", &|a| {
            c.config["ExposedPorts"].as_object().is_some_and(|all| all.keys().any(|have| port(a, have)))
        })
        && any("publish", &|a| c.published.iter().any(|p| port(a, &format!("{}/{}", p.port, p.protocol))))
}

pub async fn prune(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(&["until", "label", "label!"])?;
    let until = filters.of("until").first().map(|t| moment(t)).transpose()?.flatten().unwrap_or(i64::MAX);
    let (mut gone, mut bytes) = (Vec::new(), 0);
    for c in call.state.containers().await? {
        let idle = matches!(c.state.status, Status::Created | Status::Exited | Status::Dead);
        if !idle || c.created_ns > until || !filters.labels(&c.labels()) {
            continue;
        }
        bytes += call.state.host.container_size(&c.id).await.unwrap_or(0);
        call.state.remove_container(&c.id, false, false).await?;
        gone.push(c.id);
    }
    let deleted = if gone.is_empty() { Value::Null } else { json!(gone) };
    Reply::ok(&json!({"ContainersDeleted": deleted, "SpaceReclaimed": bytes}))
}
