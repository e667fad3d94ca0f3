//! `POST /build`: the classic builder. The context is taken in whole before the first word of the answer.

use std::sync::Arc;

use bytes::Bytes;
use pileus_base::{Error, Result};
use pileus_http::{Body, Reply, Routes};
use tokio::sync::mpsc;

use super::{Call, SOCKET};
use crate::{
    Docker,
    engine::build::{Builder, Context, Options},
};

/// The routes of this file.
pub(super) fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table.post("/build", SOCKET, build)
}

async fn build(mut call: Call) -> Result<Reply> {
    let options = Options::read(&call)?;
    if !options.remote.is_empty() {
        return Err(Error::not_implemented("remote contexts are not supported: send the context as a tar"));
    }
    let docker = call.state.clone();
    let context = Context::receive(&docker, call.chunks(), &options).await?;
    let (out, lines) = mpsc::channel::<Bytes>(64);
    let builder = Builder::new(docker, options, context, out)?;
    tokio::spawn(builder.run());
    let lines = futures_util::stream::unfold(lines, |mut lines| async move {
        lines.recv().await.map(|line| (Ok(line), lines))
    });
    Ok(Reply::stream(200, "application/json", Body::stream(lines, None)))
}
