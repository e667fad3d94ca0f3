//! AppArmor, where the host has it: the profile `docker-default`, which is moby's
//! (`profiles/apparmor/template.go`), loaded by `apparmor_parser` when a container wants it. It can't be
//! installed under `/etc/apparmor.d`, and updates unload what is not there: so it is looked for at each start.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use pileus_base::{Error, Result};

/// The profile of containers that name none.
pub const DEFAULT: &str = "docker-default";
/// No profile.
const UNCONFINED: &str = "unconfined";

/// Whether a profile is among those loaded: lines of `name (mode)`.
fn loaded(profiles: &str, name: &str) -> bool {
    profiles.lines().any(|line| line.rsplit_once(" (").is_some_and(|(one, _)| one == name))
}

/// Makes sure that the kernel knows `profile`: the default one is loaded where it is missing; others are
/// their owner's, and the kernel says where it doesn't know them.
///
/// # Errors
/// Where the default profile can't be loaded.
pub fn ensure(profile: &str) -> Result<()> {
    if profile != DEFAULT {
        return Ok(());
    }
    let profiles = fs::read_to_string("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
    if loaded(&profiles, DEFAULT) {
        return Ok(());
    }
    let failed = |e| {
        let words = "AppArmor enabled on system but the docker-default profile could not be loaded";
        Error::wrap(words, e)
    };
    let current = fs::read_to_string("/proc/self/attr/current").unwrap_or_default();
    let has = |path: &str| Path::new(path).exists();
    let text = template(
        current.split_whitespace().next().unwrap_or(UNCONFINED),
        has("/etc/apparmor.d/tunables/global"),
        has("/etc/apparmor.d/abstractions/base"),
    );
    // Replace (r) what another of us has loaded meanwhile, and keep no cache of it (K).
    let mut parser = Command::new("apparmor_parser");
    parser.arg("-Kr").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = parser.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(text.as_bytes()).map_err(failed)?;
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(());
    }
    Err(failed(std::io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())))
}

/// The profile's text. `daemon` is the profile of the daemon, whose signals are let through.
fn template(daemon: &str, tunables: bool, abstractions: bool) -> String {
    let head = if tunables { "#include <tunables/global>" } else { "@{PROC}=/proc/" };
    let inner = if abstractions { "#include <abstractions/base>" } else { "" };
    format!(
        "{head}

profile {DEFAULT} flags=(attach_disconnected,mediate_deleted) {{
  {inner}

  network,
  capability,
  file,
  umount,
  # Host (privileged) processes may send signals to container processes.
  signal (receive) peer=unconfined,
  # The daemon may send signals to container processes (for \"docker kill\").
  signal (receive) peer={daemon},
  # Container processes may send signals amongst themselves.
  signal (send,receive) peer={DEFAULT},

  deny @{{PROC}}/* w,   # deny write for all files directly in /proc (not in a subdir)
  # deny write to files not in /proc/<number>/** or /proc/sys/**
  deny @{{PROC}}/{{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}}/** w,
  deny @{{PROC}}/sys/[^k]** w,  # deny /proc/sys except /proc/sys/k* (effectively /proc/sys/kernel)
  deny @{{PROC}}/sys/kernel/{{?,??,[^s][^h][^m]**}} w,  # deny everything except shm* in /proc/sys/kernel/
  deny @{{PROC}}/sysrq-trigger rwklx,
  deny @{{PROC}}/kcore rwklx,

  deny mount,

  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,

  # suppress ptrace denials when using 'docker ps' or using 'ps' inside a container
  ptrace (trace,read,tracedby,readby) peer={DEFAULT},
}}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_whole_and_names_the_daemon() {
        let text = template("pileusd", true, true);
        assert!(text.starts_with("#include <tunables/global>\n"));
        assert!(text.contains("profile docker-default flags=(attach_disconnected,mediate_deleted) {"));
        assert!(text.contains("  #include <abstractions/base>\n"));
        assert!(text.contains("signal (receive) peer=pileusd,"));
        assert!(text.contains("deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,"));
        assert_eq!(text.matches(['{', '}']).count() % 2, 0);
        assert!(template("unconfined", false, false).starts_with("@{PROC}=/proc/\n"));
    }

    #[test]
    fn a_profile_is_loaded_under_its_whole_name() {
        let profiles = "docker-default-x (enforce)\n/usr/bin/man (enforce)\n";
        assert!(!loaded(profiles, DEFAULT));
        assert!(loaded("snap.x (complain)\ndocker-default (enforce)\n", DEFAULT));
    }
}
