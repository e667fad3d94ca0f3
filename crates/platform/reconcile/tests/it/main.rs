//! Reconcilers: what wakes them, what does not interrupt them, what an operator sees.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use pileus_base::{Error, Result, ids::ProjectId};
use pileus_reconcile::{Reconciler, Reconcilers, Report, Running};
use pileus_store::{Location, Resource, Store};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::sync::Semaphore;

const NEVER: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize)]
struct Thing(String);
impl Resource for Thing {
    const KIND: &'static str = "test.thing";
    fn id(&self) -> String {
        self.0.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
}

/// Counts its runs; each run waits for a permit, and fails while `failing` is above 0.
struct State {
    begun: Semaphore,
    go: Semaphore,
    failing: AtomicU32,
}
impl State {
    async fn run(&self) {
        self.begun.acquire().await.unwrap().forget();
        self.go.add_permits(1);
    }
}

struct Counter(Arc<State>);
impl Reconciler for Counter {
    const NAME: &'static str = "test.counter";
    fn kinds(&self) -> &'static [&'static str] {
        &[Thing::KIND]
    }
    async fn reconcile(&self) -> Result<Report> {
        self.0.begun.add_permits(1);
        self.0.go.acquire().await.unwrap().forget();
        match self.0.failing.load(Ordering::SeqCst) {
            0 => Ok(Report { seen: 1, ..Report::default() }),
            1 => Err(Error::unavailable("not now")),
            _ => panic!("as asked"),
        }
    }
}

async fn bench(every: Duration) -> (TempDir, Store, Arc<State>, Running) {
    let dir = TempDir::new().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let state =
        Arc::new(State { begun: Semaphore::new(0), go: Semaphore::new(0), failing: AtomicU32::new(0) });
    let running = Reconcilers::new(store.clone()).register(Counter(state.clone()), every).start();
    (dir, store, state, running)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_a_change_and_a_nudge_each_make_it_run() {
    let (_dir, store, state, running) = bench(NEVER).await;
    state.run().await;
    store.write(|tx| tx.insert(&Thing("a".into()))).await.unwrap();
    state.run().await;
    assert!(running.nudge("test.counter"));
    assert!(!running.nudge("test.nobody"));
    state.run().await;
    running.stop().await;
    let status = running.statuses().pop().unwrap();
    assert_eq!((status.runs, status.failures, status.last_report.unwrap().seen), (3, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_it_works_makes_it_run_once_more() {
    let (_dir, store, state, running) = bench(NEVER).await;
    state.begun.acquire().await.unwrap().forget();
    assert!(running.statuses()[0].working);
    for n in 0..5 {
        store.write(move |tx| tx.insert(&Thing(n.to_string()))).await.unwrap();
    }
    state.go.add_permits(1);
    state.run().await;
    running.stop().await;
    assert_eq!(running.statuses()[0].runs, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_timer_makes_it_run() {
    let (_dir, _store, state, running) = bench(Duration::from_millis(5)).await;
    for _ in 0..4 {
        state.run().await;
    }
    drop(running);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_panics_are_tried_again_and_shown() {
    let (_dir, _store, state, running) = bench(NEVER).await;
    state.failing.store(1, Ordering::SeqCst);
    state.run().await;
    state.begun.acquire().await.unwrap().forget();
    let status = running.statuses().pop().unwrap();
    assert_eq!((status.failures, status.last_error.as_deref()), (1, Some("not now")));
    state.failing.store(2, Ordering::SeqCst);
    state.go.add_permits(1);
    state.begun.acquire().await.unwrap().forget();
    assert_eq!(running.statuses()[0].failures, 2);
    state.failing.store(0, Ordering::SeqCst);
    state.go.add_permits(1);
    running.stop().await;
    let status = running.statuses().pop().unwrap();
    assert_eq!((status.failures, status.last_error), (0, None));
}
