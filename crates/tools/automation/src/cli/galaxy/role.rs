//! Roles: installed, listed, removed.

use std::fs;
use std::path::{Path, PathBuf};

use pileus_jinja::Value;

use super::{Source, fetch, say};
use crate::source::Loader;
use crate::{Error, display, os_error};

const INFO: &str = "meta/.galaxy_install_info";

/// The name of the role that a place would give.
fn name_of(source: &Source) -> String {
    if let Some(name) = &source.name {
        return name.clone();
    }
    let place = source.place.split('#').next().unwrap_or_default().trim_end_matches('/');
    let last = place.rsplit(['/', ':']).next().unwrap_or(place);
    let mut name = last;
    for end in [".git", ".tar.gz", ".tgz", ".tar"] {
        name = name.trim_end_matches(end);
    }
    name.to_owned()
}

/// Installs `sources` into `place`.
///
/// # Errors
/// Where one cannot be fetched or is no role.
pub fn install(place: &str, sources: &[Source], force: bool, keep: bool) -> Result<(), Error> {
    say("Starting galaxy role install process");
    for source in sources {
        let name = name_of(source);
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(Error::options(format!("Invalid role name '{name}'")));
        }
        let to = Path::new(place).join(&name);
        let version = source.version.as_deref().unwrap_or_default();
        if to.exists() && !force {
            let known = installed(&to);
            display::warning(&format!("- {name} ({known}) is already installed, skipping."));
            continue;
        }
        let fetched = fetch::fetch(source)?;
        let root = root(&fetched.path).ok_or_else(|| {
            Error::new(format!("- {name} was NOT installed successfully: this role does not appear to have a meta/main.yml file."))
        })?;
        say(&format!("- extracting {name} to {}", to.display()));
        fetch::place(&root, &to, &|below| !keep && below == Path::new(".git"))?;
        record(&to, version)?;
        let shown = if version.is_empty() { String::new() } else { format!(" ({version})") };
        say(&format!("- {name}{shown} was installed successfully"));
    }
    Ok(())
}

/// The directory that holds `meta/main.yml`: the given one or one in it.
fn root(path: &Path) -> Option<PathBuf> {
    let is =
        |p: &Path| ["meta/main.yml", "meta/main.yaml", "tasks/main.yml"].iter().any(|f| p.join(f).is_file());
    if is(path) {
        return Some(path.to_owned());
    }
    fs::read_dir(path).ok()?.flatten().map(|e| e.path()).find(|p| p.is_dir() && is(p))
}

fn record(to: &Path, version: &str) -> Result<(), Error> {
    let file = to.join(INFO);
    let path = file.display().to_string();
    let now = jiff::Timestamp::now().strftime("%a %d %b %Y %I:%M:%S %p %Z").to_string();
    let text = format!("install_date: '{now}'\nversion: '{}'\n", version.replace('\'', "''"));
    file.parent()
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(&file, text))
        .map_err(|e| Error::new(format!("Failed to write {path}")).because(os_error(&e, &path)))
}

/// The version that was installed.
fn installed(role: &Path) -> String {
    let found = Loader::new().load_fresh(&role.join(INFO).display().to_string(), false).ok();
    let version = found.and_then(|v| v.get("version")).filter(|v| !v.is_none());
    version
        .and_then(|v: Value| v.to_text().ok())
        .filter(|v| !v.is_empty())
        .unwrap_or_else(|| "(unknown version)".into())
}

/// Lists the roles in `place`.
pub fn list(place: &str, names: &[String]) {
    let Ok(entries) = fs::read_dir(place) else {
        display::warning(&format!("- the configured path {place} does not exist."));
        return;
    };
    say(&format!("# {place}"));
    let mut roles: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| root(p).is_some_and(|r| r == *p)).collect();
    roles.sort();
    for role in roles {
        let name = role.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if names.is_empty() || names.contains(&name) {
            say(&format!("- {name}, {}", installed(&role)));
        }
    }
}

/// Removes roles.
///
/// # Errors
/// Where one cannot be removed.
pub fn remove(places: &[String], names: &[String]) -> Result<(), Error> {
    if names.is_empty() {
        return Err(Error::options("- you must specify at least one role to remove."));
    }
    for name in names {
        if name.is_empty() || name.contains('/') || name.starts_with('.') {
            return Err(Error::options(format!("Invalid role name '{name}'")));
        }
        let found = places.iter().map(|p| Path::new(p).join(name)).find(|p| root(p).is_some_and(|r| r == *p));
        match found {
            Some(path) => {
                let text = path.display().to_string();
                fs::remove_dir_all(&path).map_err(|e| {
                    Error::new(format!("Failed to remove {text}")).because(os_error(&e, &text))
                })?;
                say(&format!("- successfully removed {name}"));
            }
            None => say(&format!("- {name} is not installed, skipping.")),
        }
    }
    Ok(())
}
