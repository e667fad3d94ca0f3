//! An inventory in memory: hosts and groups with their variables.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indexmap::IndexMap;
use parking_lot::RwLock;
use pileus_jinja::{Dict, Str, Value};

use super::{Inventory, Name};
use crate::Error;

#[derive(Debug, Default)]
struct Group {
    hosts: Vec<Name>,
    vars: Dict,
}

/// An inventory in memory.
#[derive(Debug, Default)]
pub struct Plain {
    hosts: RwLock<IndexMap<Name, Dict>>,
    groups: RwLock<IndexMap<Name, Group>>,
    sources: Vec<Arc<Path>>,
    limit: Option<String>,
    generation: AtomicU64,
}

/// Reads lists of hosts (`a,b,`) and INI files.
///
/// # Errors
/// Where a source cannot be read.
pub fn open(sources: &[String], limit: Option<&str>) -> Result<Plain, Error> {
    let mut out = Plain { limit: limit.map(str::to_owned), ..Plain::default() };
    for s in sources {
        if s.contains(',') {
            for h in s.split(',').map(str::trim).filter(|h| !h.is_empty()) {
                out.add_host(h, &["ungrouped".into()], &Dict::new());
            }
            continue;
        }
        let Ok(text) = std::fs::read_to_string(s) else { continue };
        out.sources.push(Path::new(&crate::source::paths::unfrack(s)).into());
        let mut group = "ungrouped".to_owned();
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with(['#', ';'])) {
            if let Some(g) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                group = g.to_owned();
                continue;
            }
            let words = crate::playbook::split::split_args(line)?;
            let Some((host, rest)) = words.split_first() else { continue };
            let vars = Dict::new();
            for w in rest {
                if let Some((k, v)) = w.split_once('=') {
                    vars.insert(k, Value::Str(Str::trusted(crate::playbook::split::unquote(v.trim()))));
                }
            }
            out.add_host(host, std::slice::from_ref(&group), &vars);
        }
    }
    Ok(out)
}

impl Plain {
    fn named(&self, pattern: &str) -> Vec<Name> {
        let hosts = self.hosts.read();
        let mut out: Vec<Name> = Vec::new();
        for part in pattern.split([',', ':']).filter(|p| !p.is_empty()) {
            let (keep, p) = match part.strip_prefix('!') {
                Some(p) => (false, p),
                None => (true, part),
            };
            let found: Vec<Name> = if p == "all" || p == "*" {
                hosts.keys().cloned().collect()
            } else if let Some(g) = self.groups.read().get(p) {
                g.hosts.clone()
            } else if let Some((h, _)) = hosts.get_key_value(p) {
                vec![h.clone()]
            } else if p.contains('*') {
                hosts.keys().filter(|h| crate::lookup::glob(p, h)).cloned().collect()
            } else if matches!(p, "localhost" | "127.0.0.1" | "::1") {
                vec![p.into()]
            } else {
                Vec::new()
            };
            if keep {
                for h in found {
                    if !out.contains(&h) {
                        out.push(h);
                    }
                }
            } else {
                out.retain(|h| !found.contains(h));
            }
        }
        out
    }
}

impl Inventory for Plain {
    fn hosts(&self) -> Vec<Name> {
        self.hosts.read().keys().cloned().collect()
    }
    fn groups(&self) -> Vec<(Name, Vec<Name>)> {
        let mut out = vec![(Name::from("all"), self.hosts())];
        out.extend(self.groups.read().iter().map(|(n, g)| (n.clone(), g.hosts.clone())));
        if !out.iter().any(|(n, _)| &**n == "ungrouped") {
            out.push(("ungrouped".into(), Vec::new()));
        }
        out
    }
    fn groups_of(&self, host: &str) -> Vec<Name> {
        let mut out: Vec<Name> = vec!["all".into()];
        out.extend(self.groups.read().iter().filter(|(_, g)| g.hosts.iter().any(|h| &**h == host)).map(|(n, _)| n.clone()));
        out
    }
    fn host_vars(&self, host: &str) -> Dict {
        self.hosts.read().get(host).cloned().unwrap_or_default()
    }
    fn group_vars(&self, group: &str) -> Dict {
        self.groups.read().get(group).map(|g| g.vars.clone()).unwrap_or_default()
    }
    fn matching(&self, pattern: &str) -> Result<Vec<Name>, String> {
        Ok(self.named(pattern))
    }
    fn chosen(&self, pattern: &str) -> Result<Vec<Name>, String> {
        let found = self.named(pattern);
        Ok(match &self.limit {
            Some(l) => {
                let within = self.named(l);
                found.into_iter().filter(|h| within.contains(h)).collect()
            }
            None => found,
        })
    }
    fn sources(&self) -> Vec<Arc<Path>> {
        self.sources.clone()
    }
    fn source_of(&self, _host: &str) -> Option<Arc<str>> {
        self.sources.first().map(|s| s.display().to_string().into())
    }
    fn add_host(&self, name: &str, groups: &[String], vars: &Dict) -> bool {
        let fresh = !self.hosts.read().contains_key(name);
        let own = self.hosts.write().entry(name.into()).or_default().clone();
        for (k, v) in vars.items() {
            own.insert(k, v);
        }
        let mut changed = fresh;
        for g in groups {
            changed |= self.add_to_group(name, g, &[]);
        }
        self.generation.fetch_add(1, Ordering::Relaxed);
        changed
    }
    fn add_to_group(&self, host: &str, group: &str, _parents: &[String]) -> bool {
        self.generation.fetch_add(1, Ordering::Relaxed);
        let mut groups = self.groups.write();
        let g = groups.entry(group.into()).or_default();
        if g.hosts.iter().any(|h| &**h == host) {
            return false;
        }
        g.hosts.push(host.into());
        true
    }
    fn refresh(&self) -> Result<(), String> {
        Ok(())
    }
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }
}
