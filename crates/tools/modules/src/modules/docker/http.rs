//! HTTP/1.1 without TLS, to a Unix socket or a host: one connection for each request, as small as it can be.
//!
//! Bodies are read whole or go to a writer; an upgraded connection ([`upgrade`]) is given back raw.

use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::net::resolve;
use crate::net::wire::{self, Head};

/// How long a host may take to answer where the request itself has no limit.
const DIAL: Duration = Duration::from_secs(60);

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
                let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
                let port = port.parse().map_err(|_| std::io::Error::from(ErrorKind::InvalidInput))?;
                let stream = resolve::connect(host, port, timeout.unwrap_or(DIAL))?;
                stream.set_read_timeout(timeout)?;
                stream.set_write_timeout(timeout)?;
                Ok(Stream::Tcp(stream))
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
    let head = wire::read_head(&mut reader)?;
    Ok((head, reader))
}

/// Sends a request; a good answer's body goes to `into`, another's is given back.
///
/// # Errors
/// Where there is no connection, or it breaks.
pub fn ask(place: &Place, request: Request<'_>, into: &mut dyn Write) -> std::io::Result<(Head, Vec<u8>)> {
    let (head, mut reader) = send(place, request)?;
    let mut other = Vec::new();
    if head.status < 400 {
        wire::read_body(&mut reader, &head, into, u64::MAX)?;
    } else {
        wire::read_body(&mut reader, &head, &mut other, u64::MAX)?;
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
    wire::read_body(&mut reader, &head, &mut body, u64::MAX)?;
    Ok((head, Err(body)))
}
