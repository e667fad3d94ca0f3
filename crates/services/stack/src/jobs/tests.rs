//! Whatever goes wrong in a step, the resource says so, and what it says is true.

use pileus_base::{Caller, Ctx, ProjectRef, Scope, ids::RequestId};
use pileus_jobs::torture::{Case, torture};
use pileus_store::{Location, Query, Store};
use serde_json::{Map, json};

use super::resource::{ResourceInput, ResourceJob};
use crate::{
    Item, Stacks,
    engine::begin,
    store::{
        runs::Run,
        stacks::{Action, Owner, Source, Status},
    },
    types::Registry,
};

struct World {
    store: Store,
    _dir: tempfile::TempDir,
}

impl World {
    async fn is(&self, wanted: &[&str]) -> Result<(), String> {
        let items = self.store.read(|rd| rd.list::<Item>(&Scope::All, &Query::all())).await.unwrap();
        let states: Vec<String> = items.iter().map(|i| i.state()).collect();
        if states == wanted { Ok(()) } else { Err(format!("{states:?}")) }
    }
}

/// A stack of one resource whose step has begun, and no runner yet.
async fn case(delete: bool) -> Case<ResourceJob, World> {
    let dir = tempfile::tempdir().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    let store = Store::open(location).await.unwrap();
    let stacks = Stacks::with_types(store.clone(), Registry::new()).unwrap();
    let project =
        ProjectRef { id: "p".into(), name: "p".into(), domain_id: "d".into(), domain_name: "d".into() };
    let caller = Caller { project: Some(project), ..Caller::default() };
    let ctx = Ctx::new(caller.into(), RequestId::new());
    let template = json!({"heat_template_version": "2015-04-30", "resources": {"a": {"type": "OS::Heat::SoftwareConfig"}}});
    let source = Source { template, files: Map::new(), environment: json!({}) };
    let new = begin::NewStack {
        name: "s".into(),
        source,
        owner: Owner::of(&ctx),
        project_id: "p".into(),
        disable_rollback: true,
        timeout_mins: None,
        tags: Vec::new(),
        parent: None,
        base: String::new(),
    };
    let made = stacks.clone();
    let input = store.write(move |tx| {
        let stack = begin::create(&made, tx, &ctx, new.clone())?;
        let run = stack.run.expect("a stack that begins has a run");
        let step = tx.get::<Run>(&Scope::All, run)?.steps[0].clone();
        let mut item = tx.get::<Item>(&Scope::All, step.item)?;
        let mut input = ResourceInput { stack: stack.id, run, step: 0, item: item.id, op: step.op };
        if delete {
            let ctx = &ctx;
            let value = json!("a config");
            item.properties.insert("config".into(), value);
            let at = &mut crate::types::At { tx, stacks: &made, ctx, stack: &stack, item: &mut item.value };
            made.registry.kind("OS::Heat::SoftwareConfig").expect("is known").create(at)?;
            input.op = crate::store::runs::Op::Delete;
            tx.update::<Run>(&Scope::All, run, |r| {
                r.steps[0].op = input.op;
                Ok(())
            })?;
        }
        let action = if delete { Action::Delete } else { Action::Create };
        item.set(action, Status::InProgress, "state changed");
        tx.put(&item)?;
        Ok(input)
    });
    let input = input.await.unwrap();
    // The action's own job has nobody to run it here.
    let world = World { store: store.clone(), _dir: dir };
    Case::new(store, world, ResourceJob::new(stacks), Item::subject(input.item), input)
}

#[tokio::test]
async fn a_resource_is_made_or_says_that_it_failed() {
    torture(
        async || case(false).await,
        async |world: &World| world.is(&["CREATE_FAILED"]).await,
        async |world: &World| world.is(&["CREATE_COMPLETE"]).await,
    )
    .await;
}

#[tokio::test]
async fn a_resource_goes_or_says_that_it_failed() {
    torture(
        async || case(true).await,
        async |world: &World| world.is(&["DELETE_FAILED"]).await,
        async |world: &World| world.is(&[]).await,
    )
    .await;
}
