//! Execs: processes in a container that runs.

use pileus_base::{Error, Result};
use pileus_host::{ExecSpec, Stream, Wanted};
use serde_json::{Value, json};

use crate::{Docker, model::config::texts, new_id, store::Status};

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
    /// Its process on the host; 0 before it starts.
    pub pid: u32,
    /// Whether it has been started.
    pub started: bool,
    /// The exit code, where it is known.
    pub exit: Option<i32>,
}

impl Exec {
    /// Whether it has a terminal.
    pub fn tty(&self) -> bool {
        self.config["Tty"] == json!(true)
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

    /// Makes an exec.
    ///
    /// # Errors
    /// 409 where the container doesn't run.
    pub(crate) async fn create_exec(&self, name: &str, config: Value) -> Result<String> {
        let c = self.container(name).await?.value;
        if c.state.status == Status::Paused {
            return Err(Error::conflict(format!(
                "Container {} is paused, unpause the container before exec",
                c.id
            )));
        }
        if !c.runs() {
            return Err(Error::conflict(format!("container {} is not running", c.id)));
        }
        let args = texts(&config["Cmd"]).unwrap_or_default();
        if args.is_empty() {
            return Err(Error::bad_request("No exec command specified"));
        }
        let id = new_id();
        let exec = Exec {
            id: id.clone(),
            container: c.id.clone(),
            config,
            args,
            pid: 0,
            started: false,
            exit: None,
        };
        self.container_event(&c, format!("exec_create: {}", exec.args.join(" ")), &[("execID", id.clone())]);
        self.execs.lock().insert(id.clone(), exec);
        let noted = id.clone();
        self.change(&c.id, move |c| c.execs.push(noted.clone())).await?;
        Ok(id)
    }

    /// The exec, where it can be started: what is told before the answer's head is sent.
    ///
    /// # Errors
    /// 404 where there is none, 409 where it has been started, or its container doesn't run.
    pub(crate) async fn startable(&self, id: &str) -> Result<Exec> {
        let exec = self.exec(id)?;
        if exec.started {
            return Err(Error::conflict(format!("Error: Exec command {id} is already running")));
        }
        self.running(&exec.container, |id| format!("container {id} is not running")).await?;
        Ok(exec)
    }

    /// Starts it; its streams.
    ///
    /// # Errors
    /// 409 where it has been started before.
    pub(crate) async fn start_exec(&self, id: &str, detach: bool, tty: bool) -> Result<Box<dyn Stream>> {
        let mut exec = {
            let mut all = self.execs.lock();
            let exec =
                all.get_mut(id).ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))?;
            if exec.started {
                return Err(Error::conflict(format!("Error: Exec command {id} is already running")));
            }
            exec.started = true;
            exec.clone()
        };
        if tty {
            exec.config["Tty"] = json!(true);
        }
        let started = self.run_exec(&exec, detach).await;
        let mut all = self.execs.lock();
        match started {
            Ok((pid, stream)) => {
                if let Some(e) = all.get_mut(id) {
                    e.pid = pid;
                    e.config = exec.config;
                }
                Ok(stream)
            }
            Err(e) => {
                if let Some(exec) = all.get_mut(id) {
                    exec.exit = Some(if e.code_word() == Some("exit-127") { 127 } else { 126 });
                }
                Err(e)
            }
        }
    }

    async fn run_exec(&self, exec: &Exec, detach: bool) -> Result<(u32, Box<dyn Stream>)> {
        let gone = |id: &str| format!("container {id} is not running");
        let c = self.running(&exec.container, gone).await?;
        let process = self.exec_process(&c, &exec.args, &exec.config).await?;
        let on = |key: &str| !detach && exec.config[key] == json!(true);
        let wanted =
            Wanted { stdin: on("AttachStdin"), stdout: on("AttachStdout"), stderr: on("AttachStderr") };
        let spec = ExecSpec { id: exec.id.clone(), process, wanted };
        let done = self.host.exec_container(&c.id, &spec).await?;
        self.container_event(
            &c,
            format!("exec_start: {}", exec.args.join(" ")),
            &[("execID", exec.id.clone())],
        );
        Ok(done)
    }

    /// Its exit code; `None` while it runs or before.
    pub(crate) async fn exec_code(&self, exec: &Exec) -> Result<Option<i32>> {
        if exec.exit.is_some() || !exec.started {
            return Ok(exec.exit);
        }
        let code = self.host.exec_exit(&exec.container, &exec.id).await?;
        if code.is_some()
            && let Some(e) = self.execs.lock().get_mut(&exec.id)
        {
            e.exit = code;
        }
        Ok(code)
    }
}
