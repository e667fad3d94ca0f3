//! Datagrams carried to a container across families, a socket for each client, until it has been silent.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{net::UdpSocket, task::JoinSet, time::timeout};

/// How long a client is remembered without a word from the container.
const IDLE: Duration = Duration::from_secs(90);
/// Clients at once; others wait until one is forgotten.
const CLIENTS_MAX: usize = 512;

type Clients = Arc<Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>>;

/// Carries what comes on `socket` to `to`, and the answers back, until the task is ended.
pub async fn carry(socket: UdpSocket, to: SocketAddr) {
    let (socket, clients) = (Arc::new(socket), Clients::default());
    // Ends with this task, so that a port given back carries nothing more.
    let mut answers = JoinSet::new();
    let mut buffer = vec![0u8; 65_536];
    loop {
        let Ok((n, from)) = socket.recv_from(&mut buffer).await else {
            tokio::task::yield_now().await;
            continue;
        };
        while answers.try_join_next().is_some() {}
        let known = clients.lock().get(&from).cloned();
        let inner = match known {
            Some(inner) => inner,
            None if clients.lock().len() >= CLIENTS_MAX => continue,
            None => {
                let Ok(inner) = connect(to).await else { continue };
                let inner = Arc::new(inner);
                clients.lock().insert(from, inner.clone());
                answers.spawn(answer(socket.clone(), inner.clone(), from, clients.clone()));
                inner
            }
        };
        // A datagram that is lost is lost.
        let _ = inner.send(&buffer[..n]).await;
    }
}

async fn connect(to: SocketAddr) -> std::io::Result<UdpSocket> {
    let any: SocketAddr = if to.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

async fn answer(socket: Arc<UdpSocket>, inner: Arc<UdpSocket>, client: SocketAddr, clients: Clients) {
    let mut buffer = vec![0u8; 65_536];
    while let Ok(Ok(n)) = timeout(IDLE, inner.recv(&mut buffer)).await {
        if socket.send_to(&buffer[..n], client).await.is_err() {
            break;
        }
    }
    clients.lock().remove(&client);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_find_their_way_back() {
        let echo = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let to = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            while let Ok((n, from)) = echo.recv_from(&mut buffer).await {
                echo.send_to(&buffer[..n].to_ascii_uppercase(), from).await.unwrap();
            }
        });
        let front = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let at = front.local_addr().unwrap();
        let carrier = tokio::spawn(carry(front, to));
        for word in ["one", "two"] {
            let client = connect(at).await.unwrap();
            client.send(word.as_bytes()).await.unwrap();
            let mut buffer = [0; 64];
            let n = timeout(Duration::from_secs(5), client.recv(&mut buffer)).await.unwrap().unwrap();
            assert_eq!(&buffer[..n], word.to_uppercase().as_bytes());
        }
        carrier.abort();
    }
}
