//! `connection: ssh`: natively where we understand all that the user asked for, else by the `ssh` program.

mod auth;
mod choose;
mod config;
mod known_hosts;
mod native;
mod program;

pub use choose::private_key_of;

use super::spawn::Transport;
use super::{Error, Options};

/// The way to a host.
pub fn transport(options: &Options) -> Result<Box<dyn Transport>, Error> {
    let wanted = config::resolve(options);
    Ok(match wanted.needs_program {
        Some(_) => Box::new(program::Program::new(options)),
        None => Box::new(native::Native::new(options, wanted)),
    })
}

/// What a failed connection is called.
pub fn failure(stderr: &[u8]) -> String {
    format!("Failed to connect to the host via ssh: {}", String::from_utf8_lossy(stderr).trim())
}
