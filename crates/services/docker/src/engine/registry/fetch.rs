//! Plain downloads over HTTP and TLS: what `ADD` and a build's remote context name. No address is out of
//! bounds: who may build has root's rights on this host.

use http::{Method, Response, Uri};
use hyper::body::Incoming;
use pileus_base::{Error, Kind, Result};

use super::client::{Client, Payload, whole};

/// Gets a URL, redirects followed.
///
/// # Errors
/// What the server says: 404, 400, 401 and 403 as they are, in the reference's words.
pub(crate) async fn get(url: &str) -> Result<Response<Incoming>> {
    let bad = || Error::bad_request(format!("parse {url:?}: invalid URL"));
    let uri: Uri = url.parse().map_err(|_| bad())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(bad()) };
    let client = Client::new(format!("{scheme}://{authority}"), None, Vec::new(), false);
    let nothing = Payload::Bytes(bytes::Bytes::new(), String::new());
    let path = uri.path_and_query().map_or("/", |p| p.as_str());
    let reply = client.send(Method::GET, path, "", nothing).await?;
    let status = reply.status();
    if status.as_u16() < 400 {
        return Ok(reply);
    }
    let said = String::from_utf8_lossy(&whole(reply).await?).trim().to_owned();
    let kind = match status.as_u16() {
        400 => Kind::BadRequest,
        401 => Kind::Unauthorized,
        403 => Kind::Forbidden,
        404 => Kind::NotFound,
        _ => Kind::Internal,
    };
    Err(Error::new(kind, format!("failed to GET {url} with status {status}: {said}")))
}
