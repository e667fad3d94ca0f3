//! HTTP/1.1 without TLS, to a Unix socket or a host: one connection for each request, as small as it can be.
//!
//! Bodies are read whole or go to a writer; an upgraded connection ([`upgrade`]) is given back raw.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Where the engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A Unix socket's path.
    Unix(String),
    /// Host and port.
    Tcp(String),
}

/// A connection of either kind.
pub enum Stream {
    /// To a socket in the file system.
    Unix(UnixStream),
    /// To a host.
    Tcp(TcpStream),
}

impl Stream {
    /// Opens a connection; `timeout` holds for each read and write.
    fn open(place: &Place, timeout: Option<Duration>) -> std::io::Result<Self> {
        match place {
            Place::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)?;
                Ok(Stream::Unix(stream))
            }
            Place::Tcp(address) => {
                let mut last = std::io::Error::from_raw_os_error(libc::ECONNREFUSED);
                for address in address.to_socket_addrs()? {
                    let wait = timeout.unwrap_or(Duration::from_secs(60));
                    match TcpStream::connect_timeout(&address, wait) {
                        Ok(stream) => {
                            stream.set_read_timeout(timeout)?;
                            stream.set_write_timeout(timeout)?;
                            return Ok(Stream::Tcp(stream));
                        }
                        Err(e) => last = e,
                    }
                }
                Err(last)
            }
        }
    }

    /// Nothing more is sent.
    pub fn end(&self) -> std::io::Result<()> {
        match self {
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Unix(s) => s.read(buffer),
            Stream::Tcp(s) => s.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Unix(s) => s.write(bytes),
            Stream::Tcp(s) => s.write(bytes),
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What is asked.
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query, encoded.
    pub target: &'a str,
    /// Further header lines.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
    /// How long one read may take; forever when absent.
    pub timeout: Option<Duration>,
}

/// Status line and headers of an answer.
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Its words.
    pub reason: String,
    headers: Vec<(String, String)>,
    length: Option<u64>,
    chunked: bool,
}

impl Head {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn broken(what: &str) -> std::io::Error {
    std::io::Error::other(what.to_string())
}

/// Sends a request and reads the answer's head.
fn send(place: &Place, request: Request<'_>) -> std::io::Result<(Head, BufReader<Stream>)> {
    let mut stream = Stream::open(place, request.timeout)?;
    let host = match place {
        Place::Unix(_) => "localhost",
        Place::Tcp(address) => address,
    };
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", request.method, request.target);
    let upgrades = request.headers.iter().any(|(name, _)| *name == "Upgrade");
    head += if upgrades { "Connection: Upgrade\r\n" } else { "Connection: close\r\n" };
    for (name, value) in request.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let length = request.body.len();
    if length > 0 || request.method != "GET" {
        head += &format!("Content-Length: {length}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes())?;
    stream.write_all(request.body)?;
    let mut reader = BufReader::new(stream);
    let head = read_head(&mut reader)?;
    Ok((head, reader))
}

/// The status line and the headers.
fn read_head(reader: &mut impl BufRead) -> std::io::Result<Head> {
    let line = read_line(reader)?;
    let mut words = line.splitn(3, ' ');
    let (_, status) = (words.next(), words.next().and_then(|s| s.parse().ok()));
    let status = status.ok_or_else(|| broken("the answer is not HTTP"))?;
    let reason = words.next().unwrap_or_default().to_string();
    let mut head = Head { status, reason, headers: Vec::new(), length: None, chunked: false };
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            return Ok(head);
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        head.headers.push((name.to_string(), value.trim().to_string()));
        match name.to_ascii_lowercase().as_str() {
            "content-length" => head.length = value.trim().parse().ok(),
            "transfer-encoding" => head.chunked = value.to_ascii_lowercase().contains("chunked"),
            _ => {}
        }
    }
}

/// One line of at most 64 KiB, without its end.
fn read_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = Vec::new();
    reader.by_ref().take(65536).read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(broken("the connection was closed early"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

/// Copies the answer's body.
fn read_body(head: &Head, reader: &mut impl BufRead, into: &mut dyn Write) -> std::io::Result<()> {
    if matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(());
    }
    if head.chunked {
        loop {
            let line = read_line(reader)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| broken("a chunk without a length"))?;
            if size == 0 {
                return Ok(());
            }
            if std::io::copy(&mut reader.by_ref().take(size), into)? < size {
                return Err(broken("the connection was closed early"));
            }
            read_line(reader)?;
        }
    }
    match head.length {
        Some(length) if std::io::copy(&mut reader.by_ref().take(length), into)? < length => {
            Err(broken("the connection was closed early"))
        }
        Some(_) => Ok(()),
        None => std::io::copy(reader, into).map(drop),
    }
}

/// Sends a request; a good answer's body goes to `into`, another's is given back.
///
/// # Errors
/// Where there is no connection, or it breaks.
pub fn ask(place: &Place, request: Request<'_>, into: &mut dyn Write) -> std::io::Result<(Head, Vec<u8>)> {
    let (head, mut reader) = send(place, request)?;
    let mut other = Vec::new();
    if head.status < 400 {
        read_body(&head, &mut reader, into)?;
    } else {
        read_body(&head, &mut reader, &mut other)?;
    }
    Ok((head, other))
}

/// The raw stream, or the body of a refusal.
pub type Upgraded = Result<BufReader<Stream>, Vec<u8>>;

/// Sends a request that turns the connection into a raw stream. A refusal's body is given back.
///
/// # Errors
/// Where there is no connection, or it breaks.
pub fn upgrade(place: &Place, request: Request<'_>) -> std::io::Result<(Head, Upgraded)> {
    let (head, mut reader) = send(place, request)?;
    if head.status < 400 {
        return Ok((head, Ok(reader)));
    }
    let mut body = Vec::new();
    read_body(&head, &mut reader, &mut body)?;
    Ok((head, Err(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str) -> std::io::Result<(u16, String)> {
        let mut reader = text.as_bytes();
        let head = read_head(&mut reader)?;
        let mut out = Vec::new();
        read_body(&head, &mut reader, &mut out)?;
        Ok((head.status, String::from_utf8_lossy(&out).into_owned()))
    }

    #[test]
    fn bodies_of_each_kind() {
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        assert_eq!(body(chunked).expect("whole"), (200, "abcde".into()));
        assert_eq!(
            body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc").expect("whole"),
            (200, "ab".into())
        );
        assert_eq!(body("HTTP/1.0 404 Not Found\r\n\r\nabc").expect("whole"), (404, "abc".into()));
        assert!(body("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").is_err());
        assert!(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc").is_err());
        assert!(body("SSH-2.0-OpenSSH\r\n").is_err());
    }
}
