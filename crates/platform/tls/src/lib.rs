//! Whom a client over TLS trusts: this host's authorities, those in files, whatever else checks a certificate, or
//! anybody.

use std::{path::Path, sync::Arc};

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

/// Whom to trust.
pub enum Trust {
    /// Chains to these authorities.
    Authorities(RootCertStore),
    /// What this one accepts.
    Verifier(Arc<dyn ServerCertVerifier>),
    /// Whoever answers.
    Anybody,
}

/// TLS 1.2 and 1.3 of ring's, without our own certificate yet.
///
/// # Errors
/// None that is known of.
pub fn client(trust: Trust) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::wrap("failed to set TLS up", e))?;
    let verifier = match trust {
        Trust::Authorities(roots) => return Ok(builder.with_root_certificates(roots)),
        Trust::Verifier(verifier) => verifier,
        Trust::Anybody => Arc::new(Anybody(provider)),
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier))
}
