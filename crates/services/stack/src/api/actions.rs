//! Actions on a stack that is there.

use pileus_base::{Error, Result, Scope};
use pileus_http::Reply;
use pileus_store::Stored;

use super::Req;
use crate::{engine::begin, store::stacks::Stack, wire::fault::unbuilt};

/// `POST /stacks/{name}/{id}/actions`
pub async fn act(mut call: Req) -> Result<Reply> {
    let found = super::stack(&call).await?;
    let body = call.value().await?;
    let named = body.as_object().filter(|b| b.len() == 1).and_then(|b| b.keys().next().cloned());
    let Some(action) = named else {
        let message = match body.as_object().map(serde_json::Map::len) {
            Some(0) | None => "No action specified",
            _ => "Multiple actions specified",
        };
        return Err(Error::bad_request(message));
    };
    let stacks = call.state.clone();
    let status = if action.starts_with("cancel") { 202 } else { 200 };
    match action.as_str() {
        "check" | "cancel_update" | "cancel_without_rollback" => {}
        "suspend" | "resume" => return Err(unbuilt(&format!("Stack {action}"))),
        _ => return Err(Error::bad_request(format!("Invalid action {action} specified"))),
    }
    let done = call.state.store.write(move |tx| {
        let stack: Stored<Stack> = tx.get(&Scope::All, found.id)?;
        match action.as_str() {
            "check" => begin::check(tx, stack),
            other => begin::cancel_update(&stacks, tx, stack, other == "cancel_update"),
        }
    });
    done.await?;
    Ok(Reply::empty(status))
}
