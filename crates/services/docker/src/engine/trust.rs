//! Whom the engine's own clients trust over TLS: this host's authorities, those in files, or anybody.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use pileus_base::{Error, Result};
use rustls::{
    ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        WantsClientCert,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};

/// Where this host keeps the authorities it trusts.
pub const AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Trusts whoever answers.
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
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// The authorities in these files. One that isn't there holds none.
pub fn roots<'a>(files: impl Iterator<Item = &'a Path>) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for file in files {
        if let Ok(read) = CertificateDer::pem_file_iter(file) {
            roots.add_parsable_certificates(read.filter_map(std::result::Result::ok));
        }
    }
    roots
}

/// TLS that trusts these authorities, or anybody where `None`; without our own certificate yet.
///
/// # Errors
/// None that is known of.
pub fn tls(roots: Option<RootCertStore>) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::wrap("failed to set TLS up", e))?;
    Ok(match roots {
        Some(roots) => builder.with_root_certificates(roots),
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider))),
    })
}

/// TLS to a registry: this host's authorities and those in `more`, or anybody.
///
/// # Errors
/// As [`tls`].
pub fn registry(more: &[PathBuf], anybody: bool) -> Result<Arc<ClientConfig>> {
    let files = std::iter::once(Path::new(AUTHORITIES)).chain(more.iter().map(PathBuf::as_path));
    Ok(Arc::new(tls((!anybody).then(|| roots(files)))?.with_no_client_auth()))
}
