//! `pileus down`: asks the daemon to stop and waits until it has.

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};
use serde_json::json;

use crate::{
    cli::DownArgs,
    control::{ask, block_on},
};

/// How long the daemon may take: requests and steps under way are let finish.
const PATIENCE: Duration = Duration::from_secs(120);

/// Stops the daemon; with `--purge` nothing of the cloud remains.
pub fn run(state_dir: &Path, args: &DownArgs) -> anyhow::Result<()> {
    let body = json!({"guests": args.guests || args.purge, "purge": args.purge});
    block_on(async {
        let answer = ask(state_dir, "POST", "/stop", &body).await?;
        let pid =
            answer["pid"].as_i64().and_then(|p| i32::try_from(p).ok()).context("the daemon gave no pid")?;
        wait(pid).await
    })?;
    if args.purge {
        unmount_below(state_dir)?;
        std::fs::remove_dir_all(state_dir)
            .with_context(|| format!("failed to remove `{}`", state_dir.display()))?;
        println!("the cloud in {} is gone", state_dir.display());
    }
    Ok(())
}

/// Waits for the process to end. One that has ended already is fine.
async fn wait(pid: i32) -> anyhow::Result<()> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(pid) = Pid::from_raw(pid) else { bail!("the daemon gave a wrong pid") };
    let Ok(fd) = pidfd_open(pid, PidfdFlags::NONBLOCK) else { return Ok(()) };
    let ended = tokio::task::spawn_blocking(move || {
        let patience = rustix::event::Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        let mut watched = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut watched, Some(&patience))
    });
    if ended.await?? == 0 {
        bail!("the daemon did not stop in time; see its log");
    }
    Ok(())
}

/// Unmounts whatever is below a directory: what is mounted there, a volume that is a directory of the host, is not to
/// be removed with it.
fn unmount_below(dir: &Path) -> anyhow::Result<()> {
    let dir = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
    let text = std::fs::read_to_string("/proc/self/mountinfo").context("failed to read the mounts")?;
    let mut below: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .filter(|at| Path::new(at).starts_with(&dir) && Path::new(at) != dir)
        .collect();
    // The last mounted first.
    below.reverse();
    for at in below {
        // The kernel writes blanks as `\040`.
        let path = at.replace("\\040", " ");
        rustix::mount::unmount(&*path, rustix::mount::UnmountFlags::DETACH)
            .with_context(|| format!("failed to unmount `{path}`"))?;
    }
    Ok(())
}
