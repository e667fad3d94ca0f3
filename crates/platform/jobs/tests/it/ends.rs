//! How jobs end: done, undone, cancelled, stuck; in which order; and how long they are kept.

use std::{sync::atomic::Ordering, time::Duration};

use pileus_base::Kind;
use pileus_jobs::{End, Filter, State, active, list, resume};

use crate::demo::{bench, quick};

#[tokio::test(flavor = "multi_thread")]
async fn steps_run_in_order_and_the_service_is_told() {
    let b = bench().await;
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a", "b", "c"]).await;
    let job = runner.ended(id).await.unwrap();
    assert_eq!((job.state, job.steps_done), (State::Done, vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(b.world.log(), "+a +b +c");
    assert_eq!(*b.world.ends.lock(), [End::Done]);
    assert_eq!(b.store.read(|rd| active(rd, "s")).await.unwrap(), None);
    runner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_undone_too_and_then_those_before_it() {
    let b = bench().await;
    b.world.failing.store(1, Ordering::SeqCst);
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a", "b", "fail", "d"]).await;
    let job = runner.ended(id).await.unwrap();
    let error = job.error.unwrap();
    assert_eq!(
        (job.state, &*error.message, error.kind, &*error.step),
        (State::Undone, "no room", Kind::Conflict, "fail")
    );
    assert_eq!(b.world.log(), "+a +b +fail -fail -b -a");
    assert!(b.world.names().is_empty());
    assert_eq!(*b.world.ends.lock(), [End::Undone(error)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_failure_of_its_step() {
    let b = bench().await;
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a", "panic"]).await;
    let job = runner.ended(id).await.unwrap();
    assert_eq!((job.state, job.error.unwrap().kind), (State::Undone, Kind::Internal));
    assert!(b.world.names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_subject_has_one_job_at_work_and_the_others_follow_in_order() {
    let b = bench().await;
    let names: Vec<String> = (0..20).map(|n| format!("t{n:02}")).collect();
    for name in &names {
        b.add("s", &[name]).await;
    }
    let runner = b.jobs().start(quick());
    runner.idle().await.unwrap();
    assert_eq!(b.world.log(), names.iter().map(|n| format!("+{n}")).collect::<Vec<_>>().join(" "));
    assert!(!b.world.collided.load(Ordering::SeqCst));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_finishes_its_step_and_unwinds_then_the_next_runs() {
    let b = bench().await;
    let runner = b.jobs().start(quick());
    let first = b.add("s", &["a", "gate", "c"]).await;
    let queued = b.add("s", &["q"]).await;
    b.world.gate.reached().await;
    assert!(b.cancel("s").await);
    let last = b.add("s", &["z"]).await;
    b.world.gate.open();
    assert_eq!(runner.ended(last).await.unwrap().state, State::Done);
    assert_eq!(b.find(first).await.unwrap().state, State::Cancelled);
    assert_eq!(b.find(queued).await.unwrap().state, State::Cancelled);
    assert_eq!(b.world.log(), "+a +gate -gate -a +z");
    assert_eq!(*b.world.ends.lock(), [End::Cancelled, End::Cancelled, End::Done]);
    assert!(!b.cancel("s").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undo_that_keeps_failing_is_stuck_until_it_is_resumed() {
    let b = bench().await;
    b.world.failing.store(1, Ordering::SeqCst);
    b.world.undo_fails.store(true, Ordering::SeqCst);
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a", "fail"]).await;
    assert_eq!(runner.ended(id).await.unwrap().state, State::Stuck);
    assert_eq!(b.world.log(), "+a +fail -fail -fail -fail");
    let stuck = Filter { states: vec![State::Stuck], ..Filter::default() };
    let seen = b.store.read(move |rd| list(rd, &stuck)).await.unwrap();
    assert_eq!(seen.iter().map(|j| j.id).collect::<Vec<_>>(), [id]);
    b.world.undo_fails.store(false, Ordering::SeqCst);
    b.store.write(move |tx| resume(tx, id)).await.unwrap();
    let job = runner.ended(id).await.unwrap();
    assert_eq!((job.state, job.error.unwrap().message), (State::Undone, "no room".into()));
    assert!(b.world.names().is_empty());
    assert_eq!(b.store.write(move |tx| resume(tx, id)).await.unwrap_err().kind(), Kind::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_the_service_refuses_leaves_the_job_stuck_not_half_ended() {
    let b = bench().await;
    b.world.end_fails.store(true, Ordering::SeqCst);
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a"]).await;
    assert_eq!(runner.ended(id).await.unwrap().state, State::Stuck);
    b.world.end_fails.store(false, Ordering::SeqCst);
    b.store.write(move |tx| resume(tx, id)).await.unwrap();
    assert_eq!(runner.ended(id).await.unwrap().state, State::Done);
    assert_eq!(*b.world.ends.lock(), [End::Done]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_is_stuck() {
    let b = bench().await;
    let runner = pileus_jobs::Jobs::new(b.store.clone()).start(quick());
    let id = b.add("s", &["a"]).await;
    let job = runner.ended(id).await.unwrap();
    assert_eq!(job.state, State::Stuck);
    assert!(job.error.unwrap().message.contains("demo.make"));
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_jobs_are_swept() {
    let b = bench().await;
    let config = pileus_jobs::RunnerConfig { keep: Duration::from_millis(20), ..quick() };
    let runner = b.jobs().start(config);
    let watch = b.store.watch(&[pileus_jobs::KIND]);
    let id = b.add("s", &["a"]).await;
    while b.find(id).await.is_some() {
        watch.changed().await;
    }
    runner.stop().await;
}
