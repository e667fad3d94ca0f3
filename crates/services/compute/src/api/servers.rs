//! Servers: list, show, update, delete.

use pileus_base::{Error, Kind, Result, Scope, Time};
use pileus_http::{Listing, Params, Reply};
use pileus_store::{Query, Stored};
use serde_json::{Value, json};

use super::{Call, viewer};
use crate::{
    Server,
    model::states::is_status,
    store,
    wire::{fields::Fields, mv, servers as wire},
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
    let (scope, query) = (filter.scope.clone(), filter.query.clone());
    let servers = call.state.store.read(move |rd| rd.list::<Server>(&scope, &query)).await?;
    let kept: Vec<&Stored<Server>> = servers.iter().filter(|s| filter.keeps(s)).collect();
    let (page, more) = page(&listing, kept)?;
    let v = viewer(&call);
    let views: Vec<Value> =
        page.iter().map(|s| if whole { wire::whole(s, v, false) } else { wire::brief(s, v) }).collect();
    let mut body = json!({"servers": views});
    if let (true, Some(last)) = (more, page.last()) {
        let path = if whole { "/v2.1/servers/detail" } else { "/v2.1/servers" };
        let next = format!("{}?{}", call.base.url(path), call.query.with("marker", &last.id.to_string()));
        body["servers_links"] = json!([{"rel": "next", "href": next}]);
    }
    Reply::ok(&body)
}

/// Sorts and cuts by keys alone, so that only what is shown is written out.
fn page<'a>(listing: &Listing, servers: Vec<&'a Stored<Server>>) -> Result<(Vec<&'a Stored<Server>>, bool)> {
    let key = |s: &Server, name: &str| match name {
        "created_at" => json!(s.created_at.0),
        "updated_at" => json!(s.updated_at.0),
        "launched_at" => json!(s.launched_at.map(|t| t.0)),
        "display_name" | "name" => json!(s.name),
        "vm_state" | "status" => json!(s.vm_state.word()),
        "task_state" => json!(s.task_state.map(|t| t.word())),
        "power_state" => json!(s.power_state as u8),
        "host" => json!(s.host),
        "project_id" => json!(s.project_id),
        _ => json!(s.id),
    };
    let keys = servers.iter().enumerate().map(|(n, s)| {
        let mut keys = json!({"n": n, "id": s.id});
        for sort in &listing.sort {
            keys[sort.key.as_str()] = key(s, &sort.key);
        }
        keys
    });
    let keys: Vec<Value> = keys.collect();
    let (keys, more) = listing.apply(keys)?;
    let index = |k: &Value| k["n"].as_u64().and_then(|n| usize::try_from(n).ok());
    Ok((keys.iter().filter_map(index).map(|n| servers[n]).collect(), more))
}

/// What a list's query selects by.
struct Filter {
    scope: Scope,
    query: Query,
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
        let mut query = Query::all();
        if let Some(state) = q.get("vm_state").filter(|_| admin) {
            query = query.eq("vm_state", state);
        }
        let statuses: Vec<String> = q.all("status").map(str::to_uppercase).collect();
        let words =
            |name: &str| q.get(name).map_or(Vec::new(), |t| t.split(',').map(str::to_owned).collect());
        let tagged = call.version >= mv::TAGS;
        Ok(Self {
            scope,
            query,
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

/// `GET /servers/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    Reply::ok(&json!({"server": wire::whole(&server, viewer(&call), true)}))
}

/// `PUT /servers/{id}`: name, description, shown addresses.
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let mut f = Fields::body(&body, "server", &[])?;
    let name = f.name("name")?.map(str::to_owned);
    let description = if call.version >= mv::DESCRIPTION {
        f.value("description").map(|v| match v {
            Value::Null => Ok(None),
            Value::String(s) if s.chars().count() <= 255 => Ok(Some(s.clone())),
            other => Err(crate::wire::fields::invalid("description", other, "is not of type 'string'")),
        })
    } else {
        None
    };
    let description = description.transpose()?;
    let disk_config = f.text("OS-DCF:diskConfig", 4, 6)?.map(str::to_owned);
    let v4 = address(&mut f, "accessIPv4")?;
    let v6 = address(&mut f, "accessIPv6")?;
    f.finish()?;
    let server = call.state.named(&call).await?;
    store::servers::check_unlocked(&call.ctx, &server)?;
    let id = server.id;
    let changed = call.state.store.write(move |tx| {
        tx.update::<Server>(&Scope::All, id, |s| {
            s.name = name.clone().unwrap_or_else(|| s.name.clone());
            s.description = description.clone().unwrap_or_else(|| s.description.clone());
            s.disk_config = disk_config.clone().unwrap_or_else(|| s.disk_config.clone());
            s.access_ip_v4 = v4.clone().unwrap_or_else(|| s.access_ip_v4.clone());
            s.access_ip_v6 = v6.clone().unwrap_or_else(|| s.access_ip_v6.clone());
            s.updated_at = Time::now();
            Ok(())
        })
    });
    let server = changed.await?;
    let mut view = wire::whole(&server, viewer(&call), call.version >= mv::WHOLE_SERVER_ON_UPDATE);
    if call.version < mv::WHOLE_SERVER_ON_UPDATE {
        // The older answer is the view of 2.1's update: without what later extensions add.
        if let Value::Object(map) = &mut view {
            map.retain(|k, _| {
                !k.starts_with("OS-EXT")
                    && !k.starts_with("OS-SRV-USG")
                    && !k.starts_with("os-extended")
                    && !matches!(
                        k.as_str(),
                        "config_drive" | "key_name" | "security_groups" | "host_status" | "fault"
                    )
            });
        }
    }
    Reply::ok(&json!({"server": view}))
}

/// An address to show, or nothing.
pub(super) fn address<'a>(f: &mut Fields<'a>, field: &'a str) -> Result<Option<String>> {
    let Some(text) = f.text(field, 0, 45)? else { return Ok(None) };
    let fits = match text.parse::<std::net::IpAddr>() {
        Ok(ip) => ip.is_ipv4() == (field == "accessIPv4"),
        Err(_) => text.is_empty(),
    };
    let family = if field == "accessIPv4" { "ipv4" } else { "ipv6" };
    if fits {
        // Kept as Python's netaddr writes it.
        Ok(Some(text.parse::<std::net::IpAddr>().map_or(String::new(), |ip| ip.to_string())))
    } else {
        Err(crate::wire::fields::invalid(field, &Value::from(text), &format!("is not a '{family}'")))
    }
}

/// `DELETE /servers/{id}`
pub async fn delete(call: Call) -> Result<Reply> {
    let id = call.state.named(&call).await?.id;
    let (scope, ctx) = (call.scope.clone(), call.ctx.clone());
    let write = call.state.store.write(move |tx| {
        let server = store::servers::get(tx, &scope, id)?;
        store::servers::delete(tx, &ctx, &server)
    });
    write.await?;
    Ok(Reply::no_content())
}

/// `GET /servers/{id}/ips`
pub async fn ips(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    Reply::ok(&json!({"addresses": wire::ips(&server)}))
}

/// `GET /servers/{id}/ips/{network}`
pub async fn ips_of(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    let name = call.param("network");
    let all = wire::ips(&server);
    let list =
        all.get(name).ok_or_else(|| Error::not_found("Instance is not a member of specified network"))?;
    Reply::ok(&json!({name: list}))
}

/// `GET /servers/{id}/diagnostics`
pub async fn diagnostics(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    if call.version < pileus_http::Version(2, 48) {
        return Err(Error::new(Kind::NotImplemented, "Diagnostics are served since 2.48 only."));
    }
    let status = call.state.host.server(server.id).await?;
    let state = format!("{:?}", status.power).to_lowercase();
    Reply::ok(&json!({
        "state": state, "driver": "libvirt", "hypervisor": "qemu", "hypervisor_os": "linux",
        "uptime": server.launched_at.map(|t| (Time::now().0 - t.0) / 1_000_000),
        "config_drive": server.config_drive,
        "num_cpus": server.flavor.vcpus, "num_nics": server.nics.len(), "num_disks": server.disks().len(),
        "cpu_details": [], "nic_details": server.nics.iter().map(|n| json!({
            "mac_address": n.mac, "rx_octets": null, "rx_errors": null, "rx_drop": null, "rx_packets": null,
            "rx_rate": null, "tx_octets": null, "tx_errors": null, "tx_drop": null, "tx_packets": null, "tx_rate": null,
        })).collect::<Vec<_>>(),
        "disk_details": [], "memory_details": {"maximum": server.flavor.ram_mib, "used": null},
    }))
}
