//! The bus: nudges and status between parts of the cloud, lossy by contract.
//!
//! A message is a topic and a JSON payload. Losing one costs latency, never truth: whoever needs the truth
//! reads the store, on a timer too. So a slow subscriber loses the oldest messages and is told that it did.
//! [`InProcess`] serves one host; a broker for several hosts implements the same [`Transport`].

#![forbid(unsafe_code)]

use std::{future::Future, pin::Pin, sync::Arc};

use pileus_base::{Error, Result};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::sync::broadcast::{self, error::RecvError};

/// Messages kept for a subscriber that lags.
const BACKLOG: usize = 1_024;

/// What travels: where it belongs, and what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Words with dots, as in `host.port_up`.
    pub topic: Arc<str>,
    /// The payload.
    pub payload: Arc<Value>,
}

impl Message {
    /// The payload as a `T`.
    ///
    /// # Errors
    /// 400 where it is not one.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T> {
        T::deserialize(&*self.payload).map_err(|e| {
            Error::bad_request(format!("a message on {} can't be read", self.topic)).caused_by(e)
        })
    }
}

/// What a subscriber hears.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// So many messages were lost, maybe some of ours: look at the truth.
    Lost(u64),
}

/// Carries messages: to every subscriber of this process, or through a broker to those of others.
pub trait Transport: Send + Sync + 'static {
    /// Sends, or loses. Never blocks.
    fn publish(&self, message: Message);
    /// Everything published from now on.
    fn subscribe(&self) -> Box<dyn Source>;
}

/// One subscriber's end of a transport.
pub trait Source: Send {
    /// The next message; `None` when the transport is gone. Cancel-safe.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Heard>> + Send + '_>>;
}

/// A handle to the bus; cheap to clone.
#[derive(Clone)]
pub struct Bus(Arc<dyn Transport>);

impl Default for Bus {
    fn default() -> Self {
        Self::new(InProcess::default())
    }
}

impl Bus {
    /// A bus over `transport`.
    pub fn new(transport: impl Transport) -> Self {
        Self(Arc::new(transport))
    }

    /// Tells everybody. Nobody listening is no error.
    ///
    /// # Errors
    /// 500 where `payload` can't be written as JSON.
    pub fn publish<T: Serialize>(&self, topic: impl Into<Arc<str>>, payload: &T) -> Result<()> {
        let payload = serde_json::to_value(payload)
            .map_err(|e| Error::wrap("failed to write a message for the bus", e))?;
        self.0.publish(Message { topic: topic.into(), payload: Arc::new(payload) });
        Ok(())
    }

    /// Hears the topics that are `prefix` or begin with `prefix.`; all where it is empty.
    pub fn subscribe(&self, prefix: impl Into<String>) -> Subscription {
        Subscription { source: self.0.subscribe(), prefix: prefix.into() }
    }
}

/// What one listener hears.
pub struct Subscription {
    source: Box<dyn Source>,
    prefix: String,
}

impl Subscription {
    /// The next message of its topics, or word that some were lost; `None` when the bus is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            match self.source.next().await? {
                Heard::Message(m) if !self.wants(&m.topic) => {}
                heard => return Some(heard),
            }
        }
    }

    fn wants(&self, topic: &str) -> bool {
        let tail = topic.strip_prefix(&*self.prefix);
        self.prefix.is_empty() || tail.is_some_and(|t| t.is_empty() || t.starts_with('.'))
    }
}

/// The transport within one process.
pub struct InProcess(broadcast::Sender<Message>);

impl Default for InProcess {
    fn default() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }
}

impl Transport for InProcess {
    fn publish(&self, message: Message) {
        // Failing means that nobody listens.
        let _ = self.0.send(message);
    }
    fn subscribe(&self) -> Box<dyn Source> {
        Box::new(Receiver(self.0.subscribe()))
    }
}

struct Receiver(broadcast::Receiver<Message>);

impl Source for Receiver {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Heard>> + Send + '_>> {
        Box::pin(async {
            match self.0.recv().await {
                Ok(message) => Some(Heard::Message(message)),
                Err(RecvError::Lagged(n)) => Some(Heard::Lost(n)),
                Err(RecvError::Closed) => None,
            }
        })
    }
}
