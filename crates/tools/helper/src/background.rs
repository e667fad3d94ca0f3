//! `async`: a module that outlives the connection, with its state in a file that `async_status` reads.
//!
//! ```text
//! helper ── fork+exec ──► helper --async (a session of its own; the request on its input)
//!                          ├─ writes {"started": true, "finished": false} to DIR/JID, says "ready"
//!                          └─ runs the module in a child; after limit_s its process group is killed
//! ```
//! The file's contents are replaced atomically, so that a reader sees one state or the other.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use pileus_modules::Map;
use pileus_modules::frame::Frame;
use serde_json::{Value, json};

use crate::module;
use crate::output::Output;

/// Starts the job and answers with what the reference's async_wrapper prints.
pub fn start(frame: &Frame, output: &Arc<Output>) -> io::Result<()> {
    let jid = frame.text("jid").ok_or_else(|| io::Error::other("a job without an id"))?;
    let file = job_file(frame)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg("--async").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // SAFETY: setsid is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(|| {
            libc::setsid();
            Ok(())
        });
    }
    let mut child = command.spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        frame.write(&mut stdin)?;
    }
    let mut ready = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut ready)?;
    }
    let result = if ready.trim() == "ready" {
        json!({
            "started": true, "finished": false, "ansible_job_id": jid, "results_file": file.to_string_lossy(), "_ansible_suppress_tmpdir_delete": true,
        })
    } else {
        json!({"failed": 1, "started": false, "finished": true, "ansible_job_id": jid, "msg": ready.trim()})
    };
    // It is reaped when it ends, if this helper still lives then.
    std::thread::spawn(move || child.wait());
    output.send(&Frame::new(frame.id()).with("result", result))
}

/// DIR/JID, where DIR may begin with ~.
fn job_file(frame: &Frame) -> io::Result<PathBuf> {
    let jid = frame
        .text("jid")
        .filter(|j| !j.contains('/'))
        .ok_or_else(|| io::Error::other("a job without an id"))?;
    let directory = frame.text("dir").unwrap_or("~/.ansible_async");
    let directory = match directory.strip_prefix("~/") {
        Some(rest) => Path::new(&std::env::var("HOME").unwrap_or_else(|_| "/".into())).join(rest),
        None => PathBuf::from(directory),
    };
    Ok(directory.join(jid))
}

/// The job itself. Its exit code is of no interest to anybody.
pub fn run() -> i32 {
    let Ok(Some(frame)) = Frame::read(&mut io::stdin()) else { return 2 };
    let jid = frame.text("jid").unwrap_or_default().to_string();
    let prepared = job_file(&frame).and_then(|file| {
        if let Some(directory) = file.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        }
        write(&file, &json!({"started": true, "finished": false, "ansible_job_id": jid}))?;
        Ok(file)
    });
    let file = match prepared {
        Ok(file) => file,
        Err(error) => {
            println!("could not create {}: {error}", frame.text("dir").unwrap_or("the directory of jobs"));
            return 1;
        }
    };
    println!("ready");
    // The starter waits for the end of this stream.
    // SAFETY: the descriptors are ours; /dev/null takes the place of the stream.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
        for fd in 0..=2 {
            libc::dup2(null, fd);
        }
    }
    let limit_s = frame.head.get("limit_s").and_then(Value::as_u64).unwrap_or(0);
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => {
            // A group of its own, so that the whole job can be ended.
            // SAFETY: no preconditions.
            unsafe { libc::setpgid(0, 0) };
            let mut result =
                module::call(&frame).map_or_else(|e| failure(&e.to_string()), pileus_modules::run);
            result.insert("ansible_job_id".into(), jid.into());
            result.insert("finished".into(), true.into());
            result.insert("started".into(), true.into());
            let _ = write(&file, &Value::Object(result));
            0
        }
        -1 => {
            let _ = write(
                &file,
                &json!({"failed": 1, "finished": true, "started": true, "msg": "no process for the job"}),
            );
            1
        }
        child => supervise(child, limit_s, &file, &jid),
    }
}

fn supervise(child: libc::pid_t, limit_s: u64, file: &Path, jid: &str) -> i32 {
    // SAFETY: a pidfd of our own child; poll and waitpid get valid arguments.
    unsafe {
        let pidfd = libc::syscall(libc::SYS_pidfd_open, child, 0) as libc::c_int;
        let mut fds = libc::pollfd { fd: pidfd, events: libc::POLLIN, revents: 0 };
        let limit_ms = if limit_s == 0 { -1 } else { i32::try_from(limit_s * 1000).unwrap_or(i32::MAX) };
        let ended = pidfd < 0 || libc::poll(&mut fds, 1, limit_ms) != 0;
        if !ended {
            libc::kill(-child, libc::SIGKILL);
            libc::kill(child, libc::SIGKILL);
        }
        let mut status = 0;
        libc::waitpid(child, &mut status, 0);
        if !ended {
            let message = format!("Timeout exceeded, the job was ended after {limit_s} seconds");
            let _ = write(
                file,
                &json!({"failed": 1, "finished": true, "started": true, "ansible_job_id": jid, "msg": message, "child_pid": child}),
            );
        }
    }
    0
}

fn failure(message: &str) -> Map {
    let mut map = Map::new();
    map.insert("failed".into(), true.into());
    map.insert("msg".into(), message.into());
    map
}

/// Replaces the file.
fn write(file: &Path, value: &Value) -> io::Result<()> {
    let mut fresh = file.as_os_str().to_owned();
    fresh.push(".tmp");
    let fresh = PathBuf::from(fresh);
    let mut handle =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    handle.write_all(value.to_string().as_bytes())?;
    fs::rename(&fresh, file)
}
