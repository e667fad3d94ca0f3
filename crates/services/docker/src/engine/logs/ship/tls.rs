//! TLS to where a log is sent, with the files that its options name.

use std::{path::Path, sync::Arc};

use pileus_tls::{AUTHORITIES, Trust, roots};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::model::logging::Tls;

/// Why a file can't be read, as Go tells it.
fn unread(path: &Path) -> String {
    match std::fs::metadata(path) {
        Err(_) => format!("open {}: no such file or directory", path.display()),
        Ok(_) => format!("{} holds nothing of the kind", path.display()),
    }
}

/// TLS of these files.
///
/// # Errors
/// In the reference's words for files that aren't there.
pub fn connector(files: &Tls) -> Result<TlsConnector, String> {
    if let Some(ca) = files.ca.as_deref().filter(|ca| CertificateDer::pem_file_iter(ca).is_err()) {
        return Err(format!("could not read CA certificate \"{}\": {}", ca.display(), unread(ca)));
    }
    let trusted = files.ca.as_deref().unwrap_or(Path::new(AUTHORITIES));
    let trust = match files.skip_verify {
        true => Trust::Anybody,
        false => Trust::Authorities(roots(std::iter::once(trusted))),
    };
    let builder = pileus_tls::client(trust).map_err(|e| e.message().to_owned())?;
    let config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let failed = |why: String| format!("Could not load X509 key pair: {why}");
            let read = CertificateDer::pem_file_iter(cert).map_err(|_| failed(unread(cert)))?;
            let own: Vec<_> = read.filter_map(Result::ok).collect();
            let key = PrivateKeyDer::from_pem_file(key).map_err(|_| failed(unread(key)))?;
            builder.with_client_auth_cert(own, key).map_err(|e| failed(e.to_string()))?
        }
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Begins TLS with `host:port`.
///
/// # Errors
/// In Go's words where the certificate isn't trusted.
pub async fn open(connector: TlsConnector, at: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let host = at.rsplit_once(':').map_or(at, |(host, _)| host).trim_matches(['[', ']']);
    let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
    connector.connect(name, tcp).await.map_err(|e| {
        match e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
                "x509: certificate signed by unknown authority".to_owned()
            }
            _ => format!("tls: {e}"),
        }
    })
}
