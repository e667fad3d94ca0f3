//! Hooks: programs of the configuration's that run at points of a container's life, with its state on their
//! standard input.

use std::{
    io::{Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
};

use oci_spec::runtime::Hook;
use pileus_base::Result;

use super::{
    record::State,
    sys::{doing, fail, pidfd, readable},
};

/// Runs hooks one after the other; the first that fails ends it.
///
/// # Errors
/// Where one fails, or takes longer than it may.
pub fn run(kind: &str, hooks: &[Hook], state: &State) -> Result<()> {
    let text = serde_json::to_vec(state).map_err(|e| fail(format!("the container's state: {e}")))?;
    for (n, hook) in hooks.iter().enumerate() {
        one(hook, &text).map_err(|e| fail(format!("error running {kind} hook #{n}: {}", e.message())))?;
    }
    Ok(())
}

fn one(hook: &Hook, state: &[u8]) -> Result<()> {
    let mut command = Command::new(hook.path());
    let args = hook.args().as_deref().unwrap_or_default();
    if let Some((name, args)) = args.split_first() {
        command.arg0(name).args(args);
    }
    command.env_clear();
    command.envs(hook.env().iter().flatten().filter_map(|one| one.split_once('=')));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let path = hook.path().display().to_string();
    let mut child = command.spawn().map_err(doing(format!("fork/exec {path}")))?;
    let process = pidfd(child.id()).map_err(doing("pidfd_open"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that doesn't read it is fine.
        let _ = stdin.write_all(state);
    }
    let timeout_ms = hook.timeout().map_or(-1, |s| i32::try_from(s.saturating_mul(1000)).unwrap_or(-1));
    if timeout_ms >= 0 && !readable(&process, timeout_ms) {
        let _ = child.kill();
        let _ = child.wait();
        return Err(fail(format!("hook ran past specified timeout of {}.0s", timeout_ms / 1000)));
    }
    let (mut out, mut err) = (Vec::new(), Vec::new());
    if timeout_ms < 0 {
        // Whoever inherits the pipes from a hook may keep them; so only what there is until it ends counts.
        drain(&mut child, &process, &mut out, &mut err);
    }
    let status = child.wait().map_err(doing(format!("wait {path}")))?;
    if status.success() {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    let code = status.code().map_or_else(|| "signal".to_owned(), |code| format!("exit status {code}"));
    Err(fail(format!("{code}, stdout: {}, stderr: {}", text(&out), text(&err))))
}

/// Reads what a hook says until it has ended.
fn drain(
    child: &mut std::process::Child,
    process: &std::os::fd::OwnedFd,
    out: &mut Vec<u8>,
    err: &mut Vec<u8>,
) {
    use std::os::fd::AsRawFd as _;
    let (Some(mut stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else { return };
    let mut open = [true, true];
    loop {
        let fd = |n: usize, fd: i32| if open[n] { fd } else { -1 };
        let fds = [fd(0, stdout.as_raw_fd()), fd(1, stderr.as_raw_fd()), process.as_raw_fd()];
        let mut polls = fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        // SAFETY: the list outlives the call, and its length is given.
        if unsafe { libc::poll(polls.as_mut_ptr(), 3, -1) } < 0 {
            continue;
        }
        let mut bytes = [0; 4096];
        if polls[0].revents != 0 {
            let n = stdout.read(&mut bytes).unwrap_or(0);
            out.extend_from_slice(&bytes[..n]);
            open[0] = n > 0;
        }
        if polls[1].revents != 0 {
            let n = stderr.read(&mut bytes).unwrap_or(0);
            err.extend_from_slice(&bytes[..n]);
            open[1] = n > 0;
        }
        if polls[0].revents == 0 && polls[1].revents == 0 && polls[2].revents != 0 {
            return;
        }
    }
}
