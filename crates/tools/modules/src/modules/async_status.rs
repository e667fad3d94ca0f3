//! `async_status`: how a background job stands, by the file that it keeps; `mode: cleanup` removes the file.

use std::io::ErrorKind;
use std::path::Path;

use serde_json::Value;

use crate::cx::Cx;
use crate::map;
use crate::result::{Fail, Map, Reply};
use crate::sys::path::expand_user;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let jid = cx.string("jid");
    if jid.is_empty() || jid.contains('/') || jid == ".." {
        return Err(unknown(&jid));
    }
    let file = Path::new(&expand_user(&cx.string("_async_dir"))).join(&jid);
    let shown = file.to_string_lossy().into_owned();
    if cx.str("mode") == Some("cleanup") {
        return match std::fs::remove_file(&file) {
            Ok(()) => Ok(map! {"ansible_job_id" => jid, "erased" => shown}),
            Err(_) => Err(unknown(&jid)),
        };
    }
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Err(unknown(&jid)),
        Err(e) => return Err(Fail::msg(format!("Could not read {shown}: {}", crate::result::strerror(&e)))),
    };
    // A file that is just being written says nothing yet.
    if text.trim().is_empty() {
        return Ok(
            map! {"results_file" => shown, "ansible_job_id" => jid, "started" => true, "finished" => false},
        );
    }
    let mut told: Map = match serde_json::from_str(&text) {
        Ok(Value::Object(told)) => told,
        _ => return Err(Fail::msg(format!("Could not parse job output: {text}"))),
    };
    let truth =
        |v: Option<&Value>| v.is_some_and(|v| v == &Value::Bool(true) || v.as_i64().is_some_and(|n| n != 0));
    let begun = told.contains_key("started");
    let finished = truth(told.get("finished")) || !begun;
    told.insert("started".into(), (!begun || truth(told.get("started"))).into());
    told.insert("finished".into(), finished.into());
    told.insert("ansible_job_id".into(), jid.into());
    told.insert("results_file".into(), shown.into());
    Ok(told)
}

fn unknown(jid: &str) -> Fail {
    Fail::msg("could not find job").with("ansible_job_id", jid).with("started", true).with("finished", true)
}

#[cfg(test)]
mod tests {
    use crate::{Call, Map, run};
    use serde_json::{Value, json};

    fn call(args: Value) -> Map {
        let Value::Object(args) = args else { return Map::new() };
        run(Call::new("async_status", args))
    }

    #[test]
    fn a_job_stands_as_its_file_says() {
        let dir = std::env::temp_dir().join(format!("pileus-async-{}", crate::files::write::unique()));
        std::fs::create_dir(&dir).unwrap();
        let dir = dir.to_str().unwrap();
        assert_eq!(call(json!({"jid": "j1", "_async_dir": dir}))["msg"], "could not find job");
        let write = |text: &str| std::fs::write(format!("{dir}/j1"), text).unwrap();
        write("");
        assert_eq!(call(json!({"jid": "j1", "_async_dir": dir}))["finished"], false);
        write(r#"{"started": 1, "finished": 0}"#);
        assert_eq!(call(json!({"jid": "j1", "_async_dir": dir}))["finished"], false);
        write(r#"{"ping": "pong"}"#);
        let told = call(json!({"jid": "j1", "_async_dir": dir}));
        assert_eq!((&told["finished"], &told["ping"]), (&json!(true), &json!("pong")));
        assert_eq!(call(json!({"jid": "../j1", "_async_dir": dir}))["msg"], "could not find job");
        assert_eq!(
            call(json!({"jid": "j1", "_async_dir": dir, "mode": "cleanup"}))["erased"],
            format!("{dir}/j1")
        );
        assert_eq!(call(json!({"jid": "j1", "_async_dir": dir}))["failed"], true);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
