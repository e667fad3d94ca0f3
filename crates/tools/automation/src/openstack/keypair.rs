//! `openstack.cloud.keypair` and `keypair_info`.

use serde_json::{Map, Value, json};

use super::session::encode;
use super::{Call, Reply, changed, fields};

/// Which calls are done natively: all.
pub fn covers(_: &Map<String, Value>) -> bool {
    true
}

/// Runs `keypair`.
pub fn run(call: &Call) -> Reply {
    let session = &call.session;
    let name = call.text("name").unwrap_or_default();
    let path = format!("/os-keypairs/{}", encode(name));
    let found = session.get("compute", &path)?["keypair"].clone();
    let there = found.is_object();
    if call.absent() {
        if there {
            session.delete("compute", &path)?;
        }
        return Ok(changed(there));
    }
    let public = match (call.text("public_key"), call.text("public_key_file")) {
        (Some(key), _) => Some(key.to_owned()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
            Some(text.trim_end().to_owned())
        }
        (None, None) => None,
    };
    let mut replace = false;
    if there {
        let differs = public.as_ref().is_some_and(|p| found["public_key"] != p.trim_end());
        replace = differs && call.text("state") == Some("replace");
        if differs && !replace {
            return Err(format!(
                "Key name {name} present but key hash not the same as offered. Delete key first."
            )
            .into());
        }
        if !replace {
            let mut out = changed(false);
            out.insert("keypair".into(), fields::keypair(&found));
            return Ok(out);
        }
    }
    if replace {
        session.delete("compute", &path)?;
    }
    let mut body = json!({"name": name});
    if let Some(public) = public {
        body["public_key"] = public.into();
    }
    let made = session.post("compute", "/os-keypairs", &json!({"keypair": body}))?;
    let mut out = changed(true);
    out.insert("keypair".into(), fields::keypair(&made["keypair"]));
    Ok(out)
}

/// Runs `keypair_info`.
pub fn info(call: &Call) -> Reply {
    let mut query = String::new();
    for (name, value) in
        [("user_id", call.raw("user_id")), ("limit", call.raw("limit")), ("marker", call.raw("marker"))]
    {
        let text = value.as_str().map(str::to_owned).or_else(|| value.as_i64().map(|n| n.to_string()));
        if let Some(text) = text {
            query.push_str(&format!("{}{name}={}", if query.is_empty() { '?' } else { '&' }, encode(&text)));
        }
    }
    let found = call.session.get("compute", &format!("/os-keypairs{query}"))?;
    let all = found["keypairs"].as_array().into_iter().flatten().map(|k| &k["keypair"]);
    let wanted = call.text("name");
    let shown: Vec<Value> =
        all.filter(|k| wanted.is_none_or(|w| k["name"] == w)).map(fields::keypair).collect();
    let mut out = changed(false);
    out.insert("keypairs".into(), shown.into());
    Ok(out)
}
