//! `pileus ssh`: OpenSSH, through the daemon, into the server's network. No floating IP is needed.

use std::{os::unix::process::CommandExt, path::Path, process::Command};

use anyhow::Context;

use crate::{cli::SshArgs, control::block_on, dial::server_id};

/// The same text always: what it needs comes by the environment, so that nothing is quoted for a shell.
const PROXY: &str = "\"$PILEUS_EXE\" dial";

/// Becomes `ssh`.
pub fn run(state_dir: &Path, args: &SshArgs) -> anyhow::Result<u8> {
    let id = block_on(server_id(state_dir, &args.server))?;
    let exe = std::env::current_exe().context("failed to find my own program")?;
    let mut ssh = Command::new("ssh");
    ssh.env("PILEUS_EXE", exe).env("PILEUS_STATE_DIR", state_dir).env("PILEUS_DIAL", format!("{id} 22"));
    ssh.arg("-o").arg(format!("ProxyCommand={PROXY}"));
    // A server's keys are as new as the server: the first seen counts, under its id, which is never used again.
    ssh.args(["-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR"]);
    ssh.arg("-o").arg(format!("HostKeyAlias={id}"));
    ssh.arg("-o").arg(format!("UserKnownHostsFile={}", state_dir.join("known_hosts").display()));
    if let Some(key) = &args.identity {
        ssh.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(key);
    }
    ssh.arg("-l").arg(&args.login).arg("--").arg(&id).args(&args.command);
    Err(ssh.exec()).context("failed to run ssh (package openssh-client)")
}
