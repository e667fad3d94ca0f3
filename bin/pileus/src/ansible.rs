//! `ansible-playbook` and its family: by the name that the program is called by, and as `pileus ansible-playbook …`.

use std::{ffi::OsString, path::Path, process::ExitCode};

use pileus_automation::{cli, inventory::named};

/// Runs the family's program where one is meant; `None` where the command line is `pileus`'s own.
pub fn main() -> Option<ExitCode> {
    let mut args: Vec<OsString> = std::env::args_os().collect();
    let name = meant(&args)?;
    args.drain(..if called(&args) == name { 1 } else { 2 });
    named::provide("pileus", crate::inventory::read);
    let code = cli::main(&name, &args);
    Some(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

fn called(args: &[OsString]) -> String {
    let path = args.first().map(Path::new);
    path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
}

/// The name of the program, where it is one of the family.
fn meant(args: &[OsString]) -> Option<String> {
    let first = args.get(1).map(|a| a.to_string_lossy().into_owned());
    [Some(called(args)), first].into_iter().flatten().find(|name| cli::NAMES.contains(&name.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_its_name_or_its_first_word() {
        let meant = |words: &[&str]| meant(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(meant(&["/x/libexec/ansible-playbook", "site.yml"]), Some("ansible-playbook".into()));
        assert_eq!(meant(&["/usr/bin/pileus", "ansible", "all"]), Some("ansible".into()));
        assert_eq!(meant(&["/x/ansible", "ansible-vault"]), Some("ansible".into()));
        assert_eq!(meant(&["pileus", "up"]), None);
    }
}
