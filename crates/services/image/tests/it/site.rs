//! A small web site to download from, on loopback.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, rustls};

pub struct Site {
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Site {
    pub async fn start() -> Self {
        Self::serve(None).await
    }

    /// By TLS, as `localhost`; and the certificate to trust.
    pub async fn start_secure() -> (Self, String) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        (Self::serve(Some(TlsAcceptor::from(Arc::new(config)))).await, made.cert.pem())
    }

    async fn serve(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                tokio::spawn(accept(tcp, tls.clone()));
            }
        });
        Self { address, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn accept(tcp: TcpStream, tls: Option<TlsAcceptor>) {
    match tls {
        None => answer(tcp).await,
        Some(tls) => {
            if let Ok(io) = tls.accept(tcp).await {
                answer(io).await;
            }
        }
    }
}

async fn answer(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        match io.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let path = head.split(' ').nth(1).unwrap_or_default();
    let text = |status: &str, more: &str, body: &str| {
        format!("HTTP/1.1 {status}\r\nConnection: close\r\n{more}\r\n{body}")
    };
    let answer = match path.split_once('?').map_or(path, |(p, _)| p) {
        "/good" => text("200 OK", "Content-Length: 9\r\n", "good data"),
        "/endless" => text("200 OK", "", &format!("good{}", "x".repeat(1 << 20))),
        "/chunked" => {
            text("200 OK", "Transfer-Encoding: chunked\r\n", "4\r\ngood\r\n5\r\n data\r\n0\r\n\r\n")
        }
        "/evil" => text("200 OK", "Content-Length: 4\r\n", "evil"),
        "/short" => text("200 OK", "Content-Length: 90\r\n", "good data"),
        "/packed" => text("200 OK", "Content-Encoding: gzip\r\nContent-Length: 9\r\n", "good data"),
        "/moved" => text("302 Found", "Location: good?from=moved\r\nContent-Length: 0\r\n", ""),
        "/inside" => {
            text("302 Found", "Location: http://169.254.169.254/latest\r\nContent-Length: 0\r\n", "")
        }
        "/file" => text("302 Found", "Location: file:///etc/passwd\r\nContent-Length: 0\r\n", ""),
        "/loop" => text("302 Found", "Location: /loop\r\nContent-Length: 0\r\n", ""),
        "/plain" => text("302 Found", "Location: http://localhost/\r\nContent-Length: 0\r\n", ""),
        "/hang" => {
            // Half of it, and then nothing until the client leaves.
            let _ = io.write_all(text("200 OK", "Content-Length: 9\r\n", "good").as_bytes()).await;
            let _ = io.read(&mut byte).await;
            return;
        }
        _ => text("404 Not Found", "Content-Length: 0\r\n", ""),
    };
    let _ = io.write_all(answer.as_bytes()).await;
    let _ = io.shutdown().await;
}
