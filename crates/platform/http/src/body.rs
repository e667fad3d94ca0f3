//! Bodies: what comes in is read with limits, what goes out is whole or a stream.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use pileus_base::{Error, Kind, Result};

/// How long a client may pause inside a body.
const PAUSE_MAX: Duration = Duration::from_secs(60);

type BoxedStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// An outgoing body.
pub struct Body(Inner);

enum Inner {
    Full(Full<Bytes>),
    Stream(BoxedStream, SizeHint),
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Inner::Full(_) => "Body::Full",
            Inner::Stream(..) => "Body::Stream",
        })
    }
}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self::full(Bytes::new())
    }
    /// All of it.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Full(Full::new(bytes.into())))
    }
    /// Made as it is sent; of `length` bytes where known.
    pub fn stream(
        chunks: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        let hint = length.map_or_else(SizeHint::default, SizeHint::with_exact);
        Self(Inner::Stream(Box::pin(chunks), hint))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match &mut self.0 {
            Inner::Full(b) => Pin::new(b).poll_frame(cx).map_err(|never| match never {}),
            Inner::Stream(s, _) => s.as_mut().poll_next(cx).map_ok(Frame::data),
        }
    }
    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Full(b) => b.is_end_stream(),
            Inner::Stream(..) => false,
        }
    }
    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Full(b) => b.size_hint(),
            Inner::Stream(_, hint) => *hint,
        }
    }
}

/// How long the rest of a body that nobody wants is read, so that its sender hears the answer.
const LINGER: Duration = Duration::from_secs(30);

/// An incoming body, read piece by piece. What is not read is read and thrown away, within a bound: a client
/// that is cut off while it sends does not see why.
pub struct Chunks(Option<Incoming>);

impl Drop for Chunks {
    fn drop(&mut self) {
        let Some(mut body) = self.0.take().filter(|b| !b.is_end_stream()) else { return };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let rest = async move { while let Some(Ok(_)) = body.frame().await {} };
            runtime.spawn(tokio::time::timeout(LINGER, rest));
        }
    }
}

impl Chunks {
    pub(crate) fn new(body: Incoming) -> Self {
        Self(Some(body))
    }
    /// A body of no bytes.
    pub fn empty() -> Self {
        Self(None)
    }
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// 400 where the client broke off or paused too long.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        let Some(body) = &mut self.0 else { return Ok(None) };
        loop {
            let late = |_| Error::bad_request("The request body did not arrive in time.");
            let frame = match tokio::time::timeout(PAUSE_MAX, body.frame()).await.map_err(late)? {
                None => {
                    self.0 = None;
                    return Ok(None);
                }
                Some(f) => f.map_err(|e| Error::bad_request("The request body broke off.").caused_by(e))?,
            };
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
    }
    /// All of it, where it is at most `limit` bytes.
    ///
    /// # Errors
    /// 413 where it is longer; those of [`Chunks::next`].
    pub async fn collect(mut self, limit: usize) -> Result<Bytes> {
        let too_large =
            || Error::new(Kind::TooLarge, format!("Request is too large: at most {limit} bytes."));
        let announced = self.0.as_ref().and_then(|b| b.size_hint().exact());
        if announced.is_some_and(|n| n > limit as u64) {
            return Err(too_large());
        }
        let mut all = BytesMut::new();
        while let Some(chunk) = self.next().await? {
            if all.len() + chunk.len() > limit {
                return Err(too_large());
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all.freeze())
    }
    /// As a stream, for handing on.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes>> + Send {
        futures_util::stream::unfold(self, |mut chunks| async move {
            match chunks.next().await {
                Ok(None) => None,
                Ok(Some(bytes)) => Some((Ok(bytes), chunks)),
                Err(e) => Some((Err(e), Chunks::empty())),
            }
        })
        .boxed()
    }
}
