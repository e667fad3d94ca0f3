//! A server's own key-value pairs.

use std::collections::BTreeMap;

use pileus_base::{Error, Kind, Result, Scope, Time};
use pileus_http::Reply;
use serde_json::json;

use super::Call;
use crate::{
    Server,
    store::{quotas, servers},
    wire::fields::pairs,
};

type Map = BTreeMap<String, String>;

async fn change(call: &Call, f: impl Fn(&mut Map) -> Result<()> + Send + 'static) -> Result<Map> {
    let server = call.state.named(call).await?;
    servers::check_unlocked(&call.ctx, &server)?;
    let id = server.id;
    let write = call.state.store.write(move |tx| {
        let project = servers::get(tx, &Scope::All, id)?.project_id.clone();
        let limit = quotas::limit(tx, &project, "metadata_items")?;
        tx.update::<Server>(&Scope::All, id, |s| {
            f(&mut s.metadata)?;
            s.updated_at = Time::now();
            if limit >= 0 && i64::try_from(s.metadata.len()).unwrap_or(i64::MAX) > limit {
                return Err(Error::new(
                    Kind::OverQuota,
                    format!("Maximum number of metadata items exceeds {limit}"),
                ));
            }
            Ok(())
        })
    });
    Ok(write.await?.value.metadata)
}

fn unknown() -> Error {
    Error::not_found("Metadata item was not found")
}

/// `GET …/metadata`
pub async fn index(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"metadata": call.state.named(&call).await?.metadata}))
}

/// `POST …/metadata`: adds and replaces.
pub async fn merge(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let new = pairs("metadata", &body["metadata"])?;
    let all = change(&call, move |own| {
        own.extend(new.clone());
        Ok(())
    });
    Reply::ok(&json!({"metadata": all.await?}))
}

/// `PUT …/metadata`: replaces all.
pub async fn replace(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let new = pairs("metadata", &body["metadata"])?;
    let all = change(&call, move |own| {
        own.clone_from(&new);
        Ok(())
    });
    Reply::ok(&json!({"metadata": all.await?}))
}

/// `GET …/metadata/{key}`
pub async fn show(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    let key = call.param("key");
    let value = server.metadata.get(key).ok_or_else(unknown)?;
    Reply::ok(&json!({"meta": {key: value}}))
}

/// `PUT …/metadata/{key}`
pub async fn set(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let new = pairs("meta", &body["meta"])?;
    let key = call.param("key").to_owned();
    if new.len() != 1 || !new.contains_key(&key) {
        return Err(Error::bad_request("Request body and URI mismatch"));
    }
    let answer = json!({"meta": new});
    change(&call, move |own| {
        own.extend(new.clone());
        Ok(())
    })
    .await?;
    Reply::ok(&answer)
}

/// `DELETE …/metadata/{key}`
pub async fn delete(call: Call) -> Result<Reply> {
    let key = call.param("key").to_owned();
    change(&call, move |own| own.remove(&key).map(drop).ok_or_else(unknown)).await?;
    Ok(Reply::no_content())
}
