//! Nova's services and zones: here one program plays all parts.

use pileus_base::{Error, Result, Time};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, hypervisors::name_id};
use crate::{
    model::services::{COMPUTE, Service},
    store::services,
    wire::{
        fields::{Fields, invalid},
        mv,
    },
};

const BINARIES: [&str; 3] = ["nova-conductor", "nova-scheduler", COMPUTE];

fn view(call: &Call, service: &Service) -> Value {
    let (host, binary) = (&call.state.facts.hostname, service.binary.as_str());
    let number = BINARIES.iter().position(|b| *b == binary).unwrap_or(0) + 1;
    let mut view = json!({
        "id": if call.version >= mv::UUID_IDS { json!(name_id(binary, host)) } else { json!(number) },
        "binary": binary,
        "host": host,
        "zone": if binary == COMPUTE { "nova" } else { "internal" },
        "status": service.status(),
        "state": service.state(),
        "disabled_reason": service.reason,
        "updated_at": Time::now().micros(),
    });
    if call.version >= mv::FORCED_DOWN {
        view["forced_down"] = json!(service.forced_down);
    }
    view
}

/// `GET /os-services`
pub async fn index(call: Call) -> Result<Reply> {
    let read = call.state.store.read(|rd| BINARIES.map(|b| services::get(rd, b)).into_iter().collect());
    let all: Vec<Service> = read.await?;
    let asked = |name: &str, is: &str| call.query.get(name).is_none_or(|wanted| wanted == is);
    let shown =
        all.iter().filter(|s| asked("binary", &s.binary) && asked("host", &call.state.facts.hostname));
    let list: Vec<Value> = shown.map(|s| view(&call, s)).collect();
    Reply::ok(&json!({"services": list}))
}

/// `PUT /os-services/{id}`: since 2.53 by id; before, the path names what to do and the body the service.
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    if call.version < mv::UUID_IDS {
        return update_old(&call, &body).await;
    }
    let asked = call.param("id").to_owned();
    let id: uuid::Uuid = asked.parse().map_err(|_| Error::bad_request(format!("Invalid uuid {asked}")))?;
    let mut f = Fields::of(&body, "body")?;
    let status = f.text("status", 1, 255)?.map(str::to_owned);
    let reason = f.text("disabled_reason", 1, 255)?.map(str::to_owned);
    let down = f.flag("forced_down")?;
    f.finish()?;
    let disable = match status.as_deref() {
        None => None,
        Some("enabled") => Some(false),
        Some("disabled") => Some(true),
        Some(other) => return Err(invalid("status", &json!(other), "is not one of ['enabled', 'disabled']")),
    };
    if reason.is_some() && disable != Some(true) {
        return Err(Error::bad_request("Specifying disabled_reason requires that status is \"disabled\"."));
    }
    if disable.is_none() && down.is_none() {
        return Err(Error::bad_request(
            "No updates were requested. Fields 'status' or 'forced_down' should be specified.",
        ));
    }
    let host = &call.state.facts.hostname;
    let binary = BINARIES.into_iter().find(|b| name_id(b, host) == id);
    let binary = binary.ok_or_else(|| Error::not_found(format!("Service {id} could not be found.")))?;
    only_compute(binary)?;
    let write = call.state.store.write(move |tx| {
        services::change(tx, binary, |s| {
            if let Some(disable) = disable {
                (s.disabled, s.reason) = (disable, reason.clone());
            }
            s.forced_down = down.unwrap_or(s.forced_down);
        })
    });
    let service = write.await?;
    Reply::ok(&json!({"service": view(&call, &service)}))
}

fn only_compute(binary: &str) -> Result<()> {
    if binary == COMPUTE {
        return Ok(());
    }
    Err(Error::bad_request(format!(
        "Updating a {binary} service is not supported. Only nova-compute services can be updated."
    )))
}

async fn update_old(call: &Call, body: &Value) -> Result<Reply> {
    let what = call.param("id").to_owned();
    let mut f = Fields::of(body, "body")?;
    let host = f.text("host", 1, 255)?.ok_or_else(|| f.missing("host"))?.to_owned();
    let binary = f.text("binary", 1, 255)?.ok_or_else(|| f.missing("binary"))?.to_owned();
    let mut reason = None;
    let mut down = None;
    match what.as_str() {
        "enable" | "disable" => {}
        "disable-log-reason" => {
            let text = f.text("disabled_reason", 1, 255)?.ok_or_else(|| f.missing("disabled_reason"))?;
            reason = Some(text.to_owned());
        }
        "force-down" if call.version >= mv::FORCED_DOWN => {
            down = Some(f.flag("forced_down")?.ok_or_else(|| f.missing("forced_down"))?);
        }
        _ => return Err(Error::not_found("Unknown action")),
    }
    f.finish()?;
    if host != call.state.facts.hostname || !BINARIES.contains(&binary.as_str()) {
        return Err(Error::not_found(format!("Could not find binary {binary} on host {host}.")));
    }
    only_compute(&binary)?;
    let (why, enable) = (reason.clone(), what == "enable");
    let write = call.state.store.write(move |tx| {
        services::change(tx, COMPUTE, |s| match down {
            Some(down) => s.forced_down = down,
            None => (s.disabled, s.reason) = (!enable, why.clone()),
        })
    });
    let service = write.await?;
    let mut view = json!({"host": host, "binary": binary});
    match down {
        Some(down) => view["forced_down"] = json!(down),
        None => view["status"] = json!(service.status()),
    }
    if let Some(reason) = reason {
        view["disabled_reason"] = json!(reason);
    }
    Reply::ok(&json!({"service": view}))
}

/// `GET /os-availability-zone`
pub async fn zones(_: Call) -> Result<Reply> {
    Reply::ok(&json!({"availabilityZoneInfo": [
        {"zoneName": "nova", "zoneState": {"available": true}, "hosts": null},
    ]}))
}

/// `GET /os-availability-zone/detail`
pub async fn zones_detail(call: Call) -> Result<Reply> {
    let host = call.state.facts.hostname.as_str();
    let now = Time::now().micros();
    let up = json!({"available": true, "active": true, "updated_at": now});
    Reply::ok(&json!({"availabilityZoneInfo": [
        {"zoneName": "internal", "zoneState": {"available": true},
         "hosts": {host: {"nova-conductor": up.clone(), "nova-scheduler": up.clone()}}},
        {"zoneName": "nova", "zoneState": {"available": true}, "hosts": {host: {"nova-compute": up}}},
    ]}))
}
