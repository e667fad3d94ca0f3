//! https for modules: TLS is the controller's, also for modules on a target, whose helper has none.
//!
//! One call is one exchange; redirects and passwords are the module's (`pileus_modules::net::http::follow`).

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use pileus_modules::net::http::{self, Socket};
use pileus_modules::net::url::Url;
use pileus_modules::{FetchReply, FetchRequest};
use pileus_tls::{AUTHORITIES, Trust, roots};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};

/// One exchange over http or https.
///
/// # Errors
/// The words of the reference where the server can't be reached or isn't trusted.
pub fn exchange(request: &FetchRequest) -> Result<FetchReply, String> {
    let url = Url::parse(&request.url)?;
    if !url.is_tls() {
        return http::plain(request);
    }
    let config = config(request)?;
    let name = ServerName::try_from(url.host.clone())
        .map_err(|_| format!("Request failed: <urlopen error invalid host {}>", url.host))?;
    let session = ClientConnection::new(Arc::new(config), name)
        .map_err(|e| format!("Request failed: <urlopen error {e}>"))?;
    let mut stream = StreamOwned::new(session, http::connect(&url, request)?);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock).map_err(|e| refused(&e, &url))?;
    }
    http::exchange(&url, request, &mut Lenient(stream))
}

/// A server that ends without `close_notify` has ended; the length tells whether all came.
struct Lenient(StreamOwned<ClientConnection, Box<dyn Socket>>);

impl Read for Lenient {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            other => other,
        }
    }
}

impl Write for Lenient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Why there is no session, as OpenSSL and Python say it.
fn refused(error: &io::Error, url: &Url) -> String {
    let tls = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
    let reason = match tls {
        Some(rustls::Error::InvalidCertificate(why)) => match why {
            CertificateError::UnknownIssuer => "unable to get local issuer certificate".to_string(),
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "certificate has expired".to_string()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                format!("Hostname mismatch, certificate is not valid for '{}'.", url.host)
            }
            CertificateError::Other(_) | CertificateError::BadEncoding => {
                "self-signed certificate".to_string()
            }
            other => format!("{other:?}"),
        },
        Some(rustls::Error::InvalidMessage(_)) => {
            return "Request failed: <urlopen error [SSL: WRONG_VERSION_NUMBER] wrong version number>".into();
        }
        Some(other) => return format!("Request failed: <urlopen error {other}>"),
        None if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            return "Request failed: <urlopen error _ssl.c: The handshake operation timed out>".into();
        }
        None => return format!("Request failed: <urlopen error {error}>"),
    };
    format!(
        "Request failed: <urlopen error [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: {reason}>"
    )
}

/// Whom to trust, and our own certificate.
fn config(request: &FetchRequest) -> Result<ClientConfig, String> {
    let failed = |e: &dyn std::fmt::Display| format!("Request failed: <urlopen error {e}>");
    let builder = pileus_tls::client(trust(request)?).map_err(|e| failed(&e.message()))?;
    let Some(pem) = &request.client_cert else { return Ok(builder.with_no_client_auth()) };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect();
    let key = request.client_key.as_ref().unwrap_or(pem);
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| failed(&e))?;
    builder.with_client_auth_cert(chain, key).map_err(|e| failed(&e))
}

fn trust(request: &FetchRequest) -> Result<Trust, String> {
    if !request.validate_certs {
        return Ok(Trust::Anybody);
    }
    let Some(pem) = &request.ca_path else {
        let file = std::env::var("SSL_CERT_FILE").unwrap_or_else(|_| AUTHORITIES.into());
        // Without the file nobody is trusted, and the failure says so.
        return Ok(Trust::Authorities(roots(std::iter::once(Path::new(&file)))));
    };
    let pinned: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(pinned.iter().cloned());
    if pinned.is_empty() {
        return Ok(Trust::Authorities(roots));
    }
    let provider = Arc::new(ring::default_provider());
    let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|e| format!("Request failed: <urlopen error {e}>"))?;
    Ok(Trust::Verifier(Arc::new(Pinned { chains, pinned })))
}

/// Trusts chains to the authorities of `ca_path`, and a server whose own certificate is written there: OpenSSL takes a
/// self-signed one for its own authority, where webpki asks for a chain. Such a one's name is checked.
#[derive(Debug)]
struct Pinned {
    chains: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = self.chains.verify_server_cert(end_entity, intermediates, name, ocsp, now);
        match chain {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::Other(_),
            )) if self.pinned.iter().any(|own| own.as_ref() == end_entity.as_ref()) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls12_signature(message, cert, dss)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chains.verify_tls13_signature(message, cert, dss)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}
