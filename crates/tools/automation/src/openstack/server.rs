//! `openstack.cloud.server` and `server_info`: made, its metadata and description changed, waited for, gone.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::network::id;
use super::session::encode;
use super::{Call, Reply, Stop, changed, fields};

/// How often Nova is asked again: it has no call that waits.
const AGAIN: Duration = Duration::from_millis(250);

/// Which calls are done natively. Addresses from outside (`auto_ip` finds a pool by itself) are only where the cloud
/// has external networks, which is looked up when the server is made.
pub fn covers(params: &Map<String, Value>) -> bool {
    let rare = [
        "boot_from_volume",
        "boot_volume",
        "volume_size",
        "volumes",
        "terminate_volume",
        "floating_ips",
        "floating_ip_pools",
        "flavor_ram",
        "flavor_include",
        "delete_ips",
        "scheduler_hints",
        "tags",
    ];
    let plain = |nic: &Value| {
        nic.as_object().is_some_and(|nic| {
            nic.keys().all(|k| matches!(k.as_str(), "net-id" | "net-name" | "port-id" | "port-name"))
        })
    };
    let nics = params.get("nics").and_then(Value::as_array);
    let exclude = params.get("image_exclude").and_then(Value::as_str);
    super::none_of(params, &rare)
        && nics.is_none_or(|nics| nics.iter().all(plain))
        && exclude.is_none_or(|e| e == "(deprecated)")
}

/// `metadata` as a mapping: `a=b,c=d` too.
fn metadata(value: &Value) -> Result<Map<String, Value>, Stop> {
    let texts = |map: &Map<String, Value>| {
        let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
        map.iter().map(|(k, v)| (k.clone(), text(v).into())).collect()
    };
    match value {
        Value::Null => Ok(Map::new()),
        Value::Object(map) => Ok(texts(map)),
        Value::String(text) => {
            let pair = |pair: &str| {
                let (key, value) = pair.split_once('=')?;
                Some((key.trim().to_owned(), Value::from(value)))
            };
            text.split(',')
                .map(|part| pair(part).ok_or_else(|| Stop::Failed(format!("metadata is no mapping: {text}"))))
                .collect()
        }
        other => Err(Stop::Failed(format!("metadata is no mapping: {other}"))),
    }
}

/// The networks of a new server.
fn networks(call: &Call) -> Result<Value, Stop> {
    let session = &call.session;
    let network = |name: &str| -> Result<Value, Stop> {
        let found = session.find("network", "/networks", "networks", name)?;
        let found = found.ok_or_else(|| {
            Stop::Failed(format!("Network ['{name}'] is not a valid network in {}", session.place()))
        })?;
        Ok(json!({"uuid": id(&found)}))
    };
    let mut out: Vec<Value> = Vec::new();
    if let Some(name) = call.text("network") {
        out.push(network(name)?);
    }
    for nic in call.raw("nics").as_array().into_iter().flatten() {
        let text = |name: &str| nic[name].as_str();
        if let Some(net) = text("net-id").or_else(|| text("net-name")) {
            out.push(network(net)?);
        } else if let Some(name) = text("port-id").or_else(|| text("port-name")) {
            let found = session.find("network", "/ports", "ports", name)?;
            let found =
                found.ok_or_else(|| Stop::Failed(format!("Could not find port by name or ID: {name}")))?;
            out.push(json!({"port": id(&found)}));
        }
    }
    Ok(if out.is_empty() { "auto".into() } else { out.into() })
}

/// The body of a new server.
fn body(call: &Call) -> Result<Value, Stop> {
    let session = &call.session;
    let (Some(image), Some(flavor)) = (call.text("image"), call.text("flavor")) else {
        return Err(Stop::Failed(
            "state is present but any of the following are missing: flavor, flavor_ram".into(),
        ));
    };
    let found = session.find("image", "/v2/images", "images", image)?;
    let found = found
        .ok_or_else(|| Stop::Failed(format!("Could not find image {image} with exclude (deprecated)")))?;
    let kind = session.find("compute", "/flavors/detail", "flavors", flavor)?;
    let kind = kind.ok_or_else(|| Stop::Failed(format!("No Flavor found for {flavor}")))?;
    let mut out = json!({
        "name": call.text("name"), "imageRef": id(&found), "flavorRef": id(&kind), "networks": networks(call)?,
        "metadata": metadata(call.raw("metadata"))?,
    });
    for name in ["key_name", "availability_zone", "description"] {
        if let Some(text) = call.text(name) {
            out[name] = text.into();
        }
    }
    if call.flag("config_drive") == Some(true) {
        out["config_drive"] = true.into();
    }
    if let Some(data) = call.text("userdata") {
        use base64::Engine as _;
        out["user_data"] = base64::engine::general_purpose::STANDARD.encode(data).into();
    }
    let groups = call.raw("security_groups").as_array().map_or(&[][..], Vec::as_slice);
    if !groups.is_empty() {
        out["security_groups"] = groups.iter().map(|g| json!({"name": g})).collect();
    }
    Ok(out)
}

/// The security groups to add and to remove, where the task names any: a server without them in the task keeps its own.
fn groups(call: &Call, server: &Value) -> Vec<(&'static str, String)> {
    let wanted: Vec<&str> =
        call.raw("security_groups").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let has: Vec<&str> = server["security_groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|g| g["name"].as_str())
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let mut out: Vec<(&str, String)> = Vec::new();
    let add = wanted.iter().filter(|w| !has.contains(w)).map(|w| ("addSecurityGroup", (*w).to_owned()));
    out.extend(add);
    let remove = has.iter().filter(|h| !wanted.contains(h)).map(|h| ("removeSecurityGroup", (*h).to_owned()));
    out.extend(remove);
    out.dedup();
    out
}

/// The server of a name, whole.
fn find(call: &Call) -> Result<Option<Value>, Stop> {
    let name = call.text("name").unwrap_or_default();
    // Nova's `name` is a pattern; the equal one is picked from its answer.
    let found = call.session.find("compute", "/servers/detail", "servers", name)?;
    Ok(found.filter(|server| server["status"] != "DELETED"))
}

/// Asks until the server is as wanted: `true` ends it.
#[allow(clippy::disallowed_methods, reason = "Nova has no call that waits")]
fn wait(call: &Call, server: &str, done: impl Fn(&Value) -> Result<bool, Stop>) -> Result<Value, Stop> {
    let limit = Duration::from_secs(call.raw("timeout").as_u64().unwrap_or(180));
    let clock = Instant::now();
    loop {
        let now = call.session.get("compute", &format!("/servers/{server}"))?["server"].clone();
        if done(&now)? {
            return Ok(now);
        }
        if clock.elapsed() > limit {
            return Err(Stop::Failed("ResourceTimeout: Timeout waiting for the server to come up.".into()));
        }
        std::thread::sleep(AGAIN);
    }
}

/// Runs `server`.
pub fn run(call: &Call) -> Reply {
    let session = &call.session;
    let found = find(call)?;
    if call.absent() {
        let there = found.is_some();
        if let Some(server) = found.filter(|_| !call.check) {
            session.delete("compute", &format!("/servers/{}", id(&server)))?;
            if call.flag("wait") != Some(false) {
                wait(call, id(&server), |now| Ok(now.is_null() || now["status"] == "DELETED"))?;
            }
        }
        return Ok(changed(there));
    }
    let wait_for_it = call.flag("wait") != Some(false);
    let Some(server) = found else {
        if call.flag("auto_ip") == Some(true) {
            // A cloud with external networks gives the server an address of one: openstacksdk's to choose.
            let outside = session.get("network", "/networks?router:external=true")?;
            if outside["networks"].as_array().is_some_and(|all| !all.is_empty()) {
                return Err(Stop::HandOver);
            }
        }
        if call.check {
            return Ok(changed(true));
        }
        let body = body(call)?;
        let made = session.post("compute", "/servers", &json!({"server": body}))?["server"].clone();
        let mut now = if wait_for_it {
            wait(call, id(&made), |now| match now["status"].as_str() {
                Some("ACTIVE") => Ok(true),
                Some("ERROR") => {
                    let why = now["fault"]["message"].as_str().unwrap_or("no reason is given");
                    Err(Stop::Failed(format!("Server {} went to ERROR: {why}", id(now))))
                }
                _ => Ok(false),
            })?
        } else {
            session.get("compute", &format!("/servers/{}", id(&made)))?["server"].clone()
        };
        now["adminPass"] = made["adminPass"].clone();
        let mut out = changed(true);
        out.insert("server".into(), fields::server(&now));
        return Ok(out);
    };
    let wanted = metadata(call.raw("metadata"))?;
    let has = server["metadata"].as_object().cloned().unwrap_or_default();
    let set: Map<String, Value> =
        wanted.iter().filter(|(k, v)| has.get(*k) != Some(v)).map(|(k, v)| (k.clone(), v.clone())).collect();
    let gone: Vec<&String> =
        has.keys().filter(|k| !call.raw("metadata").is_null() && !wanted.contains_key(*k)).collect();
    let groups = groups(call, &server);
    let description = call.text("description").filter(|d| server["description"] != *d);
    let different = !set.is_empty() || !gone.is_empty() || !groups.is_empty() || description.is_some();
    let path = format!("/servers/{}", id(&server));
    if different && !call.check {
        for key in gone {
            session.delete("compute", &format!("{path}/metadata/{}", encode(key)))?;
        }
        if !set.is_empty() {
            session.post("compute", &format!("{path}/metadata"), &json!({"metadata": set}))?;
        }
        for (action, name) in groups {
            session.post("compute", &format!("{path}/action"), &json!({action: {"name": name}}))?;
        }
        if let Some(description) = description {
            session.put("compute", &path, &json!({"server": {"description": description}}))?;
        }
    }
    let now = session.get("compute", &path)?["server"].clone();
    let mut out = changed(different);
    out.insert("server".into(), fields::server(&now));
    Ok(out)
}

/// Runs `server_info`.
pub fn info(call: &Call) -> Reply {
    let mut query = String::new();
    for (field, value) in call.raw("filters").as_object().into_iter().flatten() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.push_str(&format!("&{}={}", encode(field), encode(&text)));
    }
    let all = call.flag("all_projects") == Some(true);
    let found = call.session.get("compute", &format!("/servers/detail?all_tenants={all}{query}"))?;
    let wanted = call.text("name");
    let fits = |server: &&Value| {
        wanted.is_none_or(|w| pattern(w, server["name"].as_str().unwrap_or_default()) || server["id"] == w)
    };
    let shown: Vec<Value> =
        found["servers"].as_array().into_iter().flatten().filter(fits).map(fields::server).collect();
    let mut out = changed(false);
    out.insert("servers".into(), shown.into());
    Ok(out)
}

/// Whether a name fits a shell pattern of `*` and `?`.
fn pattern(pattern: &str, name: &str) -> bool {
    let mut chars = pattern.chars();
    match chars.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = chars.as_str();
            (0..=name.len())
                .filter(|at| name.is_char_boundary(*at))
                .any(|at| self::pattern(rest, &name[at..]))
        }
        Some(c) => {
            let mut letters = name.chars();
            letters.next().is_some_and(|l| c == '?' || c == l)
                && self::pattern(chars.as_str(), letters.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_patterns() {
        assert_eq!(metadata(&json!("a=b,c=d")).ok(), json!({"a": "b", "c": "d"}).as_object().cloned());
        assert_eq!(metadata(&json!({"a": 1})).ok(), json!({"a": "1"}).as_object().cloned());
        assert!(metadata(&json!("a")).is_err());
        assert!(
            pattern("web*", "web1") && pattern("?eb", "web") && !pattern("web", "web1") && pattern("*", "")
        );
    }
}
