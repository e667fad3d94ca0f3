//! The command lines, one file per program; [`main`] chooses by name.

use std::ffi::OsString;

mod action;
pub mod adhoc;
pub mod args;
pub mod common;
pub mod config;
mod config_init;
pub mod console;
pub mod doc;
pub mod flags;
pub mod galaxy;
pub mod inventory;
pub mod playbook;
pub mod pull;
pub mod running;
pub mod runs;
pub mod usage;
pub mod vault;
mod vault_files;

/// The programs that answer here.
pub const NAMES: [&str; 10] = [
    "ansible",
    "ansible-playbook",
    "ansible-inventory",
    "ansible-vault",
    "ansible-config",
    "ansible-doc",
    "ansible-galaxy",
    "ansible-console",
    "ansible-pull",
    "ansible-runs",
];

/// Runs the program called `name` with `args` (without the name itself); the exit code.
pub fn main(name: &str, args: &[OsString]) -> i32 {
    let code = run(name, args);
    crate::action::count::tell();
    code
}

fn run(name: &str, args: &[OsString]) -> i32 {
    match name {
        "ansible" => adhoc::main(args),
        "ansible-playbook" => playbook::main(args),
        "ansible-inventory" => inventory::main(args),
        "ansible-vault" => vault::main(args),
        "ansible-config" => config::main(args),
        "ansible-doc" => doc::main(args),
        "ansible-galaxy" => galaxy::main(args),
        "ansible-console" => console::main(args),
        "ansible-pull" => pull::main(args),
        "ansible-runs" => runs::main(args),
        other => {
            eprintln!("ERROR! no program of the automation engine is called {other}");
            1
        }
    }
}
