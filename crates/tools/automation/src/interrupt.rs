//! Ctrl-C (and SIGTERM, SIGHUP): a run that is broken off leaves nothing behind.
//!
//! ```text
//!  signal ──► no new module begins ──► connections close: helpers end what they run (their input has ended)
//!                                  ──► our own children end ──► modules in this process finish ──► files removed ──► exit
//! ```
//!
//! The handler only tells a thread, so that the way out is ordinary code.

use std::collections::HashSet;
use std::fs;
use std::io::Read;
use std::os::fd::IntoRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::display;
use crate::execute::World;

/// The reference's exit code for a run that its user broke off.
const INTERRUPTED: i32 = 99;

/// How long each step of the way out may take.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Default)]
struct State {
    ending: bool,
    modules: usize,
    files: HashSet<PathBuf>,
}

static STATE: LazyLock<(Mutex<State>, Condvar)> = LazyLock::new(Default::default);

/// The writing end of the pipe by which the handler tells the thread.
static TOLD: AtomicI32 = AtomicI32::new(-1);

extern "C" fn tell(signal: libc::c_int) {
    let byte = signal as u8;
    // SAFETY: write is async-signal-safe and the byte lives; a full pipe holds a signal already.
    unsafe { libc::write(TOLD.load(Ordering::Relaxed), (&raw const byte).cast(), 1) };
}

/// Takes the signals from now on, to end the run of `world` in order.
pub fn watch(world: &Arc<World>) {
    let Ok((mut reader, writer)) = std::io::pipe() else { return };
    TOLD.store(writer.into_raw_fd(), Ordering::Relaxed);
    let world = Arc::downgrade(world);
    let wait = move || {
        let mut byte = [0];
        if reader.read_exact(&mut byte).is_err() {
            return;
        }
        let signal = i32::from(byte[0]);
        STATE.0.lock().ending = true;
        if signal == libc::SIGINT {
            display::error_text("User interrupted execution");
        }
        if let Some(world) = world.upgrade() {
            let (done, wait) = channel();
            // Somebody may be in the middle of connecting: that is not waited for longer.
            std::thread::spawn(move || {
                world.connections.close();
                done.send(())
            });
            let _ = wait.recv_timeout(GRACE);
        }
        for signal in [libc::SIGTERM, libc::SIGKILL] {
            end_children(signal);
            let mut state = STATE.0.lock();
            let deadline = std::time::Instant::now() + GRACE;
            while state.modules > 0 && !STATE.1.wait_until(&mut state, deadline).timed_out() {}
            if state.modules == 0 {
                break;
            }
        }
        for file in &STATE.0.lock().files {
            // What is gone already needs no removing.
            let _ = fs::remove_file(file).or_else(|_| fs::remove_dir_all(file));
        }
        std::process::exit(if signal == libc::SIGINT { INTERRUPTED } else { 128 + signal });
    };
    if std::thread::Builder::new().name("signals".into()).stack_size(256 * 1024).spawn(wait).is_err() {
        // Then the signals end the process as they would without us.
        return;
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the structures are ours; the handler only calls what is async-signal-safe. Children get the default
        // back with their exec.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut now);
            // What the caller had us ignore (nohup) stays ignored.
            if now.sa_sigaction != libc::SIG_IGN {
                let mut handled: libc::sigaction = std::mem::zeroed();
                handled.sa_sigaction = tell as *const () as usize;
                handled.sa_flags = libc::SA_RESTART;
                libc::sigaction(signal, &handled, std::ptr::null_mut());
            }
        }
    }
}

/// Lets a thread go on with the run, unless that is ending: then it never does, and says nothing of what was ended.
pub fn pass() {
    let mut state = STATE.0.lock();
    while state.ending {
        STATE.1.wait(&mut state);
    }
}

/// A module that runs in this process; while it lives, an interrupted run waits for it.
pub struct Module(());

impl Module {
    /// It begins. In a run that is ending it never does.
    pub fn begin() -> Self {
        let mut state = STATE.0.lock();
        while state.ending {
            STATE.1.wait(&mut state);
        }
        state.modules += 1;
        Module(())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        STATE.0.lock().modules -= 1;
        STATE.1.notify_all();
    }
}

/// A temporary file that an interrupted run removes.
pub struct Temporary(PathBuf);

impl Temporary {
    /// Notes it.
    pub fn note(path: &Path) -> Self {
        STATE.0.lock().files.insert(path.to_owned());
        Temporary(path.to_owned())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        STATE.0.lock().files.remove(&self.0);
    }
}

/// Signals the processes below this one, the deepest too: a shell's command doesn't end with the shell.
fn end_children(signal: i32) {
    let mut found = children(std::process::id());
    let mut at = 0;
    while let Some(pid) = found.get(at).copied() {
        found.extend(children(pid));
        at += 1;
    }
    for pid in found {
        // SAFETY: kill has no preconditions; a process that has ended meanwhile is no error.
        unsafe { libc::kill(pid as i32, signal) };
    }
}

fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|list| list.split_whitespace().filter_map(|p| p.parse().ok()).collect::<Vec<_>>())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_found() {
        let mut child = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
        assert!(children(std::process::id()).contains(&child.id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
