//! What the store promises, engine by engine.

use pileus_base::{Error, Kind, Scope, Time, ids::ProjectId};
use pileus_store::{Direction, Indexes, Query, Resource, Store, Stored, Unique, taken};
use serde::{Deserialize, Serialize};

use crate::engines::{self, Bench};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Thing {
    id: String,
    project: Option<ProjectId>,
    name: String,
    size: i64,
    at: Time,
    tags: Vec<String>,
}

impl Resource for Thing {
    const KIND: &'static str = "test.thing";
    fn id(&self) -> String {
        self.id.clone()
    }
    fn project(&self) -> Option<&ProjectId> {
        self.project.as_ref()
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.text("name", &self.name);
        ix.int("size", self.size);
        ix.time("at", self.at);
        self.tags.iter().for_each(|t| ix.text("tag", t));
    }
    fn unique(&self, u: &mut Unique) {
        u.claim("thing-name", &self.name);
    }
}

fn thing(id: &str, project: &str, size: i64) -> Thing {
    Thing {
        id: id.into(),
        project: Some(project.into()),
        name: format!("n-{id}"),
        size,
        at: Time(size * 1000),
        tags: vec![format!("t{}", size.rem_euclid(2)), "all".into()],
    }
}

async fn ids(store: &Store, scope: Scope, query: Query) -> Vec<String> {
    let found = store.read(move |rd| rd.list::<Thing>(&scope, &query)).await.unwrap();
    found.into_iter().map(|t| t.value.id).collect()
}

async fn insert(store: &Store, thing: Thing) -> Result<(), Error> {
    store.write(move |tx| tx.insert(&thing)).await
}

async fn keeps_and_finds(b: Bench) {
    let s = &b.store;
    for (id, project, size) in [("a", "p", 3), ("b", "p", -1), ("c", "q", 300), ("d", "p", 3)] {
        insert(s, thing(id, project, size)).await.unwrap();
    }
    let p = || Scope::Project("p".into());
    assert_eq!(ids(s, Scope::All, Query::all()).await, ["a", "b", "c", "d"]);
    assert_eq!(ids(s, p(), Query::all().sort("size")).await, ["b", "a", "d"]);
    let newest = Query::all().sort_by("at", Direction::Desc);
    assert_eq!(ids(s, Scope::All, newest.clone()).await, ["c", "d", "a", "b"]);
    assert_eq!(ids(s, Scope::All, newest.clone().after("d").limit(1)).await, ["a"]);
    assert_eq!(ids(s, Scope::All, Query::by("tag", "t1").sort("name")).await, ["a", "b", "d"]);
    assert_eq!(ids(s, p(), Query::by("tag", "t1").eq("tag", "all").eq_int("size", 3)).await, ["a", "d"]);
    assert_eq!(ids(s, Scope::All, Query::all().any("name", ["n-c", "n-b", "n-x"])).await, ["b", "c"]);
    assert!(ids(s, Scope::All, Query::all().any("name", [""; 0])).await.is_empty());

    let hidden = s.read(|rd| rd.get::<Thing>(&Scope::Project("q".into()), "a")).await.unwrap_err();
    assert_eq!(hidden.kind(), Kind::NotFound);
    let marker = s.read(|rd| rd.list::<Thing>(&Scope::All, &Query::all().after("zz"))).await.unwrap_err();
    assert_eq!(marker.kind(), Kind::NotFound);
}

async fn refuses_taken_keys_and_stale_revisions(b: Bench) {
    let s = &b.store;
    insert(s, thing("a", "p", 1)).await.unwrap();
    let e = insert(s, Thing { name: "n-a".into(), ..thing("b", "p", 1) }).await.unwrap_err();
    assert_eq!(taken(&e).map(|t| (&*t.name, &*t.id)), Some(("thing-name", "a")));
    assert_eq!(ids(s, Scope::All, Query::all()).await, ["a"], "a failed insert leaves nothing");

    let read: Stored<Thing> = s.read(|rd| rd.get(&Scope::All, "a")).await.unwrap();
    let renamed = s.write(|tx| {
        tx.update::<Thing>(&Scope::All, "a", |t| {
            t.name = "other".into();
            Ok(())
        })
    });
    assert_eq!(renamed.await.unwrap().revision, 2);
    let e = s.write(move |tx| tx.put(&read)).await.unwrap_err();
    assert_eq!(e.code_word(), Some("Stale"));
    insert(s, Thing { name: "n-a".into(), ..thing("b", "p", 1) }).await.expect("the old name is free again");
    assert!(ids(s, Scope::All, Query::by("name", "n-a")).await == ["b"]);
    assert!(s.write(|tx| tx.delete::<Thing>("a")).await.unwrap());
    assert!(!s.write(|tx| tx.delete::<Thing>("a")).await.unwrap());
    insert(s, Thing { name: "other".into(), ..thing("c", "p", 1) }).await.expect("a deleted name is free");
}

async fn counts_once_under_contention(b: Bench) {
    let s = &b.store;
    let project: ProjectId = "p".into();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..60 {
        let (s, project) = (s.clone(), project.clone());
        all.spawn(async move {
            s.write(move |tx| {
                if tx.counter("things", &project)? >= 40 {
                    return Err(Error::new(Kind::OverQuota, "full"));
                }
                tx.add("things", &project, 1)?;
                tx.insert(&thing(&format!("{n:02}"), "p", n))
            })
            .await
        });
    }
    let ends = all.join_all().await;
    assert_eq!(ends.iter().filter(|e| e.is_ok()).count(), 40);
    assert_eq!(s.read(move |rd| rd.counter("things", &"p".into())).await.unwrap(), 40);
    assert_eq!(ids(s, Scope::All, Query::all()).await.len(), 40);
}

async fn nudges_after_the_commit_and_survives_a_reopen(b: Bench) {
    let watch = b.store.watch(&[Thing::KIND]);
    insert(&b.store, thing("a", "p", 1)).await.unwrap();
    watch.changed().await;
    let again = Store::open(b.location.clone()).await.unwrap();
    assert_eq!(ids(&again, Scope::All, Query::all()).await, ["a"]);
}

macro_rules! on_both {
    ($($test:ident),*) => {
        mod sqlite { use super::*; $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(engines::sqlite().await).await }) *}
        mod postgres { use super::*; $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test(engines::postgres().await).await }) *}
    };
}
on_both!(
    keeps_and_finds,
    refuses_taken_keys_and_stale_revisions,
    counts_once_under_contention,
    nudges_after_the_commit_and_survives_a_reopen
);

#[tokio::test]
async fn a_panic_ends_one_transaction_only() {
    let b = engines::sqlite().await;
    let panicked = b.store.write(|tx| -> Result<(), Error> {
        tx.insert(&thing("a", "p", 1))?;
        panic!("a defect");
    });
    assert_eq!(panicked.await.unwrap_err().kind(), Kind::Internal);
    assert!(ids(&b.store, Scope::All, Query::all()).await.is_empty());
    insert(&b.store, thing("b", "p", 1)).await.unwrap();
}
