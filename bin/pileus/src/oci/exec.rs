//! `exec`: the process from flags or a file.

use oci_spec::runtime::{LinuxCapabilities, Process};
use pileus_base::{Error, Result};
use pileus_containers::{
    bundle::{self, Exec, Record, Runtime, Status, Watch},
    caps,
};

use super::{absolute, cli::ExecArgs, console_of, write_pid};

/// Runs a process in a container; its exit code, or 0 where it isn't waited for.
pub fn run(runtime: &Runtime, args: &ExecArgs) -> Result<u8> {
    let record = runtime.load(&args.id)?;
    match runtime.status(&record) {
        Status::Stopped => return Err(Error::conflict("cannot exec in a stopped container")),
        Status::Paused if !args.ignore_paused => {
            return Err(Error::conflict(
                "cannot exec in a paused container (use --ignore-paused to override)",
            ));
        }
        _ => {}
    }
    let process = match &args.process {
        Some(path) => bundle::process(path)?,
        None => from_flags(&record, args)?,
    };
    let terminal = process.terminal().unwrap_or(false);
    let pid_file = absolute(args.pid_file.as_deref())?;
    let socket = console_of(terminal, args.detach, args.console_socket.as_deref())?;
    let cgroup = args.cgroup.clone().unwrap_or_default().trim_start_matches('/').to_owned();
    let mut watch = if args.detach { None } else { Some(Watch::new()?) };
    let (ours, theirs) = bundle::console_pair()?;
    let console = socket.or(Some(theirs));
    let preserve_fds = args.preserve_fds;
    let mut exec = Exec { process, console, preserve_fds, cgroup };
    let pid = bundle::exec(&record, &exec)?;
    exec.console = None;
    if let Some(path) = pid_file {
        write_pid(&path, pid)?;
    }
    match &mut watch {
        Some(watch) => watch.run(pid, terminal.then_some(&ours)).map(|code| code as u8),
        None => Ok(0),
    }
}

/// The container's own process with another command.
fn from_flags(record: &Record, args: &ExecArgs) -> Result<Process> {
    if args.command.is_empty() {
        return Err(Error::bad_request("process args cannot be empty"));
    }
    let own = record.spec.process().clone();
    let mut process = own.ok_or_else(|| Error::bad_request("process property must not be empty"))?;
    process.set_args(Some(args.command.clone()));
    process.set_terminal(Some(args.tty));
    process.set_console_size(None);
    if let Some(cwd) = &args.cwd {
        process.set_cwd(cwd.clone());
    }
    let mut env = process.env().clone().unwrap_or_default();
    env.extend(args.env.iter().cloned());
    process.set_env(Some(env));
    if args.no_new_privs {
        process.set_no_new_privileges(Some(true));
    }
    if let Some(label) = &args.process_label {
        process.set_selinux_label(Some(label.clone()));
    }
    if let Some(profile) = &args.apparmor {
        process.set_apparmor_profile(Some(profile.clone()));
    }
    if let Some(user) = &args.user {
        let bad = || Error::bad_request(format!("parsing {user} as int for uid failed"));
        let (uid, gid) = user.split_once(':').map_or((&**user, None), |(uid, gid)| (uid, Some(gid)));
        process.user_mut().set_uid(uid.parse().map_err(|_| bad())?);
        if let Some(gid) = gid {
            process.user_mut().set_gid(gid.parse().map_err(|_| bad())?);
        }
    }
    if !args.additional_gids.is_empty() {
        let mut groups = process.user().additional_gids().clone().unwrap_or_default();
        groups.extend(&args.additional_gids);
        process.user_mut().set_additional_gids(Some(groups));
    }
    if !args.cap.is_empty() {
        let mut all = process.capabilities().clone().unwrap_or_else(LinuxCapabilities::default);
        for name in &args.cap {
            let cap = caps::from_name(name)
                .ok_or_else(|| Error::bad_request(format!("unknown capability {name:?}")))?;
            let with = |set: &Option<std::collections::HashSet<_>>| {
                let mut set = set.clone().unwrap_or_default();
                set.insert(cap);
                Some(set)
            };
            all.set_bounding(with(all.bounding()));
            all.set_effective(with(all.effective()));
            all.set_permitted(with(all.permitted()));
            all.set_ambient(with(all.ambient()));
        }
        process.set_capabilities(Some(all));
    }
    Ok(process)
}
