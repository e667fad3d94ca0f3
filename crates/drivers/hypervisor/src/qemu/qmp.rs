//! QEMU's machine protocol: one JSON object a line, answers by id, events between them.
//! See <https://www.qemu.org/docs/master/interop/qmp-spec.html>.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use pileus_base::{Error, Result};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{UnixStream, unix::OwnedWriteHalf},
    sync::{Mutex as AsyncMutex, oneshot},
};

/// How long QEMU may take over an answer.
const PATIENCE: Duration = Duration::from_secs(20);

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Result<Value>>>>>;

/// A connection to one QEMU.
pub struct Qmp {
    writer: AsyncMutex<OwnedWriteHalf>,
    waiting: Waiting,
    next: AtomicU64,
}

impl Qmp {
    /// Greets QEMU over `stream`. `event` is called with every event's name and data; the connection's end
    /// is no event.
    ///
    /// # Errors
    /// 503 where QEMU doesn't answer.
    pub async fn open(
        stream: UnixStream,
        event: impl Fn(&str, &Value) + Send + 'static,
    ) -> Result<Arc<Self>> {
        let (reader, writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        let greeting = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        match greeting {
            Ok(Ok(Some(line))) if line.contains("\"QMP\"") => {}
            _ => return Err(Error::unavailable("QEMU did not greet on its control socket")),
        }
        let waiting: Waiting = Arc::default();
        let answers = waiting.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let Ok(message) = serde_json::from_str::<Value>(&line) else { continue };
                if let Some(name) = message["event"].as_str() {
                    event(name, &message["data"]);
                    continue;
                }
                let id = message["id"].as_u64();
                let Some(answer) = id.and_then(|id| answers.lock().remove(&id)) else { continue };
                let result = match message.get("error") {
                    Some(e) => {
                        Err(Error::internal(format!("QEMU: {}", e["desc"].as_str().unwrap_or("failed"))))
                    }
                    None => Ok(message["return"].clone()),
                };
                // Who asked may have stopped waiting.
                let _ = answer.send(result);
            }
            answers.lock().clear();
        });
        let qmp = Arc::new(Self { writer: AsyncMutex::new(writer), waiting, next: AtomicU64::new(1) });
        qmp.ask("qmp_capabilities", Value::Null).await?;
        Ok(qmp)
    }

    /// Runs a command; its answer.
    ///
    /// # Errors
    /// 500 with QEMU's words; 503 where it is gone or silent.
    pub async fn ask(&self, command: &str, arguments: Value) -> Result<Value> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({"execute": command, "id": id});
        if !arguments.is_null() {
            message["arguments"] = arguments;
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.lock().insert(id, answer);
        let gone = || Error::unavailable(format!("QEMU went away during {command}"));
        let line = format!("{message}\n");
        if self.writer.lock().await.write_all(line.as_bytes()).await.is_err() {
            self.waiting.lock().remove(&id);
            return Err(gone());
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(gone()),
            Err(_) => {
                self.waiting.lock().remove(&id);
                Err(Error::unavailable(format!("QEMU did not answer {command} in time")))
            }
        }
    }
}
