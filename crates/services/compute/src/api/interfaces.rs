//! A server's cards and (as yet no) volumes.

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::Call;
use crate::model::servers::Nic;

fn view(nic: &Nic) -> Value {
    let ips: Vec<_> = nic.fixed_ips.iter().map(|(s, ip)| json!({"subnet_id": s, "ip_address": ip})).collect();
    json!({
        "net_id": nic.network, "port_id": nic.port, "mac_addr": nic.mac, "port_state": "ACTIVE", "fixed_ips": ips,
    })
}

/// `GET …/os-interface`
pub async fn index(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    let views: Vec<_> = server.nics.iter().map(view).collect();
    Reply::ok(&json!({"interfaceAttachments": views}))
}

/// `GET …/os-interface/{port}`
pub async fn show(call: Call) -> Result<Reply> {
    let server = call.state.named(&call).await?;
    let port = call.param("port");
    let unknown = || Error::not_found(format!("Port id {port} could not be found."));
    let nic = server.nics.iter().find(|n| n.port.to_string() == port).ok_or_else(unknown)?;
    Reply::ok(&json!({"interfaceAttachment": view(nic)}))
}

/// `GET …/os-volume_attachments`: there is no volume service yet, so there is none.
pub async fn volumes(call: Call) -> Result<Reply> {
    call.state.named(&call).await?;
    Reply::ok(&json!({"volumeAttachments": []}))
}
