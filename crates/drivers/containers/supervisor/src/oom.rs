//! Want of memory: the kernel tells of what it kills in the container's control group while the rest of the
//! container runs on. On v1 by an eventfd that is registered for `memory.oom_control` (cgroup-v1/memory,
//! section 9 and 10), on v2 by poll(2) of `memory.events`, whose count of kills is compared.

use alloc::{format, string::String};

use crate::sys::{Answer, Fd, Sysno, open, put, read, syscall};

/// Watches a control group of the container's.
pub struct Oom {
    file: Fd,
    /// Whether it counts kills, as v2's does.
    counts: bool,
    kills: u64,
}

fn dir(join: &str) -> &str {
    join.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// How many processes a file says were killed.
fn count(text: &str) -> u64 {
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
}

/// Whether a process of the groups, which are joined by these files, was killed.
pub fn killed(joins: &[String]) -> bool {
    let killed = |file: &str| count(&read(file).unwrap_or_default()) != 0;
    joins.iter().any(|join| {
        let dir = dir(join);
        killed(&format!("{dir}/memory.oom_control")) || killed(&format!("{dir}/memory.events"))
    })
}

/// An eventfd that counts want of memory in a group of v1.
fn registered(dir: &str, control: &Fd) -> Answer<Fd> {
    let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
    // SAFETY: takes numbers.
    let event = Fd::new(unsafe { syscall!(Sysno::eventfd2, 0, flags) }?);
    put(&format!("{dir}/cgroup.event_control"), &format!("{} {}", event.raw(), control.raw()))?;
    Ok(event)
}

impl Oom {
    /// Watches the one of the groups that accounts for memory; `None` where none does, or can be watched: the
    /// end tells of kills then.
    pub fn watch(joins: &[String]) -> Option<Self> {
        joins.iter().map(|join| dir(join)).find_map(|dir| {
            if let Ok(control) = open(&format!("{dir}/memory.oom_control"), libc::O_RDONLY) {
                let file = registered(dir, &control).ok()?;
                return Some(Self { file, counts: false, kills: 0 });
            }
            let file = open(&format!("{dir}/memory.events"), libc::O_RDONLY).ok()?;
            let mut oom = Self { file, counts: true, kills: 0 };
            // What comes after a first reading is told of.
            oom.happened();
            Some(oom)
        })
    }

    /// What is polled, for [`Self::events`].
    pub fn file(&self) -> &Fd {
        &self.file
    }

    /// Which events of the file tell of something.
    pub fn events(&self) -> i16 {
        if self.counts { libc::POLLPRI } else { libc::POLLIN }
    }

    /// Whether something was killed since it was last asked.
    pub fn happened(&mut self) -> bool {
        let mut bytes = [0; 512];
        if !self.counts {
            return self.file.read(&mut bytes[..8]).is_ok();
        }
        // Reading it anew through the same descriptor is what the kernel takes as seen.
        // SAFETY: takes numbers.
        let _ = unsafe { syscall!(Sysno::lseek, self.file.raw(), 0, libc::SEEK_SET) };
        // One whose group is gone says no more.
        let n = self.file.read(&mut bytes).unwrap_or(0);
        let now = count(core::str::from_utf8(&bytes[..n]).unwrap_or_default());
        core::mem::replace(&mut self.kills, now) < now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted() {
        assert_eq!(count("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"), 2);
        assert_eq!(count("low 0\nmax 8\noom 3\noom_kill 1\noom_group_kill 0\n"), 1);
        assert_eq!(count(""), 0);
    }

    #[test]
    fn a_new_count_of_v2_is_noticed_once() {
        let path = std::env::temp_dir().join(std::format!("pileus-oom-test{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let (dir, file) = (path.to_str().unwrap(), path.join("memory.events"));
        std::fs::write(&file, "oom 0\noom_kill 0\n").unwrap();
        let joins = [format!("{dir}/cgroup.procs")];
        let mut oom = Oom::watch(&joins).unwrap();
        let before = (oom.happened(), killed(&joins));
        std::fs::write(&file, "oom 1\noom_kill 1\n").unwrap();
        let after = (oom.happened(), oom.happened(), killed(&joins));
        std::fs::remove_dir_all(&path).unwrap();
        assert_eq!((before, after), ((false, false), (true, false, true)));
    }
}
