//! The cloud as an inventory, on both sides of the control socket: `ansible-playbook -i pileus: site.yml`.
//!
//! The daemon tells what there is (`GET /inventory`); the client adds how to get there from where it runs: through the
//! daemon into the server's network, as `pileus ssh` does, with that key of the user's which belongs to the server's
//! keypair; into a container by the engine's socket.

use std::{collections::BTreeMap, path::PathBuf};

use pileus_automation::connection::private_key_of;
use pileus_base::{Result, Scope, ids::ProjectId};
use pileus_compute::Server;
use pileus_docker::Container;
use pileus_http::Reply;
use pileus_image::Image;
use pileus_store::{Query, Read};
use serde_json::{Map, Value, json};

use crate::control::{Asked, ask, block_on};

/// The image's property that names whom to log in as (Glance's `os_admin_user`), and who that is without it.
const LOGIN: (&str, &str) = ("os_admin_user", "cirros");

/// `GET /inventory`: servers and running containers.
pub async fn serve(call: Asked) -> Result<Reply> {
    let told = call.state.store.read(|rd| {
        let servers = rd.list::<Server>(&Scope::All, &Query::all())?;
        let servers = servers.iter().map(|s| server(rd, &s.value)).collect::<Result<Vec<_>>>()?;
        let containers = rd.list::<Container>(&Scope::All, &Query::all())?;
        let containers = containers.iter().filter(|c| c.value.runs());
        let containers = containers.map(|c| container(rd, &c.value)).collect::<Result<Vec<_>>>()?;
        Ok(json!({"servers": servers, "containers": containers}))
    });
    Reply::ok(&told.await?)
}

fn project(rd: &mut Read<'_>, id: &ProjectId) -> Result<String> {
    Ok(pileus_identity::project(rd, id)?.map_or_else(|| id.to_string(), |p| p.name))
}

fn server(rd: &mut Read<'_>, s: &Server) -> Result<Value> {
    let image = match &s.image {
        Some(i) => rd.find::<Image>(&Scope::All, &i.id)?.map(|i| i.value.name),
        None => None,
    };
    let mut addresses = BTreeMap::<&str, Vec<String>>::new();
    for nic in &s.nics {
        let ips = nic.fixed_ips.iter().map(|(_, ip)| ip.to_string());
        addresses.entry(&nic.network_name).or_default().extend(ips);
    }
    let login = s.image.as_ref().and_then(|i| i.properties.get(LOGIN.0));
    Ok(json!({
        "id": s.id, "name": s.name, "project": project(rd, &s.project_id)?, "image": image,
        "flavor": s.flavor.name, "status": s.status(), "metadata": s.metadata, "tags": s.tags,
        "addresses": addresses, "key_name": s.key_name, "public_key": s.public_key,
        "login": login.map_or(LOGIN.1, String::as_str),
    }))
}

fn container(rd: &mut Read<'_>, c: &Container) -> Result<Value> {
    Ok(json!({
        "id": c.id, "name": c.name, "project": project(rd, &c.project)?, "image": c.image,
        "labels": c.labels(), "networks": c.endpoints.keys().collect::<Vec<_>>(),
    }))
}

/// What stands behind the source `pileus:` or `pileus:STATE_DIR`, in an inventory script's form.
///
/// # Errors
/// Where no daemon answers.
pub fn read(rest: &str) -> std::result::Result<Value, String> {
    let dir = match rest {
        "" => std::env::var_os("PILEUS_STATE_DIR").map_or_else(|| "/var/lib/pileus".into(), PathBuf::from),
        dir => PathBuf::from(dir),
    };
    let dir = std::path::absolute(&dir).unwrap_or(dir);
    let told = block_on(ask(&dir, "GET", "/inventory", &Value::Null)).map_err(|e| format!("{e:#}"))?;
    let exe = std::env::current_exe().map_err(|e| format!("failed to find my own program: {e}"))?;
    let keys: Vec<PathBuf> = [std::env::home_dir().map(|h| h.join(".ssh")), std::env::current_dir().ok()]
        .into_iter()
        .flatten()
        .collect();
    Ok(Here { dir, exe, keys }.inventory(&told))
}

/// Where the client runs.
struct Here {
    dir: PathBuf,
    exe: PathBuf,
    keys: Vec<PathBuf>,
}

impl Here {
    fn inventory(&self, told: &Value) -> Value {
        let mut groups = BTreeMap::<String, Vec<String>>::new();
        let mut vars = Map::new();
        let list = |kind: &str| told[kind].as_array().cloned().unwrap_or_default();
        for (kind, own) in [("servers", true), ("containers", false)] {
            for one in list(kind) {
                let name = free(&vars, &one);
                for group in groups_of(kind, &one) {
                    groups.entry(group).or_default().push(name.clone());
                }
                vars.insert(name, if own { self.server(one) } else { self.container(one) });
            }
        }
        let mut out: Map<String, Value> =
            groups.into_iter().map(|(name, hosts)| (name, json!({"hosts": hosts}))).collect();
        out.insert("_meta".into(), json!({"hostvars": vars}));
        Value::Object(out)
    }

    fn server(&self, one: Value) -> Value {
        let id = one["id"].as_str().unwrap_or_default().to_owned();
        let first = one["addresses"].as_object().and_then(|a| a.values().find_map(|ips| ips[0].as_str()));
        let proxy = format!(
            "env PILEUS_STATE_DIR={} PILEUS_DIAL={} {} dial",
            quote(&self.dir.to_string_lossy()),
            quote(&format!("{id} 22")),
            quote(&self.exe.to_string_lossy()),
        );
        let known_hosts = self.dir.join("known_hosts");
        let options = [
            // `%` begins a token of ssh's.
            format!("ProxyCommand={}", proxy.replace('%', "%%")),
            "StrictHostKeyChecking=accept-new".into(),
            "LogLevel=ERROR".into(),
            format!("HostKeyAlias={id}"),
            format!("UserKnownHostsFile={}", known_hosts.display()),
        ];
        let mut vars = json!({
            "ansible_connection": "ssh",
            "ansible_host": first.unwrap_or(&id),
            "ansible_user": one["login"],
            "ansible_ssh_common_args":
                options.iter().map(|o| format!("-o {}", quote(o))).collect::<Vec<_>>().join(" "),
        });
        let key = one["public_key"].as_str();
        if let Some(key) = key.and_then(|k| private_key_of(k, one["key_name"].as_str(), &self.keys)) {
            vars["ansible_ssh_private_key_file"] = key.to_string_lossy().into();
        }
        vars["pileus_server"] = one;
        vars
    }

    fn container(&self, one: Value) -> Value {
        json!({
            "ansible_connection": "docker",
            "ansible_host": one["id"],
            "ansible_docker_docker_host": format!("unix://{}", crate::state::docker_socket(&self.dir).display()),
            "pileus_container": one,
        })
    }
}

/// Names need not be unique in a cloud: the second of a name has its id's beginning behind it.
fn free(taken: &Map<String, Value>, one: &Value) -> String {
    let (name, id) = (one["name"].as_str().unwrap_or_default(), one["id"].as_str().unwrap_or_default());
    match taken.contains_key(name) {
        false => name.to_owned(),
        true => format!("{name}-{}", &id[..id.len().min(8)]),
    }
}

/// `servers`, `project_demo`, `network_demo_net`, `image_debian_12`, `status_active`, `meta_role_web`, `tag_x`;
/// `containers`, `label_role_web`.
fn groups_of(kind: &str, one: &Value) -> Vec<String> {
    let mut out = vec![kind.to_owned()];
    let mut add = |what: &str, value: &str| out.push(format!("{what}_{}", word(value)));
    for what in ["project", "image", "status"] {
        if let Some(value) = one[what].as_str() {
            add(what, value);
        }
    }
    let pairs = |v: &Value| v.as_object().cloned().unwrap_or_default();
    let items = |v: &Value| v.as_array().cloned().unwrap_or_default();
    for name in pairs(&one["addresses"]).keys() {
        add("network", name);
    }
    for name in items(&one["networks"]).iter().filter_map(Value::as_str) {
        add("network", name);
    }
    for tag in items(&one["tags"]).iter().filter_map(Value::as_str) {
        add("tag", tag);
    }
    for (what, from) in [("meta", "metadata"), ("label", "labels")] {
        for (key, value) in pairs(&one[from]) {
            add(what, &format!("{key}_{}", value.as_str().unwrap_or_default()));
        }
    }
    out
}

/// Fit for a group's name.
fn word(text: &str) -> String {
    let text = text.to_lowercase();
    text.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Quotes for a POSIX shell.
fn quote(text: &str) -> String {
    crate::env::quote(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_by_project_network_image_and_metadata_containers_by_label() {
        let here = Here { dir: "/var/lib/it's".into(), exe: "/usr/bin/pileus".into(), keys: vec![] };
        let all = here.inventory(&json!({
            "servers": [
                {"id": "11112222-x", "name": "web", "project": "demo", "image": "debian 12", "status": "ACTIVE",
                 "metadata": {"role": "front end"}, "tags": [], "addresses": {"demo-net": ["10.0.0.5"]},
                 "login": "debian", "public_key": null, "key_name": null},
                {"id": "33334444-y", "name": "web", "project": "other", "addresses": {}, "login": "cirros"}],
            "containers": [{"id": "c0ffee", "name": "db", "project": "demo", "image": "pg", "labels": {"a.b": "c"}}],
        }));
        for group in
            ["project_demo", "network_demo_net", "image_debian_12", "status_active", "meta_role_front_end"]
        {
            assert_eq!(all[group]["hosts"][0], "web", "{group}");
        }
        assert_eq!(all["servers"]["hosts"], json!(["web", "web-33334444"]));
        assert_eq!(all["label_a_b_c"]["hosts"], json!(["db"]));
        let web = &all["_meta"]["hostvars"]["web"];
        assert_eq!((&web["ansible_host"], &web["ansible_user"]), (&json!("10.0.0.5"), &json!("debian")));
        let args = web["ansible_ssh_common_args"].as_str().unwrap();
        assert!(args.contains("HostKeyAlias=11112222-x") && !args.contains("it's/"), "{args}");
        assert_eq!(
            all["_meta"]["hostvars"]["db"]["ansible_docker_docker_host"],
            "unix:///var/lib/it's/docker.sock"
        );
    }
}
