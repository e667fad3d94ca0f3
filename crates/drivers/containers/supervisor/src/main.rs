//! The supervisor: one small program per container, which starts it, keeps its standard streams, its log
//! and its exit code, and lives as long as it does, whatever becomes of the daemon. One thread, no signals:
//! it waits in `poll` for descriptors. The plan comes over standard input, a socket; the answer goes back
//! there; after that it is asked over `sup.sock` in the container's directory.

mod log;
mod plan;
mod program;
mod root;
mod serve;
mod spawn;
mod sys;

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::FromRawFd,
};

use plan::{Plan, Reply, Wire, framed};

fn main() {
    // SAFETY: one thread, so that a fork is harmless; standard input is ours alone.
    let mut control = unsafe {
        if libc::fork() != 0 {
            libc::_exit(0);
        }
        libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        let control = libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3);
        libc::dup2(1, 0);
        File::from_raw_fd(control)
    };
    let mut length = [0; 8];
    let mut body = Vec::new();
    if control.read_exact(&mut length).is_err() {
        return;
    }
    body.resize(u64::from_le_bytes(length) as usize, 0);
    if control.read_exact(&mut body).is_err() {
        return;
    }
    let Some(plan) = Plan::take(&mut &body[..]) else { return };
    match serve::Supervisor::start(plan) {
        Ok(mut supervisor) => {
            // The daemon may be gone already; the container runs all the same.
            let _ = control.write_all(&framed(&Reply { pid: supervisor.pid(), ..Reply::default() }));
            drop(control);
            supervisor.run();
        }
        Err(failure) => {
            let reply = Reply { pid: 0, code: failure.code, error: failure.words };
            let _ = control.write_all(&framed(&reply));
        }
    }
}
