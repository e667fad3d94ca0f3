//! Execs: processes in a container that runs. One is made, then started once; the daemon reads its output to
//! the end whether or not a client still listens, and notes how it ended.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use pileus_base::{Error, Result};
use pileus_host::{ExecSpec, Stream, Wanted};
use serde_json::{Value, json};

use super::streams::{self, Over, Way};
use crate::{
    Container, Docker,
    model::{config::texts, detach},
    new_id,
    store::Status,
};

/// How long a resize waits for its exec to begin.
const BEGINS_WITHIN: Duration = Duration::from_secs(10);
/// How long an exec that has ended can still be asked for, as with the reference.
const REMEMBERED: Duration = Duration::from_secs(5 * 60);

/// An exec, known as long as its container runs.
#[derive(Debug, Clone)]
pub struct Exec {
    /// 64 hex digits.
    pub id: String,
    /// Its container.
    pub container: String,
    /// What the client asked for.
    pub config: Value,
    /// The program and its arguments.
    pub args: Vec<String>,
    /// As whom, in the client's words or the container's.
    pub user: String,
    /// The detach keys asked for; empty for the usual ones.
    pub keys: Vec<u8>,
    /// Its process on the host; 0 before it starts.
    pub pid: u32,
    /// Whether it has been started.
    pub started: bool,
    /// The exit code, where it is known.
    pub exit: Option<i32>,
    /// When it ended.
    pub ended: Option<Instant>,
}

impl Exec {
    /// Whether it has a terminal.
    pub fn tty(&self) -> bool {
        self.on("Tty")
    }
    /// Whether the client asked for `key`.
    pub fn on(&self, key: &str) -> bool {
        self.config[key] == json!(true)
    }
    fn again(&self) -> Result<()> {
        let id = &self.id;
        match (self.exit, self.started) {
            (Some(_), _) => Err(Error::conflict(format!("error: exec command {id} has already run"))),
            (None, true) => Err(Error::conflict(format!("error: exec command {id} is already running"))),
            (None, false) => Ok(()),
        }
    }
    fn attribute(&self) -> (&'static str, String) {
        ("execID", self.id.clone())
    }
}

/// Refuses a container that no process can be run in.
fn can_exec(c: &Container) -> Result<()> {
    let id = &c.id;
    match c.state.status {
        Status::Running => Ok(()),
        Status::Paused => {
            Err(Error::conflict(format!("Container {id} is paused, unpause the container before exec")))
        }
        Status::Restarting => {
            Err(Error::conflict(format!("Container {id} is restarting, wait until the container is running")))
        }
        _ => Err(Error::conflict(format!("container {id} is not running"))),
    }
}

impl Docker {
    /// The exec of an id.
    ///
    /// # Errors
    /// 404, `No such exec instance: X`.
    pub(crate) fn exec(&self, id: &str) -> Result<Exec> {
        let all = self.execs.lock();
        all.get(id).cloned().ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// Ids of a container's execs that have not ended.
    pub(crate) fn exec_ids(&self, container: &str) -> Vec<String> {
        let all = self.execs.lock();
        let mut ids: Vec<_> = all
            .values()
            .filter(|e| e.container == container && e.exit.is_none())
            .map(|e| e.id.clone())
            .collect();
        ids.sort();
        ids
    }

    /// Makes an exec.
    ///
    /// # Errors
    /// 409 where the container doesn't run, 400 for detach keys that are none, or where nothing is to be run.
    pub(crate) async fn create_exec(&self, name: &str, config: Value) -> Result<String> {
        let c = self.container(name).await?.value;
        can_exec(&c)?;
        let args = texts(&config["Cmd"]).unwrap_or_default();
        if args.is_empty() {
            return Err(Error::bad_request("No exec command specified"));
        }
        // docker-py writes it small; the reference reads it either way.
        let keys = config["DetachKeys"].as_str().or(config["detachKeys"].as_str());
        let keys = match keys.unwrap_or("") {
            "" => Vec::new(),
            text => detach::keys(text)?,
        };
        let user = config["User"].as_str().filter(|u| !u.is_empty());
        let exec = Exec {
            id: new_id(),
            container: c.id.clone(),
            user: user.or(c.config["User"].as_str()).unwrap_or("").to_owned(),
            config,
            args,
            keys,
            pid: 0,
            started: false,
            exit: None,
            ended: None,
        };
        self.container_event(&c, format!("exec_create: {}", exec.args.join(" ")), &[exec.attribute()]);
        let id = exec.id.clone();
        let mut all = self.execs.lock();
        all.retain(|_, e| e.ended.is_none_or(|at| at.elapsed() < REMEMBERED));
        all.insert(id.clone(), exec);
        Ok(id)
    }

    /// The exec, where it can be started: what is told before the answer's head is sent.
    ///
    /// # Errors
    /// 404 where there is none, 409 where it has been started, or its container doesn't run.
    pub(crate) async fn startable(&self, id: &str) -> Result<Exec> {
        let exec = self.exec(id)?;
        exec.again()?;
        can_exec(&self.container(&exec.container).await?.value)?;
        Ok(exec)
    }

    /// Starts it; its streams. `size` is its terminal's, in rows and columns.
    ///
    /// # Errors
    /// 409 where it has been started before.
    pub(crate) async fn start_exec(
        &self,
        id: &str,
        attached: bool,
        size: &Value,
    ) -> Result<(Exec, Box<dyn Stream>)> {
        let mut exec = {
            let mut all = self.execs.lock();
            let exec =
                all.get_mut(id).ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))?;
            exec.again()?;
            exec.started = true;
            exec.clone()
        };
        if size.is_array() {
            exec.config["ConsoleSize"] = size.clone();
        }
        let started = self.run_exec(&exec, attached).await;
        let mut all = self.execs.lock();
        // They look only once this lock is free.
        self.exec_started.notify_waiters();
        let mut known = all.get_mut(id);
        match started {
            Ok((pid, stream)) => {
                exec.pid = pid;
                if let Some(known) = &mut known {
                    known.pid = pid;
                }
                Ok((exec, stream))
            }
            Err(e) => {
                if let Some(known) = &mut known {
                    known.exit = Some(if e.code_word() == Some("exit-127") { 127 } else { 126 });
                    known.ended = Some(Instant::now());
                }
                Err(e)
            }
        }
    }

    /// The exec once it has begun: a client resizes its terminal as soon as it is answered, which is before.
    ///
    /// # Errors
    /// 404 where there is none; 500 where it hasn't begun after ten seconds, as with the reference.
    pub(crate) async fn begun_exec(&self, id: &str) -> Result<Exec> {
        let begun = async {
            loop {
                let mut told = std::pin::pin!(self.exec_started.notified());
                told.as_mut().enable();
                let exec = self.exec(id)?;
                if exec.pid != 0 || exec.exit.is_some() {
                    return Ok(exec);
                }
                told.await;
            }
        };
        let late = |_| Error::internal("timeout waiting for exec session ready");
        tokio::time::timeout(BEGINS_WITHIN, begun).await.map_err(late)?
    }

    async fn run_exec(&self, exec: &Exec, attached: bool) -> Result<(u32, Box<dyn Stream>)> {
        let c = self.container(&exec.container).await?.value;
        can_exec(&c)?;
        self.container_event(&c, format!("exec_start: {}", exec.args.join(" ")), &[exec.attribute()]);
        let process = self.exec_process(&c, &exec.args, &exec.config).await?;
        let on = |key: &str| attached && exec.on(key);
        let wanted =
            Wanted { stdin: on("AttachStdin"), stdout: on("AttachStdout"), stderr: on("AttachStderr") };
        let spec = ExecSpec { id: exec.id.clone(), process, wanted };
        self.host.exec_container(&c.id, &spec).await
    }

    /// Carries an exec's streams until it ends, and notes its end; the client, where there is one, may leave
    /// before. Runs in a task of its own, which no client can cut off.
    pub(crate) async fn carry_exec(
        self: &Arc<Self>,
        exec: &Exec,
        mut stream: Box<dyn Stream>,
        client: Option<(Box<dyn Stream>, Way)>,
    ) {
        if let Some((mut client, way)) = client {
            let over = streams::join(&mut client, &mut stream, way).await;
            if over != Over::Ended {
                drop(client);
                if let (Over::Detached, Ok(Some(c))) = (over, self.find_container(&exec.container).await) {
                    self.container_event(&c, "exec_detach", &[exec.attribute()]);
                }
                streams::drain(&mut stream).await;
            } else {
                // Who sees the end may ask for the exit code at once.
                self.note_exec(exec).await;
                streams::close(&mut client).await;
                return;
            }
        } else {
            streams::drain(&mut stream).await;
        }
        self.note_exec(exec).await;
    }

    /// Notes how an exec has ended.
    async fn note_exec(&self, exec: &Exec) {
        let code = match self.exec_code(exec).await {
            Ok(Some(code)) => code,
            Ok(None) => return,
            Err(e) => return tracing::warn!(exec = %exec.id, "failed to learn of an end: {}", e.chain()),
        };
        if let Ok(Some(c)) = self.find_container(&exec.container).await {
            self.container_event(&c, "exec_die", &[exec.attribute(), ("exitCode", code.to_string())]);
        }
    }

    /// Its exit code; `None` while it runs or before.
    pub(crate) async fn exec_code(&self, exec: &Exec) -> Result<Option<i32>> {
        if exec.exit.is_some() || exec.pid == 0 {
            return Ok(exec.exit);
        }
        let code = self.host.exec_exit(&exec.container, &exec.id).await?;
        let code = {
            let mut all = self.execs.lock();
            match (all.get_mut(&exec.id), code) {
                (Some(known), Some(code)) => {
                    known.exit = Some(code);
                    known.ended.get_or_insert_with(Instant::now);
                    Some(code)
                }
                // Another who asked may have had the host forget it meanwhile.
                (Some(known), None) => return Ok(known.exit),
                (None, code) => code,
            }
        };
        if code.is_some() {
            self.forget_exec(&exec.container, &exec.id).await;
        }
        Ok(code)
    }

    /// Has the host forget how an exec ended, once that is known here.
    pub(crate) async fn forget_exec(&self, container: &str, exec: &str) {
        if let Err(e) = self.host.forget_exec(container, exec).await {
            tracing::warn!(exec, "failed to forget an exec: {}", e.chain());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exec_starts_once() {
        let mut exec = Exec {
            id: "e".into(),
            container: "c".into(),
            config: json!({"Tty": true}),
            args: vec!["sh".into()],
            user: String::new(),
            keys: Vec::new(),
            pid: 0,
            started: false,
            exit: None,
            ended: None,
        };
        assert!(exec.tty() && !exec.on("AttachStdin") && exec.again().is_ok());
        exec.started = true;
        assert_eq!(exec.again().unwrap_err().message(), "error: exec command e is already running");
        exec.exit = Some(0);
        assert_eq!(exec.again().unwrap_err().message(), "error: exec command e has already run");
    }
}
