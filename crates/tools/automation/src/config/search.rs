//! Which `ansible.cfg` counts: `ANSIBLE_CONFIG`, the working directory's (unless everybody may write there), the
//! home directory's, the system's. The first that can be read is the only one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::Ini;
use crate::Error;
use crate::source::paths::unfrack;

const SYSTEM: &str = "/etc/ansible/ansible.cfg";

fn readable(path: &Path) -> bool {
    fs::File::open(path).is_ok()
}

/// The file that counts; what was refused goes to `warnings`.
pub fn find(warnings: &mut Vec<String>) -> Option<PathBuf> {
    let from_env = std::env::var("ANSIBLE_CONFIG").ok().map(|p| {
        let path = PathBuf::from(unfrack(&p));
        if path.is_dir() { path.join("ansible.cfg") } else { path }
    });
    let mut candidates: Vec<PathBuf> = from_env.iter().cloned().collect();
    let mut refused = None;
    if let Ok(cwd) = std::env::current_dir() {
        let here = cwd.join("ansible.cfg");
        let open_to_all = fs::metadata(&cwd).is_ok_and(|m| m.permissions().mode() & 0o002 != 0);
        if !open_to_all {
            candidates.push(here);
        } else if here.exists() {
            refused = Some(cwd);
        }
    }
    candidates.push(PathBuf::from(unfrack("~/.ansible.cfg")));
    candidates.push(PathBuf::from(SYSTEM));
    let found = candidates.into_iter().find(|p| readable(p));
    if let Some(cwd) = refused
        && (from_env.is_none() || from_env != found)
    {
        warnings.push(format!(
            "Ansible is being run in a world writable directory ({}), ignoring it as an ansible.cfg source. For \
             more information see https://docs.ansible.com/ansible/devel/reference_appendices/config.html\
             #cfg-in-world-writable-dir",
            cwd.display()
        ));
    }
    found
}

/// Reads a configuration file.
///
/// # Errors
/// Where its name does not end in `.ini` or `.cfg`, or it is no ini text.
pub fn read(path: &Path) -> Result<Ini, Error> {
    let shown = path.display();
    let extension = path.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
    match extension.as_str() {
        ".ini" | ".cfg" => {}
        ".yaml" | ".yml" => return Ok(Ini::default()),
        _ => {
            return Err(Error::options(format!(
                "Unsupported configuration file extension for {shown}: {extension}"
            )));
        }
    }
    let bytes = fs::read(path).map_err(|e| {
        Error::options(format!("Error reading config file ({shown})"))
            .because(crate::error::os_error(&e, &shown.to_string()))
    })?;
    let text = String::from_utf8(bytes).map_err(|_| {
        Error::options(format!(
            "Error reading config file({shown}) because the config file was not utf8 encoded"
        ))
    })?;
    Ini::parse(&text).map_err(|why| Error::options(format!("Error reading config file ({shown}): {why}")))
}
