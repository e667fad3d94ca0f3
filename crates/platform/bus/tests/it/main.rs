//! The bus: who hears what, and what a slow listener is told.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use pileus_bus::{Bus, Heard};

fn text(heard: Option<Heard>) -> String {
    match heard {
        Some(Heard::Message(m)) => format!("{}={}", m.topic, m.read::<String>().unwrap()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_listener_hears_its_topics_only() {
    let bus = Bus::default();
    let (mut ports, mut all) = (bus.subscribe("host.port"), bus.subscribe(""));
    for (topic, said) in [("host.portal", "a"), ("server", "b"), ("host.port", "c"), ("host.port.up", "d")] {
        bus.publish(topic, &said).unwrap();
    }
    assert_eq!(text(ports.next().await), "host.port=c");
    assert_eq!(text(ports.next().await), "host.port.up=d");
    assert_eq!(text(all.next().await), "host.portal=a");
}

#[tokio::test]
async fn a_slow_listener_learns_that_it_lost_some() {
    let bus = Bus::default();
    let mut slow = bus.subscribe("");
    for n in 0..3_000 {
        bus.publish("n", &n).unwrap();
    }
    assert!(matches!(slow.next().await, Some(Heard::Lost(n)) if n > 1_000));
    assert!(matches!(slow.next().await, Some(Heard::Message(_))));
}

#[tokio::test]
async fn publishing_to_nobody_is_fine_and_a_wrong_type_is_an_error() {
    let bus = Bus::default();
    bus.publish("n", &1).unwrap();
    let mut heard = bus.subscribe("n");
    bus.publish("n", &1).unwrap();
    let Some(Heard::Message(m)) = heard.next().await else { panic!("no message") };
    assert_eq!(m.read::<String>().unwrap_err().kind(), pileus_base::Kind::BadRequest);
}
