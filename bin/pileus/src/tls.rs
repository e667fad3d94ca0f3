//! TLS for listeners off loopback: an authority of our own below the state directory, and a certificate
//! for the address, made on the first start and again when the address changes; and an operator's own, where the container engine is
//! served to other hosts.

use std::{net::IpAddr, path::Path, sync::Arc};

use anyhow::Context;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::state::write_private;

/// The acceptor for `address`, and whatever files it needs.
pub fn acceptor(state_dir: &Path, address: IpAddr, hostname: &str) -> anyhow::Result<TlsAcceptor> {
    let (ca, ca_key) = (state_dir.join("ca.pem"), state_dir.join("ca-key.pem"));
    if !ca.exists() || !ca_key.exists() {
        let issuer = CertifiedIssuer::self_signed(authority(), KeyPair::generate()?)?;
        write_private(&ca_key, issuer.key().serialize_pem().as_bytes())?;
        write_private(&ca, issuer.pem().as_bytes())?;
    }
    let read = |path: &Path| {
        std::fs::read_to_string(path).with_context(|| format!("failed to read `{}`", path.display()))
    };
    let issuer = Issuer::new(authority(), KeyPair::from_pem(&read(&ca_key)?)?);
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), hostname.to_owned()];
    if !address.is_unspecified() {
        names.push(address.to_string());
    }
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
    let chain = vec![certificate.der().clone(), CertificateDer::from_pem_file(&ca)?];
    let private = PrivateKeyDer::try_from(key.serialize_der()).map_err(|e| anyhow::anyhow!("{e}"))?;
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The acceptor of an operator's own certificate (`cert`, `key`) that lets in only clients with a certificate
/// signed by `ca`.
pub fn mutual(ca: &Path, cert: &Path, key: &Path) -> anyhow::Result<TlsAcceptor> {
    let failed = |path: &Path| format!("failed to read `{}`", path.display());
    let chain = |path: &Path| -> anyhow::Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let all = all.with_context(|| failed(path))?;
        anyhow::ensure!(!all.is_empty(), "`{}` holds no certificate", path.display());
        Ok(all)
    };
    let mut roots = RootCertStore::empty();
    for authority in chain(ca)? {
        roots.add(authority).with_context(|| format!("`{}` holds no authority", ca.display()))?;
    }
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?;
    let private = PrivateKeyDer::from_pem_file(key).with_context(|| failed(key))?;
    let config = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain(cert)?, private)
        .with_context(|| format!("`{}` and `{}` are no pair", cert.display(), key.display()))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// The authority, the same each time: what it signs is checked against its name and key.
fn authority() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "Pileus");
    params
}
