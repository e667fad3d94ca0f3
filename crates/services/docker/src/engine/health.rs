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
    store::Status,
};

/// `State.Health` at a start; `None` where there is no check.
pub fn first(config: &Value) -> Option<Value> {
    command(config).map(|_| json!({"Status": "starting", "FailingStreak": 0, "Log": []}))
}

fn command(config: &Value) -> Option<Vec<String>> {
    let test = texts(&config["Healthcheck"]["Test"])?;
    match test.first()?.as_str() {
        "CMD" => Some(test[1..].to_vec()),
        "CMD-SHELL" => {
            let shell = texts(&config["Shell"]).filter(|s| !s.is_empty());
            let mut all = shell.unwrap_or_else(|| vec!["/bin/sh".into(), "-c".into()]);
            all.push(test[1..].join(" "));
            Some(all)
        }
        _ => None,
    }
}

/// How much of a check's output is kept.
const OUTPUT: usize = 4096;

/// A check that is ended where its time is over.
struct GivenUp(Option<u32>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        let pid = self.0.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid
            && let Ok(fd) = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())
        {
            // It may have ended by itself just now.
            let _ = rustix::process::pidfd_send_signal(&fd, rustix::process::Signal::KILL);
        }
    }
}

/// A duration as Go writes it: `1m30s`, `1.5s`, `300ms`.
fn seconds(duration: Duration) -> String {
    let (whole, millis) = (duration.as_secs(), duration.as_secs_f64() * 1e3);
    if whole == 0 {
        return format!("{millis}ms");
    }
    let (hours, minutes) = (whole / 3600, whole / 60 % 60);
    let rest = (whole % 60) as f64 + f64::from(duration.subsec_nanos()) / 1e9;
    match (hours, minutes) {
        (0, 0) => format!("{rest}s"),
        (0, _) => format!("{minutes}m{rest}s"),
        _ => format!("{hours}h{minutes}m{rest}s"),
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
        let (early, grace) = (nanos("StartInterval", 5), nanos("StartPeriod", 0));
        let began = tokio::time::Instant::now();
        tokio::spawn(async move {
            let mut starting = true;
            // The last check's exec, where it was given up: it has ended, and nobody has asked how.
            let mut given_up: Option<String> = None;
            loop {
                let pause = if starting && began.elapsed() < grace { early.min(interval) } else { interval };
                let over = phases.wait_for(|p| p.ends > before || p.removed);
                if tokio::time::timeout(pause, over).await.is_ok() {
                    return;
                }
                if let Some(exec) = given_up.take() {
                    docker.forget_exec(&c.id, &exec).await;
                }
                // What is frozen can't answer.
                match docker.find_container(&c.id).await {
                    Ok(Some(now)) if now.state.status == Status::Paused => continue,
                    Ok(Some(now)) if now.runs() => {}
                    _ => return,
                }
                let (start, end, code, output) = {
                    let (start, exec) = (now_ns(), new_id());
                    let probe = docker.probe(&c, &args, &exec);
                    let (code, output) = match tokio::time::timeout(limit, probe).await {
                        Ok(Ok(found)) => found,
                        Ok(Err(e)) => (-1, e.message().to_owned()),
                        Err(_) => {
                            given_up = Some(exec);
                            (-1, format!("Health check exceeded timeout ({})", seconds(limit)))
                        }
                    };
                    (start, now_ns(), code, output)
                };
                starting &= code != 0;
                let entry =
                    json!({"Start": rfc3339(start), "End": rfc3339(end), "ExitCode": code, "Output": output});
                if docker.note_health(&c, entry, code == 0).await.is_err() {
                    return;
                }
            }
        });
    }

    /// Runs the check once. One that is given up is ended.
    async fn probe(&self, c: &Container, args: &[String], exec: &str) -> pileus_base::Result<(i32, String)> {
        let process = self.exec_process(c, args, &Value::Null).await?;
        let wanted = Wanted { stdin: false, stdout: true, stderr: true };
        let spec = ExecSpec { id: exec.to_owned(), process, wanted };
        let told = [("execID", spec.id.clone())];
        self.container_event(c, format!("exec_create: {}", args.join(" ")), &told);
        self.container_event(c, format!("exec_start: {}", args.join(" ")), &told);
        let (pid, mut stream) = self.host.exec_container(&c.id, &spec).await?;
        let mut given_up = GivenUp(Some(pid));
        let (mut raw, mut output) = (Vec::new(), Vec::new());
        let _ = (&mut stream).take(64 << 10).read_to_end(&mut raw).await;
        let mut rest = &raw[..];
        while let Some((head, body)) = rest.split_at_checked(8) {
            let n = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
            let n = n.min(body.len());
            output.extend_from_slice(&body[..n]);
            rest = &body[n..];
        }
        output.truncate(OUTPUT);
        // Its output may be closed, or more than is kept, while it still runs.
        crate::engine::streams::drain(&mut stream).await;
        given_up.0 = None;
        let code = self.host.exec_exit(&c.id, &spec.id).await?.unwrap_or(-1);
        self.forget_exec(&c.id, &spec.id).await;
        let [id] = told;
        self.container_event(c, "exec_die", &[id, ("exitCode", code.to_string())]);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_go_s() {
        let of = |ms| seconds(Duration::from_millis(ms));
        assert_eq!((of(300), of(1_000), of(1_500)), ("300ms".into(), "1s".into(), "1.5s".into()));
        assert_eq!((of(90_000), of(3_600_000)), ("1m30s".into(), "1h0m0s".into()));
    }

    #[test]
    fn a_check_is_a_program_or_a_line_of_shell() {
        let of = |test: Value| command(&json!({"Healthcheck": {"Test": test}}));
        assert_eq!(of(json!(["CMD", "a", "b"])), Some(vec!["a".into(), "b".into()]));
        assert_eq!(of(json!(["CMD-SHELL", "a b"])).unwrap()[2], "a b");
        assert_eq!((of(json!(["NONE"])), of(json!([])), of(Value::Null)), (None, None, None));
        assert_eq!(first(&json!({})), None);
    }
}
