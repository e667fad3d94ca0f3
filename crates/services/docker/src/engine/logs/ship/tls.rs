//! TLS to where a log is sent, with the files that its options name.

use std::sync::Arc;

use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{engine::registry::AUTHORITIES, model::logging::Tls};

/// Trusts whoever answers: `syslog-tls-skip-verify`.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// A file's name and why it can't be read, as Go tells it.
fn unread(path: &std::path::Path) -> String {
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
    let mut roots = RootCertStore::empty();
    let authorities = files.ca.as_deref().unwrap_or(std::path::Path::new(AUTHORITIES));
    match CertificateDer::pem_file_iter(authorities) {
        Ok(read) => drop(roots.add_parsable_certificates(read.filter_map(Result::ok))),
        Err(_) if files.ca.is_none() => {}
        Err(_) => {
            let why = unread(authorities);
            return Err(format!("could not read CA certificate \"{}\": {why}", authorities.display()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())?;
    let builder = match files.skip_verify {
        true => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
        false => builder.with_root_certificates(roots),
    };
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
        let inner = e.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
        match inner {
            Some(rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer)) => {
                "x509: certificate signed by unknown authority".to_owned()
            }
            Some(e) => format!("tls: {e}"),
            None => format!("tls: {e}"),
        }
    })
}
