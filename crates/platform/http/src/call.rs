//! One request as a handler sees it.

use std::{net::SocketAddr, str::FromStr};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use pileus_base::{Ctx, Error, Kind, Result, Scope};
use pileus_policy::Rule;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Chunks, Family, Params, Version};

/// The address by which the client reached a service: links follow it.
#[derive(Debug, Clone)]
pub struct Base {
    /// `http://host:port`.
    pub root: String,
    /// The prefix that the service is mounted at: `/compute`, or empty on its classic port.
    pub prefix: String,
}

impl Base {
    /// An absolute URL of this service: the root, the prefix, `path`.
    pub fn url(&self, path: &str) -> String {
        format!("{}{}{path}", self.root, self.prefix)
    }
}

/// A connection taken over from HTTP (a console, an attached stream).
pub type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// One authenticated, authorised request.
pub struct Call<S> {
    /// The service.
    pub state: S,
    /// Who calls.
    pub ctx: Ctx,
    /// What the caller may see under the route's rule.
    pub scope: Scope,
    /// The route's rule.
    pub rule: Rule,
    /// The microversion; 0.0 where the API has none.
    pub version: Version,
    /// The method.
    pub method: Method,
    /// The whole URI, prefix included.
    pub uri: Uri,
    /// The path below the mount.
    pub path: String,
    /// The query's parameters.
    pub query: Params,
    /// The headers.
    pub headers: HeaderMap,
    /// How the client reached us.
    pub base: Base,
    /// The client's address, where it came by TCP.
    pub peer: Option<SocketAddr>,
    /// The raw token, where one was sent.
    pub token: Option<String>,
    pub(crate) family: &'static Family,
    pub(crate) params: Vec<(String, String)>,
    pub(crate) body: Option<Chunks>,
    pub(crate) upgrade: Option<OnUpgrade>,
}

impl<S> Call<S> {
    /// The path's parameter `name`; empty where the route has none of that name.
    pub fn param(&self, name: &str) -> &str {
        self.params.iter().find(|(k, _)| k == name).map_or("", |(_, v)| v)
    }

    /// The path's parameter `name` as an id; what is no id can't exist, so it is `not_found`.
    ///
    /// # Errors
    /// `not_found` of the text.
    pub fn id<I: FromStr>(&self, name: &str, not_found: impl FnOnce(&str) -> Error) -> Result<I> {
        let text = self.param(name);
        text.parse().map_err(|_| not_found(text))
    }

    /// The header `name` as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's pieces; empty on a second call.
    pub fn chunks(&mut self) -> Chunks {
        self.body.take().unwrap_or_else(Chunks::empty)
    }

    /// The whole body, where it is within the family's limit.
    ///
    /// # Errors
    /// 413 where it is longer, 400 where it breaks off.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        let limit = self.family.body_max;
        self.chunks().collect(limit).await
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// 400 where it isn't; those of [`Call::bytes`].
    pub async fn value(&mut self) -> Result<Value> {
        let body = self.bytes().await?;
        let malformed = |why: String| Error::bad_request(format!("Malformed request body: {why}"));
        let value: Value = serde_json::from_slice(&body).map_err(|e| malformed(e.to_string()))?;
        if has_nul(&value) {
            return Err(malformed("a string contains a NUL character".into()));
        }
        Ok(value)
    }

    /// The body as JSON of the shape `T`.
    ///
    /// # Errors
    /// 400 that names what does not fit; those of [`Call::bytes`].
    pub async fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        let value = self.value().await?;
        serde_json::from_value(value).map_err(|e| Error::bad_request(format!("Invalid input: {e}")))
    }

    /// Takes the connection over once the answer (101) has been sent.
    ///
    /// # Errors
    /// 400 where the connection can't be upgraded.
    pub fn upgrade(&mut self) -> Result<impl Future<Output = Result<Upgraded>> + Send + use<S>> {
        let upgrade =
            self.upgrade.take().ok_or_else(|| Error::bad_request("The connection can't be upgraded."))?;
        Ok(async move {
            let io = upgrade.await.map_err(|e| Error::wrap("failed to take a connection over", e))?;
            Ok(TokioIo::new(io))
        })
    }

    /// The refusal under this route's rule, in the family's words.
    pub fn denied(&self) -> Error {
        Error::new(Kind::Forbidden, (self.family.denied)(self.rule.name)).code("PolicyNotAuthorized")
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(s) => s.contains('\0'),
        Value::Array(all) => all.iter().any(has_nul),
        Value::Object(all) => all.iter().any(|(k, v)| k.contains('\0') || has_nul(v)),
        _ => false,
    }
}
