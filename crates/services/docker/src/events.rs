//! What has happened: told to who listens, and the last of it kept for who asks later.

use std::collections::{BTreeMap, VecDeque};

use parking_lot::Mutex;
use pileus_base::Time;
use tokio::sync::broadcast;

/// How many are kept: the reference keeps as many.
const KEPT: usize = 256;

/// Something that happened to an object.
#[derive(Debug, Clone)]
pub struct Event {
    /// `container`, `image`, `network`, `volume`.
    pub kind: &'static str,
    /// `create`, `start`, `die`, …
    pub action: String,
    /// The object's id (a volume's name).
    pub id: String,
    /// What is told of it: name, image, labels.
    pub attributes: BTreeMap<String, String>,
    /// In nanoseconds since the epoch.
    pub at_ns: i64,
}

/// The events.
pub struct Events {
    past: Mutex<VecDeque<Event>>,
    sender: broadcast::Sender<Event>,
}

impl Default for Events {
    fn default() -> Self {
        Self { past: Mutex::default(), sender: broadcast::channel(1024).0 }
    }
}

impl Events {
    /// Tells of an event.
    pub fn emit(
        &self,
        kind: &'static str,
        action: impl Into<String>,
        id: impl Into<String>,
        attributes: BTreeMap<String, String>,
    ) {
        let event = Event { kind, action: action.into(), id: id.into(), attributes, at_ns: now_ns() };
        let mut past = self.past.lock();
        if past.len() == KEPT {
            past.pop_front();
        }
        past.push_back(event.clone());
        // Nobody may be listening.
        let _ = self.sender.send(event);
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }

    /// Those kept, and all that come from now on; none is missed or told twice.
    pub fn subscribe(&self) -> (Vec<Event>, broadcast::Receiver<Event>) {
        let past = self.past.lock();
        (past.iter().cloned().collect(), self.sender.subscribe())
    }
}

/// Nanoseconds since the epoch.
pub(crate) fn now_ns() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// RFC 3339 with nanoseconds, as Go writes it; `0001-01-01T00:00:00Z` for 0.
pub(crate) fn rfc3339(ns: i64) -> String {
    if ns == 0 {
        return "0001-01-01T00:00:00Z".into();
    }
    jiff::Timestamp::from_nanosecond(ns.into()).map_or_else(|_| Time(0).to_string(), |t| t.to_string())
}
