//! The controller's side of a helper: requests with ids, answered in any order by one reading thread.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use pileus_modules::frame::{Decoder, Frame, HELLO};
use pileus_modules::{FetchRequest, Map};
use serde_json::Value;

use super::r#become::find;
use super::spawn::{Event, Input, Spawned};
use super::{Error, bootstrap};

/// A running helper of one user on one host.
pub struct Helper {
    /// Gone once no more is to be asked.
    input: Mutex<Option<Box<dyn Input>>>,
    waiting: Arc<(Mutex<Waiting>, Condvar)>,
    next: AtomicU64,
    hello: Map,
    lost: String,
}

#[derive(Default)]
struct Waiting {
    senders: HashMap<u64, Sender<Frame>>,
    ended: bool,
}

impl Helper {
    /// Follows the bootstrap script's talk until the helper speaks. `None`: this host can't run it.
    /// `seen` is what the command said already.
    pub fn start(
        mut spawned: Spawned,
        seen: Vec<u8>,
        wait: Duration,
        lost: &str,
    ) -> Result<Option<Self>, Error> {
        let program = bootstrap::program()?;
        let (mut text, mut pushed, mut errors) = (seen, false, Vec::new());
        let deadline = Instant::now() + wait;
        let rest = loop {
            if let Some(at) = find(&text, HELLO) {
                break text.split_off(at + HELLO.len());
            }
            if let Some(at) = find(&text, bootstrap::NEED).filter(|_| !pushed)
                && let Some(length) = text[at..].iter().position(|b| *b == b'\n')
            {
                let system =
                    String::from_utf8_lossy(&text[at + bootstrap::NEED.len()..at + length]).into_owned();
                if !bootstrap::runs_on(&system) {
                    return Ok(None);
                }
                let Some(input) = &mut spawned.input else { return Ok(None) };
                // A script that found no place for it has ended: its exit is read next.
                let _ = input.write_static(&program.bytes);
                pushed = true;
            }
            match spawned.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Out(bytes)) => text.extend(bytes),
                Ok(Event::Err(bytes)) => errors.extend(bytes),
                Ok(Event::Exit(255)) => return Err(Error::Unreachable(unreachable(lost, &errors))),
                Ok(Event::Exit(_)) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Error::Unreachable(format!(
                        "{lost}: the helper did not answer within {} s",
                        wait.as_secs()
                    )));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Unreachable(unreachable(lost, &errors)));
                }
            }
        };
        let Some(input) = spawned.input else { return Ok(None) };
        let mut decoder = Decoder::default();
        decoder.feed(&rest);
        let hello = loop {
            if let Some(frame) = decoder.take().map_err(|e| Error::Failed(e.to_string()))? {
                break frame.head.get("hello").and_then(Value::as_object).cloned().unwrap_or_default();
            }
            match spawned.events.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(Event::Out(bytes)) => decoder.feed(&bytes),
                Ok(Event::Err(_)) => {}
                _ => return Err(Error::Unreachable(unreachable(lost, &errors))),
            }
        };
        let waiting = Arc::new((Mutex::new(Waiting::default()), Condvar::new()));
        let (events, shared) = (spawned.events, waiting.clone());
        std::thread::Builder::new()
            .name("helper".into())
            .stack_size(256 * 1024)
            .spawn(move || read(&events, decoder, &shared))
            .map_err(|e| Error::Failed(format!("no thread for the helper: {e}")))?;
        Ok(Some(Helper {
            input: Mutex::new(Some(input)),
            waiting,
            next: AtomicU64::new(1),
            hello,
            lost: lost.into(),
        }))
    }

    /// What the helper said of its host: `uid`, `cwd`, `home`, `modules`.
    pub fn hello(&self) -> &Map {
        &self.hello
    }

    /// Whether it has a native module of that name.
    pub fn has(&self, module: &str) -> bool {
        let short = module.rsplit('.').next().unwrap_or(module);
        self.hello.get("modules").and_then(Value::as_array).is_some_and(|names| {
            names.iter().filter_map(Value::as_str).any(|name| name == module || name == short)
        })
    }

    /// Whether it can still be asked.
    pub fn is_alive(&self) -> bool {
        !self.waiting.0.lock().ended
    }

    /// Ends it, and waits until it has ended, at most so long.
    pub fn finish(&self, wait: Duration) {
        *self.input.lock() = None;
        let mut waiting = self.waiting.0.lock();
        let deadline = Instant::now() + wait;
        while !waiting.ended && !self.waiting.1.wait_until(&mut waiting, deadline).timed_out() {}
    }

    /// Sends a request (its id is set here); its answers come through the receiver, which ends when the helper is lost.
    pub fn request(&self, mut frame: Frame) -> Result<(u64, Receiver<Frame>), Error> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        frame.head.insert("id".into(), id.into());
        let (sender, receiver) = channel();
        {
            let mut waiting = self.waiting.0.lock();
            if waiting.ended {
                return Err(Error::Unreachable(self.lost.clone()));
            }
            waiting.senders.insert(id, sender);
        }
        self.send(&frame)?;
        Ok((id, receiver))
    }

    /// Sends a frame of a request that is running.
    pub fn send(&self, frame: &Frame) -> Result<(), Error> {
        let mut input = self.input.lock();
        let Some(input) = input.as_mut() else { return Err(Error::Unreachable(self.lost.clone())) };
        input.write(&frame.encode()).map_err(|e| Error::Unreachable(format!("{}: {e}", self.lost)))
    }

    /// Sends a request and hands every answer to `each` until it gives a value.
    pub fn ask<T>(&self, frame: Frame, mut each: impl FnMut(&Self, Frame) -> Option<T>) -> Result<T, Error> {
        let (id, answers) = self.request(frame)?;
        let outcome = loop {
            let Ok(answer) = answers.recv() else { break Err(Error::Unreachable(self.lost.clone())) };
            if let Some(error) = answer.text("error") {
                break Err(Error::Failed(error.to_string()));
            }
            if let Some(value) = each(self, answer) {
                break Ok(value);
            }
        };
        self.waiting.0.lock().senders.remove(&id);
        outcome
    }
}

fn unreachable(lost: &str, errors: &[u8]) -> String {
    let errors = String::from_utf8_lossy(errors);
    match errors.trim() {
        "" => lost.to_string(),
        text => format!("{lost}: {text}"),
    }
}

/// Hands answers out until the helper ends; then nobody waits any more.
fn read(events: &Receiver<Event>, mut decoder: Decoder, (waiting, changed): &(Mutex<Waiting>, Condvar)) {
    'lost: loop {
        loop {
            match decoder.take() {
                Ok(Some(frame)) => {
                    let mut waiting = waiting.lock();
                    let last = ["result", "rc", "done", "error"].iter().any(|k| frame.head.contains_key(*k));
                    let id = frame.id();
                    if let Some(sender) = waiting.senders.get(&id) {
                        // Who asked may have stopped listening.
                        let _ = sender.send(frame);
                    }
                    if last {
                        waiting.senders.remove(&id);
                    }
                }
                Ok(None) => break,
                Err(_) => break 'lost,
            }
        }
        match events.recv() {
            Ok(Event::Out(bytes)) => decoder.feed(&bytes),
            // What the helper says there is for whoever debugs it.
            Ok(Event::Err(_)) => {}
            Ok(Event::Exit(_)) | Err(_) => break,
        }
    }
    let mut waiting = waiting.lock();
    waiting.ended = true;
    waiting.senders.clear();
    changed.notify_all();
}

/// What a module on the host wants fetched.
pub fn fetch_request(fields: &Map, body: Vec<u8>) -> FetchRequest {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).map(str::to_string);
    let flag = |key: &str| fields.get(key).and_then(Value::as_bool).unwrap_or(false);
    let pair = |v: &Value| Some((v.get(0)?.as_str()?.to_string(), v.get(1)?.as_str()?.to_string()));
    FetchRequest {
        url: text("url").unwrap_or_default(),
        method: text("method").unwrap_or_default(),
        headers: fields
            .get("headers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(pair)
            .collect(),
        body,
        timeout_s: fields.get("timeout_s").and_then(Value::as_u64).unwrap_or(10),
        validate_certs: flag("validate_certs"),
        follow_redirects: text("follow_redirects").unwrap_or_default(),
        auth: fields.get("auth").and_then(pair),
        force_basic_auth: flag("force_basic_auth"),
        use_proxy: flag("use_proxy"),
        unix_socket: text("unix_socket"),
        client_cert: text("client_cert"),
        client_key: text("client_key"),
        ca_path: text("ca_path"),
        proxy: text("proxy"),
        unredirected: Vec::new(),
    }
}
