//! The torture applied to the demo job, and proof that it notices a bad one.

use std::sync::Arc;

use futures_util::FutureExt;
use pileus_jobs::{
    Job, Outcome, Step,
    torture::{Case, torture},
};

use crate::demo::{Bench, Make, Maker, bench, make};

struct World(Bench);

async fn case() -> Case<Maker, World> {
    let b = bench().await;
    let handler = Maker(b.world.clone());
    Case::new(b.store.clone(), World(b), handler, "s", make(&["a", "b", "c"]))
}

async fn clean(w: &World) -> Result<(), String> {
    let left = w.0.world.names();
    if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
}

async fn whole(w: &World) -> Result<(), String> {
    let made = w.0.world.names();
    if made == ["a", "b", "c"] { Ok(()) } else { Err(format!("made only {made:?}")) }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_job_survives() {
    torture(case, clean, whole).await;
}

/// Forgets to undo.
struct Careless(Arc<crate::demo::World>);

impl Job for Careless {
    const KIND: &'static str = "demo.careless";
    type Input = Make;
    fn steps(&self, _: &Make) -> Vec<Step<Self>> {
        vec![
            Step::without_undo("a", |job: Arc<Self>, _| async move {
                job.0.things.lock().insert("a".into(), 1);
                Ok(Outcome::nothing())
            }),
            Step::without_undo("b", |_, _| async { Ok(Outcome::nothing()) }),
        ]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_leaves_something_is_caught() {
    let careless = async || {
        let b = bench().await;
        let handler = Careless(b.world.clone());
        Case::new(b.store.clone(), World(b), handler, "s", make(&[]))
    };
    let caught =
        std::panic::AssertUnwindSafe(torture(careless, clean, async |_: &World| Ok(()))).catch_unwind();
    let said = caught.await.unwrap_err();
    let said = said.downcast_ref::<String>().unwrap();
    assert!(said.contains("`a` fails after its effect") && said.contains("left behind"), "{said}");
}
