//! The way to where a log is sent: datagrams or a stream, to a host or to a socket on this one.

use std::{io, path::Path, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UdpSocket, UnixDatagram, UnixStream},
};

use super::tls;
use crate::{
    engine::reason::reason,
    model::logging::{Address, Target, remote::Message},
};

/// How long the other side is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the other side is waited for to end a stream that we have ended.
const FAREWELL: Duration = Duration::from_secs(1);
/// Where this host's own syslog may listen.
const HERE: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// A stream, both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// An open way.
pub enum Sink {
    /// Datagrams over the network.
    Udp(UdpSocket),
    /// Datagrams to a socket.
    Datagrams(UnixDatagram),
    /// A stream.
    Stream(Box<dyn Stream>),
}

/// Where a target is, as `host:port`.
pub fn host_of(target: &Target) -> String {
    match target.address() {
        Address::Udp(at) | Address::Tcp(at) | Address::Tls(at) => at.clone(),
        Address::Datagrams(path) | Address::Stream(path) => path.display().to_string(),
        Address::Here => String::new(),
    }
}

async fn patiently<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn tcp(at: &str) -> Result<TcpStream, String> {
    let all = tokio::net::lookup_host(at).await;
    let all: Vec<_> = all.map_err(|e| format!("dial tcp: lookup {at}: {}", reason(&e)))?.collect();
    let mut why = format!("dial tcp: lookup {at}: no such host");
    for to in all {
        match patiently(TcpStream::connect(to)).await {
            Ok(stream) => return Ok(stream),
            Err(e) => why = format!("dial tcp {to}: connect: {}", reason(&e)),
        }
    }
    Err(why)
}

async fn udp(at: &str) -> Result<UdpSocket, String> {
    let failed = |e: &io::Error| format!("dial udp: {}", reason(e));
    let mut all =
        tokio::net::lookup_host(at).await.map_err(|e| format!("dial udp: lookup {at}: {}", reason(&e)))?;
    let to = all.next().ok_or_else(|| format!("dial udp: lookup {at}: no such host"))?;
    let any: std::net::IpAddr = if to.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|e| failed(&e))?;
    socket.connect(to).await.map_err(|e| format!("dial udp {to}: connect: {}", reason(&e)))?;
    Ok(socket)
}

fn datagrams(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    Ok(socket)
}

impl Sink {
    /// Opens the way to a target.
    ///
    /// # Errors
    /// Why not, in the reference's words.
    pub async fn open(target: &Target) -> Result<Self, String> {
        let dial = |path: &Path, e: &io::Error| match path.as_os_str().is_empty() {
            true => "dial unix: missing address".to_owned(),
            false => format!("dial unix {}: connect: {}", path.display(), reason(e)),
        };
        Ok(match target.address() {
            Address::Udp(at) => Self::Udp(udp(at).await?),
            Address::Tcp(at) => Self::Stream(Box::new(tcp(at).await?)),
            Address::Tls(at) => {
                let files = match target {
                    Target::Syslog(s) => s.tls.clone(),
                    Target::Gelf(_) | Target::Fluentd(_) => crate::model::logging::Tls::default(),
                };
                // Its files first: what is wrong with them is told before anybody is called.
                let connector = tls::connector(&files)?;
                Self::Stream(Box::new(tls::open(connector, at, tcp(at).await?).await?))
            }
            Address::Datagrams(path) => Self::Datagrams(datagrams(path).map_err(|e| dial(path, &e))?),
            Address::Stream(path) => {
                let stream = patiently(UnixStream::connect(path)).await;
                Self::Stream(Box::new(stream.map_err(|e| dial(path, &e))?))
            }
            Address::Here => {
                for path in HERE.map(Path::new) {
                    if let Ok(socket) = datagrams(path) {
                        return Ok(Self::Datagrams(socket));
                    }
                    if let Ok(stream) = UnixStream::connect(path).await {
                        return Ok(Self::Stream(Box::new(stream)));
                    }
                }
                return Err("Unix syslog delivery error".into());
            }
        })
    }

    /// Ends the way once all is sent. A stream that is closed while something of the other side's is unread (TLS'
    /// tickets) is reset, and what was sent last can be lost there: so it is ended, and the other side's end awaited.
    pub async fn close(self) {
        if let Self::Stream(mut stream) = self {
            let farewell = async {
                stream.shutdown().await?;
                while stream.read(&mut [0; 256]).await? > 0 {}
                io::Result::Ok(())
            };
            // Who doesn't answer has had his time.
            let _ = tokio::time::timeout(FAREWELL, farewell).await;
        }
    }

    /// Sends a message; once the other side has confirmed it where that is asked for.
    ///
    /// # Errors
    /// Where the way is closed. A datagram that nobody takes is no error.
    pub async fn send(&mut self, message: &Message) -> io::Result<()> {
        for part in &message.parts {
            match self {
                Self::Udp(socket) => match socket.send(part).await {
                    // Nobody listened to one before.
                    Err(e) if e.kind() == io::ErrorKind::ConnectionRefused => {}
                    // One that is too long for a datagram can't ever be sent.
                    Err(e) if e.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {}
                    sent => drop(sent?),
                },
                Self::Datagrams(socket) => match patiently(socket.send(part)).await {
                    Err(e) if e.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {}
                    sent => drop(sent?),
                },
                Self::Stream(stream) => {
                    // One that was closed from there still takes what is written.
                    if let (None, Some(Ok(0) | Err(_))) =
                        (&message.confirm, stream.read(&mut [0; 64]).now_or_never())
                    {
                        return Err(io::ErrorKind::BrokenPipe.into());
                    }
                    patiently(async {
                        stream.write_all(part).await?;
                        stream.flush().await
                    })
                    .await?;
                }
            }
        }
        match (&message.confirm, self) {
            (Some(id), Self::Stream(stream)) => patiently(confirmed(stream, id)).await,
            _ => Ok(()),
        }
    }
}

/// Reads until the answer to a message has come: `{"ack": id}`, in MessagePack.
async fn confirmed(stream: &mut dyn Stream, id: &str) -> io::Result<()> {
    let (mut answer, mut buffer) = (Vec::new(), [0; 256]);
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        answer.extend_from_slice(&buffer[..n]);
        if answer.windows(id.len()).any(|w| w == id.as_bytes()) {
            return Ok(());
        }
        if answer.len() > 64 << 10 {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::logging::Fluentd;

    fn fluentd(address: Address) -> Target {
        Target::Fluentd(Fluentd { address, late: false, sub_second: false, ack: true })
    }

    #[tokio::test]
    async fn a_message_is_confirmed_or_the_way_is_closed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let mut sink = Sink::open(&fluentd(Address::Tcp(at))).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        let message = Message { parts: vec![b"hello".to_vec()], confirm: Some("id=".into()) };
        let answering = tokio::spawn(async move {
            let mut got = [0; 5];
            other.read_exact(&mut got).await.unwrap();
            other.write_all(b"\x81\xa3ack\xa3id=").await.unwrap();
            other
        });
        sink.send(&message).await.unwrap();
        drop(answering.await.unwrap());
        let plain = Message { confirm: None, ..message };
        while sink.send(&plain).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn refusals_are_told_in_go_s_words() {
        let refused = async |address| Sink::open(&fluentd(address)).await.err().unwrap();
        assert_eq!(
            refused(Address::Tcp("127.0.0.1:1".into())).await,
            "dial tcp 127.0.0.1:1: connect: connection refused"
        );
        assert_eq!(refused(Address::Stream("".into())).await, "dial unix: missing address");
        assert_eq!(
            refused(Address::Stream("/no".into())).await,
            "dial unix /no: connect: no such file or directory"
        );
    }
}
