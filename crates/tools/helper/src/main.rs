//! The helper: runs native modules, commands and file transfers on a target, for one user and one run.
//!
//! The controller starts it over SSH (or through sudo, or in a container) and speaks frames on its standard input and
//! output (`pileus_modules::frame`). Each request has a thread of its own, so many are in flight. It ends with its
//! input (see `ending`). It is static, never calls NSS, and needs nothing of the target but a kernel.
//!
//! ```text
//! helper                serves
//! helper --async        runs one module in the background (see `background`)
//! helper --version      says that it can be executed here
//! helper --bytes        how long its own file is: a copy that was cut off says another number
//! ```

mod background;
mod ending;
mod exec;
mod files;
mod module;
mod output;

use std::io::{self, BufReader};
use std::sync::Arc;

use pileus_modules::frame::Frame;
use serde_json::json;

use crate::ending::Running;
use crate::output::Output;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--async") {
        std::process::exit(background::run());
    }
    if arguments.iter().any(|a| a == "--bytes") {
        let length = std::fs::metadata("/proc/self/exe").map_or(0, |m| m.len());
        println!("{length}");
        return;
    }
    if arguments.iter().any(|a| a == "--version") {
        println!("pileus-helper {}", env!("CARGO_PKG_VERSION"));
        return;
    }
    // A write to a controller that went away is an error to be seen, not a silent end in the middle of a module.
    // SAFETY: ignoring a signal has no preconditions.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) };
    let output = Arc::new(Output::new());
    if output.hello(&hello()).is_err() {
        return;
    }
    let running = Arc::new(Running::default());
    let mut input = BufReader::new(io::stdin());
    while let Ok(Some(frame)) = Frame::read(&mut input) {
        if frame.text("op") == Some("fetched") {
            output.answer(frame);
            continue;
        }
        running.begin();
        let (output, running) = (output.clone(), running.clone());
        let handle = move || {
            dispatch(frame, &output);
            running.end();
        };
        // A machine out of threads answers later rather than never.
        if let Err(error) = std::thread::Builder::new().stack_size(2 << 20).spawn(handle.clone()) {
            eprintln!("helper: no thread: {error}");
            handle();
        }
    }
    running.finish();
}

fn dispatch(frame: Frame, output: &Arc<Output>) {
    let id = frame.id();
    let outcome = match frame.text("op") {
        Some("module") => module::run(&frame, output),
        Some("async") => background::start(&frame, output),
        Some("exec") => exec::run(&frame, output),
        Some("put") => files::put(&frame, output),
        Some("get") => files::get(&frame, output),
        Some(other) => Err(io::Error::other(format!("unknown operation {other}"))),
        None => Err(io::Error::other("a request without an operation")),
    };
    if let Err(error) = outcome {
        let code = error.raw_os_error().unwrap_or(0);
        // When not even this can be sent, the controller is gone.
        let _ = output.send(&Frame::new(id).with("error", error.to_string()).with("errno", code));
    }
}

/// What the controller learns of the target at once.
fn hello() -> Frame {
    // SAFETY: neither has preconditions and neither can fail.
    let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    Frame::new(0).with(
        "hello",
        json!({
            "pid": std::process::id(), "uid": uid, "gid": gid,
            "cwd": std::env::current_dir().ok().map(|d| d.to_string_lossy().into_owned()),
            "home": std::env::var("HOME").ok(),
            "modules": pileus_modules::names(),
        }),
    )
}
