//! The `tree` callback (`ansible --tree DIRECTORY`): each host's last result as JSON, in a file of the host's name.

use std::path::PathBuf;

use crate::execute::TaskResult;
use crate::source::paths;
use crate::{config, display};

use super::Callback;
use super::dump;

/// Where results go unless told.
const DIRECTORY: &str = "~/.ansible/tree";

/// The callback.
#[derive(Debug)]
pub struct Tree(PathBuf);

impl Tree {
    /// Into `directory`, else where the settings say.
    pub fn new(directory: Option<&str>) -> Self {
        if directory.is_some() {
            let instead = "Use callback configuration to enable the tree callback instead.";
            display::deprecated("The '--tree' argument is deprecated.", "2.23", Some(instead));
        }
        display::deprecated("The tree callback plugin is deprecated.", "2.23", None);
        let configured = || {
            let setting = config::current().plugin("callback", "tree", "directory").ok().map(|s| s.value);
            setting.and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_else(|| DIRECTORY.to_owned())
        };
        Self(PathBuf::from(paths::unfrack(&directory.map_or_else(configured, str::to_owned))))
    }

    fn write(&self, r: &TaskResult) {
        let text = dump::told(&r.value, &r.task, r.fields.no_log, None);
        if let Err(e) = std::fs::create_dir_all(&self.0) {
            let shown = self.0.display();
            display::warning(&format!("Unable to access or create the configured directory '{shown}': {e}"));
        }
        // a host's name is text of the inventory's: it names a file here, nothing else
        let name = r.host.replace('/', "_");
        if let Err(e) = std::fs::write(self.0.join(name), text) {
            display::warning(&format!("Unable to write to '{}''s file: {e}", r.host));
        }
    }
}

impl Callback for Tree {
    fn ok(&mut self, r: &TaskResult) {
        self.write(r);
    }
    fn failed(&mut self, r: &TaskResult, _ignored: bool) {
        self.write(r);
    }
    fn unreachable(&mut self, r: &TaskResult) {
        self.write(r);
    }
}
