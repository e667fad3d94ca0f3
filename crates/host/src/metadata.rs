//! What guests ask the metadata service at 169.254.169.254, and who answers.

use std::net::IpAddr;

use pileus_base::ids::NetworkId;

use crate::BoxFuture;

/// A guest's request. The network and the sender's address name the guest: anti-spoofing guarantees it.
#[derive(Debug, Clone)]
pub struct MetadataQuery {
    /// The network it came from.
    pub network: NetworkId,
    /// The sender.
    pub peer: IpAddr,
    /// `GET`, `PUT`, `POST`.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// Header names (lower case) and values.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB.
    pub body: Vec<u8>,
}

/// The answer.
#[derive(Debug, Clone)]
pub struct MetadataAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The media type.
    pub media: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Who answers (compute, and stack for signals).
pub trait MetadataSource: Send + Sync + 'static {
    /// The answer to `query`; a 404 where nothing is known of the sender.
    fn answer(&self, query: MetadataQuery) -> BoxFuture<'_, MetadataAnswer>;
}
