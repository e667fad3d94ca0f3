//! `POST /servers`: reads the request as Nova's schema does, then makes the servers in one transaction.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pileus_base::{
    Error, Result,
    ids::{ImageId, NetworkId, PortId},
};
use pileus_http::{Reply, Version, header};
use serde_json::{Value, json};

use super::{Call, servers::address, viewer};
use crate::{
    store::servers::{self, NicRequest, NicRequests, ServerCreate},
    wire::{
        fields::{Fields, invalid, pairs},
        mv, servers as wire,
    },
};

/// Longest user data, in base64.
const USER_DATA_MAX: usize = 65_535;

/// `POST /servers`
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let (asked, password, reservation) = parse(&call, &body)?;
    let (compute, ctx) = (call.state.clone(), call.ctx.clone());
    let made = call.state.store.write(move |tx| servers::create(&compute, tx, &ctx, &asked)).await?;
    let first = made.first().ok_or_else(|| Error::internal("no server was made"))?;
    if reservation {
        return Reply::json(202, &json!({"reservation_id": first.reservation_id}));
    }
    let location = call.base.url(&format!("/v2.1/servers/{}", first.id));
    let reply = Reply::json(202, &wire::created(first, viewer(&call), &password))?;
    Ok(reply.header(header::LOCATION, location))
}

fn parse(call: &Call, body: &Value) -> Result<(ServerCreate, String, bool)> {
    let v = call.version;
    let mut f = Fields::body(body, "server", &["os:scheduler_hints", "OS-SCH-HNT:scheduler_hints"])?;
    let name = f.required_name("name")?;
    let mut asked = ServerCreate::new(name, None, "");
    asked.flavor = reference(&mut f, "flavorRef")?;
    asked.image = image(&mut f)?;
    asked.key_name = f.name("key_name")?.map(str::to_owned);
    asked.nics = nics(&mut f, v)?;
    asked.security_groups = groups(&mut f)?;
    asked.user_data = user_data(&mut f)?;
    asked.personality = personality(&mut f, v)?;
    if let Some(value) = f.value("metadata") {
        asked.metadata = pairs("metadata", value)?;
    }
    asked.config_drive = f.flag("config_drive")?.unwrap_or(false);
    asked.availability_zone = f.name("availability_zone")?.map(str::to_owned);
    if let Some(word) = f.text("OS-DCF:diskConfig", 0, 255)? {
        if !matches!(word, "AUTO" | "MANUAL") {
            return Err(invalid("OS-DCF:diskConfig", &Value::from(word), "is not one of ['AUTO', 'MANUAL']"));
        }
        asked.disk_config = word.to_owned();
    }
    asked.access_ips = (
        address(&mut f, "accessIPv4")?.unwrap_or_default(),
        address(&mut f, "accessIPv6")?.unwrap_or_default(),
    );
    if v >= mv::DESCRIPTION {
        asked.description = f.text("description", 0, 255)?.map(str::to_owned);
    }
    if v >= mv::TAGS_ON_CREATE
        && let Some(tags) = f.value("tags")
    {
        asked.tags = super::server_tags::parse(tags)?;
    }
    let min = f.int("min_count", 1, i64::from(u32::MAX))?;
    let max = f.int("max_count", 1, i64::from(u32::MAX))?;
    let (min, max) = (min.unwrap_or(1), max.or(min).unwrap_or(1));
    if min > max {
        return Err(Error::bad_request("min_count must be <= max_count"));
    }
    let most = call.state.options.max_servers_per_request;
    asked.min_count = u32::try_from(min).unwrap_or(u32::MAX);
    asked.max_count = u32::try_from(max).unwrap_or(u32::MAX);
    if asked.max_count > most {
        return Err(Error::bad_request(format!("max_count must be at most {most}")));
    }
    let reservation = f.flag("return_reservation_id")?.unwrap_or(false);
    let password = f.text("adminPass", 0, 255)?.map_or_else(password, str::to_owned);
    volumes(&mut f)?;
    if v >= mv::TRUSTED_CERTIFICATES && f.value("trusted_image_certificates").is_some_and(|c| !c.is_null()) {
        return Err(Error::not_implemented("trusted_image_certificates are not built yet."));
    }
    if v >= Version(2, 74) && (f.value("host").is_some() || f.value("hypervisor_hostname").is_some()) {
        let asked_host = f.value("host").or(f.value("hypervisor_hostname")).and_then(Value::as_str);
        if !call.ctx.is_admin() {
            return Err(Error::forbidden(
                "Policy doesn't allow compute:servers:create:requested_destination to be performed.",
            ));
        }
        if asked_host != Some(call.state.facts.hostname.as_str()) {
            return Err(Error::bad_request(format!(
                "Compute host {} could not be found.",
                asked_host.unwrap_or("")
            )));
        }
    }
    f.finish()?;
    Ok((asked, password, reservation))
}

/// A flavor's id, or a link that ends in it.
fn reference<'a>(f: &mut Fields<'a>, field: &'a str) -> Result<String> {
    let value = f.value(field).ok_or_else(|| f.missing(field))?;
    let text = match value {
        Value::String(s) if !s.is_empty() => s.clone(),
        Value::Number(n) => n.to_string(),
        other => return Err(invalid(field, other, "is not of type 'string', 'integer'")),
    };
    Ok(text.rsplit('/').next().unwrap_or(&text).to_owned())
}

fn image(f: &mut Fields<'_>) -> Result<Option<ImageId>> {
    let Some(value) = f.value("imageRef") else {
        return Err(Error::bad_request("Invalid imageRef provided."));
    };
    match value.as_str().map(|s| s.rsplit('/').next().unwrap_or(s)) {
        Some("") => Err(Error::not_implemented("Booting from a volume is not built yet.")),
        Some(id) => id.parse().map(Some).map_err(|_| Error::bad_request("Invalid imageRef provided.")),
        None => Err(invalid("imageRef", value, "is not of type 'string'")),
    }
}

fn nics(f: &mut Fields<'_>, v: Version) -> Result<NicRequests> {
    let required = v >= mv::NETWORKS_REQUIRED;
    let list = match f.value("networks") {
        None if required => return Err(f.missing("networks")),
        None => return Ok(NicRequests::Auto),
        Some(Value::String(s)) if required && s == "auto" => return Ok(NicRequests::Auto),
        Some(Value::String(s)) if required && s == "none" => return Ok(NicRequests::None),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(invalid("networks", other, "is not valid under any of the given schemas")),
    };
    if list.is_empty() {
        return Ok(NicRequests::Auto);
    }
    let mut seen = Vec::new();
    let mut out = Vec::new();
    for item in list {
        let mut n = Fields::of(item, "networks")?;
        let network: Option<NetworkId> = uuid(&mut n, "uuid")?;
        let port: Option<PortId> = uuid(&mut n, "port")?;
        let fixed_ip: Option<std::net::IpAddr> = match n.text("fixed_ip", 1, 45)? {
            None => None,
            Some(ip) => {
                Some(ip.parse().map_err(|_| Error::bad_request(format!("Invalid fixed IP address ({ip})")))?)
            }
        };
        let tag = if v >= Version(2, 32) { n.text("tag", 1, 60)?.map(str::to_owned) } else { None };
        if network.is_none() && port.is_none() {
            return Err(n.missing("uuid"));
        }
        if let (Some(port), Some(ip)) = (port, fixed_ip) {
            return Err(Error::bad_request(format!(
                "Specified Fixed IP '{ip}' cannot be used with port '{port}': the two cannot be specified together."
            )));
        }
        n.finish()?;
        if let Some(port) = port {
            if seen.contains(&port) {
                return Err(Error::bad_request(format!(
                    "Port ID {port} was specified twice: it cannot be attached twice."
                )));
            }
            seen.push(port);
        }
        out.push(NicRequest { network: if port.is_some() { None } else { network }, port, fixed_ip, tag });
    }
    Ok(NicRequests::These(out))
}

fn uuid<'a, T: std::str::FromStr>(f: &mut Fields<'a>, field: &'a str) -> Result<Option<T>> {
    let Some(text) = f.text(field, 0, 255)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| invalid(field, &Value::from(text), "is not a 'uuid'"))
}

fn groups(f: &mut Fields<'_>) -> Result<Vec<String>> {
    let Some(value) = f.value("security_groups") else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| invalid("security_groups", value, "is not of type 'array'"))?;
    list.iter()
        .map(|g| {
            let mut g = Fields::of(g, "security_groups")?;
            let name = g.required_name("name")?.to_owned();
            g.finish().map(|()| name)
        })
        .collect()
}

pub(super) fn user_data(f: &mut Fields<'_>) -> Result<Option<String>> {
    let Some(data) = f.text("user_data", 0, USER_DATA_MAX)? else { return Ok(None) };
    let compact: String = data.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    if BASE64.decode(&compact).is_err() {
        return Err(invalid("user_data", &Value::from(data), "is not a 'base64'"));
    }
    Ok(Some(compact))
}

pub(super) fn personality(f: &mut Fields<'_>, v: Version) -> Result<Vec<(String, String)>> {
    if v >= mv::NO_PERSONALITY {
        return Ok(Vec::new());
    }
    let Some(value) = f.value("personality") else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| invalid("personality", value, "is not of type 'array'"))?;
    if list.len() > 5 {
        return Err(Error::new(pileus_base::Kind::OverQuota, "Quota exceeded, too many injected files."));
    }
    list.iter()
        .map(|item| {
            let mut p = Fields::of(item, "personality")?;
            let path = p.text("path", 1, 255)?.ok_or_else(|| p.missing("path"))?;
            let contents = p.text("contents", 0, 20_480)?.ok_or_else(|| p.missing("contents"))?;
            p.finish()?;
            BASE64.decode(contents).map_err(|_| {
                Error::bad_request(format!("Personality content for {path} cannot be decoded"))
            })?;
            Ok((path.to_owned(), contents.to_owned()))
        })
        .collect()
}

/// The one mapping that needs no volume: the image itself on a local disk.
fn volumes(f: &mut Fields<'_>) -> Result<()> {
    let unbuilt =
        || Error::not_implemented("block_device_mapping is not built yet but for the image itself.");
    if f.value("block_device_mapping").is_some_and(|m| m.as_array().is_some_and(|a| !a.is_empty())) {
        return Err(unbuilt());
    }
    for item in f.value("block_device_mapping_v2").and_then(Value::as_array).into_iter().flatten() {
        let local = item["source_type"] == "image" && item["destination_type"] == "local";
        if !local || item["boot_index"] != json!(0) {
            return Err(unbuilt());
        }
    }
    Ok(())
}

pub(super) fn password() -> String {
    const LETTERS: &[u8] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    use rand::RngExt;
    (0..12).map(|_| char::from(LETTERS[rand::rng().random_range(0..LETTERS.len())])).collect()
}
