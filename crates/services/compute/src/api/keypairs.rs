//! Keypairs of the calling user; of another's for administrators (2.10).

use pileus_base::{Error, Result, Time, ids::UserId};
use pileus_http::{Listing, Reply};
use serde_json::{Value, json};

use super::Call;
use crate::{
    model::keypairs::{Keypair, fingerprint, generate},
    store::keypairs,
    wire::{
        fields::{Fields, invalid},
        mv,
    },
};

fn view(pair: &Keypair, call: &Call) -> Value {
    let mut view = json!({"name": pair.name, "public_key": pair.public_key, "fingerprint": pair.fingerprint});
    if call.version >= mv::KEYPAIR_TYPE {
        view["type"] = json!(pair.kind);
    }
    view
}

/// Whose keypairs are meant.
fn owner(call: &Call, asked: Option<&str>) -> Result<UserId> {
    let own = call.ctx.user_id().cloned().ok_or_else(|| call.denied())?;
    match asked.filter(|_| call.version >= mv::KEYPAIR_USER) {
        Some(other) if other != own.as_str() => {
            if call.ctx.is_admin() {
                Ok(other.into())
            } else {
                Err(call.denied())
            }
        }
        _ => Ok(own),
    }
}

/// `GET /os-keypairs`
pub async fn index(call: Call) -> Result<Reply> {
    let user = owner(&call, call.query.get("user_id"))?;
    let pairs = call.state.store.read(move |rd| keypairs::list(rd, &user)).await?;
    let mut views: Vec<Value> =
        pairs.iter().map(|p| json!({"id": p.name, "keypair": view(p, &call)})).collect();
    let mut links = None;
    if call.version >= mv::KEYPAIR_PAGES {
        let listing = Listing::parse(&call.query, &[], ("id", false), 1000)?;
        let (page, more) = listing.apply(views)?;
        views = page;
        if let (true, Some(last)) = (more, views.last()) {
            let marker = last["id"].as_str().unwrap_or("");
            let href =
                format!("{}?{}", call.base.url("/v2.1/os-keypairs"), call.query.with("marker", marker));
            links = Some(json!([{"rel": "next", "href": href}]));
        }
    }
    let plain: Vec<Value> = views.into_iter().map(|v| json!({"keypair": v["keypair"]})).collect();
    let mut body = json!({"keypairs": plain});
    if let Some(links) = links {
        body["keypairs_links"] = links;
    }
    Reply::ok(&body)
}

/// `POST /os-keypairs`: imports a public key, or makes a pair and shows its private half once.
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let mut f = Fields::body(&body, "keypair", &[])?;
    let name = f.required_name("name")?.to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ' ' | '.' | '@');
    if !name.chars().all(plain) {
        return Err(Error::bad_request("Keypair data is invalid: Keypair name contains unsafe characters"));
    }
    let public = f.text("public_key", 1, 16_384)?.map(str::to_owned);
    let mut kind = "ssh".to_owned();
    if call.version >= mv::KEYPAIR_TYPE
        && let Some(word) = f.text("type", 1, 10)?
    {
        if !matches!(word, "ssh" | "x509") {
            return Err(invalid("type", &json!(word), "is not one of ['ssh', 'x509']"));
        }
        kind = word.to_owned();
    }
    let asked =
        if call.version >= mv::KEYPAIR_USER { f.text("user_id", 1, 255)?.map(str::to_owned) } else { None };
    f.finish()?;
    if kind == "x509" {
        return Err(Error::not_implemented("x509 keypairs are not built yet."));
    }
    let user = owner(&call, asked.as_deref())?;
    let (private, public) = match public {
        Some(public) => (None, public),
        None => {
            let (private, public) = generate()?;
            (Some(private), public)
        }
    };
    let pair = Keypair {
        user_id: user.clone(),
        name,
        kind,
        fingerprint: fingerprint(&public)?,
        public_key: public,
        created_at: Time::now(),
    };
    let (made, project) = (pair.clone(), call.ctx.project_id()?.clone());
    call.state.store.write(move |tx| keypairs::create(tx, &made, &project)).await?;
    let mut view = view(&pair, &call);
    view["user_id"] = json!(user);
    if let Some(private) = private {
        view["private_key"] = json!(private);
    }
    Reply::json(if call.version >= mv::KEYPAIR_TYPE { 201 } else { 200 }, &json!({"keypair": view}))
}

/// `GET /os-keypairs/{name}`
pub async fn show(call: Call) -> Result<Reply> {
    let user = owner(&call, call.query.get("user_id"))?;
    let name = call.param("name").to_owned();
    let pair = call.state.store.read(move |rd| keypairs::get(rd, &user, &name)).await?;
    let mut view = view(&pair, &call);
    view["created_at"] = json!(pair.created_at.micros());
    view["deleted"] = json!(false);
    view["deleted_at"] = Value::Null;
    view["updated_at"] = Value::Null;
    view["id"] = json!(u32::from_le_bytes(fingerprint_number(&pair.fingerprint)) >> 1);
    view["user_id"] = json!(pair.user_id);
    Reply::ok(&json!({"keypair": view}))
}

/// Nova shows a row number; ours is made of the fingerprint, so that it stays the same.
fn fingerprint_number(fingerprint: &str) -> [u8; 4] {
    let mut bytes = fingerprint.split(':').filter_map(|h| u8::from_str_radix(h, 16).ok());
    std::array::from_fn(|_| bytes.next().unwrap_or(0))
}

/// `DELETE /os-keypairs/{name}`
pub async fn delete(call: Call) -> Result<Reply> {
    let user = owner(&call, call.query.get("user_id"))?;
    let name = call.param("name").to_owned();
    call.state.store.write(move |tx| keypairs::delete(tx, &user, &name)).await?;
    Ok(Reply::empty(if call.version >= mv::KEYPAIR_TYPE { 204 } else { 202 }))
}
