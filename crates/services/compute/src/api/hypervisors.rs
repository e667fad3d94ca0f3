//! The host as administrators see it.

use pileus_base::{Error, Result, Scope};
use pileus_host::HostFacts;
use pileus_http::{Reply, Version};
use pileus_store::Query;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Call;
use crate::{
    Server,
    model::services::{COMPUTE, Service},
    store::services,
    wire::mv,
};

/// `servers` of a hypervisor on request.
const WITH_SERVERS: Version = Version(2, 53);

/// A name's UUID, always the same.
pub(super) fn name_id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_DNS, format!("{kind}.{name}").as_bytes())
}

fn id(call: &Call, facts: &HostFacts) -> Value {
    if call.version >= mv::UUID_IDS { json!(name_id("hypervisor", &facts.hostname)) } else { json!(1) }
}

/// What administrators have said of the host.
async fn service(call: &Call) -> Result<Service> {
    call.state.store.read(|rd| services::get(rd, COMPUTE)).await
}

fn brief(call: &Call, facts: &HostFacts, service: &Service) -> Value {
    let (state, status) = (service.state(), service.status());
    json!({"id": id(call, facts), "hypervisor_hostname": facts.hostname, "state": state, "status": status})
}

struct Used {
    servers: Vec<Server>,
    vcpus: u64,
    ram: u64,
    disk: u64,
}

async fn used(call: &Call) -> Result<Used> {
    let read = call.state.store.read(|rd| rd.list::<Server>(&Scope::All, &Query::all()));
    let servers: Vec<Server> =
        read.await?.into_iter().map(|s| s.value).filter(|s| s.host.is_some()).collect();
    let sum = |f: fn(&Server) -> u64| servers.iter().map(f).sum();
    Ok(Used {
        vcpus: sum(|s| u64::from(s.flavor.vcpus)),
        ram: sum(|s| s.flavor.ram_mib),
        disk: sum(|s| s.flavor.disk_gib),
        servers,
    })
}

/// QEMU's `10.0.2` as libvirt counts: 10000002.
fn version_number(version: &str) -> u64 {
    let mut parts = version.split('.').map(|p| p.parse::<u64>().unwrap_or(0));
    let mut next = || parts.next().unwrap_or(0);
    next() * 1_000_000 + next() * 1_000 + next()
}

async fn whole(call: &Call, facts: &HostFacts) -> Result<Value> {
    let used = used(call).await?;
    let cpu = json!({"arch": "x86_64", "model": facts.cpu_model, "vendor": "", "features": [],
        "topology": {"sockets": 1, "cores": facts.vcpus, "threads": 1}});
    let service = service(call).await?;
    let mut view = brief(call, facts, &service);
    crate::wire::flavors::extend(
        &mut view,
        json!({
            "host_ip": "127.0.0.1",
            "hypervisor_type": facts.hypervisor,
            "hypervisor_version": version_number(&facts.hypervisor_version),
            "vcpus": facts.vcpus, "vcpus_used": used.vcpus,
            "memory_mb": facts.ram_mib, "memory_mb_used": used.ram,
            "free_ram_mb": i64::try_from(facts.ram_mib).unwrap_or(0) - i64::try_from(used.ram).unwrap_or(0),
            "local_gb": facts.disk_gib, "local_gb_used": used.disk,
            "free_disk_gb": facts.free_disk_gib, "disk_available_least": facts.free_disk_gib,
            "current_workload": used.servers.iter().filter(|s| s.task_state.is_some()).count(),
            "running_vms": used.servers.len(),
            "cpu_info": if call.version >= Version(2, 28) { cpu.clone() } else { json!(cpu.to_string()) },
            "service": {
                "id": if call.version >= mv::UUID_IDS { json!(name_id("nova-compute", &facts.hostname)) } else { json!(1) },
                "host": facts.hostname, "disabled_reason": service.reason,
            },
        }),
    );
    if call.version >= WITH_SERVERS && call.query.flag("with_servers") == Some(true) {
        let list: Vec<_> = used.servers.iter().map(|s| json!({"uuid": s.id, "name": s.name})).collect();
        view["servers"] = json!(list);
    }
    Ok(view)
}

async fn facts(call: &Call) -> Result<Option<HostFacts>> {
    let facts = call.state.host.facts().await?;
    let pattern = call.query.get("hypervisor_hostname_pattern").filter(|_| call.version >= WITH_SERVERS);
    Ok(pattern.is_none_or(|p| facts.hostname.contains(p)).then_some(facts))
}

/// `GET /os-hypervisors`
pub async fn index(call: Call) -> Result<Reply> {
    let facts = facts(&call).await?;
    let service = service(&call).await?;
    let list: Vec<_> = facts.iter().map(|f| brief(&call, f, &service)).collect();
    Reply::ok(&json!({"hypervisors": list}))
}

/// `GET /os-hypervisors/detail`
pub async fn detail(call: Call) -> Result<Reply> {
    let mut list = Vec::new();
    if let Some(facts) = facts(&call).await? {
        list.push(whole(&call, &facts).await?);
    }
    Reply::ok(&json!({"hypervisors": list}))
}

/// `GET /os-hypervisors/statistics`
pub async fn statistics(call: Call) -> Result<Reply> {
    let facts = call.state.host.facts().await?;
    let mut view = whole(&call, &facts).await?;
    if let Value::Object(map) = &mut view {
        const KEEP: [&str; 11] = [
            "vcpus",
            "vcpus_used",
            "memory_mb",
            "memory_mb_used",
            "free_ram_mb",
            "local_gb",
            "local_gb_used",
            "free_disk_gb",
            "disk_available_least",
            "current_workload",
            "running_vms",
        ];
        map.retain(|k, _| KEEP.contains(&k.as_str()));
        map.insert("count".into(), json!(1));
    }
    Reply::ok(&json!({"hypervisor_statistics": view}))
}

/// `GET /os-hypervisors/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let facts = call.state.host.facts().await?;
    let asked = call.param("id");
    let own = id(&call, &facts);
    let own = own.as_str().map_or_else(|| own.to_string(), str::to_owned);
    if asked != own {
        return Err(Error::not_found(format!("Compute host {asked} could not be found.")));
    }
    let view = whole(&call, &facts).await?;
    Reply::ok(&json!({"hypervisor": view}))
}

/// `GET /os-hypervisors/{id}/uptime`
pub async fn uptime(call: Call) -> Result<Reply> {
    let facts = call.state.host.facts().await?;
    let (asked, own) = (call.param("id"), id(&call, &facts));
    if own.as_str().map_or_else(|| own.to_string(), str::to_owned) != asked {
        return Err(Error::not_found(format!("Compute host {asked} could not be found.")));
    }
    let (days, rest) = (facts.uptime_s / 86_400, facts.uptime_s % 86_400);
    let [a, b, c] = facts.load;
    let mut view = brief(&call, &facts, &service(&call).await?);
    view["uptime"] = json!(format!(
        " up {days} days, {}:{:02},  0 users,  load average: {a:.2}, {b:.2}, {c:.2}",
        rest / 3600,
        rest % 3600 / 60
    ));
    Reply::ok(&json!({"hypervisor": view}))
}

/// The host whose name holds what the path asks for, below 2.53.
async fn matching(call: &Call) -> Result<HostFacts> {
    if call.version >= mv::UUID_IDS {
        return Err(super::no_such_path());
    }
    let facts = call.state.host.facts().await?;
    let pattern = call.param("id");
    let none = || Error::not_found(format!("No hypervisor matching '{pattern}' could be found."));
    if facts.hostname.contains(pattern) { Ok(facts) } else { Err(none()) }
}

/// `GET /os-hypervisors/{pattern}/search`
pub async fn search(call: Call) -> Result<Reply> {
    let facts = matching(&call).await?;
    Reply::ok(&json!({"hypervisors": [brief(&call, &facts, &service(&call).await?)]}))
}

/// `GET /os-hypervisors/{pattern}/servers`
pub async fn servers(call: Call) -> Result<Reply> {
    let facts = matching(&call).await?;
    let mut view = brief(&call, &facts, &service(&call).await?);
    let list: Vec<_> =
        used(&call).await?.servers.iter().map(|s| json!({"uuid": s.id, "name": s.name})).collect();
    if !list.is_empty() {
        view["servers"] = json!(list);
    }
    Reply::ok(&json!({"hypervisors": [view]}))
}
