//! `ansible-runs` (`pileus ansible-runs`): the runs that were recorded, and what became of each task of one.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::callback::records;
use crate::{Error, display};

use super::args::{Count, Given, Grammar, Takes, flag};
use super::common;

fn grammar() -> Grammar {
    Grammar::new("ansible-runs", "Shows recorded runs: all of them, or what became of the tasks of one.")
        .arguments(Count::Optional, "run", "The run, or the beginning of its id; the newest is 'last'")
        .with([
            flag(&["-d", "--directory"], "dir", Takes::Value, "the directory of the records"),
            flag(&["--json"], "json", Takes::Flag, "the records as they are: a JSON object in each line"),
        ])
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    common::run(&grammar(), args, |given, _| run(given))
}

fn run(given: &Given) -> Result<i32, Error> {
    let dirs = match given.value("dir") {
        Some(dir) => vec![PathBuf::from(crate::source::paths::unfrack(dir))],
        None => records::places(),
    };
    let mut runs: Vec<(String, PathBuf)> = dirs.iter().flat_map(|d| records::all(d)).collect();
    runs.sort();
    runs.reverse();
    let Some(wanted) = given.args.first() else {
        for (id, path) in &runs {
            match summary(path) {
                Ok(Some(line)) if given.on("json") => display::out(&line.to_string()),
                Ok(Some(line)) => display::out(&row(id, &line)),
                Ok(None) => {}
                Err(e) => display::warning(&format!("{}: {e}", path.display())),
            }
        }
        return Ok(0);
    };
    let found = runs.iter().find(|(id, _)| wanted == "last" || id.starts_with(wanted.as_str()));
    let Some((_, path)) = found else {
        return Err(Error::new(format!("There is no record of a run '{wanted}'.")));
    };
    let read = |e: std::io::Error| Error::new(format!("{}: {e}", path.display()));
    let mut names = std::collections::HashMap::new();
    for line in BufReader::new(std::fs::File::open(path).map_err(read)?).lines() {
        let line = line.map_err(read)?;
        if given.on("json") {
            display::out(&line);
        } else if let Ok(event) = serde_json::from_str::<Json>(&line) {
            tell(&event, &mut names);
        }
    }
    Ok(0)
}

fn text<'a>(event: &'a Json, key: &str) -> &'a str {
    event[key].as_str().unwrap_or_default()
}

/// The first line of a record together with its last.
fn summary(path: &Path) -> std::io::Result<Option<Json>> {
    let mut first: Option<Json> = None;
    for line in BufReader::new(std::fs::File::open(path)?).lines() {
        let Ok(event) = serde_json::from_str::<Json>(&line?) else { continue };
        match (text(&event, "event"), &mut first) {
            ("run", None) => first = Some(event),
            ("end", Some(first)) => {
                first["duration_s"] = event["duration_s"].clone();
                first["hosts"] = event["hosts"].clone();
            }
            _ => {}
        }
    }
    Ok(first)
}

/// A run in one line: `ID  PLAYBOOK  3 hosts, 0 failed, 1.2 s`.
fn row(id: &str, run: &Json) -> String {
    let how = match run["hosts"].as_object() {
        Some(hosts) => {
            let bad = |h: &&Json| h["failed"].as_u64() > Some(0) || h["unreachable"].as_u64() > Some(0);
            let changed: u64 = hosts.values().filter_map(|h| h["changed"].as_u64()).sum();
            format!(
                "{} hosts, {} failed, {changed} changed, {:.1} s",
                hosts.len(),
                hosts.values().filter(bad).count(),
                run["duration_s"].as_f64().unwrap_or_default()
            )
        }
        None => "not ended".to_owned(),
    };
    format!("{id}  {}  {how}", text(run, "playbook"))
}

/// An event in words.
fn tell(event: &Json, names: &mut std::collections::HashMap<u64, String>) {
    match text(event, "event") {
        "run" => display::out(&format!(
            "{} {} by {} at {}",
            text(event, "program"),
            text(event, "playbook"),
            text(event, "user"),
            text(event, "time")
        )),
        "play" => display::out(&format!("PLAY [{}]", text(event, "name"))),
        "task" => {
            let n = event["task"].as_u64().unwrap_or_default();
            names.insert(n, text(event, "name").to_owned());
            display::out(&format!("TASK [{}]  {}", text(event, "name"), text(event, "path")));
        }
        "result" => {
            let took = event["duration_s"].as_f64().map(|s| format!("  {s:.3} s")).unwrap_or_default();
            display::out(&format!("  {}: {}{took}", text(event, "status"), text(event, "host")));
            let bad = matches!(text(event, "status"), "failed" | "unreachable" | "ignored");
            let output = event["output"].as_object().filter(|_| bad);
            for (key, value) in output.into_iter().flatten() {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                if !value.is_empty() {
                    display::out(&format!("    {key}: {}", value.replace('\n', "\n      ")));
                }
            }
        }
        "end" => {
            for (host, counts) in event["hosts"].as_object().into_iter().flatten() {
                let of = |k: &str| counts[k].as_u64().unwrap_or_default();
                display::out(&format!(
                    "{host}: ok={} changed={} unreachable={} failed={} skipped={} rescued={} ignored={}",
                    of("ok"),
                    of("changed"),
                    of("unreachable"),
                    of("failed"),
                    of("skipped"),
                    of("rescued"),
                    of("ignored")
                ));
            }
        }
        _ => {}
    }
}
