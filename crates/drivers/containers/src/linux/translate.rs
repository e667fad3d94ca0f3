//! An OCI runtime configuration as the supervisor's plan.

use std::path::Path;

use oci_spec::runtime::{Capability, LinuxDeviceType, LinuxIdMapping, LinuxNamespaceType, Process};
use pileus_base::{Error, Result};

use super::{
    options,
    plan::{Device, LOG_JOURNAL, LOG_JSON, LOG_LOCAL, Mount, Plan, Program, STDERR, STDIN, STDOUT},
};
use crate::{ContainerSpec, LogKind, Wanted, caps, seccomp};

/// What a program may not set on new files where the configuration doesn't say, as runc has it.
const DEFAULT_UMASK: u32 = 0o022;

/// Streams as the supervisor numbers them.
pub fn wanted(wanted: Wanted) -> u8 {
    let one = |is, flag| if is { flag } else { 0 };
    one(wanted.stdin, STDIN) | one(wanted.stdout, STDOUT) | one(wanted.stderr, STDERR)
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::bad_request(format!("{} is not UTF-8", path.display())))
}

/// What to run, without a filter.
pub fn program(process: &Process) -> Result<Program> {
    // As the reference: what the host hasn't, a privileged container has not either.
    let mask =
        |set: Option<&std::collections::HashSet<Capability>>| set.map_or(0, caps::mask) & caps::available();
    let given = process.capabilities().as_ref();
    let missing = given.and_then(|c| c.bounding().as_ref()).map_or(0, caps::mask) & !caps::available();
    if missing != 0 {
        tracing::warn!(mask = format!("{missing:#x}"), "this host doesn't have the capabilities; discarded");
    }
    let permitted = mask(given.and_then(|c| c.permitted().as_ref()));
    let user = process.user();
    let size = process.console_size();
    let (rows, columns) = size.map_or((0, 0), |s| (s.height() as u16, s.width() as u16));
    Ok(Program {
        args: process.args().clone().unwrap_or_default(),
        env: process.env().clone().unwrap_or_default(),
        cwd: text(process.cwd())?,
        uid: user.uid(),
        gid: user.gid(),
        groups: user.additional_gids().clone().unwrap_or_default(),
        umask: user.umask().or(Some(DEFAULT_UMASK)),
        tty: process.terminal().unwrap_or(false),
        rows,
        columns,
        bounding: mask(given.and_then(|c| c.bounding().as_ref())),
        effective: mask(given.and_then(|c| c.effective().as_ref())),
        permitted,
        inheritable: mask(given.and_then(|c| c.inheritable().as_ref())),
        ambient: mask(given.and_then(|c| c.ambient().as_ref())),
        no_new_privs: process.no_new_privileges().unwrap_or(false),
        rlimits: process
            .rlimits()
            .iter()
            .flatten()
            .filter_map(|l| Some((options::rlimit(&l.typ().to_string())?, (l.soft(), l.hard()))))
            .collect(),
        oom_score_adj: process.oom_score_adj(),
        seccomp: Vec::new(),
        apparmor: process.apparmor_profile().clone().unwrap_or_default(),
    })
}

/// The plan of a container whose things are in `dir`.
pub fn plan(
    spec: &ContainerSpec,
    dir: &Path,
    layers_dir: &Path,
    cgroups: &[std::path::PathBuf],
) -> Result<Plan> {
    let oci = &spec.oci;
    let process = oci.process().as_ref().ok_or_else(|| Error::bad_request("no process"))?;
    let linux = oci.linux().clone().unwrap_or_default();
    let mut program = program(process)?;
    if let Some(profile) = linux.seccomp() {
        program.seccomp = seccomp::compile(profile)?;
    }
    let (mut namespaces, mut joins) = (libc::CLONE_NEWNS as u64, Vec::new());
    for one in linux.namespaces().iter().flatten() {
        let flag = one.typ() as u64;
        match (one.typ(), one.path()) {
            (LinuxNamespaceType::Time, _) | (LinuxNamespaceType::User, Some(_)) => {
                let words = "time namespaces and user namespaces of others are not supported";
                return Err(Error::not_implemented(words));
            }
            // The supervisor makes it of the mappings, before all others.
            (LinuxNamespaceType::Mount | LinuxNamespaceType::User, None | Some(_)) => {}
            (_, Some(path)) => joins.push((flag, text(path)?)),
            (_, None) => namespaces |= flag,
        }
    }
    let mounts = oci.mounts().iter().flatten().map(|one| {
        let kind = one.typ().clone().unwrap_or_default();
        let source = one.source().as_deref().map(text).transpose()?.unwrap_or_default();
        let mut options = one.options().clone().unwrap_or_default();
        // As the runtime specification names it; of mounts with other owners than the container's no more is
        // known.
        let idmap = options.iter().any(|o| o == "idmap" || o == "ridmap");
        options.retain(|o| o != "idmap" && o != "ridmap");
        let (mut flags, propagation, data) = options::mount(&options);
        if kind == "bind" {
            flags |= libc::MS_BIND;
        }
        Ok(Mount { kind, source, target: text(one.destination())?, flags, propagation, data, idmap })
    });
    let devices = linux.devices().iter().flatten().map(|one| {
        let kind = match one.typ() {
            LinuxDeviceType::B => libc::S_IFBLK,
            LinuxDeviceType::P => libc::S_IFIFO,
            _ => libc::S_IFCHR,
        };
        Ok(Device {
            path: text(one.path())?,
            mode: kind | one.file_mode().unwrap_or(0o666) & 0o7777,
            major: one.major() as u32,
            minor: one.minor() as u32,
            uid: one.uid().unwrap_or(0),
            gid: one.gid().unwrap_or(0),
        })
    });
    let user = linux.namespaces().iter().flatten().any(|one| one.typ() == LinuxNamespaceType::User);
    let map = |of: &Option<Vec<LinuxIdMapping>>| -> Vec<(u32, (u32, u32))> {
        let all = of.iter().flatten().filter(|_| user);
        all.map(|m| (m.container_id(), (m.host_id(), m.size()))).collect()
    };
    let (uid_map, gid_map) = (map(linux.uid_mappings()), map(linux.gid_mappings()));
    if user && (uid_map.is_empty() || gid_map.is_empty()) {
        return Err(Error::bad_request("a user namespace needs mappings of users and groups"));
    }
    let mut sysctls: Vec<_> = linux.sysctl().clone().unwrap_or_default().into_iter().collect();
    sysctls.sort();
    Ok(Plan {
        dir: text(dir)?,
        program,
        open_stdin: spec.open_stdin,
        stdin_once: spec.stdin_once,
        log: spec.log.as_ref().map(|l| text(&l.path)).transpose()?.unwrap_or_default(),
        log_kind: spec.log.as_ref().map_or(LOG_JSON, |l| match l.kind {
            LogKind::Json => LOG_JSON,
            LogKind::Local => LOG_LOCAL,
            LogKind::Journal => LOG_JOURNAL,
        }),
        log_extra: spec.log.as_ref().map(|l| l.extra.clone()).unwrap_or_default(),
        log_size: spec.log.as_ref().map_or(0, |l| l.max_size_bytes),
        log_files: spec.log.as_ref().map_or(1, |l| l.max_files),
        init: spec.init,
        namespaces,
        joins,
        cgroups: cgroups.iter().map(|p| text(p)).collect::<Result<_>>()?,
        layers_dir: text(layers_dir)?,
        lower: lower(spec, layers_dir, user),
        readonly: oci.root().as_ref().and_then(|r| r.readonly()).unwrap_or(false),
        propagation: linux.rootfs_propagation().as_deref().and_then(options::propagation).unwrap_or(0),
        hostname: oci.hostname().clone().unwrap_or_default(),
        domainname: oci.domainname().clone().unwrap_or_default(),
        sysctls,
        mounts: mounts.collect::<Result<_>>()?,
        devices: devices.collect::<Result<_>>()?,
        masked: linux.masked_paths().clone().unwrap_or_default(),
        readonly_paths: linux.readonly_paths().clone().unwrap_or_default(),
        uid_map,
        gid_map,
        attached: Vec::new(),
    })
}

/// The directories below the container's own, the highest first. The last holds places for mounts, where the
/// host keeps one; not where owners are mapped, whom it isn't for.
fn lower(spec: &ContainerSpec, layers_dir: &Path, user: bool) -> Vec<String> {
    let mut all: Vec<String> = spec.layers.iter().rev().map(|id| format!("{id}/diff")).collect();
    if !all.is_empty() && !user && layers_dir.join(".mountpoints").is_dir() {
        all.push(".mountpoints".into());
    }
    all
}
