//! What a container is and does: inspect, top, stats.

use std::time::Duration;

use bytes::Bytes;
use pileus_base::Result;
use pileus_host::ContainerStats;
use pileus_http::{Body, Reply};
use serde_json::{Map, Value, json};

use crate::{
    api::{Call, Flags, dialect, mv},
    engine::networks::predefined,
    events::{now_ns, rfc3339},
    model::views,
};

pub async fn inspect(call: Call) -> Result<Reply> {
    let docker = &call.state;
    let mut c = docker.container(call.param("id")).await?.value;
    c.execs = docker.exec_ids(&c.id);
    let size = if call.flag("size") { Some(docker.sizes(&c).await?) } else { None };
    let dir = docker.container_dir(&c.id).display().to_string();
    let mut shown = views::inspect(&c, &docker.network_map().await?, &dir, size);
    if dialect::minor(&call.uri) < mv::PLAIN_ALIASES {
        long_aliases(&mut shown, &c);
    }
    Reply::ok(&shown)
}

/// On networks of users, older clients see a container's short id and host name among its aliases.
fn long_aliases(shown: &mut Value, c: &crate::Container) {
    for (name, place) in shown["NetworkSettings"]["Networks"].as_object_mut().into_iter().flatten() {
        if predefined(name) {
            continue;
        }
        let mut all = place["Aliases"].as_array().cloned().unwrap_or_default();
        for own in [json!(&c.id[..12.min(c.id.len())]), c.config["Hostname"].clone()] {
            if own != json!("") && !all.contains(&own) {
                all.push(own);
            }
        }
        place["Aliases"] = json!(all);
    }
}

fn cpu(s: &ContainerStats) -> Value {
    json!({
        "cpu_usage": {"total_usage": s.cpu_ns[0], "percpu_usage": s.percpu_ns, "usage_in_kernelmode": s.cpu_ns[1],
            "usage_in_usermode": s.cpu_ns[2]},
        "system_cpu_usage": s.system_cpu_ns, "online_cpus": s.online_cpus,
        "throttling_data": {"periods": s.throttling[0], "throttled_periods": s.throttling[1],
            "throttled_time": s.throttling[2]},
    })
}

type Reading = (i64, ContainerStats);

/// Figures of a container that doesn't run: what there would be is left out.
fn idle(name: &str, id: &str) -> Value {
    let cpu = json!({
        "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
        "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
    });
    json!({
        "name": format!("/{name}"), "id": id, "read": rfc3339(0), "preread": rfc3339(0), "pids_stats": {},
        "blkio_stats": {
            "io_service_bytes_recursive": null, "io_serviced_recursive": null, "io_queue_recursive": null,
            "io_service_time_recursive": null, "io_wait_time_recursive": null, "io_merged_recursive": null,
            "io_time_recursive": null, "sectors_recursive": null,
        },
        "num_procs": 0, "storage_stats": {}, "cpu_stats": cpu, "precpu_stats": cpu, "memory_stats": {},
    })
}

fn shape(name: &str, id: &str, (read, now): &Reading, pre: Option<&Reading>) -> Value {
    if *read == 0 {
        return idle(name, id);
    }
    let io = |all: &[(u64, u64, String, u64)]| -> Value {
        all.iter().map(|(a, b, op, n)| json!({"major": a, "minor": b, "op": op, "value": n})).collect()
    };
    let memory: Map<String, Value> = now.memory_stat.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let mut figures = json!({"usage": now.memory_bytes[0], "stats": memory, "limit": now.memory_bytes[2]});
    if !now.cgroup_v2 {
        figures["max_usage"] = json!(now.memory_bytes[1]);
        if now.memory_failcnt > 0 {
            figures["failcnt"] = json!(now.memory_failcnt);
        }
    }
    let mut pids = json!({"current": now.pids[0]});
    if now.pids[1] > 0 {
        pids["limit"] = json!(now.pids[1]);
    }
    // Where there is one, the older control group has these, empty; the newer has none.
    let other = if now.cgroup_v2 { Value::Null } else { json!([]) };
    let none = (0, ContainerStats::default());
    let pre = pre.unwrap_or(&none);
    let network = |v: &[u64; 8]| {
        json!({"rx_bytes": v[0], "rx_packets": v[1], "rx_errors": v[2], "rx_dropped": v[3],
            "tx_bytes": v[4], "tx_packets": v[5], "tx_errors": v[6], "tx_dropped": v[7]})
    };
    let networks: Map<String, Value> = now.networks.iter().map(|(n, v)| (n.clone(), network(v))).collect();
    json!({
        "name": format!("/{name}"), "id": id, "read": rfc3339(*read), "preread": rfc3339(pre.0),
        "pids_stats": pids,
        "blkio_stats": {
            "io_service_bytes_recursive": io(&now.io_bytes), "io_serviced_recursive": io(&now.io_ops),
            "io_queue_recursive": other, "io_service_time_recursive": other, "io_wait_time_recursive": other,
            "io_merged_recursive": other, "io_time_recursive": other, "sectors_recursive": other,
        },
        "num_procs": 0, "storage_stats": {}, "cpu_stats": cpu(now), "precpu_stats": cpu(&pre.1),
        "memory_stats": figures, "networks": networks,
    })
}

pub async fn stats(call: Call) -> Result<Reply> {
    let docker = call.state.clone();
    let c = docker.container(call.param("id")).await?.value;
    let once = call.query.has("stream") && !call.flag("stream");
    let skip = usize::from(once && !call.flag("one-shot") && c.runs());
    let tick = tokio::time::interval(Duration::from_secs(1));
    let readings = futures_util::stream::unfold((tick, None), move |(mut tick, pre)| {
        let (docker, id) = (docker.clone(), c.id.clone());
        async move {
            tick.tick().await;
            let c = docker.find_container(&id).await.ok()??.value;
            let now = if c.runs() { docker.host.container_stats(&id).await.ok() } else { None };
            let now = now.map_or((0, ContainerStats::default()), |n| (now_ns(), n));
            let line = format!("{}\n", shape(&c.name, &id, &now, pre.as_ref()));
            Some((Ok(Bytes::from(line)), (tick, Some(now))))
        }
    });
    use futures_util::StreamExt;
    let most = if once { 1 } else { usize::MAX };
    let body = Body::stream(readings.skip(skip).take(most), None);
    Ok(Reply::stream(200, "application/json", body))
}
