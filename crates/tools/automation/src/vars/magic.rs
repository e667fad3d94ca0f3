//! The magic variables: what the engine itself knows.

use std::sync::Arc;

use pileus_jinja::{Dict, Value};

use super::Vars;
use super::hostvars::{AllVars, HostVars};

/// Their names.
pub const NAMES: [&str; 40] = [
    "ansible_check_mode",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_parent_role_names",
    "ansible_parent_role_paths",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_name",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_search_path",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "omit",
    "play_hosts",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
    "role_uuid",
    "vars",
    "ansible_local_placeholder",
];

fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> Value {
    Value::list(items.into_iter().map(|s| Value::str(s.as_ref())).collect())
}

/// The version of ansible-core whose behaviour this is.
pub const VERSION: [i64; 3] = [2, 19, 14];

/// `ansible_version`.
fn version() -> Value {
    let d = Dict::new();
    let full = VERSION.map(|n| n.to_string()).join(".");
    d.insert("string", full.as_str());
    d.insert("full", full);
    d.insert("major", VERSION[0]);
    d.insert("minor", VERSION[1]);
    d.insert("revision", VERSION[2]);
    Value::Dict(d)
}

/// The magic variable `name`.
pub fn get(vars: &Vars, name: &str) -> Option<Value> {
    let world = &vars.world;
    let options = &world.options;
    let host = vars.host.as_deref();
    let role = || vars.frame.as_ref().and_then(|f| f.role.clone());
    Some(match name {
        "inventory_hostname" => Value::str(host?),
        "inventory_hostname_short" => Value::str(host?.split('.').next()?),
        "inventory_file" => {
            let v = world.inventory.source_of(host?);
            v.map_or(Value::None, |v| Value::str(&*v))
        }
        "inventory_dir" => {
            let file = world.inventory.source_of(host?);
            let dir = file.and_then(|f| std::path::Path::new(&*f).parent().map(|p| p.display().to_string()));
            dir.map_or(Value::None, Value::from)
        }
        "group_names" => {
            let mut names: Vec<Arc<str>> =
                world.inventory.groups_of(host?).into_iter().filter(|g| &**g != "all").collect();
            names.sort();
            texts(names)
        }
        "groups" => Value::dict(
            world.inventory.groups().into_iter().map(|(g, hosts)| (Value::str(&*g), texts(hosts))),
        ),
        "hostvars" => Value::object(HostVars { world: world.clone(), run: vars.run.clone() }),
        "vars" => Value::object(AllVars { vars: vars.clone() }),
        // a global of the engine
        "omit" => return None,
        "playbook_dir" => Value::str(&*vars.directory()),
        "ansible_facts" => Value::Dict(world.host(host?).stripped.clone()),
        "ansible_version" => version(),
        // of the run, whatever a play or task says of itself
        "ansible_check_mode" => Value::Bool(options.check),
        "ansible_diff_mode" => Value::Bool(options.diff),
        "ansible_forks" => Value::Int(options.forks as i64),
        "ansible_verbosity" => Value::Int(i64::from(crate::display::verbosity())),
        "ansible_run_tags" => texts(&options.tags),
        "ansible_skip_tags" => texts(&options.skip_tags),
        "ansible_limit" => Value::str(options.limit.as_deref()?),
        "ansible_inventory_sources" => texts(&options.inventory),
        "ansible_config_file" => {
            let file = crate::config::current().file();
            file.map_or(Value::None, |f| Value::from(f.display().to_string()))
        }
        "ansible_playbook_python" => Value::str(world.python()),
        "ansible_search_path" => {
            let mut out = Vec::new();
            if let Some(r) = role() {
                out.push(r.path.to_string());
            }
            if let Some(f) = &vars.frame
                && !f.directory.is_empty()
            {
                out.push(f.directory.to_string());
            }
            out.push(vars.directory().to_string());
            out.dedup();
            texts(out)
        }
        // of all batches; those who dropped out of one before this as well
        "ansible_play_hosts" => {
            let run = vars.run.as_ref()?;
            let lost = world.lost.lock();
            texts(run.all.iter().filter(|h| !run.has_lost(h) && !lost.contains_key(*h)))
        }
        "ansible_play_batch" | "play_hosts" => {
            let run = vars.run.as_ref()?;
            texts(run.batch.iter().filter(|h| !run.has_lost(h)))
        }
        "ansible_play_hosts_all" => texts(vars.run.as_ref()?.all.iter()),
        "ansible_play_name" => Value::str(vars.run.as_ref()?.name.as_str()),
        "role_names" | "ansible_role_names" | "ansible_play_role_names" | "ansible_dependent_role_names" => {
            let run = vars.run.as_ref()?;
            let list = run.play.role_list.read();
            let mut direct: Vec<String> = Vec::new();
            let mut dependent: Vec<String> = Vec::new();
            for r in list.iter() {
                let n = r.full_name.to_string();
                if !direct.contains(&n) && run.direct_roles.iter().any(|d| Arc::ptr_eq(d, r)) {
                    direct.push(n);
                }
                for d in &r.dependencies {
                    let n = d.full_name.to_string();
                    if !dependent.contains(&n) {
                        dependent.push(n);
                    }
                }
            }
            match name {
                "ansible_dependent_role_names" => texts(dependent),
                "ansible_role_names" => {
                    dependent.retain(|d| !direct.contains(d));
                    direct.extend(dependent);
                    texts(direct)
                }
                _ => texts(direct),
            }
        }
        "role_name" => Value::str(&*role()?.name),
        "ansible_role_name" => Value::str(&*role()?.full_name),
        "role_path" => Value::str(&*role()?.path),
        "role_uuid" => Value::from(format!("{:p}", Arc::as_ptr(&role()?))),
        "ansible_collection_name" => Value::str(&*role()?.collection.clone()?),
        "ansible_parent_role_names" | "ansible_parent_role_paths" => {
            let chain = &vars.frame.as_ref()?.chain;
            let (_, parents) = chain.split_last()?;
            if parents.is_empty() {
                return None;
            }
            let paths = name.ends_with("paths");
            texts(
                parents
                    .iter()
                    .rev()
                    .map(|r| if paths { r.path.to_string() } else { r.full_name.to_string() }),
            )
        }
        _ => return None,
    })
}
