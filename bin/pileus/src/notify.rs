//! Tells systemd how it goes (sd_notify(3)): one datagram to `NOTIFY_SOCKET`, where there is one.

use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixDatagram},
};

/// Sends `message` (`READY=1`, `STOPPING=1`). Without a service manager it does nothing.
pub fn send(message: &str) {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let bytes = path.as_encoded_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|to| UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &to));
    if let Err(e) = sent {
        tracing::warn!(error = %e, "failed to notify the service manager");
    }
}
