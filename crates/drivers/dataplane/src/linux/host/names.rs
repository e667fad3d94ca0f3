//! The resolver of a container at 127.0.0.11: sockets opened inside its namespace (`redirect.rs` leads port 53
//! there), served by tasks of the daemon. Containers' names are answered from a shared table; the rest is asked from inside the namespace,
//! so that a network that nothing leaves stays so.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, PTR},
    },
};
use parking_lot::RwLock;
use pileus_base::Result;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::Semaphore,
    task::AbortHandle,
};

use super::{Host, Shared, blocking, failed, netns, redirect};
use crate::bridges::Names;

/// How long a server asked may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// Questions handed on, or connections served, at once for one container.
const AT_ONCE: usize = 64;
/// How long an answer of ours may be kept, as Docker's.
const TTL_S: u32 = 600;
/// Which of several addresses comes first; moves with each answer.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// A resolver that is being served.
pub struct Resolver {
    names: Shared,
    tasks: Vec<AbortHandle>,
}

impl Drop for Resolver {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Host {
    pub(super) async fn serve_names(&self, container: &str, names: &Names) -> Result<()> {
        let _one = self.serving.lock().await;
        if let Some(resolver) = self.resolvers.lock().get(container) {
            *resolver.names.write() = names.clone();
            return Ok(());
        }
        let path = self.sandbox(container);
        let failed = failed("failed to open a container's resolver");
        let (udp, tcp) = netns::run(path.clone(), move || {
            redirect::load().map_err(&failed)?;
            let at = SocketAddr::from(([127, 0, 0, 11], redirect::PORT));
            let udp = std::net::UdpSocket::bind(at).map_err(&failed)?;
            let tcp = std::net::TcpListener::bind(at).map_err(&failed)?;
            udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).map_err(&failed)?;
            Ok((udp, tcp))
        })
        .await?;
        let failed = super::failed("failed to serve a container's resolver");
        let (udp, tcp) =
            (UdpSocket::from_std(udp).map_err(&failed)?, TcpListener::from_std(tcp).map_err(&failed)?);
        let table: Shared = Arc::new(RwLock::new(names.clone()));
        let asker = Asker { names: table.clone(), netns: path, at_once: Arc::new(Semaphore::new(AT_ONCE)) };
        let tasks = vec![
            tokio::spawn(by_udp(Arc::new(udp), asker.clone())).abort_handle(),
            tokio::spawn(by_tcp(tcp, asker)).abort_handle(),
        ];
        self.resolvers.lock().insert(container.to_owned(), Resolver { names: table, tasks });
        Ok(())
    }
}

/// Who answers one container.
#[derive(Clone)]
struct Asker {
    names: Shared,
    netns: PathBuf,
    at_once: Arc<Semaphore>,
}

async fn by_udp(socket: Arc<UdpSocket>, asker: Asker) {
    let mut buffer = [0u8; 4096];
    loop {
        let Ok((n, from)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let Ok(permit) = asker.at_once.clone().try_acquire_owned() else { continue };
        let (socket, asker, bytes) = (socket.clone(), asker.clone(), buffer[..n].to_vec());
        tokio::spawn(async move {
            let _permit = permit;
            if let Some(answer) = asker.answer(&bytes, false).await {
                // Who has gone asks no more.
                let _ = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn by_tcp(listener: TcpListener, asker: Asker) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let Ok(permit) = asker.at_once.clone().try_acquire_owned() else { continue };
        let asker = asker.clone();
        tokio::spawn(async move {
            let _permit = permit;
            while let Ok(Some(question)) = tokio::time::timeout(PATIENCE * 2, read(&mut stream)).await {
                let Some(answer) = asker.answer(&question, true).await else { return };
                if write(&mut stream, &answer).await.is_none() {
                    return;
                }
            }
        });
    }
}

/// A message on a stream has its length before it.
async fn read(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut message = vec![0; usize::from(stream.read_u16().await.ok()?)];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

async fn write(stream: &mut TcpStream, message: &[u8]) -> Option<()> {
    let len = u16::try_from(message.len()).ok()?;
    stream.write_all(&[&len.to_be_bytes()[..], message].concat()).await.ok()
}

impl Asker {
    async fn answer(&self, bytes: &[u8], stream: bool) -> Option<Vec<u8>> {
        let question = Message::from_vec(bytes).ok()?;
        if question.metadata.message_type != MessageType::Query {
            return None;
        }
        let (own, upstream) = {
            let names = self.names.read();
            (own(&names, &question), names.upstream.clone())
        };
        if let Some(answer) = own {
            return answer.to_vec().ok();
        }
        for server in &upstream {
            let asked = self.ask(*server, bytes, stream);
            if let Ok(Some(answer)) = tokio::time::timeout(PATIENCE, asked).await {
                return Some(answer);
            }
        }
        let single = question.queries.first().is_some_and(|q| q.name().num_labels() <= 1);
        let code =
            if upstream.is_empty() && single { ResponseCode::NXDomain } else { ResponseCode::ServFail };
        reply(&question, code).to_vec().ok()
    }

    /// Does `work` where a server is asked from: the container's namespace, but the host's for the host's own.
    async fn at<T: Send + 'static>(
        &self,
        server: IpAddr,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        match server.is_loopback() {
            true => blocking(work).await,
            false => netns::run(self.netns.clone(), work).await,
        }
    }

    /// Asks a server from inside the container's namespace.
    async fn ask(&self, server: IpAddr, question: &[u8], stream: bool) -> Option<Vec<u8>> {
        let failed = failed("failed to ask a name server");
        if stream {
            let opened = self.at(server, move || {
                let stream =
                    std::net::TcpStream::connect_timeout(&(server, 53).into(), PATIENCE).map_err(&failed)?;
                stream.set_nonblocking(true).map_err(&failed)?;
                Ok(stream)
            });
            let mut stream = TcpStream::from_std(opened.await.ok()?).ok()?;
            write(&mut stream, question).await?;
            return read(&mut stream).await;
        }
        let opened = self.at(server, move || {
            let local: SocketAddr =
                if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
            let socket = std::net::UdpSocket::bind(local).map_err(&failed)?;
            socket.connect((server, 53)).map_err(&failed)?;
            socket.set_nonblocking(true).map_err(&failed)?;
            Ok(socket)
        });
        let socket = UdpSocket::from_std(opened.await.ok()?).ok()?;
        socket.send(question).await.ok()?;
        let mut buffer = vec![0; 4096];
        loop {
            let n = socket.recv(&mut buffer).await.ok()?;
            if buffer[..n].get(..2) == question.get(..2) {
                buffer.truncate(n);
                return Some(buffer);
            }
        }
    }
}

fn reply(question: &Message, code: ResponseCode) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = question.metadata.recursion_desired;
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = code;
    for query in &question.queries {
        answer.add_query(query.clone());
    }
    answer
}

/// Our own answer; `None` where the question is for others.
fn own(names: &Names, question: &Message) -> Option<Message> {
    let query = question.queries.first()?;
    let asked = query.name().to_ascii().trim_end_matches('.').to_ascii_lowercase();
    let mut answer = reply(question, ResponseCode::NoError);
    if query.query_type() == RecordType::PTR {
        let ip = query.name().parse_arpa_name().ok()?.addr();
        let (name, _) = names.names.iter().find(|(_, addresses)| addresses.contains(&ip))?;
        let target = Name::from_ascii(format!("{name}.")).ok()?;
        answer.add_answer(Record::from_rdata(query.name().clone(), TTL_S, RData::PTR(PTR(target))));
        return Some(answer);
    }
    let named = names.names.iter().filter(|(name, _)| *name == asked);
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut found = false;
    for (_, more) in named {
        found = true;
        addresses.extend(more);
    }
    if !found {
        return None;
    }
    if !addresses.is_empty() {
        let by = TURN.fetch_add(1, Ordering::Relaxed) % addresses.len();
        addresses.rotate_left(by);
    }
    for ip in addresses {
        let data = match (ip, query.query_type()) {
            (IpAddr::V4(ip), RecordType::A | RecordType::ANY) => RData::A(A(ip)),
            (IpAddr::V6(ip), RecordType::AAAA | RecordType::ANY) => RData::AAAA(AAAA(ip)),
            _ => continue,
        };
        answer.add_answer(Record::from_rdata(query.name().clone(), TTL_S, data));
    }
    Some(answer)
}
