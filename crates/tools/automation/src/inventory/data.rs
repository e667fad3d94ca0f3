//! Hosts and groups as the sources fill them in: who is in what, variables, depth, priority.
//!
//! Hosts and groups are numbers into two tables; a group knows its own hosts, children and parents, and what
//! follows from these (all hosts of a group, all groups of a host) is worked out when asked.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use pileus_jinja::value::repr_str;
use pileus_jinja::{Dict, Value};

use super::Name;
use crate::{Error, display};

/// The names of the host that needs no source.
pub const LOCALHOST: [&str; 3] = ["127.0.0.1", "localhost", "::1"];
const ALL: usize = 0;
const UNGROUPED: usize = 1;

/// A host.
#[derive(Debug)]
pub struct Host {
    /// Its name.
    pub name: Name,
    /// Its variables.
    pub vars: Dict,
    /// The groups that name it.
    pub groups: Vec<usize>,
    /// The source that named it first.
    pub source: Option<Arc<str>>,
}

/// A group.
#[derive(Debug)]
pub struct Group {
    /// Its name.
    pub name: Name,
    /// The hosts it names.
    pub hosts: Vec<usize>,
    members: HashSet<usize>,
    /// Its variables.
    pub vars: Dict,
    /// Groups in it.
    pub children: Vec<usize>,
    /// Groups it is in.
    pub parents: Vec<usize>,
    /// How far it is below `all`.
    pub depth: u32,
    /// `ansible_group_priority`.
    pub priority: i64,
}

/// Hosts and groups.
#[derive(Debug)]
pub struct Data {
    /// The hosts, in order of their sources.
    pub hosts: Vec<Host>,
    /// The groups: `all`, `ungrouped`, the others in order of their sources.
    pub groups: Vec<Group>,
    host_index: HashMap<Name, usize>,
    group_index: HashMap<Name, usize>,
    /// The source being read: new hosts come from it.
    pub source: Option<Arc<str>>,
    /// The first host that is called like the local one.
    pub localhost: Option<usize>,
}

impl Default for Data {
    fn default() -> Self {
        let mut data = Self {
            hosts: Vec::new(),
            groups: Vec::new(),
            host_index: HashMap::new(),
            group_index: HashMap::new(),
            source: None,
            localhost: None,
        };
        for name in ["all", "ungrouped"] {
            data.new_group(name);
        }
        data.groups[ALL].children.push(UNGROUPED);
        data.groups[UNGROUPED].parents.push(ALL);
        data.groups[UNGROUPED].depth = 1;
        data
    }
}

impl Data {
    fn new_group(&mut self, name: &str) -> usize {
        let name: Name = name.into();
        let id = self.groups.len();
        self.group_index.insert(name.clone(), id);
        self.groups.push(Group {
            name,
            hosts: Vec::new(),
            members: HashSet::new(),
            vars: Dict::new(),
            children: Vec::new(),
            parents: Vec::new(),
            depth: 0,
            priority: 1,
        });
        id
    }

    /// The host called `name`.
    pub fn host(&self, name: &str) -> Option<usize> {
        self.host_index.get(name).copied()
    }
    /// The group called `name`.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.group_index.get(name).copied()
    }

    /// The group called `name`, made where there is none; its name may be changed to a valid one.
    ///
    /// # Errors
    /// Where the name is empty.
    pub fn add_group(&mut self, name: &str) -> Result<usize, Error> {
        if name.is_empty() {
            return Err(Error::new(format!("Invalid empty/false group name provided: {name}")));
        }
        if let Some(id) = self.group(name) {
            return Ok(id);
        }
        let safe = super::names::safe_group(name);
        match self.group(&safe) {
            Some(id) => Ok(id),
            None => Ok(self.new_group(&safe)),
        }
    }

    /// The host called `name`, made where there is none, put into `group`.
    ///
    /// # Errors
    /// Where the name is empty.
    pub fn add_host(&mut self, name: &str, group: Option<usize>, port: Option<u16>) -> Result<usize, Error> {
        if name.is_empty() {
            return Err(Error::new(format!("Invalid empty host name provided: {name}")));
        }
        let id = match self.host(name) {
            Some(id) => id,
            None => self.new_host(name, port),
        };
        if let Some(group) = group {
            self.add_member(group, id);
        }
        Ok(id)
    }

    fn new_host(&mut self, name: &str, port: Option<u16>) -> usize {
        let id = self.hosts.len();
        let name: Name = name.into();
        let vars = Dict::new();
        if let Some(port) = port {
            vars.insert("ansible_port", Value::Int(i64::from(port)));
        }
        self.host_index.insert(name.clone(), id);
        if LOCALHOST.contains(&&*name) {
            match self.localhost {
                None => self.localhost = Some(id),
                Some(first) => display::warning(&format!(
                    "A duplicate localhost-like entry was found ({name}). First found localhost was {}",
                    self.hosts[first].name
                )),
            }
        }
        self.hosts.push(Host { name, vars, groups: Vec::new(), source: self.source.clone() });
        id
    }

    fn add_member(&mut self, group: usize, host: usize) -> bool {
        let new = self.groups[group].members.insert(host);
        if new {
            self.groups[group].hosts.push(host);
            self.hosts[host].groups.push(group);
        }
        new
    }

    /// Puts a host or group into `group`; whether it was not there.
    ///
    /// # Errors
    /// Where there is no such host or group, or groups would hold each other.
    pub fn add_child(&mut self, group: usize, child: &str) -> Result<bool, Error> {
        if let Some(child) = self.group(child) {
            return self.add_child_group(group, child);
        }
        match self.host(child) {
            Some(host) => Ok(self.add_member(group, host)),
            None => Err(Error::new(format!("{child} is not a known host nor group"))),
        }
    }

    /// Puts the group `child` into `group`; whether it was not there.
    ///
    /// # Errors
    /// Where groups would hold each other.
    pub fn add_child_group(&mut self, group: usize, child: usize) -> Result<bool, Error> {
        if group == child {
            return Err(Error::new("can't add group to itself"));
        }
        if self.groups[group].children.contains(&child) {
            return Ok(false);
        }
        if self.ancestors(group).contains(&child) {
            return Err(Error::new(format!(
                "Adding group '{}' as child to '{}' creates a recursive dependency loop.",
                self.groups[child].name, self.groups[group].name
            )));
        }
        self.groups[group].children.push(child);
        self.groups[child].parents.push(group);
        let depth = self.groups[group].depth;
        self.sink(child, depth + 1);
        Ok(true)
    }

    /// Puts `group` at least at `depth`, and its children below it.
    fn sink(&mut self, group: usize, depth: u32) {
        let mut queue = VecDeque::from([(group, depth)]);
        while let Some((g, d)) = queue.pop_front() {
            if self.groups[g].depth < d {
                self.groups[g].depth = d;
                queue.extend(self.groups[g].children.iter().map(|c| (*c, d + 1)));
            }
        }
    }

    /// Every group above `group`.
    pub fn ancestors(&self, group: usize) -> HashSet<usize> {
        let mut seen = HashSet::new();
        let mut open = self.groups[group].parents.clone();
        while let Some(g) = open.pop() {
            if seen.insert(g) {
                open.extend(&self.groups[g].parents);
            }
        }
        seen
    }

    /// `group` and every group below it, level by level.
    pub fn descendants(&self, group: usize) -> Vec<usize> {
        let mut out = vec![group];
        let mut seen: HashSet<usize> = out.iter().copied().collect();
        let mut at = 0;
        while at < out.len() {
            for &child in &self.groups[out[at]].children {
                if seen.insert(child) {
                    out.push(child);
                }
            }
            at += 1;
        }
        out
    }

    /// The hosts of `group` and of the groups below it.
    pub fn hosts_in(&self, group: usize) -> Vec<usize> {
        let mut seen = vec![false; self.hosts.len()];
        let mut out = Vec::new();
        for g in self.descendants(group) {
            for &h in &self.groups[g].hosts {
                if !std::mem::replace(&mut seen[h], true) {
                    out.push(h);
                }
            }
        }
        out
    }

    /// The groups of `host`, those above its own included, from the weakest to the strongest.
    pub fn groups_of(&self, host: usize) -> Vec<usize> {
        let mut all: HashSet<usize> = HashSet::new();
        for &g in &self.hosts[host].groups {
            all.insert(g);
            all.extend(self.ancestors(g));
        }
        let mut out: Vec<usize> = all.into_iter().collect();
        self.sort_groups(&mut out);
        out
    }

    /// Sorts by depth, priority and name.
    pub fn sort_groups(&self, groups: &mut [usize]) {
        groups.sort_by(|a, b| {
            let (a, b) = (&self.groups[*a], &self.groups[*b]);
            (a.depth, a.priority, &a.name).cmp(&(b.depth, b.priority, &b.name))
        });
    }

    /// Sets a variable of a host.
    pub fn set_host_var(&mut self, host: usize, key: &Value, value: Value) {
        super::names::check_variable(key);
        super::merge::set(&self.hosts[host].vars, key.clone(), value);
    }

    /// Sets a variable of a group.
    ///
    /// # Errors
    /// Where it is a priority and no number.
    pub fn set_group_var(&mut self, group: usize, key: &Value, value: Value) -> Result<(), Error> {
        super::names::check_variable(key);
        if key.as_str() == Some("ansible_group_priority") {
            let number = value.as_int().or_else(|| value.as_str().and_then(|s| s.trim().parse().ok()));
            self.groups[group].priority = number.ok_or_else(|| {
                Error::new(format!(
                    "invalid literal for int() with base 10: {}",
                    repr_str(&value.to_text().unwrap_or_default())
                ))
            })?;
            return Ok(());
        }
        super::merge::set(&self.groups[group].vars, key.clone(), value);
        Ok(())
    }

    /// Keeps the basic rules: every group is in `all`, every host without one in `ungrouped`.
    pub fn reconcile(&mut self) {
        self.source = None;
        for g in 1..self.groups.len() {
            if self.groups[g].parents.is_empty() {
                self.groups[ALL].children.push(g);
                self.groups[g].parents.push(ALL);
                self.sink(g, 1);
            }
        }
        let mut strays = Vec::new();
        for (id, host) in self.hosts.iter_mut().enumerate() {
            let real = host.groups.iter().any(|g| *g != ALL && *g != UNGROUPED);
            let loose = host.groups.contains(&UNGROUPED);
            if real && loose {
                host.groups.retain(|g| *g != UNGROUPED);
                strays.push(id);
            } else if !real && !loose {
                host.groups.push(UNGROUPED);
                self.groups[UNGROUPED].members.insert(id);
                self.groups[UNGROUPED].hosts.push(id);
            }
        }
        if !strays.is_empty() {
            let gone: HashSet<usize> = strays.into_iter().collect();
            self.groups[UNGROUPED].hosts.retain(|h| !gone.contains(h));
            self.groups[UNGROUPED].members.retain(|h| !gone.contains(h));
        }
        for g in &self.groups {
            if self.host_index.contains_key(&g.name) {
                display::warning(&format!("Found both group and host with same name: {}", g.name));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_depth_and_loops() {
        let mut d = Data::default();
        let (a, b) = (d.add_group("a").unwrap(), d.add_group("b").unwrap());
        d.add_child_group(a, b).unwrap();
        let h = d.add_host("h", Some(b), Some(22)).unwrap();
        let loose = d.add_host("loose", None, None).unwrap();
        d.reconcile();
        let names: Vec<&str> = d.groups_of(h).into_iter().map(|g| &*d.groups[g].name).collect();
        assert_eq!(names, ["all", "a", "b"]);
        assert_eq!(d.groups[b].depth, 2);
        assert_eq!(d.hosts_in(UNGROUPED), [loose]);
        assert_eq!(d.hosts_in(ALL), [loose, h]);
        assert_eq!(
            d.add_child_group(b, a).unwrap_err().brief(),
            "Adding group 'a' as child to 'b' creates a recursive dependency loop."
        );
        assert_eq!(d.hosts[h].vars.get("ansible_port"), Some(Value::Int(22)));
    }
}
