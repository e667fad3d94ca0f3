//! Connections to checked addresses, with TLS where asked for.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use pileus_base::{Error, Result};
use pileus_host::Stream;
use pileus_tls::Trust;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use super::{Url, Web, failed};

/// To one address.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where distributions keep the authorities that they trust.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
];

impl Web {
    pub(super) async fn connect(&self, url: &Url) -> Result<Box<dyn Stream>> {
        let found = tokio::net::lookup_host((url.host(), url.port())).await;
        let found = found.map_err(|e| failed(url, "its host has no address").caused_by(e))?;
        let allowed: Vec<SocketAddr> = found.filter(|a| self.guard.allows(a.ip(), a.port())).collect();
        if allowed.is_empty() {
            return Err(failed(url, "its host is not one that may be downloaded from"));
        }
        let mut last = None;
        for address in allowed {
            match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) if url.is_secure() => return self.secure(url, tcp).await,
                Ok(Ok(tcp)) => return Ok(Box::new(tcp)),
                Ok(Err(e)) => last = Some(e),
                Err(_) => last = Some(std::io::ErrorKind::TimedOut.into()),
            }
        }
        let e = failed(url, "its host can't be reached");
        Err(last.map_or_else(|| e.clone(), |cause| e.clone().caused_by(cause)))
    }

    async fn secure(&self, url: &Url, tcp: TcpStream) -> Result<Box<dyn Stream>> {
        let name = ServerName::try_from(url.host().to_owned());
        let name = name.map_err(|e| failed(url, "its host is no name").caused_by(e))?;
        let tls = TlsConnector::from(self.tls()?).connect(name, tcp).await;
        match tls {
            Ok(tls) => Ok(Box::new(tls)),
            Err(e) => Err(failed(url, format!("the secure connection failed: {e}")).caused_by(e)),
        }
    }

    /// Read once, when first needed.
    fn tls(&self) -> Result<Arc<ClientConfig>> {
        let mut kept = self.tls.lock();
        if let Some(config) = &*kept {
            return Ok(config.clone());
        }
        let path = match &self.authorities {
            Some(path) => path.as_path(),
            None => SYSTEM.iter().map(Path::new).find(|p| p.exists()).ok_or_else(|| {
                Error::unavailable(
                    "No certificate authorities are known: install the package ca-certificates.",
                )
            })?,
        };
        let config = Arc::new(config(path)?);
        *kept = Some(config.clone());
        Ok(config)
    }
}

/// A client's configuration that trusts the authorities in the file `path`.
fn config(path: &Path) -> Result<ClientConfig> {
    let unread = || format!("failed to read the authorities in `{}`", path.display());
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|e| Error::wrap(unread(), e))? {
        // One that can't be used spoils none of the others.
        let _ = roots.add(certificate.map_err(|e| Error::wrap(unread(), e))?);
    }
    Ok(pileus_tls::client(Trust::Authorities(roots))?.with_no_client_auth())
}
