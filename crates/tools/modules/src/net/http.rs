//! An HTTP/1.1 client (RFC 9112) over any stream: one exchange, and the redirects and the authentication around it.
//!
//! ```text
//! follow(request) ─ redirects, 401, cookies ─► exchange(request) ─► dial (TCP, Unix socket; TLS: the controller's)
//! ```

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use base64::Engine as _;

use super::resolve;
use super::url::Url;
use super::wire::{self, header};
use crate::cx::{FetchReply, FetchRequest};

/// The most a body may have: results are JSON, kept whole in memory.
const BODY_BYTES: u64 = 4 << 30;

/// How many redirects are followed, as in Python's urllib.
const REDIRECTS: usize = 10;

/// A stream to a server.
pub trait Channel: Read + Write {}

impl<T: Read + Write> Channel for T {}

/// One exchange: a request and its answer.
pub type Exchange<'a> = dyn FnMut(&FetchRequest) -> Result<FetchReply, String> + 'a;

/// A TCP connection (or a Unix socket) to the request's server, through its proxy where it has one.
///
/// # Errors
/// Python's words for what failed.
pub fn connect(url: &Url, request: &FetchRequest) -> Result<Box<dyn Socket>, String> {
    let limit = Duration::from_secs(request.timeout_s.max(1));
    if let Some(path) = &request.unix_socket {
        let stream = UnixStream::connect(path)
            .map_err(|e| format!("Request failed: <urlopen error {}>", crate::result::os_error(&e, None)))?;
        let set = stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)));
        set.map_err(|e| e.to_string())?;
        return Ok(Box::new(stream));
    }
    let proxy = match &request.proxy {
        Some(proxy) => Some(Url::parse(proxy)?),
        None => None,
    };
    let (host, port) = proxy.as_ref().map_or((&url.host, url.port), |p| (&p.host, p.port));
    let mut stream = resolve::connect(host, port, limit).map_err(|e| unconnected(&e))?;
    let set = stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)));
    set.map_err(|e| e.to_string())?;
    if let Some(proxy) = proxy.filter(|_| url.is_tls()) {
        tunnel(&mut stream, url, &proxy)?;
    }
    Ok(Box::new(stream))
}

/// A connected socket with its time limits set.
pub trait Socket: Read + Write + Send {}

impl Socket for TcpStream {}
impl Socket for UnixStream {}

fn unconnected(e: &io::Error) -> String {
    let text = match e.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => "timed out".to_string(),
        _ if e.raw_os_error().is_some() => crate::result::os_error(e, None),
        _ => e.to_string(),
    };
    format!("Request failed: <urlopen error {text}>")
}

/// `CONNECT` through a proxy (RFC 9110, 9.3.6).
fn tunnel(stream: &mut TcpStream, url: &Url, proxy: &Url) -> Result<(), String> {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let mut head = format!("CONNECT {host}:{} HTTP/1.1\r\nHost: {host}:{}\r\n", url.port, url.port);
    if let Some(user) = &proxy.user {
        head.push_str(&format!("Proxy-Authorization: {}\r\n", basic(&super::url::unquote(user))));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).map_err(|e| unconnected(&e))?;
    // Byte by byte: what follows the head is TLS and not ours.
    let (mut answer, mut byte) = (Vec::new(), [0u8; 1]);
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < 64 * 1024 {
        stream.read_exact(&mut byte).map_err(|e| unconnected(&e))?;
        answer.push(byte[0]);
    }
    let text = crate::py::text(&answer);
    let line = text.lines().next().unwrap_or_default();
    if line.split(' ').nth(1).is_some_and(|code| code.starts_with('2')) {
        return Ok(());
    }
    let reason = line.split_once(' ').map_or("", |(_, rest)| rest);
    Err(format!("Request failed: <urlopen error Tunnel connection failed: {reason}>"))
}

/// `Basic …` of `user:password`.
fn basic(pair: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

/// Plain http; what wants TLS is refused.
///
/// # Errors
/// Python's words for what failed.
pub fn plain(request: &FetchRequest) -> Result<FetchReply, String> {
    let url = Url::parse(&request.url)?;
    if url.is_tls() {
        return Err("https is the controller's to fetch".into());
    }
    let mut stream = connect(&url, request)?;
    exchange(&url, request, &mut stream)
}

/// Sends one request over the stream and reads its answer.
///
/// # Errors
/// Python's words for what failed.
pub fn exchange(url: &Url, request: &FetchRequest, stream: &mut dyn Channel) -> Result<FetchReply, String> {
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            "Connection failure: The read operation timed out".to_string()
        }
        io::ErrorKind::UnexpectedEof => {
            "Connection failure: Remote end closed connection without response".to_string()
        }
        _ if e.raw_os_error().is_some() => {
            format!("Connection failure: {}", crate::result::os_error(&e, None))
        }
        _ => format!("Connection failure: {e}"),
    };
    stream.write_all(head(url, request)?.as_bytes()).map_err(failed)?;
    stream.write_all(&request.body).and_then(|()| stream.flush()).map_err(failed)?;
    let mut reader = BufReader::new(stream);
    let head = wire::read_head(&mut reader).map_err(failed)?;
    let mut body = Vec::new();
    if request.method != "HEAD" {
        wire::read_body(&mut reader, &head, &mut body, BODY_BYTES).map_err(failed)?;
    }
    let wire::Head { status, reason, headers } = head;
    let (status, url) = (status.into(), request.url.clone());
    Ok(FetchReply { status, reason, url, headers, body, cookies: Vec::new() })
}

/// The request line and the headers.
fn head(url: &Url, request: &FetchRequest) -> Result<String, String> {
    let via_proxy = request.proxy.is_some() && !url.is_tls() && request.unix_socket.is_none();
    let target = if via_proxy { url.bare() } else { url.target.clone() };
    let method = if request.method.is_empty() { "GET" } else { &request.method };
    let mut out = format!("{method} {target} HTTP/1.1\r\n");
    let has = |name: &str| header(&request.headers, name).is_some();
    let mut line = |name: &str, value: &str| {
        if name.chars().chain(value.chars()).any(|c| matches!(c, '\r' | '\n' | '\0')) {
            return Err(format!("Invalid header value {}", crate::py::repr_str(value)));
        }
        out.push_str(&format!("{name}: {value}\r\n"));
        Ok(())
    };
    if method.chars().any(|c| c.is_control() || c == ' ') {
        return Err(format!("method can't contain control characters. {}", crate::py::repr_str(method)));
    }
    if !has("accept-encoding") {
        line("Accept-Encoding", "identity")?;
    }
    if !has("host") {
        line("Host", &url.authority)?;
    }
    if !request.body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH") {
        if !request.body.is_empty() && !has("content-type") {
            line("Content-Type", "application/x-www-form-urlencoded")?;
        }
        if !has("content-length") {
            line("Content-Length", &request.body.len().to_string())?;
        }
    }
    for (name, value) in &request.headers {
        line(name, value)?;
    }
    if via_proxy && let Some(user) = request.proxy.as_deref().and_then(|p| Url::parse(p).ok()?.user) {
        line("Proxy-Authorization", &basic(&super::url::unquote(&user)))?;
    }
    line("Connection", "close")?;
    out.push_str("\r\n");
    Ok(out)
}

/// What a redirect makes of the method; `None`: it isn't followed.
fn redirected(follow: &str, method: &str, status: i64) -> Option<String> {
    let safe = matches!(method, "GET" | "HEAD");
    match follow {
        "none" | "no" => return None,
        "safe" if !safe => return None,
        "urllib2" if !(safe || method == "POST" && matches!(status, 301..=303)) => return None,
        _ => {}
    }
    Some(match (status, method) {
        (_, "HEAD") => "HEAD".into(),
        (302 | 303, _) | (301, "POST") => "GET".into(),
        _ => method.to_string(),
    })
}

/// A request with its redirects followed as it says, with credentials when the server asks for them, and cookies kept.
///
/// # Errors
/// Python's words for what failed.
pub fn follow(request: &FetchRequest, exchange: &mut Exchange<'_>) -> Result<FetchReply, String> {
    let mut now = request.clone();
    let mut cookies: Vec<(String, String)> = Vec::new();
    let mut auth = now.auth.clone();
    if let Some((user, password)) = auth.as_ref().filter(|_| now.force_basic_auth) {
        set(&mut now.headers, "Authorization", basic(&format!("{user}:{password}")));
        auth = None;
    }
    let mut redirects = 0;
    loop {
        let url = Url::parse(&now.url)?;
        let mut sent = now.clone();
        if !cookies.is_empty() && header(&sent.headers, "cookie").is_none() {
            sent.headers.push(("Cookie".into(), joined(&cookies)));
        }
        let mut reply = exchange(&sent)?;
        reply.url.clone_from(&now.url);
        keep(&mut cookies, &reply.headers);
        if reply.status == 401
            && let Some((user, password)) = auth.take()
            && reply.headers.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case("www-authenticate")
                    && value.get(..5).is_some_and(|v| v.eq_ignore_ascii_case("basic"))
            })
        {
            set(&mut now.headers, "Authorization", basic(&format!("{user}:{password}")));
            continue;
        }
        let location = header(&reply.headers, "location").map(|l| url.join(&l.replace(' ', "%20")));
        let next = match (&location, reply.status) {
            (Some(location), 301 | 302 | 303 | 307 | 308) => {
                redirected(&now.follow_redirects, &now.method, reply.status).map(|m| (location.clone(), m))
            }
            _ => None,
        };
        let Some((location, method)) = next else {
            reply.cookies = cookies;
            return Ok(reply);
        };
        redirects += 1;
        if redirects > REDIRECTS {
            reply.reason = format!(
                "The HTTP server returned a redirect error that would lead to an infinite loop.\nThe last 30x error \
                 message was:\n{}",
                reply.reason
            );
            reply.cookies = cookies;
            return Ok(reply);
        }
        if method != now.method {
            now.body.clear();
            now.headers.retain(|(name, _)| {
                !["content-length", "content-type", "transfer-encoding"]
                    .iter()
                    .any(|n| name.eq_ignore_ascii_case(n))
            });
        }
        let unredirected = &request.unredirected;
        now.headers.retain(|(name, _)| !unredirected.iter().any(|n| name.eq_ignore_ascii_case(n)));
        now.method = method;
        now.url = location;
    }
}

/// Replaces a header.
pub fn set(headers: &mut Vec<(String, String)>, name: &str, value: String) {
    headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    headers.push((name.to_string(), value));
}

/// `a=b; c=d`.
pub fn joined(cookies: &[(String, String)]) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

fn keep(cookies: &mut Vec<(String, String)>, headers: &[(String, String)]) {
    for (_, line) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
        let Some((name, value)) = line.split(';').next().and_then(|pair| pair.split_once('=')) else {
            continue;
        };
        let (name, value) = (name.trim().to_string(), value.trim().to_string());
        cookies.retain(|(key, _)| *key != name);
        cookies.push((name, value));
    }
}

#[cfg(test)]
mod tests;
