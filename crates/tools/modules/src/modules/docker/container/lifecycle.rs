//! What is done to a container: made, changed, started, stopped, removed, waited for.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Work;
use super::config::{Property, Wanted};
use super::networks::{endpoint, settings};
use crate::modules::docker::client::Pair;
use crate::modules::docker::output;
use crate::result::{Fail, Map};

/// How often an engine is asked again: it has no call that waits for these.
const AGAIN: Duration = Duration::from_millis(200);

fn id(container: &Value) -> String {
    container["Id"].as_str().unwrap_or_default().to_string()
}

impl Work<'_, '_> {
    /// Makes the container; the new one as inspected, null in check mode. `old` is the image of the one before it.
    pub fn create(&mut self, wanted: &Wanted, old: Option<String>) -> Result<Value, Fail> {
        let Some(image) = self.cx.text("image").or(old) else {
            return Err(Fail::msg("Cannot create container when image is not specified!"));
        };
        let attached = self.cx.flag("detach") != Some(true);
        let interactive = self.cx.flag("interactive");
        let mut body = crate::map! {
            "Image" => image, "OpenStdin" => interactive, "StdinOnce" => attached && interactive == Some(true),
            "AttachStdin" => attached && interactive == Some(true), "AttachStdout" => attached,
            "AttachStderr" => attached,
        };
        body.extend(wanted.config.clone());
        if !wanted.host.is_empty() {
            body.insert("HostConfig".into(), Value::Object(wanted.host.clone()));
        }
        let networks: Vec<Value> = self.networks.clone().unwrap_or_default();
        // Before 1.44 a container is made with one network, and joins the others.
        let at_once = if self.docker.version >= (1, 44) { networks.len() } else { networks.len().min(1) };
        let named = |f: fn(&Value) -> Value| {
            let pair = |n: &Value| (n["name"].as_str().unwrap_or_default().to_string(), f(n));
            networks[..at_once].iter().map(pair).collect::<Map>()
        };
        self.actions.push(json!({
            "created": "Created container", "create_parameters": body, "networks": named(settings),
        }));
        self.changed = true;
        if self.cx.check {
            return Ok(Value::Null);
        }
        if at_once > 0 {
            body.insert("NetworkingConfig".into(), json!({"EndpointsConfig": named(endpoint)}));
        }
        let name = self.cx.string("name");
        let made = self
            .docker
            .post("/containers/create", &[("name", name)], Some(&Value::Object(body)))
            .map_err(|e| Fail::msg(format!("Error creating container: {e}")))?;
        for warning in made["Warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.cx.warn(format!("Docker warning: {warning}"));
        }
        self.find(made["Id"].as_str().unwrap_or_default())
    }

    /// Gives a container other limits.
    pub fn update(&mut self, container: &Value, different: &[Property]) -> Result<(), Fail> {
        let mut body = Map::new();
        for property in different {
            self.diff.add(property.option, property.wanted.clone(), property.actual.clone());
            if let Some((field, value)) = &property.update {
                body.insert((*field).into(), value.clone());
            }
        }
        let id = id(container);
        self.actions.push(json!({"updated": id, "update_parameters": body}));
        self.changed = true;
        if self.cx.check {
            return Ok(());
        }
        let told = self
            .docker
            .post(&format!("/containers/{id}/update"), &[], Some(&Value::Object(body)))
            .map_err(|e| Fail::msg(format!("Error updating container {id}: {e}")))?;
        for warning in told["Warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.cx.warn(format!("Docker warning: {warning}"));
        }
        Ok(())
    }

    /// Starts what doesn't run, starts anew where asked to, pauses and resumes.
    pub fn start_or_restart(&mut self, container: &Value, was_running: bool) -> Result<(), Fail> {
        let id = id(container);
        if container["State"]["Running"] != true {
            self.diff.add("running", true.into(), was_running.into());
            self.start(&id)?;
            if self.ended.is_some() {
                return Ok(());
            }
        } else if self.cx.bool("restart") {
            self.diff.add("running", true.into(), was_running.into());
            self.diff.add("restarted", true.into(), false.into());
            self.actions.push(json!({"restarted": id, "timeout": self.cx.int("stop_timeout")}));
            self.changed = true;
            if !self.cx.check {
                let query = self.grace();
                self.docker
                    .wait(&format!("/containers/{id}/restart"), &query, None)
                    .map_err(|e| Fail::msg(format!("Error restarting container {id}: {e}")))?;
            }
        }
        let Some(paused) = self.cx.flag("paused") else { return Ok(()) };
        let is = container["State"]["Paused"] == true;
        if is == paused {
            return Ok(());
        }
        self.diff.add("paused", paused.into(), is.into());
        self.actions.push(json!({"set_paused": paused}));
        self.changed = true;
        if !self.cx.check {
            let (verb, words) = if paused { ("pause", "pausing") } else { ("unpause", "unpausing") };
            self.docker
                .post(&format!("/containers/{id}/{verb}"), &[], None)
                .map_err(|e| Fail::msg(format!("Error {words} container {id}: {e}")))?;
        }
        Ok(())
    }

    fn start(&mut self, id: &str) -> Result<(), Fail> {
        self.actions.push(json!({"started": id}));
        self.changed = true;
        if self.cx.check {
            return Ok(());
        }
        self.docker
            .post(&format!("/containers/{id}/start"), &[], None)
            .map_err(|e| Fail::msg(format!("Error starting container {id}: {e}")))?;
        if self.cx.flag("detach") != Some(false) {
            return Ok(());
        }
        let status = self
            .docker
            .wait(&format!("/containers/{id}/wait"), &[], None)
            .map_err(|e| Fail::msg(format!("Error waiting for container {id}: {e}")))?["StatusCode"]
            .as_i64()
            .unwrap_or(-1);
        let mut container = self.find(id)?;
        let text = self.output(id, &container)?;
        if self.cx.bool("cleanup") {
            self.remove(&container, true)?;
            container = json!({});
        }
        container["Output"] = text.into();
        self.ended = Some((container, status));
        Ok(())
    }

    /// What an ended container said.
    fn output(&self, id: &str, container: &Value) -> Result<String, Fail> {
        if self.cx.bool("auto_remove") {
            return Ok("Cannot retrieve result as auto_remove is enabled".into());
        }
        let driver = container["HostConfig"]["LogConfig"]["Type"].as_str().unwrap_or_default();
        if !matches!(driver, "json-file" | "journald" | "local") {
            return Ok(format!("Result logged using `{driver}` driver"));
        }
        let mut bytes = Vec::new();
        let query = [("stdout", "1".to_string()), ("stderr", "1".to_string())];
        self.docker.download(&format!("/containers/{id}/logs"), &query, &mut bytes)?;
        let bytes = if container["Config"]["Tty"] == true { bytes } else { output::joined(&bytes) };
        Ok(crate::py::text(&bytes))
    }

    /// `t` of the API's stop and restart.
    fn grace(&self) -> Vec<Pair<'static>> {
        self.cx.int("stop_timeout").map(|seconds| ("t", seconds.to_string())).into_iter().collect()
    }

    /// Ends a container, by kill where asked to.
    pub fn stop(&mut self, container: &Value) -> Result<(), Fail> {
        let id = id(container);
        let kill = self.cx.bool("force_kill");
        let signal = self.cx.text("kill_signal");
        self.actions.push(if kill {
            json!({"killed": id, "signal": signal})
        } else {
            json!({"stopped": id, "timeout": self.cx.int("stop_timeout")})
        });
        self.changed = true;
        if self.cx.check {
            return Ok(());
        }
        if container["State"]["Paused"] == true {
            // A frozen process can't be asked to end.
            self.docker
                .post(&format!("/containers/{id}/unpause"), &[], None)
                .map_err(|e| Fail::msg(format!("Error unpausing container {id} for removal: {e}")))?;
        }
        let done = if kill {
            let query: Vec<Pair<'_>> = signal.map(|s| ("signal", s)).into_iter().collect();
            self.docker.post(&format!("/containers/{id}/kill"), &query, None)
        } else {
            self.docker.wait(&format!("/containers/{id}/stop"), &self.grace(), None)
        };
        let words = if kill { "killing" } else { "stopping" };
        match done {
            Err(e) if !e.is_not_found() => Err(Fail::msg(format!("Error {words} container {id}: {e}"))),
            _ => Ok(()),
        }
    }

    /// Removes a container.
    pub fn remove(&mut self, container: &Value, force: bool) -> Result<(), Fail> {
        let id = id(container);
        let volumes = !self.cx.bool("keep_volumes");
        self.actions.push(json!({"removed": id, "volume_state": volumes, "link": false, "force": force}));
        self.changed = true;
        if self.cx.check {
            return Ok(());
        }
        let query =
            [("v", volumes), ("link", false), ("force", force)].map(|(name, v)| (name, v.to_string()));
        match self.docker.delete(&format!("/containers/{id}"), &query) {
            Err(e) if e.is_not_found() => Ok(()),
            Err(e) if e.status == 409 && e.explanation.contains("is already in progress") => Ok(()),
            Err(e) => Err(Fail::msg(format!("Error removing container {id}: {e}"))),
            Ok(_) => Ok(()),
        }
    }

    /// Until a removed container is gone: its name is free then.
    pub fn await_removal(&mut self, container: &Value) -> Result<(), Fail> {
        if self.cx.check {
            return Ok(());
        }
        let id = id(container);
        let limit = self.cx.raw("removal_wait_timeout").as_f64().filter(|s| *s > 0.0);
        let query = [("condition", "removed".to_string())];
        match self.docker.wait(&format!("/containers/{id}/wait"), &query, limit.map(Duration::from_secs_f64))
        {
            Err(e) if e.status == 0 => Err(Fail::msg(format!(
                "Timeout while waiting for container to be removed after {} seconds",
                limit.unwrap_or_default()
            ))),
            Err(e) if !e.is_not_found() => Err(e.into()),
            _ => Ok(()),
        }
    }

    /// Until the container is healthy.
    #[allow(clippy::disallowed_methods, reason = "the engine has no call that waits for health")]
    pub fn await_health(&mut self, id: &str) -> Result<(), Fail> {
        let limit = self.cx.raw("healthy_wait_timeout").as_f64().filter(|s| *s > 0.0);
        let clock = Instant::now();
        loop {
            let container = self.find(id)?;
            let state = &container["State"];
            match state["Health"]["Status"].as_str() {
                Some("healthy") => return Ok(()),
                Some("unhealthy") => {
                    return Err(Fail::msg("Container is unhealthy").with("container", container.clone()));
                }
                _ => {}
            }
            if container.is_null() || state["Running"] != true {
                return Err(Fail::msg("Container stopped while waiting for it to become healthy")
                    .with("container", container.clone()));
            }
            if limit.is_some_and(|seconds| clock.elapsed().as_secs_f64() > seconds) {
                return Err(Fail::msg(format!(
                    "Timeout of {} seconds exceeded while waiting for healthy container",
                    limit.unwrap_or_default()
                )));
            }
            std::thread::sleep(AGAIN);
        }
    }
}
