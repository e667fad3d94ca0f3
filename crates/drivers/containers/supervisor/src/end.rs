//! How processes end: they are reaped, the rest of their output is read, and how it went is written down.

use alloc::{format, string::String, string::ToString};

use crate::{
    log, oom,
    serve::{Process, Supervisor},
    spawn,
    sys::{make_dir, rename, unlink, wait, write},
};

impl Supervisor {
    /// Gives a process a place: that of an exec which has ended, where nobody is still told of it.
    pub(crate) fn keep(&mut self, process: Process) -> usize {
        let free = (1..self.processes.len()).find(|of| {
            self.processes[*of].pidfd.is_none() && !self.clients.iter().any(|c| c.of == Some(*of))
        });
        match free {
            Some(of) => self.processes[of] = process,
            None => self.processes.push(process),
        }
        free.unwrap_or(self.processes.len() - 1)
    }

    /// Reaps what has ended. A process that is just beginning is left to who began it, who knows it by its
    /// number only; so orphans aren't reaped meanwhile either.
    pub(crate) fn reap(&mut self) {
        let running = |p: &Process| p.pidfd.is_some();
        if self.clients.iter().any(|c| c.begins.is_some()) {
            for at in 0..self.processes.len() {
                let process = &self.processes[at];
                if running(process)
                    && let Ok((1.., status)) = wait(process.pid as i32, libc::WNOHANG)
                {
                    self.ended(at, spawn::code(status));
                }
            }
            return;
        }
        while let Ok((pid @ 1.., status)) = wait(-1, libc::WNOHANG) {
            let at = self.processes.iter().position(|p| running(p) && p.pid == pid);
            if let Some(at) = at {
                self.ended(at, spawn::code(status));
            }
        }
    }

    /// Lets go of a process that has been reaped.
    fn ended(&mut self, at: usize, code: i32) {
        // What a pipe or a terminal holds is little; nobody's slowness keeps the end back. What others who
        // still hold the pipe go on to say is not waited for.
        for of in 0..2 {
            let mut most = 64;
            while most > 0 && self.read(at, of) {
                most -= 1;
            }
        }
        let process = &mut self.processes[at];
        process.pidfd = None;
        process.stdin = None;
        process.output = [None, None];
        self.tell(at, code);
    }

    /// Writes down how a process has ended.
    fn tell(&mut self, at: usize, code: i32) {
        let keep = |path: &str, text: String| {
            let new = format!("{path}.new");
            // Where even this can't be written, who asks finds no exit code, and says so.
            let _ = write(&new, &text).and_then(|()| rename(&new, path));
        };
        if at != 0 {
            // It is there already, but for the first.
            let _ = make_dir("exec");
            keep(&format!("exec/{}", self.processes[at].exec), code.to_string());
            return;
        }
        if let Some(log) = &mut self.log {
            log.end();
        }
        let killed = oom::killed(&self.plan.cgroups);
        let (at_ns, _) = log::now();
        keep("exit.json", format!("{{\"code\":{code},\"oom_killed\":{killed},\"at_ns\":{at_ns}}}"));
        self.listener = None;
        let _ = unlink("sup.sock");
    }
}
