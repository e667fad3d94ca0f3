//! Lists of servers: filters, order, pages.
//!
//! Without filters and in the usual order a page is read from the store's index; else all servers of the
//! scope are, and what is asked for is chosen of them.

use std::cmp::Ordering;

use pileus_base::{Error, Result, Scope, Time, ids::ServerId};
use pileus_http::{Listing, Params, Reply, Sort};
use pileus_store::{Direction, Query, Stored};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Call, viewer};
use crate::{
    Server,
    model::states::is_status,
    wire::{mv, servers as wire},
};

/// Most servers on a page; Nova's `max_limit`.
const PAGE_MAX: usize = 1000;

/// `GET /servers`
pub async fn index(call: Call) -> Result<Reply> {
    list(call, false).await
}

/// `GET /servers/detail`
pub async fn detail(call: Call) -> Result<Reply> {
    list(call, true).await
}

async fn list(call: Call, whole: bool) -> Result<Reply> {
    const KEYS: [&str; 13] = [
        "id",
        "uuid",
        "display_name",
        "name",
        "created_at",
        "updated_at",
        "vm_state",
        "status",
        "task_state",
        "power_state",
        "host",
        "launched_at",
        "project_id",
    ];
    let listing = Listing::parse(&call.query, &KEYS, ("created_at", true), PAGE_MAX)?;
    let filter = Filter::parse(&call)?;
    let (servers, more) = match filter.is_plain() && listing.sort == [newest_first()] {
        true => page_of_store(&call, &filter.scope, &listing).await?,
        false => {
            let (scope, query) = (filter.scope.clone(), filter.query());
            let mut servers = call.state.store.read(move |rd| rd.list::<Server>(&scope, &query)).await?;
            servers.retain(|s| filter.keeps(s));
            page(&listing, servers)?
        }
    };
    let v = viewer(&call);
    let links = more.then(|| servers.last()).flatten().map(|last| {
        let path = if whole { "/v2.1/servers/detail" } else { "/v2.1/servers" };
        let next = format!("{}?{}", call.base.url(path), call.query.with("marker", &last.id.to_string()));
        json!([{"rel": "next", "href": next}])
    });
    if whole {
        let servers = servers.iter().map(|s| wire::whole(s, v, false)).collect();
        Reply::ok(&Page { servers, links })
    } else {
        Reply::ok(&Page { servers: servers.iter().map(|s| wire::brief(s, v)).collect(), links })
    }
}

#[derive(Serialize)]
struct Page<T> {
    servers: Vec<T>,
    #[serde(rename = "servers_links", skip_serializing_if = "Option::is_none")]
    links: Option<Value>,
}

fn newest_first() -> Sort {
    Sort { key: "created_at".into(), descending: true }
}

fn no_marker(marker: &str) -> Error {
    Error::bad_request(format!("marker [{marker}] not found"))
}

/// A page in the order of the store's own index: nothing is read but what is shown.
async fn page_of_store(call: &Call, scope: &Scope, listing: &Listing) -> Result<(Vec<Stored<Server>>, bool)> {
    let limit = listing.limit.unwrap_or(PAGE_MAX);
    let mut query = Query::all().sort_by("created_at", Direction::Desc).limit(limit + 1);
    if let Some(marker) = &listing.marker {
        query = query.after(marker);
    }
    let scope = scope.clone();
    let read = call.state.store.read(move |rd| rd.list::<Server>(&scope, &query));
    let mut servers = read.await.map_err(|e| match &listing.marker {
        Some(marker) if e.is_not_found() => no_marker(marker),
        _ => e,
    })?;
    let more = servers.len() > limit;
    servers.truncate(limit);
    Ok((servers, more))
}

/// A value to sort by. What is absent comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key<'a> {
    Number(Option<i64>),
    Text(Option<&'a str>),
    Id(ServerId),
}

impl<'a> Key<'a> {
    fn of(s: &'a Server, name: &str) -> Self {
        match name {
            "created_at" => Self::Number(Some(s.created_at.0)),
            "updated_at" => Self::Number(Some(s.updated_at.0)),
            "launched_at" => Self::Number(s.launched_at.map(|t| t.0)),
            "power_state" => Self::Number(Some(s.power_state as i64)),
            "display_name" | "name" => Self::Text(Some(&s.name)),
            "vm_state" | "status" => Self::Text(Some(s.vm_state.word())),
            "task_state" => Self::Text(s.task_state.map(|t| t.word())),
            "host" => Self::Text(s.host.as_deref()),
            "project_id" => Self::Text(Some(s.project_id.as_str())),
            _ => Self::Id(s.id),
        }
    }
}

/// Sorts, cuts at the marker and takes the limit; whether more would follow.
fn page(listing: &Listing, mut servers: Vec<Stored<Server>>) -> Result<(Vec<Stored<Server>>, bool)> {
    let by_id = [Sort { key: "id".into(), descending: listing.sort.last().is_some_and(|s| s.descending) }];
    servers.sort_by(|a, b| {
        let orders = listing.sort.iter().chain(&by_id).map(|sort| {
            let order = Key::of(a, &sort.key).cmp(&Key::of(b, &sort.key));
            if sort.descending { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
    if let Some(marker) = &listing.marker {
        let at = servers.iter().position(|s| s.id.to_string() == *marker);
        servers.drain(..=at.ok_or_else(|| no_marker(marker))?);
    }
    let limit = listing.limit.unwrap_or(PAGE_MAX);
    let more = servers.len() > limit;
    servers.truncate(limit);
    Ok((servers, more))
}

/// What a list's query selects by.
struct Filter {
    scope: Scope,
    vm_state: Option<String>,
    none: bool,
    name: Option<regex::Regex>,
    ip: Option<regex::Regex>,
    statuses: Vec<String>,
    image: Option<String>,
    flavor: Option<String>,
    host: Option<String>,
    since: Option<Time>,
    before: Option<Time>,
    tags: Vec<String>,
    not_tags: Vec<String>,
}

impl Filter {
    fn parse(call: &Call) -> Result<Self> {
        let q = &call.query;
        let admin = call.ctx.is_admin();
        let all = q.has("all_tenants") && q.get("all_tenants") != Some("") && flag(q, "all_tenants")?
            || q.get("all_tenants") == Some("");
        if all && !admin {
            return Err(Error::forbidden(
                "Policy doesn't allow os_compute_api:servers:index:get_all_tenants to be performed.",
            ));
        }
        let own = call.ctx.project_id().cloned();
        let scope = match (all, q.get("project_id").or(q.get("tenant_id")).filter(|_| admin)) {
            (true, None) => Scope::All,
            (true, Some(project)) => Scope::Project(project.into()),
            (false, Some(_)) => Scope::Project(own?),
            (false, None) => Scope::Project(own?),
        };
        let regex = |name: &str| match q.get(name) {
            None => Ok(None),
            Some(text) => regex::RegexBuilder::new(text)
                .size_limit(64 * 1024)
                .build()
                .map(Some)
                .map_err(|_| Error::bad_request(format!("Invalid input for query parameters {name}."))),
        };
        let time = |name: &str| match q.get(name) {
            None => Ok(None),
            Some(text) => Time::parse(text).map(Some).map_err(|_| {
                Error::bad_request(format!(
                    "Invalid input for query parameters {name}. Value: {text}. '{text}' is not a 'date-time'"
                ))
            }),
        };
        let statuses: Vec<String> = q.all("status").map(str::to_uppercase).collect();
        let words =
            |name: &str| q.get(name).map_or(Vec::new(), |t| t.split(',').map(str::to_owned).collect());
        let tagged = call.version >= mv::TAGS;
        Ok(Self {
            scope,
            vm_state: q.get("vm_state").filter(|_| admin).map(str::to_owned),
            // Only administrators may ask for what is deleted; there is none to show either way.
            none: flag(q, "deleted")? && admin
                || (!statuses.is_empty() && statuses.iter().all(|s| !is_status(s))),
            name: regex("name")?,
            ip: regex("ip")?.or(regex("ip6")?),
            statuses,
            image: q.get("image").map(str::to_owned),
            flavor: q.get("flavor").map(str::to_owned),
            host: q.get("host").filter(|_| admin).map(str::to_owned),
            since: time("changes-since")?,
            before: if call.version >= mv::CHANGES_BEFORE { time("changes-before")? } else { None },
            tags: if tagged { words("tags") } else { Vec::new() },
            not_tags: if tagged { words("not-tags") } else { Vec::new() },
        })
    }

    /// What the store can leave out by itself.
    fn query(&self) -> Query {
        match &self.vm_state {
            None => Query::all(),
            Some(state) => Query::by("vm_state", state),
        }
    }

    /// Whether it asks for everything in its scope.
    fn is_plain(&self) -> bool {
        let Self {
            scope: _,
            vm_state,
            none,
            name,
            ip,
            statuses,
            image,
            flavor,
            host,
            since,
            before,
            tags,
            not_tags,
        } = self;
        !none
            && (name.is_none() && ip.is_none() && image.is_none() && flavor.is_none() && host.is_none())
            && (vm_state.is_none() && since.is_none() && before.is_none())
            && (statuses.is_empty() && tags.is_empty() && not_tags.is_empty())
    }

    fn keeps(&self, s: &Server) -> bool {
        let ips = || s.nics.iter().flat_map(|n| &n.fixed_ips);
        !self.none
            && self.name.as_ref().is_none_or(|r| r.is_match(&s.name))
            && self.ip.as_ref().is_none_or(|r| ips().any(|(_, ip)| r.is_match(&ip.to_string())))
            && (self.statuses.is_empty() || self.statuses.iter().any(|w| w == s.status()))
            && self
                .image
                .as_ref()
                .is_none_or(|i| s.image.as_ref().is_some_and(|own| own.id.to_string() == *i))
            && self.flavor.as_ref().is_none_or(|f| s.flavor.flavorid == *f)
            && self.host.as_ref().is_none_or(|h| s.host.as_ref() == Some(h))
            && self.since.is_none_or(|t| s.updated_at >= t)
            && self.before.is_none_or(|t| s.updated_at <= t)
            && self.tags.iter().all(|t| s.tags.contains(t))
            && (self.not_tags.is_empty() || self.not_tags.iter().any(|t| !s.tags.contains(t)))
    }
}

fn flag(query: &Params, name: &str) -> Result<bool> {
    match (query.get(name), query.flag(name)) {
        (None, _) => Ok(false),
        (Some(_), Some(flag)) => Ok(flag),
        (Some(text), None) => {
            Err(Error::bad_request(format!("Invalid input for query parameters {name}. Value: {text}.")))
        }
    }
}
