//! Logs that go elsewhere (`syslog`, `gelf`, `fluentd`). The supervisor writes the log here, in the compact form of
//! the driver `local`; the daemon reads it there and sends it on. So nothing is lost while the other side is away,
//! a daemon that is killed goes on where it was (some lines may come twice then), and `docker logs` works.
//!
//! ```text
//!   supervisor ──► local.log ──► Follower ──► Writer ──► Sink ──► …
//!                  shipped: the time of the last record that is sent
//! ```

mod sink;
mod tls;

use std::{collections::HashMap, path::PathBuf, time::Duration};

use parking_lot::Mutex;
use pileus_base::Result;
use pileus_host::LogKind;
use tokio::{sync::watch, task::JoinHandle};

pub(crate) use self::sink::Sink;
use super::{End, follow::Follower, notices::Notice, origin, records::Record};
use crate::{
    Container, Docker,
    model::logging::{self, Target, remote::Writer},
};

/// How many records are read at once.
const BATCH: usize = 256;
/// The pauses between tries to reach the other side: the first, which doubles, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(30)];
/// How long a removal waits for what is not yet sent.
const PATIENCE: Duration = Duration::from_secs(5);
/// The file with the time of the last record that is sent, in the container's directory.
const MARK: &str = "shipped";

/// Logs that are being sent, by container.
#[derive(Default)]
pub struct Shipments(Mutex<HashMap<String, Shipment>>);

struct Shipment {
    /// Set for it to end once all is sent.
    finish: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Docker {
    /// What writes a container's log for elsewhere, and the way there, where it has such a driver.
    ///
    /// # Errors
    /// In the reference's words where the other side isn't there.
    pub(crate) async fn open_sink(&self, c: &Container) -> Result<Option<(Writer, Option<Sink>)>> {
        let config = &c.host_config["LogConfig"];
        let Some(writer) = origin(c, |o| Writer::new(config, o))? else { return Ok(None) };
        match Sink::open(writer.target()).await {
            Ok(sink) => Ok(Some((writer, Some(sink)))),
            Err(_) if matches!(writer.target(), Target::Fluentd(f) if f.late) => Ok(Some((writer, None))),
            Err(why) => Err(logging::start(&match writer.target() {
                Target::Gelf(_) => {
                    format!("gelf: cannot connect to GELF endpoint: {} {why}", sink::host_of(writer.target()))
                }
                _ => why,
            })),
        }
    }

    /// Sends the log of a container that runs, or has run.
    pub(crate) fn ship(&self, c: &Container, (writer, sink): (Writer, Option<Sink>)) {
        let mut phases = self.phases(&c.id);
        let before = phases.borrow_and_update().ends;
        let dir = self.container_dir(&c.id);
        let notice = match self.notices.watch(&dir) {
            Ok(notice) => notice,
            Err(e) => return tracing::warn!(container = %c.id, "failed to watch a log: {e}"),
        };
        let (finish, finished) = watch::channel(false);
        let shipper = Shipper {
            id: c.id.clone(),
            log: self.log_path(c, LogKind::Local),
            mark: dir.join(MARK),
            writer,
            sink,
            finished,
        };
        let end = End { phases, before };
        let mut all = self.shipments.0.lock();
        if let Some(former) = all.remove(&c.id) {
            // That of an earlier run: what it hadn't sent, this one does.
            former.task.abort();
        }
        let task = tokio::spawn(shipper.run(notice, end, c.runs()));
        all.insert(c.id.clone(), Shipment { finish, task });
    }

    /// After the daemon's start: goes on with what an earlier one hadn't sent.
    pub(crate) fn ship_on(&self, c: &Container) {
        let config = &c.host_config["LogConfig"];
        let dir = self.container_dir(&c.id);
        let changed = |name: &str| std::fs::metadata(dir.join(name)).and_then(|m| m.modified()).ok();
        let unsent = match (changed("local.log"), changed(MARK)) {
            (Some(log), Some(mark)) => log >= mark,
            (log, _) => log.is_some(),
        };
        if !c.runs() && !unsent {
            return;
        }
        match origin(c, |o| Writer::new(config, o)) {
            Ok(Some(writer)) => self.ship(c, (writer, None)),
            Ok(None) => {}
            Err(e) => tracing::warn!(container = %c.id, "failed to send a log on: {}", e.chain()),
        }
    }

    /// Before a container that has ended is removed: waits a moment for the rest of its log to be sent.
    pub(crate) async fn finish_shipping(&self, id: &str) {
        let Some(mut shipment) = self.shipments.0.lock().remove(id) else { return };
        shipment.finish.send_replace(true);
        if tokio::time::timeout(PATIENCE, &mut shipment.task).await.is_err() {
            tracing::warn!(container = id, "a log was not sent whole");
            shipment.task.abort();
        }
    }

    /// Whether a log is being sent.
    pub(crate) fn ships(&self, id: &str) -> bool {
        self.shipments.0.lock().contains_key(id)
    }
}

struct Shipper {
    id: String,
    log: PathBuf,
    mark: PathBuf,
    writer: Writer,
    sink: Option<Sink>,
    finished: watch::Receiver<bool>,
}

impl Shipper {
    /// Sends until the container has ended, or is removed, and all is sent. Cut off at any point, the mark says
    /// where the next begins.
    async fn run(mut self, mut notice: Notice, mut end: End, runs: bool) {
        let path = self.log.clone();
        let sent = tokio::fs::read_to_string(&self.mark).await.ok().and_then(|t| t.trim().parse().ok());
        let mut over = !runs;
        let mut place = None;
        loop {
            let (path, before) = (path.clone(), place.take());
            let read = tokio::task::spawn_blocking(move || {
                // What was sent before is passed over.
                let (mut follower, mut skip) =
                    before.unwrap_or_else(|| (Follower::new(&path, true, None), sent));
                let batch = batch(&mut follower, &mut skip);
                (batch, (follower, skip))
            });
            let Ok((records, back)) = read.await else { return };
            place = Some(back);
            if records.is_empty() {
                if over {
                    if let Some(sink) = self.sink.take() {
                        sink.close().await;
                    }
                    return;
                }
                tokio::select! {
                    () = notice.changed() => {}
                    () = end.come() => over = true,
                    // The sender is gone with the daemon alone.
                    _ = self.finished.wait_for(|f| *f) => over = true,
                }
                continue;
            }
            if !self.send(&records).await {
                return;
            }
        }
    }

    /// Sends records, and notes the last; whether that was possible.
    async fn send(&mut self, records: &[Record]) -> bool {
        for record in records {
            let message = self.writer.write(record.stream, record.at_ns, &record.text);
            let mut pause = PAUSES[0];
            loop {
                let tried = match &mut self.sink {
                    Some(sink) => sink.send(&message).await.map_err(|e| e.to_string()),
                    None => match Sink::open(self.writer.target()).await {
                        Ok(sink) => {
                            self.sink = Some(sink);
                            continue;
                        }
                        Err(why) => Err(why),
                    },
                };
                let Err(why) = tried else { break };
                self.sink = None;
                tracing::debug!(container = %self.id, "failed to send a log: {why}");
                tokio::select! {
                    () = tokio::time::sleep(pause) => pause = (pause * 2).min(PAUSES[1]),
                    // A removal is near: tried a few times more, and cut off then.
                    _ = self.finished.wait_for(|f| *f), if pause > PAUSES[0] => pause = PAUSES[0],
                }
            }
        }
        let Some(last) = records.last() else { return true };
        match tokio::fs::write(&self.mark, last.at_ns.to_string()).await {
            Ok(()) => true,
            // The container is gone.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => true,
            Err(e) => {
                tracing::warn!(container = %self.id, "failed to note how much of a log is sent: {e}");
                true
            }
        }
    }
}

/// The next records; up to the time `skip` they were sent before.
fn batch(follower: &mut Follower, skip: &mut Option<i64>) -> Vec<Record> {
    let mut out = Vec::new();
    while out.len() < BATCH {
        let Some(record) = follower.read() else { break };
        if skip.is_some_and(|sent| record.at_ns <= sent) {
            continue;
        }
        *skip = None;
        out.push(record);
    }
    out
}
