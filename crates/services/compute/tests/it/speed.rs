//! How long a list of a thousand servers takes. The figure counts in an optimised build:
//! `cargo nextest run --release -p pileus-compute speed --no-capture`

use std::time::{Duration, Instant};

use serde_json::json;

use crate::bench::start;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_servers_are_listed_quickly() {
    let b = start().await;
    b.lan("alice", "lan").await;
    let unlimited = json!({"quota_set": {"instances": -1, "cores": -1, "ram": -1}});
    b.put("admin", "/os-quota-sets/alice", unlimited).await.is(200);
    let small = json!({"flavor": {"id": "s", "name": "s", "ram": 1, "vcpus": 1, "disk": 1}});
    b.post("admin", "/flavors", small).await.is(200);
    let many = json!({"flavorRef": "s", "min_count": 200, "max_count": 200, "metadata": {"a": "b"}});
    let networks = json!({"networks": "auto"});
    for _ in 0..5 {
        let mut asked = many.clone();
        asked.as_object_mut().unwrap().extend(networks.as_object().unwrap().clone());
        b.post("alice", "/servers", b.server("s", asked)).await.is(202);
    }
    for (path, most) in [("/servers/detail", 25), ("/servers", 25), ("/servers/detail?limit=20", 5)] {
        let mut times = Vec::new();
        for _ in 0..21 {
            let began = Instant::now();
            let answer = b.get("alice", path).await.is(200);
            times.push(began.elapsed());
            assert!(answer.body.len() > 1000);
        }
        times.sort();
        eprintln!("GET {path}: {:.1} ms", times[10].as_secs_f64() * 1000.0);
        if !cfg!(debug_assertions) {
            assert!(times[0] < Duration::from_millis(most), "{path} took {:?}", times[0]);
        }
    }
    b.stop().await;
}
