//! Which Python a target has (`ansible_python_interpreter`, interpreter discovery).

use pileus_modules::PYTHONS;

use crate::connection::{Connection, Error};

/// What a task runs Python with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovered {
    /// The interpreter.
    pub path: String,
    /// What the user should be told.
    pub warning: Option<String>,
}

/// Looks on the host. `mode` is `auto`, `auto_silent` …; `candidates` replaces the known list.
pub fn discover(
    connection: &Connection,
    host: &str,
    mode: &str,
    candidates: Option<&[String]>,
) -> Result<Discovered, Error> {
    let known: Vec<String> = PYTHONS.iter().map(|c| c.to_string()).collect();
    let candidates = candidates.unwrap_or(&known);
    let asked: Vec<String> = candidates.iter().map(|c| format!("command -v '{c}'")).collect();
    let output =
        connection.exec(&format!("echo FOUND; {}; echo ENDFOUND", asked.join("; ")), &[], None, None)?;
    let silent = mode.ends_with("_silent");
    let text = String::from_utf8_lossy(&output.stdout);
    let between = text.split("FOUND\n").nth(1).unwrap_or_default();
    let found = between.lines().map(str::trim).find(|line| line.starts_with('/'));
    Ok(match found {
        Some(path) => Discovered {
            path: path.to_string(),
            warning: (!silent).then(|| {
                format!(
                    "Host {host:?} is using the discovered Python interpreter at {path:?}, but future installation of another \
                     Python interpreter could cause a different interpreter to be discovered. See \
                     https://docs.ansible.com/ansible-core/2.19/reference_appendices/interpreter_discovery.html for more information."
                )
                .replace('"', "'")
            }),
        },
        None => Discovered {
            path: "/usr/bin/python3".into(),
            warning: (!silent).then(|| {
                let list = candidates.iter().map(|c| format!("'{c}'")).collect::<Vec<_>>().join(", ");
                format!("No python interpreters found for host '{host}' (tried [{list}]).")
            }),
        },
    })
}
