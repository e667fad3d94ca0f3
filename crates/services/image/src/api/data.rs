//! An image's data: up and down, as streams.

use std::io::SeekFrom;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use pileus_base::{Error, Kind, Result};
use pileus_http::{Body, HeaderName, Reply, header};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::{Call, images};
use crate::{model::Status, upload::Incoming};

/// Bytes read from disk at once.
const PIECE: usize = 256 * 1024;

/// `PUT /v2/images/{id}/file`
pub async fn upload(mut call: Call) -> Result<Reply> {
    let incoming = incoming(&mut call).await?;
    call.state.upload(incoming).await?;
    Ok(Reply::no_content())
}

/// `PUT /v2/images/{id}/stage`
pub async fn stage(mut call: Call) -> Result<Reply> {
    let incoming = incoming(&mut call).await?;
    call.state.stage(incoming).await?;
    Ok(Reply::no_content())
}

/// The data that a client sends for an image that it may change.
async fn incoming(call: &mut Call) -> Result<Incoming<impl Stream<Item = Result<Bytes>> + Unpin + use<>>> {
    let media = call.header("content-type").map(|t| t.split(';').next().unwrap_or_default().trim());
    if media.is_none_or(|t| !t.eq_ignore_ascii_case("application/octet-stream")) {
        return Err(Error::new(
            Kind::UnsupportedMedia,
            "The media type is not supported: use application/octet-stream",
        ));
    }
    let id = images::owned(call).await?.id;
    let announced = call.header("content-length").and_then(|l| l.parse().ok());
    Ok(Incoming { id, data: Box::pin(call.chunks().into_stream()), announced })
}

/// `GET /v2/images/{id}/file`, whole or a range. 204 where there is no data yet.
pub async fn download(call: Call) -> Result<Reply> {
    let image = images::named(&call).await?;
    let size = match (image.status, image.size) {
        (Status::Deactivated, _) if !call.ctx.is_admin() => {
            return Err(Error::forbidden(
                "The requested image has been deactivated. Image data download is forbidden.",
            ));
        }
        (_, Some(size)) if image.has_data() => size,
        _ => return Ok(Reply::no_content()),
    };
    let path = call.state.path(image.id);
    let failed = |e| Error::wrap(format!("failed to read `{}`", path.display()), e);
    let mut file = tokio::fs::File::open(&path).await.map_err(failed)?;
    let range = call.header("range").map(|r| parse_range(r, size)).transpose()?;
    let (from, length) = range.map_or((0, size), |(from, to)| (from, to - from + 1));
    file.seek(SeekFrom::Start(from)).await.map_err(failed)?;
    let pieces = futures_util::stream::unfold((file, length), |(mut file, left)| async move {
        if left == 0 {
            return None;
        }
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = (&mut file).take(left).read_buf(&mut piece).await;
        match read {
            Ok(0) => None,
            Ok(n) => Some((Ok(piece.freeze()), (file, left - n as u64))),
            Err(e) => Some((Err(e), (file, 0))),
        }
    });
    let status = if range.is_some() { 206 } else { 200 };
    let mut reply = Reply::stream(status, "application/octet-stream", Body::stream(pieces, Some(length)));
    if let Some((from, to)) = range {
        reply = reply.header(header::CONTENT_RANGE, format!("bytes {from}-{to}/{size}"));
    } else if let Some(md5) = &image.checksum {
        reply = reply.header(HeaderName::from_static("content-md5"), md5);
    }
    Ok(reply)
}

/// `bytes=0-99`, `bytes=100-`, `bytes=-100`: first and last byte.
fn parse_range(text: &str, size: u64) -> Result<(u64, u64)> {
    let bad = || Error::bad_request(format!("The range {text} can't be served."));
    let (from, to) = text.strip_prefix("bytes=").and_then(|r| r.split_once('-')).ok_or_else(bad)?;
    let last = size.checked_sub(1).ok_or_else(bad)?;
    let number = |t: &str| t.parse::<u64>().map_err(|_| bad());
    let (from, to) = match (from, to) {
        ("", tail) => (size.saturating_sub(number(tail)?), last),
        (from, "") => (number(from)?, last),
        (from, to) => (number(from)?, number(to)?.min(last)),
    };
    if from > to { Err(bad()) } else { Ok((from, to)) }
}
