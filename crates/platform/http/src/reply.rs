//! What a handler answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pileus_base::{Error, Result};
use serde::Serialize;

use crate::Body;

/// A status, headers and a body.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// Headers; the edge adds request id, version and length.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// `status` and nothing else.
    pub fn empty(status: u16) -> Self {
        Self { status: code(status), headers: HeaderMap::new(), body: Body::empty() }
    }
    /// 204.
    pub fn no_content() -> Self {
        Self::empty(204)
    }
    /// `status` and `value` as JSON.
    ///
    /// # Errors
    /// 500 where the value can't be written as JSON.
    pub fn json(status: u16, value: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(|e| Error::wrap("failed to write an answer", e))?;
        Ok(Self::bytes(status, "application/json", body))
    }
    /// 200 and `value` as JSON.
    ///
    /// # Errors
    /// 500 where the value can't be written as JSON.
    pub fn ok(value: &impl Serialize) -> Result<Self> {
        Self::json(200, value)
    }
    /// `status` and a body of `media` type.
    pub fn bytes(status: u16, media: &'static str, body: impl Into<Bytes>) -> Self {
        let mut reply = Self { status: code(status), headers: HeaderMap::new(), body: Body::full(body) };
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        reply
    }
    /// `status` and a body that is made as it is sent.
    pub fn stream(status: u16, media: &'static str, body: Body) -> Self {
        let mut reply = Self { status: code(status), headers: HeaderMap::new(), body };
        reply.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
        reply
    }
    /// Adds a header; a value that no header can hold is left out.
    pub fn header(mut self, name: HeaderName, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.append(name, value);
        }
        self
    }
    /// Adds `Location`.
    pub fn location(self, url: impl AsRef<str>) -> Self {
        self.header(header::LOCATION, url)
    }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
