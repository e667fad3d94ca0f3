//! Outputs of a stack.

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::json;

use super::Req;
use crate::{
    engine::context::{self, Shown},
    model::Json,
    wire::views,
};

async fn all(call: &Req) -> Result<Vec<Shown>> {
    let found = super::stack(call).await?;
    let stacks = call.state.clone();
    call.state.store.read(move |rd| context::described_outputs(&stacks, rd, &found)).await
}

/// `GET …/outputs`: names and what they are for.
pub async fn index(call: Req) -> Result<Reply> {
    let outputs = all(&call).await?;
    let shown = outputs.iter().map(|o| json!({"output_key": o.key, "description": o.description}));
    Reply::ok(&json!({"outputs": shown.collect::<Vec<Json>>()}))
}

/// `GET …/outputs/{key}`
pub async fn show(call: Req) -> Result<Reply> {
    let outputs = all(&call).await?;
    let key = call.param("key");
    let missing = || Error::not_found(format!("Specified output key {key} not found.")).code("NotFound");
    let found = outputs.iter().find(|o| o.key == key).ok_or_else(missing)?;
    Reply::ok(&json!({"output": views::output(found)}))
}
