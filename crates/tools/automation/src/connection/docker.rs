//! `connection: docker`: commands in a container by the engine's API (exec with a hijacked stream).
//!
//! ```text
//!  POST /containers/NAME/exec {Cmd, User, AttachStdin …} ──► Id
//!  POST /exec/ID/start, Upgrade: tcp ──► frames | stream (1 out, 2 err) | 0 0 0 | u32 BE length | bytes |
//!  GET  /exec/ID/json ──► ExitCode
//! ```
//!
//! The engine is our own or any other: `ansible_docker_docker_host`, DOCKER_HOST, else /var/run/docker.sock.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{SyncSender, sync_channel};

use serde_json::{Value, json};

use super::spawn::{Event, Input, Spawned, Transport};
use super::{Error, Options};

/// One container.
pub struct Docker {
    engine: Engine,
    container: String,
    user: Option<String>,
}

/// Where the engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Engine {
    Unix(String),
    Tcp(String),
}

impl Engine {
    fn of(host: Option<&str>) -> Result<Self, Error> {
        match host.filter(|h| !h.is_empty()) {
            None => Ok(Engine::Unix("/var/run/docker.sock".into())),
            Some(host) => match host.split_once("://") {
                Some(("unix", path)) => Ok(Engine::Unix(path.into())),
                Some(("tcp" | "http", address)) if std::env::var_os("DOCKER_TLS_VERIFY").is_none() => {
                    Ok(Engine::Tcp(address.trim_end_matches('/').into()))
                }
                _ => Err(Error::Failed(format!(
                    "the docker connection can't use DOCKER_HOST={host}: only unix:// and plain tcp://"
                ))),
            },
        }
    }

    fn connect(&self) -> io::Result<Stream> {
        Ok(match self {
            Engine::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
            Engine::Tcp(address) => Stream::Tcp(TcpStream::connect(address)?),
        })
    }
}

enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Stream {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Stream::Unix(s) => Stream::Unix(s.try_clone()?),
            Stream::Tcp(s) => Stream::Tcp(s.try_clone()?),
        })
    }

    fn end_of_input(&self) {
        // Already closed is closed.
        let _ = match self {
            Stream::Unix(s) => s.shutdown(Shutdown::Write),
            Stream::Tcp(s) => s.shutdown(Shutdown::Write),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.read(buffer),
            Stream::Tcp(s) => s.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Unix(s) => s.write(bytes),
            Stream::Tcp(s) => s.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An answer's status and, unless it was upgraded, its body.
struct Reply {
    status: u16,
    body: Vec<u8>,
    stream: BufReader<Stream>,
}

impl Docker {
    /// A container by name or id; nothing is asked yet.
    pub fn new(options: &Options) -> Result<Self, Error> {
        let host = options.engine.clone().or_else(|| std::env::var("DOCKER_HOST").ok());
        Ok(Docker {
            engine: Engine::of(host.as_deref())?,
            container: options.host.clone(),
            user: options.user.clone(),
        })
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>, upgrade: bool) -> io::Result<Reply> {
        let mut stream = self.engine.connect()?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let connection = if upgrade { "Connection: Upgrade\r\nUpgrade: tcp" } else { "Connection: close" };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\n{connection}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        let mut stream = BufReader::new(stream);
        let status = line(&mut stream)?.split_whitespace().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        let (mut length, mut chunked) = (None, false);
        loop {
            let header = line(&mut stream)?.to_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().ok();
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut body = Vec::new();
        if !(upgrade && matches!(status, 101 | 200)) {
            body = read_body(&mut stream, length, chunked)?;
        }
        Ok(Reply { status, body, stream })
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, Error> {
        let reply = self.request(method, path, body, false).map_err(|e| self.unreachable(&e.to_string()))?;
        let value: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        if reply.status >= 300 || reply.status == 0 {
            return Err(self.unreachable(value.get("message").and_then(Value::as_str).unwrap_or("no answer")));
        }
        Ok(value)
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::Unreachable(format!("failed to reach the container {}: {why}", self.container))
    }
}

fn line(stream: &mut BufReader<Stream>) -> io::Result<String> {
    let mut text = String::new();
    if stream.take(64 * 1024).read_line(&mut text)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(text.trim_end().to_string())
}

fn read_body(stream: &mut BufReader<Stream>, length: Option<u64>, chunked: bool) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if !chunked {
        stream.take(length.unwrap_or(u64::MAX)).read_to_end(&mut body)?;
        return Ok(body);
    }
    loop {
        let size = u64::from_str_radix(line(stream)?.split(';').next().unwrap_or(""), 16)
            .map_err(io::Error::other)?;
        stream.take(size).read_to_end(&mut body)?;
        line(stream)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

impl Transport for Docker {
    fn name(&self) -> &'static str {
        "docker"
    }

    fn spawn(&self, command: &str, tty: bool) -> Result<Spawned, Error> {
        let mut wanted = json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": tty, "Cmd": ["/bin/sh", "-c", command],
        });
        if let Some(user) = &self.user {
            wanted["User"] = user.as_str().into();
        }
        let created = self.ask("POST", &format!("/containers/{}/exec", self.container), Some(&wanted))?;
        let id = created.get("Id").and_then(Value::as_str).unwrap_or_default().to_string();
        let start = json!({"Detach": false, "Tty": tty});
        let reply = self
            .request("POST", &format!("/exec/{id}/start"), Some(&start), true)
            .map_err(|e| self.unreachable(&e.to_string()))?;
        if !matches!(reply.status, 101 | 200) {
            let value: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
            return Err(self.unreachable(
                value.get("message").and_then(Value::as_str).unwrap_or("the command was not started"),
            ));
        }
        let writer = reply.stream.get_ref().try_clone().map_err(|e| self.unreachable(&e.to_string()))?;
        let (sender, events) = sync_channel(256);
        let engine = Docker { engine: self.engine.clone(), container: self.container.clone(), user: None };
        let mut stream = reply.stream;
        std::thread::Builder::new()
            .name("docker".into())
            .spawn(move || {
                if tty {
                    plain(&mut stream, &sender)
                } else {
                    multiplexed(&mut stream, &sender)
                }
                let state = engine.ask("GET", &format!("/exec/{id}/json"), None);
                if let Ok(code) = state.map(|s| s.get("ExitCode").and_then(Value::as_i64).unwrap_or(255)) {
                    // Nobody may be listening any more.
                    let _ = sender.send(Event::Exit(code as i32));
                }
            })
            .map_err(|e| Error::Failed(format!("no thread for the container: {e}")))?;
        Ok(Spawned { input: Some(Box::new(Writer(writer))), events })
    }
}

fn plain(stream: &mut impl Read, sender: &SyncSender<Event>) {
    let mut buffer = vec![0; 32 * 1024];
    while let Ok(n @ 1..) = stream.read(&mut buffer) {
        if sender.send(Event::Out(buffer[..n].to_vec())).is_err() {
            return;
        }
    }
}

fn multiplexed(stream: &mut impl Read, sender: &SyncSender<Event>) {
    let mut head = [0; 8];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let mut bytes = Vec::new();
        if stream.take(u64::from(length)).read_to_end(&mut bytes).is_err() {
            return;
        }
        if sender.send(if head[0] == 2 { Event::Err(bytes) } else { Event::Out(bytes) }).is_err() {
            return;
        }
    }
}

struct Writer(Stream);

impl Input for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.end_of_input();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines() {
        assert_eq!(Engine::of(None).unwrap(), Engine::Unix("/var/run/docker.sock".into()));
        assert_eq!(Engine::of(Some("unix:///run/x.sock")).unwrap(), Engine::Unix("/run/x.sock".into()));
        assert_eq!(Engine::of(Some("tcp://127.0.0.1:2375")).unwrap(), Engine::Tcp("127.0.0.1:2375".into()));
        assert!(Engine::of(Some("ssh://host")).is_err());
    }

    #[test]
    fn streams_are_told_apart() {
        let bytes = [&[1, 0, 0, 0, 0, 0, 0, 2][..], b"ab", &[2, 0, 0, 0, 0, 0, 0, 1], b"c"].concat();
        let (sender, events) = sync_channel(8);
        multiplexed(&mut bytes.as_slice(), &sender);
        drop(sender);
        let got: Vec<_> = events.iter().collect();
        assert!(matches!(&got[..], [Event::Out(a), Event::Err(b)] if a == b"ab" && b == b"c"), "{got:?}");
    }
}
