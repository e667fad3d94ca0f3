//! `community.docker.docker_container_exec`: a command in a running container.

use std::io::{Read, Write};

use serde_json::{Value, json};

use super::client::{Docker, encode};
use super::output;
use crate::cx::Cx;
use crate::map;
use crate::modules::command::words;
use crate::result::{Fail, Reply};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let argv = match (cx.opt_list("argv"), cx.str("command")) {
        (Some(argv), _) => argv,
        (None, Some(line)) => words::split(line).map_err(Fail::msg)?,
        (None, None) => return Err(Fail::msg("one of the following is required: argv, command")),
    };
    let (tty, detach) = (cx.bool("tty"), cx.bool("detach"));
    let mut env = Vec::new();
    for (name, value) in cx.raw("env").as_object().into_iter().flatten() {
        if !value.is_string() {
            return Err(Fail::msg(format!(
                "Non-string value found for env option. Ambiguous env options must be wrapped in quotes to avoid them being interpreted when directly specified in YAML, or explicitly converted to strings when the option is templated. Key: {name}"
            )));
        }
        env.push(format!("{name}={}", crate::py::str(value)));
    }
    let stdin = cx.str("stdin").map(|text| {
        let end = if cx.bool("stdin_add_newline") { "\n" } else { "" };
        format!("{text}{end}")
    });
    if detach && stdin.is_some() {
        return Err(Fail::msg("If detach=true, stdin cannot be provided."));
    }
    let docker = Docker::connect(cx)?;
    let container = cx.string("container");
    let body = json!({
        "Container": container, "User": cx.string("user"), "Privileged": false, "Tty": tty,
        "AttachStdin": stdin.is_some(), "AttachStdout": true, "AttachStderr": true, "Cmd": argv,
        "Env": if env.is_empty() { Value::Null } else { json!(env) },
        "WorkingDir": cx.str("chdir"),
    });
    let path = format!("/containers/{}/exec", encode(&container));
    let made = docker.post(&path, &[], Some(&body)).map_err(|e| match e.status {
        404 => Fail::msg(format!("Could not find container \"{container}\"")),
        409 => Fail::msg(format!("The container \"{container}\" has been paused ({e})")),
        _ => Fail::from(e),
    })?;
    let id = made["Id"].as_str().unwrap_or_default().to_string();
    if detach {
        let start = json!({"Tty": tty, "Detach": true});
        docker.post(&format!("/exec/{id}/start"), &[], Some(&start))?;
        return Ok(map! {"changed" => true, "exec_id" => id});
    }
    let mut stream = docker.hijack(&format!("/exec/{id}/start"), &json!({"Tty": tty, "Detach": false}))?;
    let broken = |e: std::io::Error| Fail::msg(format!("An unexpected Docker error occurred: {e}"));
    if let Some(text) = stdin {
        // A command that does not read its input to the end is no error.
        let _ = stream.get_mut().write_all(text.as_bytes()).and_then(|()| stream.get_ref().end());
    }
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(broken)?;
    let (mut out, mut err) = if tty { (bytes, Vec::new()) } else { output::parted(&bytes) };
    if cx.bool("strip_empty_ends") {
        for text in [&mut out, &mut err] {
            while matches!(text.last(), Some(b'\r' | b'\n')) {
                text.pop();
            }
        }
    }
    let ended = docker.get(&format!("/exec/{id}/json"), &[])?;
    let rc = ended["ExitCode"].as_i64().unwrap_or_default();
    Ok(map! {
        "changed" => true, "stdout" => crate::py::text(&out), "stderr" => crate::py::text(&err), "rc" => rc,
    })
}
