//! `POST /build`: the classic builder. The context is taken in whole before the first word of the answer.

use std::sync::Arc;

use bytes::Bytes;
use pileus_base::{Error, Result};
use pileus_http::{Body, Reply, Routes};
use tokio::sync::mpsc;

use super::{Call, Flags, SOCKET};
use crate::{
    Docker,
    engine::build::{self, Builder, Context, Options},
};

/// The routes of this file.
pub(super) fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table.post("/build", SOCKET, start).post("/build/cancel", SOCKET, cancel)
}

async fn start(mut call: Call) -> Result<Reply> {
    let options = Options::read(&call)?;
    let docker = call.state.clone();
    let context = match options.remote.is_empty() {
        true => Context::receive(&docker, call.chunks(), &options).await?,
        false => Context::bring(&docker, &options).await?,
    };
    let (out, lines) = mpsc::channel::<Bytes>(64);
    let builder = Builder::new(docker, options, context, out).await?;
    tokio::spawn(builder.run());
    let lines = futures_util::stream::unfold(lines, |mut lines| async move {
        lines.recv().await.map(|line| (Ok(line), lines))
    });
    Ok(Reply::stream(200, "application/json", Body::stream(lines, None)))
}

async fn cancel(call: Call) -> Result<Reply> {
    let id = call.text("id");
    if id.is_empty() {
        return Err(Error::bad_request("build ID not provided"));
    }
    build::cancel(&id);
    Ok(Reply::empty(200))
}
