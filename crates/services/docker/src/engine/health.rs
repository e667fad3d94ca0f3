//! Health checks: a command run in a container at intervals, and what its exits say.

use std::{sync::Arc, time::Duration};

use pileus_host::{ExecSpec, Wanted};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::{
    Container, Docker,
    events::{now_ns, rfc3339},
    model::config::texts,
    new_id,
};

/// `State.Health` at a start; `None` where there is no check.
pub fn first(config: &Value) -> Option<Value> {
    command(config).map(|_| json!({"Status": "starting", "FailingStreak": 0, "Log": []}))
}

fn command(config: &Value) -> Option<Vec<String>> {
    let test = texts(&config["Healthcheck"]["Test"])?;
    match test.first()?.as_str() {
        "CMD" => Some(test[1..].to_vec()),
        "CMD-SHELL" => Some(vec!["/bin/sh".into(), "-c".into(), test[1..].join(" ")]),
        _ => None,
    }
}

impl Docker {
    /// Checks a container's health as long as it runs.
    pub(crate) fn watch_health(self: &Arc<Self>, c: &Container) {
        let Some(args) = command(&c.config) else { return };
        let (docker, c) = (self.clone(), c.clone());
        let nanos = |key: &str, default: u64| {
            let n = c.config["Healthcheck"][key].as_u64().filter(|n| *n > 0);
            n.map_or(Duration::from_secs(default), Duration::from_nanos)
        };
        let (interval, limit) = (nanos("Interval", 30), nanos("Timeout", 30));
        let mut phases = self.phases(&c.id);
        let before = phases.borrow_and_update().ends;
        tokio::spawn(async move {
            loop {
                let over = phases.wait_for(|p| p.ends > before || p.removed);
                if tokio::time::timeout(interval, over).await.is_ok() {
                    return;
                }
                let (start, end, code, output) = {
                    let start = now_ns();
                    let (code, output) = match tokio::time::timeout(limit, docker.probe(&c, &args)).await {
                        Ok(Ok(found)) => found,
                        Ok(Err(e)) => (-1, e.message().to_owned()),
                        Err(_) => (-1, format!("Health check exceeded timeout ({}s)", limit.as_secs_f64())),
                    };
                    (start, now_ns(), code, output)
                };
                let entry =
                    json!({"Start": rfc3339(start), "End": rfc3339(end), "ExitCode": code, "Output": output});
                if docker.note_health(&c, entry, code == 0).await.is_err() {
                    return;
                }
            }
        });
    }

    async fn probe(&self, c: &Container, args: &[String]) -> pileus_base::Result<(i32, String)> {
        let process = self.exec_process(c, args, &Value::Null).await?;
        let spec =
            ExecSpec { id: new_id(), process, wanted: Wanted { stdin: false, stdout: true, stderr: true } };
        let (_, mut stream) = self.host.exec_container(&c.id, &spec).await?;
        let (mut raw, mut output) = (Vec::new(), Vec::new());
        let _ = (&mut stream).take(64 << 10).read_to_end(&mut raw).await;
        let mut rest = &raw[..];
        while let Some((head, body)) = rest.split_at_checked(8) {
            let n = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let n = n.min(body.len());
            output.extend_from_slice(&body[..n]);
            rest = &body[n..];
        }
        output.truncate(4096);
        let code = self.host.exec_exit(&c.id, &spec.id).await?.unwrap_or(-1);
        Ok((code, String::from_utf8_lossy(&output).into_owned()))
    }

    async fn note_health(&self, c: &Container, entry: Value, well: bool) -> pileus_base::Result<()> {
        let check = &c.config["Healthcheck"];
        let retries = check["Retries"].as_u64().filter(|n| *n > 0).unwrap_or(3);
        let grace = check["StartPeriod"].as_i64().unwrap_or(0);
        let old = self.find_container(&c.id).await?.and_then(|c| c.value.state.health).unwrap_or_default();
        let changed = self
            .change(&c.id, move |c| {
                if !c.runs() {
                    return;
                }
                let within = now_ns() - c.state.started_ns < grace;
                let Some(health) = &mut c.state.health else { return };
                let streak = health["FailingStreak"].as_u64().unwrap_or(0);
                let starting = health["Status"] == json!("starting");
                if well {
                    health["FailingStreak"] = json!(0);
                    health["Status"] = json!("healthy");
                } else if !(starting && within) {
                    health["FailingStreak"] = json!(streak + 1);
                    if streak + 1 >= retries {
                        health["Status"] = json!("unhealthy");
                    }
                }
                if let Some(log) = health["Log"].as_array_mut() {
                    log.push(entry.clone());
                    if log.len() > 5 {
                        log.remove(0);
                    }
                }
            })
            .await?;
        if let Some(now) = &changed.state.health
            && now["Status"] != old["Status"]
        {
            let status = now["Status"].as_str().unwrap_or("");
            self.container_event(&changed, format!("health_status: {status}"), &[]);
        }
        Ok(())
    }
}
