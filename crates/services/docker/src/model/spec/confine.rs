//! What confines a container beyond its configuration's own words: an AppArmor profile where the host has
//! AppArmor, and a user namespace where the engine maps users (`[docker] userns_remap`).

use std::{fs, path::Path};

use oci_spec::runtime::Spec;
use pileus_base::{Error, Result};
use serde_json::{Value, json};

use super::{typed, values::Fields as _};

/// The profile of containers that name none.
const DEFAULT_PROFILE: &str = "docker-default";
/// The user of `userns_remap = "default"`, the reference's.
const DEFAULT_USER: &str = "dockremap";

/// Ranges of the host's users and groups for those of containers: the first, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remap {
    /// Users, from 0 inside.
    pub users: Vec<(u32, u32)>,
    /// Groups, from 0 inside.
    pub groups: Vec<(u32, u32)>,
}

impl Remap {
    /// The mapping of `userns_remap`: `default`, or `user[:group]`, names or numbers, whose ranges are in
    /// `subuid` and `subgid` of `etc` (subuid(5)).
    ///
    /// # Errors
    /// 400 where they have none.
    pub fn read(text: &str, etc: &Path) -> Result<Self> {
        let (user, group) = match text {
            "default" => (DEFAULT_USER, DEFAULT_USER),
            text => text.split_once(':').unwrap_or((text, text)),
        };
        let of = |file: &str, accounts: &str, name: &str| {
            let names = names(&fs::read_to_string(etc.join(accounts)).unwrap_or_default(), name);
            let text = fs::read_to_string(etc.join(file)).unwrap_or_default();
            let found = ranges(&text, &names);
            if found.is_empty() {
                return Err(Error::bad_request(format!(
                    "no {file} ranges found for user {name:?} in {}",
                    etc.join(file).display()
                )));
            }
            Ok(found)
        };
        Ok(Self { users: of("subuid", "passwd", user)?, groups: of("subgid", "group", group)? })
    }
}

/// A name and its number, whichever of the two is given.
fn names(accounts: &str, given: &str) -> Vec<String> {
    let mut all = vec![given.to_owned()];
    for line in accounts.lines() {
        let mut fields = line.split(':');
        let (Some(name), Some(number)) = (fields.next(), fields.nth(1)) else { continue };
        if name == given {
            all.push(number.to_owned());
        } else if number == given {
            all.push(name.to_owned());
        }
    }
    all
}

fn ranges(text: &str, names: &[String]) -> Vec<(u32, u32)> {
    let one = |line: &str| {
        let mut fields = line.trim().split(':');
        let name = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        (names.iter().any(|n| n == name) && count > 0).then_some((first, count))
    };
    text.lines().filter_map(one).collect()
}

/// Whether the host, whose root is `root`, confines processes by AppArmor.
pub fn apparmor_supported(root: &Path) -> bool {
    let enabled = fs::read(root.join("sys/module/apparmor/parameters/enabled"));
    enabled.is_ok_and(|text| text.first() == Some(&b'Y'))
        && root.join("sys/kernel/security/apparmor").exists()
}

/// The AppArmor profile of a container: what `SecurityOpt` names, none for a privileged one, and the default.
pub fn apparmor_profile(host_config: &Value) -> String {
    let options = host_config.strings("SecurityOpt");
    let named = options.iter().rev().find_map(|o| {
        let (key, value) = o.split_once('=').or_else(|| o.split_once(':'))?;
        (key == "apparmor").then(|| value.to_owned())
    });
    let privileged = host_config.flag("Privileged");
    named.unwrap_or_else(|| if privileged { "unconfined" } else { DEFAULT_PROFILE }.to_owned())
}

/// Whether a container's users are mapped.
pub fn remapped(host_config: &Value) -> bool {
    host_config.text("UsernsMode") != "host"
}

/// Refuses what doesn't go with mapped users.
///
/// # Errors
/// 400 in the reference's words.
pub fn check_remapped(host_config: &Value) -> Result<()> {
    let refuse = |words: &str| Err(Error::bad_request(words));
    if !remapped(host_config) {
        return Ok(());
    }
    if host_config.flag("Privileged") {
        return refuse(
            "privileged mode is incompatible with user namespaces.  You must run the container in the host \
             namespace when running privileged mode",
        );
    }
    if host_config.text("NetworkMode") == "host" {
        return refuse("cannot share the host's network namespace when user namespaces are enabled");
    }
    if host_config.text("PidMode") == "host" {
        return refuse("cannot share the host PID namespace when user namespaces are enabled");
    }
    Ok(())
}

/// Adds both to a configuration. `own` are the host's paths whose files are the engine's or a volume's: their
/// owners are mapped as those of the image are. A host's directory keeps its own.
///
/// # Errors
/// None but for a configuration that isn't one.
pub fn confine(
    spec: Spec,
    host_config: &Value,
    apparmor: bool,
    remap: Option<&Remap>,
    own: &dyn Fn(&Path) -> bool,
) -> Result<Spec> {
    let remap = remap.filter(|_| remapped(host_config));
    if !apparmor && remap.is_none() {
        return Ok(spec);
    }
    let mut spec = serde_json::to_value(spec).map_err(|e| Error::wrap("failed to read a spec", e))?;
    if apparmor {
        spec["process"]["apparmorProfile"] = apparmor_profile(host_config).into();
    }
    if let Some(remap) = remap {
        spec["linux"]["uidMappings"] = mappings(&remap.users);
        spec["linux"]["gidMappings"] = mappings(&remap.groups);
        if let Some(namespaces) = spec["linux"]["namespaces"].as_array_mut() {
            namespaces.push(json!({ "type": "user" }));
        }
        for mount in spec["mounts"].as_array_mut().into_iter().flatten() {
            let mapped = mount["source"].as_str().is_some_and(|source| own(Path::new(source)));
            if mapped && let Some(options) = mount["options"].as_array_mut() {
                options.push("idmap".into());
            }
        }
    }
    typed(spec)
}

fn mappings(ranges: &[(u32, u32)]) -> Value {
    let mut inside = 0_u32;
    let one = |(first, count): &(u32, u32)| {
        let mapping = json!({ "containerID": inside, "hostID": first, "size": count });
        inside = inside.saturating_add(*count);
        mapping
    };
    ranges.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let etc = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| fs::write(etc.path().join(name), text).unwrap();
        put("passwd", "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n");
        put("group", "root:x:0:\nusers:x:100:\n");
        put("subuid", "ann:100000:65536\n1000:300000:10\ndockremap:200000:65536\n");
        put("subgid", "users:500000:65536\ndockremap:200000:65536\nann:1:2\n");
        let ann = Remap::read("ann:users", etc.path()).unwrap();
        assert_eq!(ann.users, [(100_000, 65536), (300_000, 10)]);
        assert_eq!(ann.groups, [(500_000, 65536)]);
        assert_eq!(Remap::read("1000:100", etc.path()).unwrap(), ann);
        assert_eq!(Remap::read("default", etc.path()).unwrap().users, [(200_000, 65536)]);
        let error = Remap::read("root", etc.path()).unwrap_err();
        assert!(error.message().starts_with("no subuid ranges found for user \"root\""), "{error:?}");
    }

    #[test]
    fn a_host_has_apparmor_where_the_kernel_says_so() {
        let root = tempfile::tempdir().unwrap();
        assert!(!apparmor_supported(root.path()));
        let parameters = root.path().join("sys/module/apparmor/parameters");
        fs::create_dir_all(&parameters).unwrap();
        fs::create_dir_all(root.path().join("sys/kernel/security/apparmor")).unwrap();
        fs::write(parameters.join("enabled"), "N\n").unwrap();
        assert!(!apparmor_supported(root.path()));
        fs::write(parameters.join("enabled"), "Y\n").unwrap();
        assert!(apparmor_supported(root.path()));
    }

    #[test]
    fn profiles_are_named_default_or_none() {
        assert_eq!(apparmor_profile(&json!({})), "docker-default");
        assert_eq!(apparmor_profile(&json!({"Privileged": true})), "unconfined");
        assert_eq!(apparmor_profile(&json!({"SecurityOpt": ["apparmor=mine"], "Privileged": true})), "mine");
        assert_eq!(apparmor_profile(&json!({"SecurityOpt": ["apparmor:unconfined"]})), "unconfined");
    }

    #[test]
    fn users_are_mapped_unless_the_host_s_are_asked_for() {
        let remap = Remap { users: vec![(100_000, 10), (7, 5)], groups: vec![(100_000, 10)] };
        let made = |host: Value| confine(Spec::default(), &host, false, Some(&remap), &|_| false).unwrap();
        let spec = serde_json::to_value(made(json!({}))).unwrap();
        assert_eq!(spec["linux"]["uidMappings"][1], json!({"containerID": 10, "hostID": 7, "size": 5}));
        assert!(spec["linux"]["namespaces"].as_array().unwrap().contains(&json!({"type": "user"})));
        let spec = serde_json::to_value(made(json!({"UsernsMode": "host"}))).unwrap();
        assert!(!spec["linux"]["namespaces"].as_array().unwrap().contains(&json!({"type": "user"})));
        assert!(check_remapped(&json!({"Privileged": true})).is_err());
        assert!(check_remapped(&json!({"Privileged": true, "UsernsMode": "host"})).is_ok());
    }
}
