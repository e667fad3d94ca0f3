//! Progress, as lines of JSON that a client draws.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use bytes::Bytes;
use pileus_base::{Error, Kind, Result};
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Where lines go. Nobody may be reading: the work goes on.
#[derive(Clone)]
pub(crate) struct Progress(mpsc::UnboundedSender<Bytes>, Arc<AtomicBool>);

impl Progress {
    /// One that sends nowhere else.
    pub fn new(to: mpsc::UnboundedSender<Bytes>) -> Self {
        Self(to, Arc::default())
    }
    /// The last line of what failed.
    pub fn fail(&self, e: &Error) {
        self.say(&error_line(e));
    }
    /// Returns once nobody reads any more.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
    /// Sends a line.
    pub fn say(&self, line: &Value) {
        self.1.store(true, Ordering::Relaxed);
        let _ = self.0.send(Bytes::from(format!("{line}\r\n")));
    }
    /// `{"stream":…}`.
    pub fn stream(&self, text: &str) {
        self.say(&json!({ "stream": text }));
    }
    /// `{"status":…}`.
    pub fn status(&self, text: &str) {
        self.say(&json!({ "status": text }));
    }
    /// What takes place with one layer.
    pub fn step(&self, id: &str, status: &str) {
        self.say(&json!({ "status": status, "progressDetail": {}, "id": id }));
    }
    /// How far one layer is.
    pub fn layer(&self, id: &str, status: &str, current: u64, total: u64) {
        let detail = json!({ "current": current, "total": total });
        self.say(&json!({ "status": status, "progressDetail": detail, "id": id }));
    }
}

/// Runs `work` and streams what it says. What fails before it has said anything is the answer's own error;
/// later it is the last line.
///
/// # Errors
/// Those of `work` before its first line.
pub(crate) async fn streamed<F>(work: impl FnOnce(Progress) -> F) -> Result<Reply>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, mut lines) = mpsc::unbounded_channel();
    let progress = Progress(sender, Arc::default());
    let work = work(progress.clone());
    let task = tokio::spawn(async move {
        match work.await {
            Err(e) if progress.1.load(Ordering::Relaxed) => {
                progress.fail(&e);
                Ok(())
            }
            done => done,
        }
    });
    let Some(first) = lines.recv().await else {
        task.await.map_err(|e| Error::wrap("the work broke off", e))??;
        return Ok(Reply::bytes(200, "application/json", Bytes::new()));
    };
    let lines = futures_util::stream::unfold((Some(first), lines), |(first, mut lines)| async move {
        let line = match first {
            Some(line) => line,
            None => lines.recv().await?,
        };
        Some((Ok(line), (None, lines)))
    });
    Ok(Reply::stream(200, "application/json", Body::stream(lines, None)))
}

fn error_line(error: &Error) -> Value {
    let message = match error.kind() {
        Kind::Internal => error.chain(),
        _ => error.message().to_owned(),
    };
    json!({ "errorDetail": { "message": message }, "error": message })
}
