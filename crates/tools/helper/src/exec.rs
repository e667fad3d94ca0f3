//! Running a command for a request: its streams as they come, then its exit code.

use std::io::{self, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

use pileus_modules::frame::Frame;
use serde_json::Value;

use crate::module::environment;
use crate::output::Output;

/// Runs `argv`, or `shell` by /bin/sh.
pub fn run(frame: &Frame, output: &Arc<Output>) -> io::Result<()> {
    let id = frame.id();
    let mut command = command(frame)?;
    command.envs(environment(&frame.head));
    if let Some(directory) = frame.text("cwd") {
        command.current_dir(directory);
    }
    command.stdin(if frame.blob.is_empty() { Stdio::null() } else { Stdio::piped() });
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    std::thread::scope(|scope| {
        if let Some(mut stdin) = child.stdin.take() {
            // What a command doesn't read of its input isn't an error.
            scope.spawn(move || stdin.write_all(&frame.blob));
        }
        if let Some(stderr) = child.stderr.take() {
            scope.spawn(move || forward(stderr, 2, id, output));
        }
        if let Some(stdout) = child.stdout.take() {
            forward(stdout, 1, id, output);
        }
    });
    let status = child.wait()?;
    let rc = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    output.send(&Frame::new(id).with("rc", rc))
}

fn command(frame: &Frame) -> io::Result<Command> {
    if let Some(text) = frame.text("shell") {
        let mut command = Command::new("/bin/sh");
        command.arg("-c").arg(text);
        return Ok(command);
    }
    let words: Vec<&str> = frame
        .head
        .get("argv")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let (program, arguments) =
        words.split_first().ok_or_else(|| io::Error::other("a command without words"))?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

fn forward(mut from: impl Read, fd: u8, id: u64, output: &Output) {
    let mut buffer = [0; 32 * 1024];
    while let Ok(n @ 1..) = from.read(&mut buffer) {
        if output.send(&Frame::new(id).with("fd", fd).blob(&buffer[..n])).is_err() {
            return;
        }
    }
}
