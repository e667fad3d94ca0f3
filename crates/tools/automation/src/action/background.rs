//! `async`: a module in the background, waited for unless `poll` is 0; and `async_status`, which asks how it stands.

use std::sync::Arc;
use std::time::Duration;

use pileus_jinja::{Dict, Value};
use serde_json::{Map, Value as Json};

use super::remote::{call, lost};
use super::{Cx, Failure, Outcome, remote};
use crate::connection::{Become, Connection, Job, ModuleCall, Settings};
use crate::execute::TaskResult;

/// Where jobs keep how they stand.
fn directory(cx: &Cx<'_>) -> String {
    cx.vars
        .var("ansible_async_dir")
        .or_else(|| cx.vars.setting(&["ANSIBLE_ASYNC_DIR"], &[]))
        .unwrap_or_else(|| "~/.ansible_async".into())
}

/// A job of the task's, with an id that no other has.
pub fn job(cx: &Cx<'_>) -> Job {
    let micros = jiff::Timestamp::now().as_microsecond().unsigned_abs() % 1_000_000_000_000;
    Job {
        jid: format!("j{micros}.{}", std::process::id()),
        limit_s: u64::try_from(cx.fields.async_s).unwrap_or(0),
        directory: directory(cx),
    }
}

/// Starts a native module in the background, and waits for it unless `poll` is 0. `None`: there is no such module.
///
/// # Errors
/// Where the host cannot be reached.
pub fn start(
    cx: &Cx<'_>,
    connection: &Arc<Connection>,
    call: &ModuleCall,
    as_user: Option<&Become>,
) -> Result<Option<Map<String, Json>>, Failure> {
    let job = job(cx);
    let Some(mut result) = connection.module_async(call, &job, as_user).map_err(lost)? else {
        return Ok(None);
    };
    if cx.fields.poll_s <= 0 {
        result.entry("changed").or_insert(true.into());
        return Ok(Some(result));
    }
    wait(cx, connection, &job.jid, as_user).map(Some)
}

/// Asks until the job has ended or its time is up.
///
/// # Errors
/// Where the host cannot be reached.
pub fn wait(
    cx: &Cx<'_>,
    connection: &Arc<Connection>,
    jid: &str,
    as_user: Option<&Become>,
) -> Result<Map<String, Json>, Failure> {
    let directory = directory(cx);
    let ask = |mode: &str| {
        let args = [("jid", jid), ("mode", mode), ("_async_dir", &directory)];
        let args = args.into_iter().map(|(k, v)| (k.to_owned(), Json::from(v))).collect();
        connection.module(&call(cx, "async_status", &args), as_user, None)
    };
    let callbacks = &cx.world.callbacks;
    let told = |now: Map<String, Json>| {
        let mut value = now;
        value.insert("ansible_job_id".into(), jid.into());
        TaskResult {
            host: cx.host.clone(),
            task: cx.task.clone(),
            name: String::new(),
            value: Value::from(Json::Object(value)).as_dict().cloned().unwrap_or_default(),
            fields: cx.fields.clone(),
            items: Vec::new(),
            looped: false,
            error: None,
        }
    };
    let mut last = None;
    let mut left = cx.fields.async_s;
    while left > 0 {
        crate::delay::asked(Duration::from_secs(u64::try_from(cx.fields.poll_s).unwrap_or(1)));
        left -= cx.fields.poll_s;
        // A host that is away for a while may come back.
        let Ok(Some(now)) = ask("status") else { continue };
        if now.get("finished").and_then(Json::as_bool) == Some(true) {
            // What stays of it does no harm.
            let _ = ask("cleanup");
            let failed = now.get("failed").is_some_and(|f| f.as_bool().unwrap_or(f.as_i64() != Some(0)));
            callbacks.polled(&told(now.clone()), failed);
            return Ok(now);
        }
        callbacks.poll(&told(now.clone()));
        last = Some(now);
    }
    callbacks.polled(&told(last.clone().unwrap_or_default()), true);
    let mut out = Map::new();
    if let Some(last) = last {
        out.insert("async_result".into(), Json::Object(last));
    }
    out.insert("failed".into(), true.into());
    out.insert(
        "msg".into(),
        format!("async task did not complete within the requested time - {}s", cx.fields.async_s).into(),
    );
    Ok(out)
}

/// `async_status`.
///
/// # Errors
/// Where the host cannot be reached.
pub fn status(cx: &mut Cx<'_>) -> Outcome {
    cx.supported(&["jid", "mode"])?;
    let Some(jid) = cx.text("jid") else {
        return Err(Failure::msg("missing required arguments: jid"));
    };
    let directory = directory(cx);
    let mut args: Map<String, Json> = remote::json(&cx.args);
    args.insert("_async_dir".into(), directory.as_str().into());
    let done = remote::execute(cx, "async_status", &args)?;
    let defaults = Dict::new();
    defaults.insert("started", false);
    defaults.insert("finished", false);
    defaults.insert("stdout", "");
    defaults.insert("stderr", "");
    defaults.insert("stdout_lines", pileus_jinja::Value::list(Vec::new()));
    defaults.insert("stderr_lines", pileus_jinja::Value::list(Vec::new()));
    defaults.insert("ansible_job_id", jid.as_str());
    if cx.text("mode").as_deref() != Some("cleanup") {
        defaults.insert("results_file", format!("{}/{jid}", directory.trim_end_matches('/')));
    }
    for (k, v) in defaults.items() {
        if !done.contains(k.as_str().unwrap_or_default()) {
            done.insert(k, v);
        }
    }
    Ok(done)
}
