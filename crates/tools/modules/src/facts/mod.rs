//! The facts of a machine, as `setup` gives them: small collectors over /proc, /sys and netlink.
//!
//! ```text
//! gather_subset ──► names ──► collectors (and those they need) ──► facts without prefix ──► filter ──► ansible_*
//! ```
//! The names and values are those of ansible-core 2.19 on Linux; programs run only for what the kernel doesn't
//! say (`lsb_release`, `capsh`, `ethtool`, the Python interpreter).

mod devices;
mod distribution;
mod dmi;
mod hardware;
mod local;
mod lvm;
mod mounts;
mod names;
mod netlink;
mod network;
mod platform;
mod services;
mod small;
mod user;
mod virt;

use std::fs;

use serde_json::Value;

use crate::cx::Cx;
use crate::result::{Fail, Map};

/// Facts without their prefix.
pub type Facts = Map;

/// A collector: its name, the facts it can be asked for by, what it needs, what it does.
struct Collector {
    name: &'static str,
    ids: &'static [&'static str],
    needs: &'static [&'static str],
    run: fn(&mut Cx<'_>, &mut Facts),
}

static COLLECTORS: &[Collector] = &[
    Collector { name: "apparmor", ids: &[], needs: &[], run: small::apparmor },
    Collector {
        name: "caps",
        ids: &["system_capabilities", "system_capabilities_enforced"],
        needs: &[],
        run: small::capabilities,
    },
    Collector { name: "chroot", ids: &["is_chroot"], needs: &[], run: small::chroot },
    Collector { name: "cmdline", ids: &[], needs: &[], run: small::cmdline },
    Collector { name: "date_time", ids: &[], needs: &[], run: small::date_time },
    Collector {
        name: "distribution",
        ids: &["distribution_version", "distribution_release", "distribution_major_version", "os_family"],
        needs: &[],
        run: distribution::collect,
    },
    Collector { name: "dns", ids: &[], needs: &[], run: small::dns },
    Collector { name: "env", ids: &[], needs: &[], run: small::env },
    Collector { name: "fibre_channel_wwn", ids: &[], needs: &[], run: small::fibre_channel },
    Collector { name: "fips", ids: &[], needs: &[], run: small::fips },
    Collector {
        name: "hardware",
        ids: &["processor", "processor_cores", "processor_count", "mounts", "devices"],
        needs: &["platform"],
        run: hardware::collect,
    },
    Collector { name: "iscsi", ids: &[], needs: &[], run: small::iscsi },
    Collector { name: "loadavg", ids: &[], needs: &[], run: small::loadavg },
    Collector { name: "local", ids: &[], needs: &[], run: local::collect },
    Collector { name: "lsb", ids: &[], needs: &[], run: small::lsb },
    Collector {
        name: "network",
        ids: &["interfaces", "default_ipv4", "default_ipv6", "all_ipv4_addresses", "all_ipv6_addresses"],
        needs: &["platform", "distribution"],
        run: network::collect,
    },
    Collector { name: "nvme", ids: &[], needs: &[], run: small::nvme },
    Collector { name: "pkg_mgr", ids: &[], needs: &["distribution"], run: services::collect_packages },
    Collector {
        name: "platform",
        ids: &[
            "system",
            "kernel",
            "kernel_version",
            "machine",
            "python_version",
            "architecture",
            "machine_id",
        ],
        needs: &[],
        run: platform::collect,
    },
    Collector { name: "python", ids: &[], needs: &[], run: platform::python },
    Collector { name: "selinux", ids: &[], needs: &[], run: small::selinux },
    Collector {
        name: "service_mgr",
        ids: &[],
        needs: &["platform", "distribution"],
        run: services::collect_services,
    },
    Collector {
        name: "ssh_pub_keys",
        ids: &[
            "ssh_host_pub_keys",
            "ssh_host_key_dsa_public",
            "ssh_host_key_rsa_public",
            "ssh_host_key_ecdsa_public",
            "ssh_host_key_ed25519_public",
        ],
        needs: &[],
        run: small::ssh_keys,
    },
    Collector { name: "systemd", ids: &[], needs: &[], run: small::systemd },
    Collector {
        name: "user",
        ids: &[
            "user_id",
            "user_uid",
            "user_gid",
            "user_gecos",
            "user_dir",
            "user_shell",
            "real_user_id",
            "effective_user_id",
            "effective_group_ids",
        ],
        needs: &[],
        run: user::collect,
    },
    Collector {
        name: "virtual",
        ids: &[
            "virtualization_type",
            "virtualization_role",
            "virtualization_tech_guest",
            "virtualization_tech_host",
        ],
        needs: &[],
        run: virt::collect,
    },
    Collector { name: "facter", ids: &[], needs: &[], run: small::facter },
    Collector { name: "ohai", ids: &[], needs: &[], run: small::ohai },
];

/// What `min` stands for: gathered unless `!min` is said.
const MINIMAL: &[&str] = &[
    "apparmor",
    "caps",
    "cmdline",
    "date_time",
    "distribution",
    "dns",
    "env",
    "fips",
    "local",
    "lsb",
    "pkg_mgr",
    "platform",
    "python",
    "selinux",
    "service_mgr",
    "ssh_pub_keys",
    "user",
];

/// The collectors that a `gather_subset` asks for, in the table's order.
fn choose(subset: &[String]) -> Result<Vec<&'static Collector>, Fail> {
    let every: Vec<&str> = COLLECTORS.iter().map(|c| c.name).collect();
    let named = |name: &str| COLLECTORS.iter().find(|c| c.name == name || c.ids.contains(&name));
    let (mut add, mut drop, mut explicit) = (Vec::new(), Vec::new(), Vec::new());
    let mut minimal = true;
    for word in subset {
        let (not, name) = match word.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, word.as_str()),
        };
        match (not, name) {
            (false, "all") => add.extend(&every),
            (false, "min") => add.extend(MINIMAL),
            (true, "min") => minimal = false,
            (true, "all") => drop.extend(every.iter().copied().filter(|n| !MINIMAL.contains(n))),
            (_, name) => match named(name) {
                Some(c) if not => drop.push(c.name),
                Some(c) => explicit.push(c.name),
                None if not => {}
                None => return Err(Fail::msg(unknown(name))),
            },
        }
    }
    if minimal {
        add.extend(MINIMAL);
        drop.retain(|name| {
            !MINIMAL.contains(name) || subset.iter().any(|w| w.strip_prefix('!') == Some(name))
        });
    } else {
        drop.extend(MINIMAL);
    }
    let mut wanted: Vec<&str> = add.into_iter().filter(|n| !drop.contains(n)).collect();
    wanted.extend(explicit);
    let needed: Vec<&str> = COLLECTORS
        .iter()
        .filter(|c| wanted.contains(&c.name))
        .flat_map(|c| c.needs.iter().copied())
        .collect();
    wanted.extend(needed);
    let mut chosen: Vec<_> = COLLECTORS.iter().filter(|c| wanted.contains(&c.name)).collect();
    // What others need comes first.
    chosen.sort_by_key(|c| !matches!(c.name, "platform" | "distribution"));
    Ok(chosen)
}

fn unknown(name: &str) -> String {
    let mut all: Vec<&str> = COLLECTORS.iter().flat_map(|c| c.ids.iter().copied().chain([c.name])).collect();
    all.push("all");
    all.sort_unstable();
    format!("Bad subset '{name}' given to Ansible. gather_subset options allowed: {}", all.join(", "))
}

/// The facts asked for, with their prefix and filtered.
///
/// # Errors
/// An unknown subset.
pub fn gather(cx: &mut Cx<'_>, subset: &[String], filter: &[String]) -> Result<Map, Fail> {
    let chosen = choose(subset)?;
    let mut facts = Facts::new();
    for collector in chosen {
        (collector.run)(cx, &mut facts);
    }
    facts.insert("gather_subset".into(), subset.into());
    facts.insert("module_setup".into(), true.into());
    let keep = |key: &str, full: &str| {
        filter.is_empty()
            || filter.iter().any(|f| f.is_empty() || names::matches(f, key) || names::matches(f, full))
    };
    let mut out = Map::new();
    for (key, value) in facts {
        let full = match key.as_str() {
            "gather_subset" | "module_setup" => key.clone(),
            k if k.starts_with("facter_") || k.starts_with("ohai_") => key.clone(),
            _ => format!("ansible_{}", key.replace('-', "_")),
        };
        if keep(&key, &full) {
            out.insert(full, value);
        }
    }
    Ok(out)
}

/// A small file without the space around its text.
pub(crate) fn read(path: &str) -> Option<String> {
    fs::read(path).ok().map(|bytes| crate::py::text(&bytes).trim().to_string())
}

/// The names in a directory, as the system gives them.
pub(crate) fn entries(dir: &str) -> Vec<String> {
    let Ok(list) = fs::read_dir(dir) else { return Vec::new() };
    list.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// The last part of what a link leads to, in the end.
pub(crate) fn link_name(path: &str) -> Option<String> {
    fs::canonicalize(path).ok()?.file_name().map(|n| n.to_string_lossy().into_owned())
}

/// A text or null.
pub(crate) fn or_null(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::String)
}

/// Whether a program's output is worth reading: it ran and ended well.
pub(crate) fn output(cx: &mut Cx<'_>, argv: &[&str]) -> Option<String> {
    let done = cx.exec(argv).ok()?;
    (done.rc == 0).then(|| done.stdout())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(words: &[&str]) -> Vec<&'static str> {
        let words: Vec<String> = words.iter().map(|w| (*w).to_string()).collect();
        choose(&words).map(|all| all.iter().map(|c| c.name).collect()).unwrap_or_default()
    }

    #[test]
    fn subsets() {
        assert_eq!(chosen(&["all"]).len(), COLLECTORS.len());
        assert_eq!(chosen(&["!all", "!min", "dns"]), ["dns"]);
        assert_eq!(chosen(&["!all"]).len(), MINIMAL.len());
        assert_eq!(chosen(&["!hardware"]), chosen(&["!all"]));
        assert!(
            chosen(&["all", "!hardware"]).contains(&"network")
                && !chosen(&["all", "!hardware"]).contains(&"hardware")
        );
        assert!(chosen(&["!min", "!nope"]).is_empty());
        assert_eq!(chosen(&["!all", "!min", "pkg_mgr"]), ["distribution", "pkg_mgr"]);
        assert!(chosen(&["nope"]).is_empty());
    }

    #[test]
    fn unknown_names_are_listed_sorted() {
        assert!(unknown("x").starts_with("Bad subset 'x' given to Ansible. gather_subset options allowed: all, all_ipv4_addresses, all_ipv6_addresses, apparmor, architecture, caps, "));
    }
}
