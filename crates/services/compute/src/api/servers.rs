//! Servers: show, update, delete. Lists are in `server_list`.

use pileus_base::{Error, Kind, Result, Scope, Time};
use pileus_http::{Reply, Version};
use serde_json::{Value, json};

use super::{Call, viewer};
use crate::{
    Server, store,
    wire::{fields::Fields, mv, servers as wire},
};

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
    let shown = wire::whole(&server, viewer(&call), call.version >= mv::WHOLE_SERVER_ON_UPDATE);
    Reply::ok(&json!({"server": older(json!(shown), call.version)}))
}

/// A server in the answer to a change: before 2.75 without what later extensions add.
pub(super) fn older(mut view: Value, version: Version) -> Value {
    if let (Value::Object(map), true) = (&mut view, version < mv::WHOLE_SERVER_ON_UPDATE) {
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
    view
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
    let all = json!(wire::ips(&server));
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
