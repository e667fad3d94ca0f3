//! DNS for guests: the network's own names, and for everything else the host's resolvers, asked from the
//! host's own namespace.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
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
use tokio::{net::UdpSocket, sync::Semaphore};

use super::table::Table;

/// How long a resolver of the host may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Questions handed on at once, for one network.
const FORWARDS_MAX: usize = 64;
/// How long an answer of ours may be kept, in seconds: servers come and go.
const TTL_S: u32 = 5;

/// Answers guests on `socket` until the task is ended.
pub async fn serve(socket: UdpSocket, table: Arc<RwLock<Table>>) {
    let (socket, forwards) = (Arc::new(socket), Arc::new(Semaphore::new(FORWARDS_MAX)));
    let mut buffer = [0u8; 4096];
    loop {
        let Ok((n, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Ok(question) = Message::from_vec(&buffer[..n]) else { continue };
        if question.metadata.message_type != MessageType::Query {
            continue;
        }
        let own = answer(&table.read(), &question);
        if let Some(answer) = own {
            send(&socket, &answer, from).await;
            continue;
        }
        let Ok(permit) = forwards.clone().try_acquire_owned() else { continue };
        let (socket, bytes) = (socket.clone(), buffer[..n].to_vec());
        tokio::spawn(async move {
            let _permit = permit;
            match forward(&bytes).await {
                Some(answer) => {
                    // A guest that has gone asks no more.
                    let _ = socket.send_to(&answer, from).await;
                }
                None => send(&socket, &refusal(&question, ResponseCode::ServFail), from).await,
            }
        });
    }
}

async fn send(socket: &UdpSocket, message: &Message, to: SocketAddr) {
    if let Ok(bytes) = message.to_vec() {
        // A guest that has gone asks no more.
        let _ = socket.send_to(&bytes, to).await;
    }
}

fn refusal(question: &Message, code: ResponseCode) -> Message {
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
fn answer(table: &Table, question: &Message) -> Option<Message> {
    let query = question.queries.first()?;
    let name = query.name().to_ascii();
    if query.query_type() == RecordType::PTR {
        let ip = reverse(&name)?;
        if !table.network.subnets.iter().any(|s| s.cidr.contains(&ip)) {
            return None;
        }
        let Some(host) = table.name_of(ip) else { return Some(refusal(question, ResponseCode::NXDomain)) };
        let target = Name::from_ascii(format!("{host}.{}.", table.network.dns_domain)).ok()?;
        let mut answer = refusal(question, ResponseCode::NoError);
        answer.add_answer(Record::from_rdata(query.name().clone(), TTL_S, RData::PTR(PTR(target))));
        return Some(answer);
    }
    let addresses = table.addresses(&name)?;
    if addresses.is_empty() {
        return Some(refusal(question, ResponseCode::NXDomain));
    }
    let mut answer = refusal(question, ResponseCode::NoError);
    answer.metadata.authoritative = true;
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

/// `5.0.0.10.in-addr.arpa.` → 10.0.0.5
fn reverse(name: &str) -> Option<IpAddr> {
    let digits = name.trim_end_matches('.').strip_suffix(".in-addr.arpa")?;
    let mut parts: Vec<&str> = digits.split('.').collect();
    parts.reverse();
    parts.join(".").parse().ok()
}

/// Asks the host's resolvers in turn.
async fn forward(question: &[u8]) -> Option<Vec<u8>> {
    let text = tokio::fs::read_to_string("/etc/resolv.conf").await.ok()?;
    let servers = text.lines().filter_map(|l| l.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    for server in servers {
        let local: SocketAddr =
            if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        let asked = async {
            let socket = UdpSocket::bind(local).await.ok()?;
            socket.connect((server, 53)).await.ok()?;
            socket.send(question).await.ok()?;
            let mut buffer = vec![0; 4096];
            let n = socket.recv(&mut buffer).await.ok()?;
            buffer.truncate(n);
            Some(buffer)
        };
        if let Ok(Some(answer)) = tokio::time::timeout(PATIENCE, asked).await {
            return Some(answer);
        }
    }
    None
}
