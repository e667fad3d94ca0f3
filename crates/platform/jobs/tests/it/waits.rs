//! Jobs that wait: for a time, for a wake-up, for children; and retries.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use pileus_base::{Error, Result};
use pileus_jobs::{Job, Outcome, State, Step, cancel_children, children, enqueue, enqueue_child, wake};

use crate::demo::{Make, Maker, bench, make, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_when_woken() {
    let b = bench().await;
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a", "later"]).await;
    runner.idle().await.unwrap();
    assert_eq!(b.find(id).await.unwrap().state, State::Running);
    b.world.things.lock().insert("go".into(), 1);
    assert!(b.store.write(|tx| wake(tx, "s")).await.unwrap());
    assert_eq!(runner.ended(id).await.unwrap().state, State::Done);
    assert_eq!(b.world.log(), "+a +later +later");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_wait_at_once() {
    let b = bench().await;
    let runner = b.jobs().start(quick());
    let id = b.add("s", &["a", "later"]).await;
    runner.idle().await.unwrap();
    b.cancel("s").await;
    assert_eq!(runner.ended(id).await.unwrap().state, State::Cancelled);
    assert_eq!(b.world.log(), "+a +later -later -a");
}

struct Flaky(Arc<crate::demo::World>);
impl Job for Flaky {
    const KIND: &'static str = "demo.flaky";
    type Input = u32;
    fn steps(&self, retries: &u32) -> Vec<Step<Self>> {
        let flaky = Step::without_undo("flaky", |job: Arc<Self>, run| async move {
            job.0.log.lock().push(run.attempt.to_string());
            if run.attempt < 2 { Err(Error::unavailable("not yet")) } else { Outcome::done(&"made") }
        });
        let read = Step::without_undo("read", |_, run: pileus_jobs::Run<Self>| async move {
            assert_eq!(run.output::<String>("flaky")?.as_deref(), Some("made"));
            assert_eq!(run.output::<String>("none")?, None);
            assert!(!run.cancelled().await?);
            Ok(Outcome::nothing())
        });
        vec![flaky.retry(*retries), read]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_is_tried_again_as_often_as_it_says() {
    let b = bench().await;
    let runner = b.jobs().register(Flaky(b.world.clone())).start(quick());
    let id = b.store.write(|tx| enqueue::<Flaky>(tx, "s", &2)).await.unwrap();
    assert_eq!(runner.ended(id).await.unwrap().state, State::Done);
    let id = b.store.write(|tx| enqueue::<Flaky>(tx, "s", &1)).await.unwrap();
    assert_eq!(runner.ended(id).await.unwrap().state, State::Undone);
    assert_eq!(b.world.log(), "0 1 2 0 1");
}

/// Makes each thing by a child job and waits for all.
struct Parent;
impl Job for Parent {
    const KIND: &'static str = "demo.parent";
    type Input = Make;
    fn steps(&self, _: &Make) -> Vec<Step<Self>> {
        let start = |_, run: pileus_jobs::Run<Self>| async move {
            let write = run.store().clone();
            let started: Result<()> = write
                .write(move |tx| {
                    for thing in &run.input.things {
                        let input = make(&[thing]);
                        let id = enqueue_child::<Maker>(tx, run.job_id, format!("child-{thing}"), &input)?;
                        assert_eq!(
                            id,
                            enqueue_child::<Maker>(tx, run.job_id, format!("child-{thing}"), &input)?
                        );
                    }
                    Ok(())
                })
                .await;
            started.map(|()| Outcome::nothing())
        };
        let undo = |_, run: pileus_jobs::Run<Self>| async move {
            let store = run.store().clone();
            store.write(move |tx| cancel_children(tx, run.job_id).map(drop)).await
        };
        let wait = |_, run: pileus_jobs::Run<Self>| async move {
            let id = run.job_id;
            let all = run.store().read(move |rd| children(rd, id)).await?;
            if let Some(failed) = all.iter().find(|c| c.state == State::Undone) {
                return Err(Error::conflict(format!("{} failed", failed.subject)));
            }
            let done = all.iter().all(|c| c.state == State::Done);
            Ok(if done { Outcome::nothing() } else { Outcome::Later(Duration::from_secs(3600)) })
        };
        vec![Step::new("start", start, undo), Step::without_undo("wait", wait)]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_is_woken_by_the_end_of_its_children() {
    let b = bench().await;
    let runner = b.jobs().register(Parent).start(quick());
    let things: Vec<String> = (0..30).map(|n| format!("t{n}")).collect();
    let input = Make { things: things.clone() };
    let id = b.store.write(move |tx| enqueue::<Parent>(tx, "stack", &input)).await.unwrap();
    assert_eq!(runner.ended(id).await.unwrap().state, State::Done);
    assert_eq!(b.world.names().len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_child_fails_its_parent() {
    let b = bench().await;
    b.world.failing.store(1, Ordering::SeqCst);
    let runner = b.jobs().register(Parent).start(quick());
    let input = make(&["a", "fail", "later"]);
    let id = b.store.write(move |tx| enqueue::<Parent>(tx, "stack", &input)).await.unwrap();
    let job = runner.ended(id).await.unwrap();
    assert_eq!((job.state, job.error.unwrap().message), (State::Undone, "child-fail failed".into()));
    runner.idle().await.unwrap();
    // The waiting child was cancelled; what was done stays for the parent's next action.
    assert_eq!(b.world.names(), ["a"]);
}
