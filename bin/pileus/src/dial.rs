//! Streams to servers: the console, a port (for `ssh`), a shell in the network's namespace.

use std::{
    io::IsTerminal,
    os::{fd::AsFd, unix::process::CommandExt},
    path::Path,
    process::Command,
};

use anyhow::{Context, bail};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::control::{ask, block_on, stream};

/// What leaves the console: Ctrl-].
const ESCAPE: u8 = 0x1d;

/// `pileus dial`: standard input and output to the server and port that the environment names. `pileus
/// ssh` sets it; nothing of it passes through a shell.
pub fn run(state_dir: &Path) -> anyhow::Result<()> {
    let target = std::env::var("PILEUS_DIAL").context("PILEUS_DIAL names no server and port")?;
    let (server, port) = target.split_once(' ').context("PILEUS_DIAL is not `SERVER PORT`")?;
    block_on(async {
        let mut io = stream(state_dir, &format!("/servers/{server}/dial/{port}")).await?;
        let mut own = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
        // Either side's end is the end.
        let _ = tokio::io::copy_bidirectional(&mut own, &mut io).await;
        std::process::exit(0)
    })
}

/// Gives the terminal back as it was.
struct Raw(Termios);

impl Raw {
    fn enter() -> Option<Self> {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin.as_fd()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw).ok()?;
        Some(Self(before))
    }
}
impl Drop for Raw {
    fn drop(&mut self) {
        // Nothing better can be done about a terminal that is gone.
        let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, &self.0);
    }
}

/// `pileus console SERVER`
pub fn console(state_dir: &Path, server: &str) -> anyhow::Result<()> {
    let done = block_on(async {
        let id = server_id(state_dir, server).await?;
        let io = stream(state_dir, &format!("/servers/{id}/console")).await?;
        eprintln!("connected to {server}; leave with Ctrl-]");
        let raw = Raw::enter();
        let (mut from, mut to) = tokio::io::split(io);
        let up = async {
            let (mut stdin, mut buffer) = (tokio::io::stdin(), [0; 1024]);
            loop {
                let n = stdin.read(&mut buffer).await?;
                let end = buffer[..n].iter().position(|b| *b == ESCAPE && raw.is_some());
                to.write_all(&buffer[..end.unwrap_or(n)]).await?;
                if n == 0 || end.is_some() {
                    return anyhow::Ok(());
                }
            }
        };
        let down = async {
            tokio::io::copy(&mut from, &mut tokio::io::stdout()).await?;
            anyhow::Ok(())
        };
        tokio::select! { end = up => end, end = down => end }
    });
    eprintln!();
    done.inspect(|()| std::process::exit(0))
}

async fn server(state_dir: &Path, name: &str) -> anyhow::Result<Value> {
    let encoded: String = name
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b == b'-' {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect();
    ask(state_dir, "GET", &format!("/servers/{encoded}"), &Value::Null).await
}

/// The id of the server of this name.
pub async fn server_id(state_dir: &Path, name: &str) -> anyhow::Result<String> {
    let found = server(state_dir, name).await?;
    Ok(found["id"].as_str().context("the daemon gave no id")?.to_owned())
}

/// `pileus netns SERVER -- COMMAND`
pub fn netns(state_dir: &Path, name: &str, command: &[String]) -> anyhow::Result<u8> {
    let found = block_on(server(state_dir, name))?;
    let Some(network) = found["networks"][0].as_str() else { bail!("{name} is on no network") };
    let path = pileus_agent::netns_path(state_dir, network.parse().map_err(crate::daemon::told)?);
    if !path.exists() {
        bail!("the network of {name} does not stand on this host");
    }
    let shell = [std::env::var("SHELL").unwrap_or_else(|_| "/bin/sh".into())];
    let command = if command.is_empty() { &shell[..] } else { command };
    let mut enter = Command::new("nsenter");
    enter.arg(format!("--net={}", path.display())).arg("--").args(command);
    Err(enter.exec()).context("failed to run nsenter (package util-linux)")
}
