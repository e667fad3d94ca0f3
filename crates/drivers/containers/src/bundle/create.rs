//! `create` and the other half of `start`: the parent's side of a container's birth.

use std::{
    fs::{self, File},
    io::Read as _,
    os::unix::{
        fs::{OpenOptionsExt as _, chown},
        net::UnixStream,
    },
    path::Path,
};

use pileus_base::{Error, Result};

use super::{
    Launch, devices, end, hooks, init,
    init::Spaces,
    process,
    record::{FIFO, Record, Status, began, now},
    sys::{c, checked, doing, fail, hear, pidfd, put, readable, tell},
    userns,
};
use crate::cgroups::Group;

/// Makes a container, whose first process then waits for `start`.
///
/// # Errors
/// Where one of that id exists, or it can't be made; nothing of it is left then.
pub fn create(root: &Path, launch: &mut Launch) -> Result<Record> {
    let dir = Record::make_dir(root, &launch.id)?;
    let mut record = Record {
        id: launch.id.clone(),
        pid: 0,
        started: 0,
        bundle: launch.bundle.dir.clone(),
        rootfs: launch.rootfs.clone(),
        created: now(),
        cgroups: Vec::new(),
        spec: launch.bundle.spec.clone(),
    };
    let made = make(root, &dir, launch, &mut record);
    if made.is_err() {
        // The first error is the one that counts.
        let _ = end(&record);
        if record.pid != 0 {
            let _ = super::sys::wait(record.pid);
        }
        let _ = super::destroy(root, &record);
    }
    made.map(|()| record)
}

fn make(root: &Path, dir: &Path, launch: &mut Launch, record: &mut Record) -> Result<()> {
    let linux = launch.bundle.spec.linux().clone().unwrap_or_default();
    let group = Group::at(linux.cgroups_path().as_deref(), &launch.id)?;
    if group.exists() && !group.pids().is_empty() && linux.cgroups_path().is_none() {
        return Err(fail(format!(
            "container's cgroup is not empty: {} process(es) found",
            group.pids().len()
        )));
    }
    group.make()?;
    record.cgroups = group.named_dirs();
    launch.cgroups.clone_from(&record.cgroups);
    let mut resources = linux.resources().clone().unwrap_or_default();
    resources.set_devices(devices::rules(&linux));
    group.apply(&resources)?;

    let fifo = dir.join(FIFO);
    let path = c(&fifo.to_string_lossy()).map_err(doing("exec fifo"))?;
    // SAFETY: the path outlives the call.
    checked(unsafe { libc::mkfifo(path.as_ptr(), 0o622) }.into()).map_err(doing("create exec fifo"))?;
    let none = Vec::new();
    let (ids, groups) = (linux.uid_mappings().as_ref().unwrap_or(&none), linux.gid_mappings().as_ref());
    let groups = groups.unwrap_or(&none);
    let owner = |map: &[oci_spec::runtime::LinuxIdMapping]| {
        map.iter().find(|m| m.container_id() == 0).map(oci_spec::runtime::LinuxIdMapping::host_id)
    };
    if let (Some(uid), Some(gid)) = (owner(ids), owner(groups)) {
        chown(&fifo, Some(uid), Some(gid)).map_err(doing("chown exec fifo"))?;
    }
    // Here, where `/proc` knows processes by the numbers that we know them by.
    let mounts = launch.bundle.spec.mounts().iter().flatten();
    let maps = mounts.map(|one| match (one.uid_mappings(), one.gid_mappings()) {
        (Some(ids), Some(groups)) => userns::of(ids, groups).map(Some),
        _ => Ok(None),
    });
    launch.idmaps = maps.collect::<std::io::Result<_>>().map_err(doing("map the ids of a mount"))?;
    let spaces = Spaces::of(&launch.bundle.spec)?;
    let dir = File::open(dir).map_err(doing("open the container's directory"))?;
    let (mut ours, mut theirs) = UnixStream::pair().map_err(doing("socketpair"))?;
    std::env::set_current_dir(&launch.bundle.dir).map_err(doing("chdir to the bundle"))?;
    let pid = spaces.enter()?;
    if pid == 0 {
        drop(ours);
        init::run(launch, &spaces, &dir, &mut theirs);
    }
    drop((theirs, spaces));
    record.pid = pid;
    record.started = began(pid).unwrap_or(0);
    let early = (|| {
        for file in group.procs_files() {
            put(&file.to_string_lossy(), &pid.to_string())
                .map_err(doing(format!("join {}", file.display())))?;
        }
        if !ids.is_empty() && linux.namespaces().iter().flatten().any(made_user) {
            userns::map(pid, ids, groups).map_err(doing("write the user namespace's maps"))?;
        }
        if let Some(score) = launch.bundle.process()?.oom_score_adj()
            && let Err(e) = process::oom_score(pid, score)
        {
            // Lowering it takes a right that not every host gives us; then it stays as it is.
            tracing::warn!("failed to set oom_score_adj {score}: {e}");
        }
        tell(&mut ours, b'g', "").map_err(doing("start the first process"))
    })();
    early?;
    loop {
        match hear(&mut ours) {
            Some((b'h', _)) => {
                if let Some(all) = launch.bundle.spec.hooks() {
                    let state = record.state(Status::Creating);
                    let prestart = all.prestart().as_deref().unwrap_or_default();
                    hooks::run("prestart", prestart, &state)?;
                    hooks::run("createRuntime", all.create_runtime().as_deref().unwrap_or_default(), &state)?;
                }
                tell(&mut ours, b'g', "").map_err(doing("go on"))?;
            }
            Some((b'r', _)) => return record.save(root),
            Some((_, words)) => {
                let words = format!("runc create failed: unable to start container process: {words}");
                return Err(Error::internal(words));
            }
            None => return Err(fail("container init ended before it was ready")),
        }
    }
}

fn made_user(one: &oci_spec::runtime::LinuxNamespace) -> bool {
    one.typ() as u64 == libc::CLONE_NEWUSER as u64 && one.path().is_none()
}

/// Lets the first process go on, and waits until it has become the program.
///
/// # Errors
/// Where it can't.
pub fn go_on(fifo: &Path, pid: u32) -> Result<()> {
    let failed = || fail("cannot start a container that has stopped");
    let process = pidfd(pid).map_err(|_| failed())?;
    let mut file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(fifo)
        .map_err(doing("open exec fifo"))?;
    let mut said = Vec::new();
    let mut bytes = [0; 4096];
    loop {
        // What is said before the end of the process counts: so the fifo is looked at first.
        let ended = readable(&process, 0);
        match file.read(&mut bytes) {
            Ok(0) if said.is_empty() && !ended => {
                // Nobody has opened the other end yet.
                wait_either(&file, &process);
            }
            Ok(0) => break,
            Ok(n) => said.extend_from_slice(&bytes[..n]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => wait_either(&file, &process),
            Err(e) => return Err(doing("read exec fifo")(e)),
        }
    }
    let _ = fs::remove_file(fifo);
    match said.split_first() {
        None => Err(failed()),
        Some((_, [])) => Ok(()),
        Some((_, words)) => {
            Err(fail(format!("unable to start container process: {}", String::from_utf8_lossy(words))))
        }
    }
}

/// Waits until the fifo has something to say or the process has ended.
fn wait_either(fifo: &File, process: &std::os::fd::OwnedFd) {
    use std::os::fd::AsRawFd as _;
    let mut polls = [fifo.as_raw_fd(), process.as_raw_fd()].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    // SAFETY: the list outlives the call, and its length is given.
    unsafe { libc::poll(polls.as_mut_ptr(), 2, -1) };
}
