//! How long a template of three expressions takes: parsed and rendered, and rendered alone.

use std::time::Instant;

use pileus_jinja::{Dict, Engine, Str, Value};

const ROUNDS: u32 = 20_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scope = Dict::new();
    scope.insert("name", "web");
    scope.insert("port", 8080_i64);
    scope.insert("hosts", Value::list(vec!["a".into(), "b".into()]));
    let text = "{{ name | upper }}:{{ port + 1 }} {{ hosts | join(',') }}";
    let engine = Engine::new();
    let start = Instant::now();
    for i in 0..ROUNDS {
        // another text each time: nothing comes from the cache
        engine.render(&Str::trusted(format!("{text}{i}")), &scope)?;
    }
    let both = start.elapsed() / ROUNDS;
    let same = Str::trusted(text);
    let start = Instant::now();
    for _ in 0..ROUNDS {
        engine.render(&same, &scope)?;
    }
    println!("parse and render {both:?}, render {:?}", start.elapsed() / ROUNDS);
    Ok(())
}
