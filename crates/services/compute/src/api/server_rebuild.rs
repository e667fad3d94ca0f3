//! The action `rebuild`: the same server, made anew of an image.

use pileus_base::{Error, Result, Scope};
use pileus_http::{Reply, Version, header};
use pileus_store::Stored;
use serde_json::{Value, json};

use super::{
    Call,
    server_create::{password, personality, user_data},
    servers::{address, older},
    viewer,
};
use crate::{
    Server,
    store::{
        rebuild::{self, Rebuild},
        servers,
    },
    wire::{
        fields::{Fields, invalid, pairs},
        mv, servers as wire,
    },
};

/// `rebuild`
pub async fn rebuild(call: &Call, server: Stored<Server>, args: &Value) -> Result<Reply> {
    let (asked, password) = parse(call, args)?;
    let (compute, ctx, id) = (call.state.clone(), call.ctx.clone(), server.id);
    let write = call.state.store.write(move |tx| {
        let server = servers::get(tx, &Scope::All, id)?;
        rebuild::rebuild(&compute, tx, &ctx, &server, &asked)
    });
    let server = write.await?;
    let whole = call.version >= mv::WHOLE_SERVER_ON_UPDATE;
    let mut view = older(json!(wire::whole(&server, viewer(call), whole)), call.version);
    if call.version >= mv::KEY_ON_REBUILD {
        view["key_name"] = json!(server.key_name);
    }
    if call.version >= mv::NO_PERSONALITY {
        view["user_data"] = json!(server.user_data);
    }
    view["adminPass"] = json!(password);
    let location = call.base.url(&format!("/v2.1/servers/{id}"));
    Ok(Reply::json(202, &json!({"server": view}))?.header(header::LOCATION, location))
}

fn parse(call: &Call, args: &Value) -> Result<(Rebuild, String)> {
    let v = call.version;
    let mut f = Fields::of(args, "rebuild")?;
    let image = f.value("imageRef").ok_or_else(|| f.missing("imageRef"))?;
    let id = image.as_str().map(|s| s.rsplit('/').next().unwrap_or(s));
    let id = id.and_then(|s| s.parse().ok()).ok_or_else(|| invalid("imageRef", image, "is not a 'uuid'"))?;
    // Null takes a value away, where the field is there at all.
    let given = |field: &str| args.get(field).is_some();
    let nullable = |f: &mut Fields<'_>, since: Version, field: &'static str, min: usize| {
        if v < since || !given(field) {
            return Ok(None);
        }
        f.text(field, min, 255).map(|t| Some(t.map(str::to_owned)))
    };
    let asked = Rebuild {
        image: id,
        name: f.name("name")?.map(str::to_owned),
        description: nullable(&mut f, mv::DESCRIPTION, "description", 0)?,
        metadata: f.value("metadata").map(|m| pairs("metadata", m)).transpose()?,
        key_name: nullable(&mut f, mv::KEY_ON_REBUILD, "key_name", 1)?,
        user_data: match v >= mv::NO_PERSONALITY && given("user_data") {
            true => Some(user_data(&mut f)?),
            false => None,
        },
        personality: if given("personality") { Some(personality(&mut f, v)?) } else { None },
        disk_config: match f.text("OS-DCF:diskConfig", 0, 255)? {
            Some(word) if !matches!(word, "AUTO" | "MANUAL") => {
                let value = Value::from(word);
                return Err(invalid("OS-DCF:diskConfig", &value, "is not one of ['AUTO', 'MANUAL']"));
            }
            word => word.map(str::to_owned),
        },
        access_ips: (address(&mut f, "accessIPv4")?, address(&mut f, "accessIPv6")?),
    };
    if f.flag("preserve_ephemeral")? == Some(true) {
        return Err(Error::bad_request(
            "The current driver does not support preserving ephemeral partitions.",
        ));
    }
    if v >= mv::TRUSTED_CERTIFICATES && f.value("trusted_image_certificates").is_some_and(|c| !c.is_null()) {
        return Err(Error::not_implemented("trusted_image_certificates are not built yet."));
    }
    let password = f.text("adminPass", 0, 255)?.map_or_else(password, str::to_owned);
    f.finish()?;
    Ok((asked, password))
}
