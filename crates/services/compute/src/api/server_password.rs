//! The password that a guest made for itself and left, encrypted, at the metadata service.

use pileus_base::{Result, Scope};
use pileus_http::Reply;
use serde_json::json;

use super::Call;
use crate::Server;

/// `GET /servers/{id}/os-server-password`
pub async fn show(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    Reply::ok(&json!({"password": server.password}))
}

/// `DELETE /servers/{id}/os-server-password`: forgets it; the guest's own stays as it is.
pub async fn clear(call: Call) -> Result<Reply> {
    let id = call.state.named(&call).await?.id;
    let write = call.state.store.write(move |tx| {
        tx.update::<Server>(&Scope::All, id, |server| {
            server.password.clear();
            Ok(())
        })
    });
    write.await?;
    Ok(Reply::no_content())
}
