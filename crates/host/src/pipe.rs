//! Between what blocks and what doesn't: a reader of what is written on a thread, and the reverse.

use std::{
    io::{self, Read, Write},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use pileus_base::Result;
use tokio::{
    io::{AsyncRead, AsyncReadExt, ReadBuf},
    runtime::Handle,
    sync::mpsc,
};

use crate::Reader;

/// How much a writer gathers before it hands it over.
const CHUNK: usize = 256 << 10;

/// Writes pieces to a channel.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if !buf.is_empty() {
            self.0.blocking_send(Ok(Bytes::copy_from_slice(buf))).map_err(|_| io::ErrorKind::BrokenPipe)?;
        }
        Ok(buf.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Where pieces come from.
pub trait Source: Unpin {
    /// The next piece; `None` after the last.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

impl Source for mpsc::Receiver<io::Result<Bytes>> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        self.poll_recv(cx)
    }
}

/// Reads pieces; those of a channel, awaited or not.
pub struct FromPieces<S = mpsc::Receiver<io::Result<Bytes>>> {
    from: S,
    piece: Bytes,
}

impl<S: Source> FromPieces<S> {
    /// What arrives at `from`.
    pub fn new(from: S) -> Self {
        Self { from, piece: Bytes::new() }
    }
}

impl<S: Source> AsyncRead for FromPieces<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.piece.is_empty() {
            match self.from.poll_piece(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Ready(Some(piece)) => self.piece = piece?,
            }
        }
        let n = buf.remaining().min(self.piece.len());
        buf.put_slice(&self.piece.split_to(n));
        Poll::Ready(Ok(()))
    }
}

impl Read for FromPieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.from.blocking_recv() {
                None => return Ok(0),
                Some(piece) => self.piece = piece?,
            }
        }
        let n = buf.len().min(self.piece.len());
        buf[..n].copy_from_slice(&self.piece.split_to(n));
        Ok(n)
    }
}

/// Something that writes an archive: ends with an I/O error or one of ours.
pub trait Ended {
    /// As an I/O error.
    fn ended(self) -> io::Result<()>;
}

impl Ended for io::Result<()> {
    fn ended(self) -> io::Result<()> {
        self
    }
}

impl Ended for Result<()> {
    fn ended(self) -> io::Result<()> {
        self.map_err(io::Error::other)
    }
}

/// Reads what `write` writes on a thread of its own.
pub fn reader<R: Ended>(write: impl FnOnce(&mut dyn Write) -> R + Send + 'static) -> Reader {
    let (to, from) = mpsc::channel(8);
    tokio::task::spawn_blocking(move || {
        let mut out = io::BufWriter::with_capacity(CHUNK, Pieces(to.clone()));
        let done = write(&mut out).ended().and_then(|()| out.flush());
        if let Err(e) = done {
            // What is gathered is part of nothing; and who read may have gone.
            drop(out.into_parts());
            let _ = to.blocking_send(Err(e));
        }
    });
    Box::new(FromPieces::new(from))
}

/// Reads on a thread that may block.
pub struct Blocking(Reader, Handle);

impl Blocking {
    /// Of this runtime's.
    pub fn new(from: Reader) -> Self {
        Self(from, Handle::current())
    }
}

/// A reader for a thread that may block.
pub fn blocking(from: Reader) -> io::BufReader<Blocking> {
    io::BufReader::with_capacity(CHUNK, Blocking::new(from))
}

impl Read for Blocking {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1.block_on(self.0.read(buf))
    }
}

#[cfg(test)]
mod tests {
    use pileus_base::Error;

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_written_is_read_and_errors_last() {
        let mut all = Vec::new();
        let write = |out: &mut dyn Write| out.write_all(&[7; 1 << 20]).map_err(|e| Error::wrap("write", e));
        reader(write).read_to_end(&mut all).await.unwrap();
        assert_eq!(all.len(), 1 << 20);
        let mut broken = reader(|_: &mut dyn Write| Err::<(), _>(Error::internal("broke")));
        assert!(
            AsyncReadExt::read_to_end(&mut broken, &mut all).await.unwrap_err().to_string().contains("broke")
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn readers_are_bridged() {
        let mut from = Blocking::new(Box::new(&b"hello"[..]));
        let got = tokio::task::spawn_blocking(move || io::read_to_string(&mut from)).await.unwrap();
        assert_eq!(got.unwrap(), "hello");
    }
}
