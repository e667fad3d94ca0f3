//! The programs by the name they are called by, without the daemon: `ln -s …/examples/ansible ansible-playbook`.

use std::ffi::OsString;
use std::path::Path;

fn main() {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let mut name =
        Path::new(&args.remove(0)).file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if !pileus_automation::cli::NAMES.contains(&name.as_str())
        || (name == "ansible" && args.first().is_some_and(|a| a.to_string_lossy().starts_with("ansible-")))
    {
        name = if args.is_empty() { "ansible".into() } else { args.remove(0).to_string_lossy().into_owned() };
    }
    std::process::exit(pileus_automation::cli::main(&name, &args));
}
