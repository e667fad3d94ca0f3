//! A container's log: what is asked of it, where it is, and how its records are shown.
//!
//! ```text
//!   supervisor ──► json.log | local.log ─► Follower ─┐
//!       │          (.1, .2.gz, … older)     woken by │ inotify      ┌► framed without a terminal
//!       └────────► journal ─► journalctl ────────────┴─► Shown ─────┴► raw with one
//! ```

mod compress;
mod follow;
mod journal;
mod notices;
mod records;
pub mod ship;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pileus_base::{Error, Result};
use pileus_host::{LogKind, LogSpec};
use tokio::sync::{mpsc, watch};

pub use self::notices::Notices;
use self::{follow::Follower, journal::Journal, records::Record};
use super::watch::Phase;
use crate::{
    Container, Docker,
    model::{
        config::texts,
        logging::{self, Origin},
    },
};

/// What is asked of a log.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// From when on, in nanoseconds.
    pub since: i64,
    /// Until when, in nanoseconds; 0 for no end.
    pub until: i64,
    /// Each line begins with its time.
    pub timestamps: bool,
    /// Each line begins with its attributes.
    pub details: bool,
    /// Only so many of the last lines.
    pub tail: Option<usize>,
    /// What is added too, until the container ends.
    pub follow: bool,
}

/// Pieces of a log on their way to a client.
pub type Chunks = mpsc::Receiver<std::io::Result<Bytes>>;

/// How much is gathered before it is sent.
const PIECE: usize = 32 << 10;

impl Docker {
    /// How whoever runs the container writes its log.
    ///
    /// # Errors
    /// In the reference's words, where the options make no sense.
    pub(crate) fn log_spec(&self, c: &Container) -> Result<Option<LogSpec>> {
        let config = &c.host_config["LogConfig"];
        let Some(settings) = logging::settings(config)? else { return Ok(None) };
        let extra = origin(c, |o| o.extra(config, settings.kind))?;
        Ok(Some(LogSpec {
            path: self.log_path(c, settings.kind),
            kind: settings.kind,
            extra,
            max_size_bytes: settings.max_size_bytes,
            max_files: settings.max_files,
        }))
    }

    fn log_path(&self, c: &Container, kind: LogKind) -> PathBuf {
        match kind {
            LogKind::Json => self.container_dir(&c.id).join("json.log"),
            LogKind::Local => self.container_dir(&c.id).join("local.log"),
            LogKind::Journal => logging::JOURNAL.into(),
        }
    }

    /// The log's text, framed where there is no terminal.
    ///
    /// # Errors
    /// 501 where the driver can't be read.
    pub(crate) async fn logs(self: &Arc<Self>, c: &Container, asked: Asked) -> Result<Chunks> {
        let config = &c.host_config["LogConfig"];
        let unread = || Error::not_implemented("configured logging driver does not support reading");
        let kind = logging::readable(config).ok_or_else(unread)?;
        // Listened to before it is looked at: an end between both is not missed.
        let mut phases = self.phases(&c.id);
        let before = phases.borrow_and_update().ends;
        let runs = self.find_container(&c.id).await?.is_some_and(|c| c.runs());
        let asked = Asked { follow: asked.follow && runs, ..asked };
        let attributes = if asked.details { origin(c, |o| o.attributes(config))? } else { BTreeMap::new() };
        let shown = Shown { details: details(&attributes), asked, tty: c.tty(), out: BytesMut::new() };
        let (sender, receiver) = mpsc::channel(8);
        let end = End { phases, before };
        if kind == LogKind::Journal {
            let journal = Journal::open(&c.id, &shown.asked)?;
            tokio::spawn(from_journal(journal, shown, sender, end));
        } else {
            let path = self.log_path(c, kind);
            let notice = shown.asked.follow.then(|| self.notices.watch(&self.container_dir(&c.id)));
            let notice = notice.transpose().map_err(|e| Error::wrap("failed to watch a log", e))?;
            let source = (path, kind == LogKind::Local);
            tokio::spawn(from_files(source, shown, sender, end, notice));
        }
        Ok(receiver)
    }
}

fn origin<T>(c: &Container, f: impl FnOnce(&Origin<'_>) -> T) -> T {
    let (labels, env) = (c.labels(), texts(&c.config["Env"]).unwrap_or_default());
    f(&Origin {
        id: &c.id,
        name: &c.name,
        image: &c.image,
        image_id: &c.image_id,
        labels: &labels,
        env: &env,
        command: &c.args,
        created_ns: c.created_ns,
    })
}

/// The end that a followed log waits for.
struct End {
    phases: watch::Receiver<Phase>,
    before: u64,
}

impl End {
    async fn come(&mut self) {
        let before = self.before;
        // A container that is forgotten has ended too.
        let _ = self.phases.wait_for(|p| p.ends > before || p.removed).await;
    }
}

type Sender = mpsc::Sender<std::io::Result<Bytes>>;

async fn from_files(
    (path, local): (PathBuf, bool),
    shown: Shown,
    sender: Sender,
    mut end: End,
    mut notice: Option<notices::Notice>,
) {
    let (tail, until) = (shown.asked.tail, shown.asked.until);
    let mut place = (shown, sender, None);
    let deadline = moment_of(until);
    let mut over = notice.is_none();
    loop {
        let path = path.clone();
        let read = tokio::task::spawn_blocking(move || {
            let (mut shown, sender, follower) = place;
            let mut follower = follower.unwrap_or_else(|| Follower::new(&path, local, tail));
            let more = pass_on(&mut shown, &sender, &mut follower);
            (more, (shown, sender, Some(follower)))
        });
        let Ok((more, back)) = read.await else { return };
        place = back;
        if over || !more {
            return;
        }
        let Some(notice) = &mut notice else { return };
        tokio::select! {
            () = notice.changed() => {}
            () = end.come() => over = true,
            () = tokio::time::sleep_until(deadline) => over = true,
            () = place.1.closed() => return,
        }
    }
}

/// Passes on what there is; whether more may come.
fn pass_on(shown: &mut Shown, sender: &Sender, follower: &mut Follower) -> bool {
    while let Some(record) = follower.read() {
        if !shown.add(&record) {
            let _ = sender.blocking_send(Ok(shown.piece()));
            return false;
        }
        if shown.out.len() >= PIECE && sender.blocking_send(Ok(shown.piece())).is_err() {
            return false;
        }
    }
    shown.out.is_empty() || sender.blocking_send(Ok(shown.piece())).is_ok()
}

async fn from_journal(mut journal: Journal, mut shown: Shown, sender: Sender, mut end: End) {
    let follow = shown.asked.follow;
    loop {
        let record = tokio::select! {
            record = journal.read() => record,
            () = end.come(), if follow => None,
            () = sender.closed() => return,
        };
        let Some(record) = record else { return };
        let more = shown.add(&record);
        if (!shown.out.is_empty() && sender.send(Ok(shown.piece())).await.is_err()) || !more {
            return;
        }
    }
}

/// A moment of the clock as one of the runtime; far away for 0.
fn moment_of(at_ns: i64) -> tokio::time::Instant {
    const FAR: std::time::Duration = std::time::Duration::from_secs(86_400 * 365);
    let left = u64::try_from(at_ns.saturating_sub(crate::events::now_ns())).unwrap_or(0);
    tokio::time::Instant::now()
        + if at_ns == 0 { FAR } else { std::time::Duration::from_nanos(left).min(FAR) }
}

/// Records as a client sees them.
struct Shown {
    asked: Asked,
    details: String,
    tty: bool,
    out: BytesMut,
}

impl Shown {
    /// Adds a record; whether later ones may be wanted.
    fn add(&mut self, record: &Record) -> bool {
        let asked = &self.asked;
        if asked.until > 0 && record.at_ns > asked.until {
            return false;
        }
        let wanted = if record.stream == 2 { asked.stderr } else { asked.stdout };
        if !wanted || record.at_ns < asked.since {
            return true;
        }
        let mut head = String::new();
        if asked.timestamps {
            head = stamp(record.at_ns) + " ";
        }
        if asked.details {
            head += &self.details;
            head.push(' ');
        }
        if !self.tty {
            self.out.put_slice(&[record.stream, 0, 0, 0]);
            self.out.put_u32(u32::try_from(head.len() + record.text.len()).unwrap_or(u32::MAX));
        }
        self.out.put_slice(head.as_bytes());
        self.out.put_slice(&record.text);
        true
    }

    fn piece(&mut self) -> Bytes {
        self.out.split().freeze()
    }
}

/// RFC 3339 with all nine digits of the nanoseconds: times below each other line up.
fn stamp(at_ns: i64) -> String {
    let at = jiff::Timestamp::from_nanosecond(at_ns.into()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string()
}

/// Attributes as the reference shows them: `a=b,c=d`, escaped as in a URL's query.
fn details(attributes: &BTreeMap<String, String>) -> String {
    const PLAIN: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');
    let escaped = |text: &str| utf8_percent_encode(text, &PLAIN).to_string().replace(' ', "+");
    attributes.iter().map(|(k, v)| format!("{}={}", escaped(k), escaped(v))).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_framed_and_chosen() {
        let asked = Asked { stdout: true, ..Asked::default() };
        let record = Record { stream: 1, at_ns: 1_500_000_000, text: b"hi\n".to_vec() };
        let show = |asked: &Asked, tty| {
            let mut shown = Shown { asked: asked.clone(), details: "a=b".into(), tty, out: BytesMut::new() };
            (shown.add(&record), shown.piece())
        };
        assert_eq!(show(&asked, false).1, &b"\x01\0\0\0\0\0\0\x03hi\n"[..]);
        assert_eq!(show(&asked, true).1, &b"hi\n"[..]);
        assert_eq!(show(&Asked { stdout: false, ..asked.clone() }, true), (true, Bytes::new()));
        assert_eq!(show(&Asked { since: 1_600_000_000, ..asked.clone() }, true), (true, Bytes::new()));
        assert_eq!(show(&Asked { until: 1_400_000_000, ..asked.clone() }, true), (false, Bytes::new()));
        let all = Asked { timestamps: true, details: true, ..asked };
        assert_eq!(show(&all, true).1, &b"1970-01-01T00:00:01.500000000Z a=b hi\n"[..]);
    }

    #[test]
    fn details_are_escaped() {
        let all = BTreeMap::from([("a".to_owned(), "b c".to_owned()), ("d".to_owned(), "e=/".to_owned())]);
        assert_eq!(details(&all), "a=b+c,d=e%3D%2F");
    }
}
