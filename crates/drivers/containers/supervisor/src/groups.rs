//! How a process comes into the container's control groups: by itself, before it does anything else.
//!
//! On v1 it writes `0` into each `tasks`. What `cgroup.procs` takes is a whole process, which the kernel has
//! to keep from making threads meanwhile: it waits for a grace period first, 6 to 14 ms. For one thread that
//! moves itself there is nothing to keep still (`cgroup_procs_write_start`, kernel/cgroup/cgroup.c), and a
//! process that has just been cloned is one thread. On v2 it is cloned into its group.

use alloc::format;

use crate::{
    plan::Plan,
    sys::{Doing, Fd, Result, open, put},
};

/// The end of a file of v1's that takes a thread.
const TASKS: &str = "/tasks";

/// The group of v2 to be cloned into; `None` where the groups are v1's.
pub fn unified(plan: &Plan) -> Result<Option<Fd>> {
    let Some(file) = plan.cgroups.iter().find(|file| !file.ends_with(TASKS)) else { return Ok(None) };
    let dir = file.rsplit_once('/').map_or(&**file, |(dir, _)| dir);
    open(dir, libc::O_PATH | libc::O_DIRECTORY).doing(|| format!("open {dir}")).map(Some)
}

/// Joins those of v1.
pub fn join(plan: &Plan) -> Result<()> {
    for file in plan.cgroups.iter().filter(|file| file.ends_with(TASKS)) {
        put(file, "0").doing(|| format!("join {file}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{clone_into, read, wait};

    #[test]
    fn a_clone_is_in_its_group_of_v2() {
        // Where v2 is mounted, with or without controllers.
        let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
        let root = root.into_iter().find(|r| std::fs::exists(format!("{r}/cgroup.controllers")).unwrap());
        let Some(root) = root else { return };
        let dir = format!("{root}/pileus-supervisor-test{}", std::process::id());
        if std::fs::create_dir(&dir).is_err() {
            return;
        }
        let plan = Plan { cgroups: std::vec![format!("{dir}/cgroup.procs")], ..Plan::default() };
        let group = unified(&plan).unwrap().unwrap();
        join(&plan).unwrap();
        let (pid, pidfd) = clone_into(0, Some(&group)).unwrap();
        if pidfd.is_none() {
            let name = dir.rsplit_once('/').unwrap().1;
            let there = read("/proc/self/cgroup").is_ok_and(|text| text.contains(name));
            crate::start::exit(if there { 7 } else { 1 });
        }
        let (_, status) = wait(pid as i32, 0).unwrap();
        std::fs::remove_dir(&dir).unwrap();
        assert_eq!(libc::WEXITSTATUS(status), 7);
    }
}
