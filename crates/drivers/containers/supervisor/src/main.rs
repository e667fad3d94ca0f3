//! The supervisor: one small program per container, which starts it, keeps its standard streams, its log
//! and its exit code, and lives as long as it does, whatever becomes of the daemon. One thread, no signals:
//! it waits in `poll` for descriptors. The plan comes over standard input, a socket; the answer goes back
//! there; after that it is asked over `sup.sock` in the container's directory.
//!
//! There is one for each container, so it is kept small: no standard library and no C library, only the
//! kernel. What a start needs memory for is done in children.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(not(test), no_main)]

extern crate alloc;

mod client;
mod end;
mod groups;
mod log;
mod mounts;
mod oom;
mod plan;
mod procfs;
mod program;
mod root;
mod serve;
mod spawn;
#[cfg(not(test))]
mod start;
mod sys;
mod users;

use alloc::vec::Vec;

use plan::{Plan, Reply, Wire, framed};
use sys::Fd;

/// Ends the process.
#[cfg(test)]
mod start {
    pub fn exit(code: i32) -> ! {
        std::process::exit(code)
    }
}

/// Where the program begins.
#[cfg_attr(test, expect(dead_code, reason = "tests begin elsewhere"))]
extern "C" fn begin() -> ! {
    // The daemon waits for the first process only.
    match sys::clone(0) {
        Ok((0, _)) => {}
        _ => start::exit(0),
    }
    // SAFETY: take nothing, and a number. What is made in a container has the mode it is given.
    unsafe {
        let _ = syscalls::syscall!(syscalls::Sysno::setsid);
        let _ = syscalls::syscall!(syscalls::Sysno::umask, 0o022);
    }
    let _ = sys::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0);
    // Who reads nothing any more is told of by an error.
    sys::handle(libc::SIGPIPE, libc::SIG_IGN);
    let control = Fd::new(0).again();
    let null = Fd::new(1);
    if null.becomes(0).is_err() {
        start::exit(0);
    }
    core::mem::forget(null);
    if let Ok(control) = control {
        serve_plan(control);
    }
    start::exit(0)
}

fn serve_plan(control: Fd) {
    let mut length = [0; 8];
    if control.read_exact(&mut length).is_err() {
        return;
    }
    let mut body = Vec::new();
    body.resize(u64::from_le_bytes(length) as usize, 0);
    if control.read_exact(&mut body).is_err() {
        return;
    }
    let Some(plan) = Plan::take(&mut &body[..]) else { return };
    drop(body);
    // Who is attached already follows, a socket for each.
    let attached = plan.attached.iter().map(|_| sys::receive_fd(&control)).collect::<Option<Vec<_>>>();
    let Some(attached) = attached else { return };
    match serve::Supervisor::start(plan, attached) {
        Ok(mut supervisor) => {
            // The daemon may be gone already; the container runs all the same.
            let _ = sys::send(&control, &framed(&Reply { pid: supervisor.pid(), ..Reply::default() }));
            drop(control);
            supervisor.run();
        }
        Err(failure) => {
            let reply = Reply { pid: 0, code: failure.code, error: failure.words };
            let _ = sys::send(&control, &framed(&reply));
        }
    }
}
