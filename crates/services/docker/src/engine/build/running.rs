//! Builds that run and can be told to stop: by the id that a client gave its build.

use std::collections::HashMap;

use parking_lot::Mutex;
use tokio::sync::watch;

static RUNNING: Mutex<Option<HashMap<String, watch::Sender<bool>>>> = Mutex::new(None);

/// A build begins; what tells it to stop.
pub(super) fn begin(id: &str) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    if !id.is_empty() {
        RUNNING.lock().get_or_insert_default().insert(id.to_owned(), sender);
    }
    receiver
}

/// Done when a build is told to stop: never, where nobody can.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    if stop.wait_for(|stop| *stop).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// A build has ended.
pub(super) fn end(id: &str) {
    RUNNING.lock().get_or_insert_default().remove(id);
}

/// Tells a build to stop; one that doesn't run is fine.
pub(crate) fn cancel(id: &str) {
    if let Some(stop) = RUNNING.lock().get_or_insert_default().get(id) {
        stop.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_told() {
        let stop = begin("one of the tests");
        cancel("another");
        assert!(!*stop.borrow());
        cancel("one of the tests");
        assert!(*stop.borrow());
        end("one of the tests");
        cancel("one of the tests");
    }
}
