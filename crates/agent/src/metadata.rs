//! The bridge from guests' metadata requests to whoever answers them, who is there only later: the host
//! stands before the services do.

use std::sync::{Arc, OnceLock};

use pileus_dataplane::{BoxFuture, Metadata, MetadataAnswer, MetadataQuery};
use pileus_host::MetadataSource;

/// A [`MetadataSource`] that is set once the services stand. Until then guests are asked to come back.
#[derive(Default)]
pub struct LateMetadata(OnceLock<Arc<dyn MetadataSource>>);

impl LateMetadata {
    /// Names who answers. A second time changes nothing.
    pub fn set(&self, source: Arc<dyn MetadataSource>) {
        // The first one stays: there is one composition root.
        let _ = self.0.set(source);
    }
}

impl Metadata for LateMetadata {
    fn answer(&self, q: MetadataQuery) -> BoxFuture<'_, MetadataAnswer> {
        Box::pin(async move {
            let Some(source) = self.0.get() else {
                return MetadataAnswer {
                    status: 503,
                    media: "text/plain".into(),
                    body: b"starting\n".to_vec(),
                };
            };
            let query = pileus_host::MetadataQuery {
                network: q.network,
                peer: q.peer,
                method: q.method,
                path: q.path,
                headers: q.headers,
                body: q.body,
            };
            let answer = source.answer(query).await;
            MetadataAnswer { status: answer.status, media: answer.media, body: answer.body }
        })
    }
}
