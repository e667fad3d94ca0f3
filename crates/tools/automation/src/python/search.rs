//! Where the user's Python keeps packages: `pip install` puts collections there, beside ansible-core.
//!
//! Python isn't started for this: PYTHONPATH, then the folders that the interpreter of PATH has by its layout (a virtual
//! environment's own, with `include-system-site-packages` also the system's; the user's; Debian's `dist-packages`).

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The directories, in the order in which Python searches them.
pub fn packages() -> &'static [String] {
    static FOUND: OnceLock<Vec<String>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let python = std::env::split_paths(&path).map(|d| d.join("python3")).find(|p| p.is_file());
        let own = std::env::var_os("PYTHONPATH").unwrap_or_default();
        let mut out: Vec<PathBuf> =
            std::env::split_paths(&own).filter(|p| !p.as_os_str().is_empty() && p.is_dir()).collect();
        if let Some(prefix) = python.as_deref().and_then(Path::parent).and_then(Path::parent) {
            of_prefix(prefix, &mut out);
        }
        out.into_iter().filter_map(|p| p.to_str().map(str::to_owned)).collect()
    })
}

/// The package directories of the interpreter in `prefix/bin`.
fn of_prefix(prefix: &Path, out: &mut Vec<PathBuf>) {
    let environment = std::fs::read_to_string(prefix.join("pyvenv.cfg")).ok();
    if let Some(settings) = environment {
        versions(prefix, out);
        if !includes_system(&settings) {
            return;
        }
    }
    if let Some(home) = std::env::var_os("HOME") {
        versions(&Path::new(&home).join(".local"), out);
    }
    for system in [Path::new("/usr/local"), prefix, Path::new("/usr")] {
        versions(system, out);
    }
}

/// Whether a virtual environment also sees the system's packages.
fn includes_system(settings: &str) -> bool {
    settings.lines().filter_map(|l| l.split_once('=')).any(|(name, value)| {
        name.trim() == "include-system-site-packages" && value.trim().eq_ignore_ascii_case("true")
    })
}

/// `lib/python3*/{site,dist}-packages` of `prefix`.
fn versions(prefix: &Path, out: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(prefix.join("lib")) else { return };
    let mut found: Vec<PathBuf> = entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(|n| n.starts_with("python3")))
        .flat_map(|e| [e.path().join("site-packages"), e.path().join("dist-packages")])
        .filter(|p| p.is_dir() && !out.contains(p))
        .collect();
    found.sort();
    out.extend(found);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_alone_sees_only_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("lib/python3.12/site-packages");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(
            dir.path().join("pyvenv.cfg"),
            "home = /usr/bin\ninclude-system-site-packages = false\n",
        )
        .unwrap();
        let mut out = Vec::new();
        of_prefix(dir.path(), &mut out);
        assert_eq!(out, [own]);
        assert!(includes_system("version = 3\ninclude-system-site-packages = true"));
    }
}
