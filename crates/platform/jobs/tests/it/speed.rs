//! Throughput, loosely bounded so that a slow machine passes and a quadratic runner does not.

use std::time::{Duration, Instant};

use pileus_jobs::{RunnerConfig, enqueue};

use crate::demo::{Maker, bench, make, quick};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_of_six_steps() {
    let b = bench().await;
    let add = b.store.write(|tx| {
        for n in 0..1_000 {
            enqueue::<Maker>(tx, format!("s{n}"), &make(&["a", "b", "c", "d", "e", "f"]))?;
        }
        Ok(())
    });
    add.await.unwrap();
    let started = Instant::now();
    let runner = b.jobs().start(RunnerConfig { concurrency: 32, ..quick() });
    runner.idle().await.unwrap();
    let took = started.elapsed();
    println!("1,000 jobs of 6 steps in {took:?}");
    assert_eq!(b.world.ends.lock().len(), 1_000);
    assert!(took < Duration::from_secs(20), "{took:?}");
}
