//! `ansible-inventory`: what the sources say, as JSON, YAML, TOML or a tree.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs;

use pileus_jinja::{Dict, Value};

use super::args::{Count, Given, Grammar, Takes, flag};
use super::{common, flags};
use crate::config::Config;
use crate::inventory::{Flattener, Inventory, Kind, Manager, Name, merge};
use crate::source::{dump_json, dump_toml, dump_yaml};
use crate::{Error, display, os_error};

const ACTIONS: &str = "Actions";

/// Variables that are the engine's, not the inventory's.
const INTERNAL: [&str; 25] = [
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "group_names",
];
const INTERNAL_TOO: [&str; 6] = ["groups", "hostvars", "omit", "playbook_dir", "play_hosts", "role_names"];

fn grammar() -> Grammar {
    let mut g = Grammar::new(
        "ansible-inventory",
        "Show Ansible inventory information, by default it uses the inventory script JSON format",
    )
    .arguments(Count::Optional, "group", "The name of a group in the inventory, relevant when using --graph")
    .with(flags::base())
    // the reference takes --list-hosts away here
    .with(flags::inventory().into_iter().filter(|f| f.dest != "listhosts"))
    .with(flags::vaults())
    .with([
        flags::playbook_dir(),
        flags::extra_vars(),
        flag(&["--list"], "list", Takes::Flag, "Output all hosts info, works as inventory script").group(ACTIONS),
        flag(
            &["--host"],
            "host",
            Takes::Value,
            "Output specific host info, works as inventory script. It will ignore limit",
        )
        .group(ACTIONS),
        flag(
            &["--graph"],
            "graph",
            Takes::Flag,
            "create inventory graph, if supplying pattern it must be a valid group name. It will ignore limit",
        )
        .group(ACTIONS),
        flag(&["-y", "--yaml"], "yaml", Takes::Flag, "Use YAML format instead of default JSON, ignored for --graph"),
        flag(&["--toml"], "toml", Takes::Flag, "Use TOML format instead of default JSON, ignored for --graph"),
        flag(&["--vars"], "show_vars", Takes::Flag, "Add vars to graph display, ignored unless used with --graph"),
        flag(
            &["--export"],
            "export",
            Takes::Flag,
            "When doing --list, represent in a way that is optimized for export,not as an accurate representation of \
             how Ansible has processed it",
        ),
        flag(
            &["--output"],
            "output_file",
            Takes::Value,
            "When doing --list, send the inventory to a file instead of to the screen",
        ),
    ]);
    g.groups = vec![(ACTIONS, "One of following must be used on invocation, ONLY ONE!")];
    g
}

/// The whole program; the exit code.
pub fn main(args: &[OsString]) -> i32 {
    common::run(&grammar(), args, run)
}

fn run(given: &Given, config: &'static Config) -> Result<i32, Error> {
    let used = usize::from(given.on("list")) + usize::from(given.on("host")) + usize::from(given.on("graph"));
    if used == 0 {
        return Err(Error::options(
            "No action selected, at least one of --host, --graph or --list needs to be specified.",
        ));
    }
    if used > 1 {
        return Err(Error::options(
            "Conflicting options used, only one of --host, --graph or --list can be used at the same time.",
        ));
    }
    let (loader, manager, extra) = common::prepare(given, config)?;
    // The process ends with its answer: taking 100,000 hosts apart first would be a sixth of its time.
    let manager = Box::leak(Box::new(manager));
    let dir = loader.base();
    let mut shown = Shown {
        given,
        manager,
        flat: Flattener::new(manager, &dir),
        dir: given.value("basedir").map(|_| dir.clone()),
        extra,
        export: given.on("export") || config.bool("INVENTORY_EXPORT"),
    };
    let text = if let Some(host) = given.value("host") {
        let hosts = manager.select(host, true)?;
        let [host] = hosts.as_slice() else {
            return Err(Error::options("You must pass a single valid host to --host parameter"));
        };
        let vars = shown.host(host)?;
        let top = Value::Dict(vars);
        if given.on("yaml") || given.on("toml") { shown.dump(&top)? } else { shown.host_json(&top) }
    } else {
        manager.set_limit(given.value("subset").or(config.text("DEFAULT_SUBSET")))?;
        if given.on("graph") {
            shown.graph(given.args.first().map_or("all", String::as_str))?
        } else {
            let top = if given.on("yaml") {
                shown.yaml()?
            } else if given.on("toml") {
                shown.toml()?
            } else {
                shown.json()?
            };
            shown.dump(&top)?
        }
    };
    match given.value("output_file") {
        None => display::out(&text),
        Some(file) => fs::write(file, &text).map_err(|e| {
            Error::new(format!("Unable to write to destination file '{file}'.")).because(os_error(&e, file))
        })?,
    }
    Ok(i32::from(text.is_empty()))
}

struct Shown<'a> {
    given: &'a Given,
    manager: &'a Manager,
    flat: Flattener<'a>,
    /// `--playbook-dir`, where it is given.
    dir: Option<String>,
    extra: Dict,
    export: bool,
}

fn without_internal(vars: Dict) -> Dict {
    vars.write()
        .retain(|k, _| k.as_str().is_none_or(|k| !INTERNAL.contains(&k) && !INTERNAL_TOO.contains(&k)));
    vars
}

/// A group being formatted: its keys that are empty go, and so does it where nothing is left.
fn put(into: &Dict, name: &str, group: Dict) {
    group.write().retain(|_, v| v.truth().unwrap_or(true));
    if !group.is_empty() {
        into.insert(name, Value::Dict(group));
    }
}

impl Shown<'_> {
    fn dirs(&self) -> Vec<String> {
        let mut dirs = self.manager.directories();
        dirs.extend(self.dir.clone());
        dirs
    }

    fn host(&mut self, host: &str) -> Result<Dict, Error> {
        if !self.export {
            return Ok(without_internal(self.flat.vars(host, &self.extra)?));
        }
        let vars = self.manager.host_vars(host);
        self.manager.beside().vars(self.manager.loader(), &self.dirs(), Kind::Host, host, &vars)?;
        Ok(without_internal(vars))
    }

    fn group(&self, group: usize) -> Result<Dict, Error> {
        let (name, vars, priority) = self.manager.read(|d| {
            let g = &d.groups[group];
            (g.name.clone(), g.vars.copy(), g.priority)
        });
        let out = Dict::new();
        merge::update(&out, &vars);
        self.manager.beside().vars(self.manager.loader(), &self.dirs(), Kind::Group, &name, &out)?;
        if priority != 1 {
            out.insert("ansible_group_priority", Value::Int(priority));
        }
        Ok(without_internal(out))
    }

    fn dump(&self, top: &Value) -> Result<String, Error> {
        if self.given.on("yaml") {
            return Ok(dump_yaml::dump(top));
        }
        if self.given.on("toml") {
            return match top {
                Value::Dict(d) => dump_toml::dump(d),
                _ => Ok(String::new()),
            };
        }
        Ok(dump_json::dump(top, dump_json::Style { mark_untrusted: true }))
    }

    /// One host's variables: all of it is variables.
    fn host_json(&self, vars: &Value) -> String {
        let style = dump_json::Style { mark_untrusted: true };
        dump_json::dump_variables(vars, style)
    }

    fn parts(&self, group: usize) -> (Name, Vec<usize>, Vec<Name>) {
        self.manager.read(|d| {
            let g = &d.groups[group];
            (g.name.clone(), g.children.clone(), g.hosts.iter().map(|h| d.hosts[*h].name.clone()).collect())
        })
    }

    fn json(&mut self) -> Result<Value, Error> {
        let hosts = self.manager.select("all", false)?;
        let available: HashSet<Name> = hosts.iter().cloned().collect();
        let out = Dict::new();
        self.json_group(0, &available, &mut HashSet::new(), &out)?;
        let hostvars = Dict::new();
        for host in &hosts {
            let vars = self.host(host)?;
            if !vars.is_empty() {
                hostvars.insert(Value::str(&**host), Value::Dict(vars));
            }
        }
        let meta = Dict::new();
        meta.insert("hostvars", Value::Dict(hostvars));
        meta.insert("profile", Value::str("inventory_legacy"));
        out.insert("_meta", Value::Dict(meta));
        Ok(Value::Dict(out))
    }

    fn json_group(
        &self,
        group: usize,
        available: &HashSet<Name>,
        seen: &mut HashSet<usize>,
        out: &Dict,
    ) -> Result<(), Error> {
        let (name, children, hosts) = self.parts(group);
        let this = Dict::new();
        if &*name != "all" {
            let hosts = hosts.iter().filter(|h| available.contains(*h)).map(|h| Value::str(&**h)).collect();
            this.insert("hosts", Value::list(hosts));
        }
        let names = children.iter().map(|c| Value::str(&*self.parts(*c).0)).collect();
        this.insert("children", Value::list(names));
        for child in children {
            if seen.insert(child) {
                self.json_group(child, available, seen, out)?;
            }
        }
        if self.export {
            this.insert("vars", Value::Dict(self.group(group)?));
        }
        put(out, &name, this);
        Ok(())
    }

    fn yaml(&mut self) -> Result<Value, Error> {
        let available: HashSet<Name> = self.manager.select("all", false)?.into_iter().collect();
        let out = Dict::new();
        self.yaml_group(0, &available, &mut HashSet::new(), &mut HashSet::new(), &out)?;
        Ok(Value::Dict(out))
    }

    fn yaml_group(
        &mut self,
        group: usize,
        available: &HashSet<Name>,
        seen_groups: &mut HashSet<usize>,
        seen_hosts: &mut HashSet<Name>,
        out: &Dict,
    ) -> Result<(), Error> {
        let (_, children, hosts) = self.parts(group);
        let below = Dict::new();
        for child in children {
            if seen_groups.contains(&child) {
                below.insert(Value::str(&*self.parts(child).0), Value::Dict(Dict::new()));
            } else {
                self.yaml_group(child, available, seen_groups, seen_hosts, &below)?;
                seen_groups.insert(child);
            }
        }
        let hosts: Vec<Name> = hosts.into_iter().filter(|h| available.contains(h)).collect();
        self.entry(group, Value::Dict(below), &hosts, seen_hosts, out)
    }

    /// Puts a group's entry: what is below it, its own hosts with their variables where they are named first.
    fn entry(
        &mut self,
        group: usize,
        below: Value,
        hosts: &[Name],
        seen: &mut HashSet<Name>,
        out: &Dict,
    ) -> Result<(), Error> {
        let (name, ..) = self.parts(group);
        let (this, members) = (Dict::new(), Dict::new());
        for host in hosts.iter().filter(|_| &*name != "all") {
            let vars = if seen.insert(host.clone()) { self.host(host)? } else { Dict::new() };
            members.insert(Value::str(&**host), Value::Dict(vars));
        }
        this.insert("children", below);
        this.insert("hosts", Value::Dict(members));
        if self.export {
            this.insert("vars", Value::Dict(self.group(group)?));
        }
        put(out, &name, this);
        Ok(())
    }

    fn toml(&mut self) -> Result<Value, Error> {
        let available: HashSet<Name> = self.manager.select("all", false)?.into_iter().collect();
        let out = Dict::new();
        self.toml_group(0, &available, &mut HashSet::new(), &out)?;
        Ok(Value::Dict(out))
    }

    fn toml_group(
        &mut self,
        group: usize,
        available: &HashSet<Name>,
        seen: &mut HashSet<Name>,
        out: &Dict,
    ) -> Result<(), Error> {
        let (name, children, hosts) = self.parts(group);
        let mut below = Vec::new();
        for child in children {
            let (child_name, _, child_hosts) = self.parts(child);
            if &*child_name == "ungrouped" && child_hosts.is_empty() {
                continue;
            }
            if &*name != "all" {
                below.push(Value::str(&*child_name));
            }
            self.toml_group(child, available, seen, out)?;
        }
        let hosts: Vec<Name> = hosts.into_iter().filter(|h| available.contains(h)).collect();
        self.entry(group, Value::list(below), &hosts, seen, out)
    }

    fn graph(&mut self, group: &str) -> Result<String, Error> {
        let Some(start) = self.manager.read(|d| d.group(group)) else {
            return Err(Error::options("Pattern must be valid group name when using --graph"));
        };
        let mut lines = Vec::new();
        self.graph_group(start, 0, &mut lines)?;
        Ok(lines.join("\n"))
    }

    fn graph_group(&mut self, group: usize, depth: usize, lines: &mut Vec<String>) -> Result<(), Error> {
        let (name, children, hosts) = self.parts(group);
        lines.push(branch(&format!("@{name}:"), depth));
        for child in children {
            self.graph_group(child, depth + 1, lines)?;
        }
        let show = self.given.on("show_vars");
        if &*name != "all" {
            for host in hosts {
                lines.push(branch(&host, depth + 1));
                if show {
                    let vars = self.host(&host)?;
                    show_vars(&vars, depth + 2, lines)?;
                }
            }
        }
        if show {
            show_vars(&self.group(group)?, depth + 1, lines)?;
        }
        Ok(())
    }
}

fn branch(name: &str, depth: usize) -> String {
    if depth == 0 { name.to_owned() } else { format!("{}--{name}", "  |".repeat(depth)) }
}

fn show_vars(vars: &Dict, depth: usize, lines: &mut Vec<String>) -> Result<(), Error> {
    let mut pairs: Vec<(String, String)> =
        vars.items().iter().map(|(k, v)| Ok((k.to_text()?, v.to_text()?))).collect::<Result<_, Error>>()?;
    pairs.sort();
    lines.extend(pairs.iter().map(|(k, v)| branch(&format!("{{{k} = {v}}}"), depth)));
    Ok(())
}
