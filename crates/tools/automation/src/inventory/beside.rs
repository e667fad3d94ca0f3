//! Variables in `group_vars` and `host_vars` beside sources and playbooks.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use pileus_jinja::{Dict, Value};

use super::merge;
use crate::source::{Loader, vars_files};
use crate::{Error, config, display};

/// What the variables are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `group_vars`.
    Group,
    /// `host_vars`.
    Host,
}

/// The directories looked at, with the names in them: a large inventory asks often.
#[derive(Debug, Default)]
pub struct Beside {
    listed: Mutex<HashMap<String, Option<Arc<HashSet<String>>>>>,
}

impl Beside {
    /// The variables of `name` in `dirs`, later ones winning.
    ///
    /// # Errors
    /// Where a file cannot be read or holds no dictionary.
    pub fn vars(
        &self,
        loader: &Loader,
        dirs: &[String],
        kind: Kind,
        name: &str,
        out: &Dict,
    ) -> Result<(), Error> {
        // a chroot's path is no name of a file
        if name.starts_with('/') {
            return Ok(());
        }
        let sub = if kind == Kind::Group { "group_vars" } else { "host_vars" };
        for dir in dirs {
            let dir = format!("{}/{sub}", dir.trim_end_matches('/'));
            let Some(names) = self.names(&dir, sub) else { continue };
            let extensions = config::current().list("YAML_FILENAME_EXTENSIONS");
            let there =
                names.contains(name) || extensions.iter().any(|e| names.contains(&format!("{name}{e}")));
            if !there && !name.contains('/') {
                continue;
            }
            for file in vars_files::find(&dir, name, &extensions) {
                self.file(loader, &file, out)?;
            }
        }
        crate::python::vars::add(dirs, kind == Kind::Group, name, out)
    }

    fn file(&self, loader: &Loader, file: &str, out: &Dict) -> Result<(), Error> {
        match loader.load(file)? {
            Value::Dict(vars) => merge::update(out, &vars),
            v if !v.truth()? => {}
            other => {
                let what = format!(
                    "failed to combine variables, expected dicts but got a 'dict' and a '{}': \n{{}}\n{}",
                    other.type_name(),
                    other.to_text()?
                );
                return Err(Error::parser(format!("Could not process '{file}'.")).because(Error::new(what)));
            }
        }
        Ok(())
    }

    fn names(&self, dir: &str, sub: &str) -> Option<Arc<HashSet<String>>> {
        let mut listed = self.listed.lock();
        if let Some(known) = listed.get(dir) {
            return known.clone();
        }
        let names = match fs::read_dir(dir) {
            Ok(entries) => Some(Arc::new(
                entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect::<HashSet<_>>(),
            )),
            Err(_) => {
                if Path::new(dir).exists() {
                    display::warning(&format!("Found {sub} that is not a directory, skipping: {dir}"));
                }
                None
            }
        };
        listed.insert(dir.to_owned(), names.clone());
        names
    }

    /// Forgets what was looked at.
    pub fn clear(&self) {
        self.listed.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_files_of_groups() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().to_str().unwrap().to_owned();
        fs::create_dir(dir.path().join("group_vars")).unwrap();
        fs::write(dir.path().join("group_vars/web.yml"), "x: 1\n").unwrap();
        fs::write(dir.path().join("group_vars/bad.yml"), "[1]\n").unwrap();
        let (beside, loader, out) = (Beside::default(), Loader::new(), Dict::new());
        let dirs = [base];
        beside.vars(&loader, &dirs, Kind::Group, "web", &out).unwrap();
        beside.vars(&loader, &dirs, Kind::Host, "web", &out).unwrap();
        assert_eq!(out.get("x"), Some(Value::Int(1)));
        assert!(beside.vars(&loader, &dirs, Kind::Group, "bad", &out).is_err());
    }
}
