//! `pileus`: a whole private cloud in one program. This file is the table of contents; each subcommand
//! has a file of its own.

#![forbid(unsafe_code)]

mod ansible;
mod backup;
mod cli;
mod clouds;
mod config;
mod control;
mod daemon;
mod dial;
mod docker;
mod docker_link;
mod down;
mod env;
mod explain;
mod fsck;
mod image;
mod inventory;
mod logging;
mod notify;
mod oci;
mod progress;
mod restore;
mod sockets;
mod ssh;
mod state;
mod status;
mod tempest;
mod tls;
mod up;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use cli::{Cli, Command};

fn main() -> ExitCode {
    let called = std::env::args_os().next().unwrap_or_default();
    if std::path::Path::new(&called).file_name().is_some_and(|name| name == oci::NAME) {
        return oci::main();
    }
    if let Some(code) = ansible::main() {
        return code;
    }
    let cli = Cli::parse();
    let state_dir = cli.state_dir();
    let done = match cli.command {
        Command::Up(args) => up::run(&state_dir, &args),
        Command::Down(args) => down::run(&state_dir, &args),
        Command::Status { json } => status::status(&state_dir, json),
        Command::Jobs { resume, json } => status::jobs(&state_dir, resume.as_deref(), json),
        Command::Routes => status::routes(&state_dir),
        Command::Env { admin } => env::run(&state_dir, admin),
        Command::Config { config } => config::print(config.as_deref()),
        Command::Ssh(args) => return finish(ssh::run(&state_dir, &args)),
        Command::Console { server } => dial::console(&state_dir, &server),
        Command::Dial => dial::run(&state_dir),
        Command::Netns { server, command } => return finish(dial::netns(&state_dir, &server, &command)),
        Command::Docker { command } => match command {
            cli::DockerCommand::Explain { port } => explain::run(&state_dir, &port),
            cli::DockerCommand::Fsck { repair, json } => return fsck::run(&state_dir, repair, json),
        },
        Command::Oci(args) => return oci::run(args),
        Command::Image { command } => image::run(&state_dir, &command),
        Command::Backup(args) => backup::run(&state_dir, &args),
        Command::Restore { file } => restore::run(&state_dir, &file),
        Command::TempestConf(args) => tempest::run(&state_dir, &args),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "pileus", &mut std::io::stdout());
            Ok(())
        }
    };
    finish(done.map(|()| 0))
}

/// Prints an error with all its causes, once.
fn finish(done: anyhow::Result<u8>) -> ExitCode {
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            eprintln!("pileus: {e:#}");
            ExitCode::FAILURE
        }
    }
}
