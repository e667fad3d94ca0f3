//! Daemons that die, stop, or lose their lease.

use std::time::Duration;

use pileus_jobs::{RunnerConfig, State};

use crate::demo::{bench, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_daemon_goes_on_at_the_cursor() {
    let b = bench().await;
    let first = b.jobs().start(quick());
    let id = b.add("s", &["a", "gate", "c"]).await;
    b.world.gate.reached().await;
    first.kill().await;
    b.world.at_work.lock().clear();
    b.world.gate.open();
    let second = b.jobs().start(quick());
    assert_eq!(second.ended(id).await.unwrap().state, State::Done);
    assert_eq!(b.world.log(), "+a +gate +gate +c");
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_finishes_the_step_and_gives_the_job_back() {
    let b = bench().await;
    let first = b.jobs().start(quick());
    let id = b.add("s", &["a", "gate", "c"]).await;
    b.world.gate.reached().await;
    let (world, stopping) = (b.world.clone(), first.stop());
    let mut stopping = std::pin::pin!(stopping);
    assert!(futures_util::FutureExt::now_or_never(stopping.as_mut()).is_none());
    world.gate.open();
    stopping.await;
    let job = b.find(id).await.unwrap();
    assert_eq!((job.state, job.owner, job.steps_done.len()), (State::Running, None, 2));
    let other = b.jobs().start(RunnerConfig { owner: "other".into(), ..quick() });
    assert_eq!(other.ended(id).await.unwrap().state, State::Done);
    assert_eq!(b.world.log(), "+a +gate +c");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_daemon_takes_over_when_the_lease_is_void() {
    let b = bench().await;
    let lease = Duration::from_millis(100);
    let first = b.jobs().start(RunnerConfig { lease, ..quick() });
    let id = b.add("s", &["gate", "b"]).await;
    b.world.gate.reached().await;
    first.kill().await;
    b.world.gate.open();
    let other = b.jobs().start(RunnerConfig { owner: "other".into(), lease, ..quick() });
    assert_eq!(other.ended(id).await.unwrap().state, State::Done);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_lost_its_lease_writes_nothing() {
    let b = bench().await;
    let first = b.jobs().start(quick());
    let id = b.add("s", &["gate", "b"]).await;
    b.world.gate.reached().await;
    // A second life of the same owner takes the job back while the first still works.
    let second = b.jobs().start(quick());
    b.world.gate.reached().await;
    b.world.gate.open();
    b.world.gate.open();
    assert_eq!(second.ended(id).await.unwrap().state, State::Done);
    first.stop().await;
    second.stop().await;
    let job = b.find(id).await.unwrap();
    assert_eq!(job.steps_done, ["gate", "b"]);
    assert_eq!(b.world.log.lock().iter().filter(|l| *l == "+b").count(), 1);
    assert_eq!(b.world.ends.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_of_long_steps_are_renewed() {
    let b = bench().await;
    let lease = Duration::from_millis(60);
    let first = b.jobs().start(RunnerConfig { lease, ..quick() });
    let id = b.add("s", &["gate"]).await;
    b.world.gate.reached().await;
    let other = b.jobs().start(RunnerConfig { owner: "other".into(), lease, ..quick() });
    // Three renewals later it is still the first one's.
    let watch = b.store.watch(&[pileus_jobs::KIND]);
    for _ in 0..5 {
        watch.changed().await;
    }
    assert_eq!(b.find(id).await.unwrap().owner.as_deref(), Some("pileus"));
    b.world.gate.open();
    first.ended(id).await.unwrap();
    assert_eq!(b.world.log(), "+gate");
    drop(other);
}
