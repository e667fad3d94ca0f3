//! A process's streams and a client's, joined.
//!
//! ```text
//!   client ── typed ──► (detach keys) ──► standard input        frames: [1|2, 0, 0, 0, u32 length] + bytes
//!          ◄─ shown ─── (framed or raw) ◄── output
//! ```
//! The host's stream is framed without a terminal and raw with one. What the client gets is said by its
//! request alone: an exec with a terminal that is started without `Tty` is framed all the same.

use std::io;

use bytes::{Buf, BufMut, BytesMut};
use pileus_host::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::model::detach::Watch;

/// How a client and a process are joined.
#[derive(Debug, Clone, Default)]
pub struct Way {
    /// Whether the process has a terminal: its output is raw.
    pub tty: bool,
    /// Whether the client gets frames.
    pub framed: bool,
    /// Whether what the client writes is standard input.
    pub stdin: bool,
    /// What detaches; nothing where empty.
    pub keys: Vec<u8>,
}

/// How a join has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The process has ended, and the client knows all of it.
    Ended,
    /// The client typed the detach keys.
    Detached,
    /// The client is gone.
    Left,
}

/// Joins both until either is over; neither is closed by that.
pub async fn join<C>(client: C, stream: &mut Box<dyn Stream>, way: Way) -> Over
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from, mut to) = tokio::io::split(client);
    let (mut output, mut input) = tokio::io::split(stream);
    let typed = async {
        if way.stdin && matches!(type_in(&mut from, &mut input, way.keys.clone()).await, Ok(true)) {
            return Over::Detached;
        }
        // Who writes no more may go on reading.
        std::future::pending().await
    };
    tokio::select! {
        over = show(&mut output, &mut to, &way) => over,
        over = typed => over,
    }
}

/// Tells a client that no more comes.
pub async fn close(client: &mut (impl AsyncWrite + Unpin)) {
    // It may be gone already.
    let _ = client.shutdown().await;
}

/// Carries what is typed; whether the detach keys were among it.
async fn type_in(
    from: &mut (impl AsyncRead + Unpin),
    input: &mut (impl AsyncWrite + Unpin),
    keys: Vec<u8>,
) -> io::Result<bool> {
    let mut watch = Watch::new(keys);
    let (mut typed, mut out) = (vec![0; 16 << 10], Vec::new());
    loop {
        let n = from.read(&mut typed).await.unwrap_or(0);
        if n == 0 {
            input.shutdown().await?;
            return Ok(false);
        }
        out.clear();
        let met = watch.pass(&typed[..n], &mut out);
        input.write_all(&out).await?;
        if met {
            return Ok(true);
        }
    }
}

/// Carries the output.
async fn show(output: &mut (impl AsyncRead + Unpin), to: &mut (impl AsyncWrite + Unpin), way: &Way) -> Over {
    let mut said = BytesMut::with_capacity(32 << 10);
    let mut frames = Frames::default();
    loop {
        said.clear();
        said.reserve(32 << 10);
        match output.read_buf(&mut said).await {
            Ok(0) | Err(_) => return Over::Ended,
            Ok(_) => {}
        }
        let shown = match (way.tty, way.framed) {
            (true, true) => to.write_all(&frame(1, &said)).await,
            (false, false) => to.write_all(&frames.texts(&said)).await,
            _ => to.write_all(&said).await,
        };
        if shown.is_err() {
            return Over::Left;
        }
    }
}

/// Reads to the end what nobody wants.
pub async fn drain(stream: &mut Box<dyn Stream>) {
    let mut sink = vec![0; 16 << 10];
    while stream.read(&mut sink).await.is_ok_and(|n| n > 0) {}
}

/// A frame of stream `number` (1 standard output, 2 standard error).
pub fn frame(number: u8, text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + text.len());
    out.put_slice(&[number, 0, 0, 0]);
    out.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    out.put_slice(text);
    out
}

/// Takes frames apart that come in pieces.
#[derive(Debug, Default)]
pub struct Frames {
    head: BytesMut,
    left: usize,
}

impl Frames {
    /// What the frames hold, of all streams.
    pub fn texts(&mut self, mut said: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(said.len());
        while !said.is_empty() {
            if self.left == 0 {
                let n = (8 - self.head.len()).min(said.len());
                self.head.extend_from_slice(&said[..n]);
                said = &said[n..];
                if self.head.len() == 8 {
                    self.head.advance(4);
                    self.left = self.head.get_u32() as usize;
                    self.head.clear();
                }
                continue;
            }
            let (now, later) = said.split_at(self.left.min(said.len()));
            out.extend_from_slice(now);
            self.left -= now.len();
            said = later;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_apart_wherever_they_are_cut() {
        let mut whole = frame(1, b"out");
        whole.extend(frame(2, b""));
        whole.extend(frame(2, b"err\n"));
        for at in 0..whole.len() {
            let mut frames = Frames::default();
            let mut got = frames.texts(&whole[..at]);
            got.extend(frames.texts(&whole[at..]));
            assert_eq!(got, b"outerr\n", "cut at {at}");
        }
    }

    async fn joined(way: Way, says: &[u8], types: &[u8]) -> (Over, Vec<u8>, Vec<u8>) {
        let (client, mut me) = tokio::io::duplex(1 << 10);
        let (host, mut process) = tokio::io::duplex(1 << 10);
        process.write_all(says).await.unwrap();
        me.write_all(types).await.unwrap();
        let mut host: Box<dyn Stream> = Box::new(host);
        let task = tokio::spawn(async move { join(client, &mut host, way).await });
        let mut heard = vec![0; 64];
        let n = if types.is_empty() { 0 } else { process.read(&mut heard).await.unwrap() };
        heard.truncate(n);
        if !types.contains(&17) {
            process.shutdown().await.unwrap();
        }
        let mut shown = Vec::new();
        me.read_to_end(&mut shown).await.unwrap();
        (task.await.unwrap(), shown, heard)
    }

    #[tokio::test]
    async fn a_client_gets_what_it_asked_for() {
        let way = |tty, framed| Way { tty, framed, ..Way::default() };
        assert_eq!(joined(way(true, true), b"hi", b"").await.1, frame(1, b"hi"));
        assert_eq!(joined(way(true, false), b"hi", b"").await.1, b"hi");
        assert_eq!(joined(way(false, false), &frame(2, b"hi"), b"").await.1, b"hi");
        assert_eq!(
            joined(way(false, true), &frame(2, b"hi"), b"").await,
            (Over::Ended, frame(2, b"hi"), vec![])
        );
    }

    #[tokio::test]
    async fn detach_keys_end_the_join_and_not_the_process() {
        let way = Way { tty: true, framed: false, stdin: true, keys: vec![16, 17] };
        let (over, _, heard) = joined(way, b"", b"a\x10\x11").await;
        assert_eq!((over, &heard[..]), (Over::Detached, &b"a"[..]));
    }
}
