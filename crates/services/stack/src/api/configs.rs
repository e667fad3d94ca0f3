//! Software configs.

use pileus_base::{Error, Result, Time};
use pileus_http::{Reply, Sort};
use pileus_store::Query;
use serde_json::json;
use uuid::Uuid;

use super::Req;
use crate::{model::Json, store::configs::Config, wire::views};

/// `GET /software_configs`
pub async fn index(call: Req) -> Result<Reply> {
    let scope = super::scope(&call)?;
    let found = call.state.store.read(move |rd| rd.list::<Config>(&scope, &Query::all().sort("created_at")));
    let shown: Vec<Json> = found.await?.iter().map(|c| views::config(c, false)).collect();
    let sort = vec![Sort { key: "creation_time".into(), descending: false }];
    let (page, _) = super::page(&call.query, sort)?.apply(shown)?;
    Reply::ok(&json!({"software_configs": page}))
}

/// `POST /software_configs`
pub async fn create(mut call: Req) -> Result<Reply> {
    let project_id = super::project(&call)?;
    let body = call.value().await?;
    // Clients send the fields bare.
    let given = body.get("software_config").unwrap_or(&body);
    let text = |key: &str, or: &str| given.get(key).and_then(Json::as_str).unwrap_or(or).to_owned();
    let any = |key: &str, or: Json| given.get(key).filter(|v| !v.is_null()).cloned().unwrap_or(or);
    for (key, fits) in [
        ("inputs", any("inputs", json!([])).is_array()),
        ("outputs", any("outputs", json!([])).is_array()),
        ("options", any("options", json!({})).is_object()),
    ] {
        if !fits {
            let message = format!("Unexpected type of the software config's {key}");
            return Err(Error::bad_request(message).code("StackValidationFailed"));
        }
    }
    let config = Config {
        id: Uuid::new_v4(),
        project_id,
        name: text("name", ""),
        group: text("group", "Heat::Ungrouped"),
        config: any("config", "".into()),
        inputs: any("inputs", json!([])),
        outputs: any("outputs", json!([])),
        options: any("options", json!({})),
        created_at: Time::now(),
    };
    let shown = views::config(&config, true);
    call.state.store.write(move |tx| tx.insert(&config)).await?;
    Reply::ok(&json!({"software_config": shown}))
}

/// `GET /software_configs/{config}`
pub async fn show(call: Req) -> Result<Reply> {
    let (scope, id) = (super::scope(&call)?, call.param("config").to_owned());
    let found = call.state.store.read(move |rd| rd.get::<Config>(&scope, &id)).await?;
    Reply::ok(&json!({"software_config": views::config(&found, true)}))
}

/// `DELETE /software_configs/{config}`
pub async fn delete(call: Req) -> Result<Reply> {
    let (scope, id) = (super::scope(&call)?, call.param("config").to_owned());
    let done = call.state.store.write(move |tx| {
        tx.get::<Config>(&scope, &id)?;
        tx.delete::<Config>(&id).map(drop)
    });
    done.await?;
    Ok(Reply::no_content())
}
