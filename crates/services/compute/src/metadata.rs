//! What a guest may know of itself: the metadata service at 169.254.169.254 and the config drive, in
//! OpenStack's and EC2's formats.
//!
//! The network and the sender's address name the server; anti-spoofing makes that safe. See
//! <https://docs.openstack.org/nova/latest/user/metadata.html>.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use pileus_base::{Error, Kind, Result, Scope, ids::ServerId};
use pileus_host::{BoxFuture, MetadataAnswer, MetadataQuery, MetadataSource};
use pileus_network::ports;
use serde_json::{Value, json};

use crate::{Compute, Server};

/// OpenStack's versions, oldest first; all are served alike.
const OPENSTACK: [&str; 9] = [
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
    "2020-10-14",
];
/// Longest password that a guest may leave; Nova's.
const PASSWORD_MAX: usize = 1020;

/// EC2's.
const EC2: [&str; 9] = [
    "1.0",
    "2007-01-19",
    "2007-03-01",
    "2007-08-29",
    "2007-10-10",
    "2007-12-15",
    "2008-02-01",
    "2008-09-01",
    "2009-04-04",
];

impl MetadataSource for Compute {
    fn answer(&self, query: MetadataQuery) -> BoxFuture<'_, MetadataAnswer> {
        Box::pin(async move {
            let found = self.caller(&query).await;
            let answer = match (found, query.method.as_str()) {
                (Err(e), "GET" | "HEAD") if e.is_not_found() => {
                    self.container_page(&query).await.and_then(|page| page.ok_or(e))
                }
                (Err(e), _) => Err(e),
                (Ok(server), "GET" | "HEAD") => page(self, &server, &query.path),
                (Ok(server), "POST") if is_password(&query.path) => {
                    self.keep_password(server.id, query.body).await
                }
                (Ok(_), _) => Err(Error::new(Kind::MethodNotAllowed, "Method Not Allowed")),
            };
            answer.unwrap_or_else(|e| {
                let status = match e.kind() {
                    Kind::NotFound => 404,
                    Kind::MethodNotAllowed => 405,
                    Kind::BadRequest => 400,
                    Kind::Conflict => 409,
                    _ => {
                        tracing::error!(error = e.chain(), "a metadata request failed");
                        500
                    }
                };
                let body = match status {
                    500 => "500 Internal Server Error\n".to_owned(),
                    404 => "404 Not Found\n".to_owned(),
                    other => format!("{other} {}\n", e.message()),
                };
                MetadataAnswer { status, media: "text/plain; charset=UTF-8".into(), body: body.into_bytes() }
            })
        })
    }
}

impl Compute {
    /// The server that a query came from.
    async fn caller(&self, query: &MetadataQuery) -> Result<Server> {
        let (network, peer) = (query.network, query.peer);
        self.store
            .read(move |rd| {
                let none = || Error::not_found("no server has this address");
                let port = ports::by_address(rd, network, peer)?.ok_or_else(none)?;
                let id: ServerId = port.device_id.parse().map_err(|_| none())?;
                rd.find::<Server>(&Scope::All, id)?.map(|s| s.value).ok_or_else(none)
            })
            .await
    }
}

/// Whether `path` is where a guest leaves its password.
fn is_password(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    matches!(*parts, ["openstack", version, "password"] if version == "latest" || OPENSTACK.contains(&version))
}

impl Compute {
    /// Keeps the encrypted password that a guest made for itself; once, until its owner clears it.
    async fn keep_password(&self, id: ServerId, body: Vec<u8>) -> Result<MetadataAnswer> {
        if body.len() > PASSWORD_MAX {
            return Err(Error::bad_request("Request is too large."));
        }
        let password = String::from_utf8(body).map_err(|_| Error::bad_request("The password is no text."))?;
        let write = self.store.write(move |tx| {
            tx.update::<Server>(&Scope::All, id, |server| {
                if !server.password.is_empty() {
                    return Err(Error::conflict("Conflict"));
                }
                server.password.clone_from(&password);
                Ok(())
            })
        });
        write.await.map(|_| text(""))
    }
}

fn text(body: impl Into<String>) -> MetadataAnswer {
    let media = "text/plain; charset=UTF-8".into();
    MetadataAnswer { status: 200, media, body: body.into().into_bytes() }
}

fn json_page(value: &Value) -> MetadataAnswer {
    MetadataAnswer { status: 200, media: "application/json".into(), body: value.to_string().into_bytes() }
}

fn page(compute: &Compute, server: &Server, path: &str) -> Result<MetadataAnswer> {
    let path = path.split('?').next().unwrap_or("");
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let none = || Error::not_found("no such page");
    match *parts {
        [] => Ok(text([&EC2[..], &["latest"]].concat().join("\n"))),
        ["openstack"] => Ok(text([&OPENSTACK[..], &["latest"]].concat().join("\n"))),
        ["openstack", "content", number] => {
            let at: usize = number.parse().map_err(|_| none())?;
            let file = server.personality.get(at).and_then(|(_, content)| BASE64.decode(content).ok());
            let body = file.ok_or_else(none)?;
            Ok(MetadataAnswer { status: 200, media: "application/octet-stream".into(), body })
        }
        ["openstack", version, ref rest @ ..] if version == "latest" || OPENSTACK.contains(&version) => {
            openstack(compute, server, rest)
        }
        [version] if version == "latest" || EC2.contains(&version) => Ok(text("meta-data/\nuser-data")),
        [version, "user-data"] if version == "latest" || EC2.contains(&version) => user_data(server),
        [version, "meta-data", ref rest @ ..] if version == "latest" || EC2.contains(&version) => {
            ec2(&ec2_tree(compute, server), rest)
        }
        _ => Err(none()),
    }
}

fn openstack(compute: &Compute, server: &Server, rest: &[&str]) -> Result<MetadataAnswer> {
    match rest {
        [] => {
            let mut names = vec!["meta_data.json"];
            if server.user_data.is_some() {
                names.push("user_data");
            }
            names.extend(["password", "vendor_data.json", "network_data.json", "vendor_data2.json"]);
            Ok(text(names.join("\n")))
        }
        ["meta_data.json"] => Ok(json_page(&meta_data(compute, server))),
        ["network_data.json"] => Ok(json_page(&network_data(server))),
        ["user_data"] => user_data(server),
        ["vendor_data.json" | "vendor_data2.json"] => Ok(json_page(&json!({}))),
        ["password"] => Ok(text(&*server.password)),
        _ => Err(Error::not_found("no such page")),
    }
}

fn user_data(server: &Server) -> Result<MetadataAnswer> {
    let body = decoded(server).ok_or_else(|| Error::not_found("no user data"))?;
    Ok(MetadataAnswer { status: 200, media: "application/octet-stream".into(), body })
}

fn decoded(server: &Server) -> Option<Vec<u8>> {
    BASE64.decode(server.user_data.as_ref()?).ok()
}

fn fqdn(compute: &Compute, server: &Server) -> String {
    match compute.options.dns_domain.as_str() {
        "" => server.hostname.clone(),
        domain => format!("{}.{domain}", server.hostname),
    }
}

fn meta_data(compute: &Compute, server: &Server) -> Value {
    let mut all = json!({
        "uuid": server.id,
        "hostname": fqdn(compute, server),
        "name": server.name,
        "launch_index": server.launch_index,
        "availability_zone": server.availability_zone,
        "random_seed": BASE64.encode(rand::random::<[u8; 32]>()),
        "project_id": server.project_id,
        "devices": [],
        "dedicated_cpus": [],
    });
    if let (Some(name), Some(key)) = (&server.key_name, &server.public_key) {
        all["public_keys"] = json!({name.as_str(): key});
        all["keys"] = json!([{"name": name, "type": "ssh", "data": key}]);
    }
    if !server.personality.is_empty() {
        let files = server.personality.iter().enumerate();
        let file = |(n, (path, _)): (usize, &(String, String))| json!({"path": path, "content_path": format!("/content/{n:04}")});
        all["files"] = files.map(file).collect();
    }
    if !server.metadata.is_empty() {
        all["meta"] = json!(server.metadata);
    }
    all
}

fn network_data(server: &Server) -> Value {
    let (mut links, mut networks) = (Vec::new(), Vec::new());
    for (n, nic) in server.nics.iter().enumerate() {
        let link = format!("tap{}", &nic.port.to_string()[..11]);
        links.push(json!({
            "id": link, "vif_id": nic.port, "type": "bridge", "mtu": nic.mtu,
            "ethernet_mac_address": nic.mac,
        }));
        for (_, ip) in &nic.fixed_ips {
            networks.push(json!({
                "id": format!("network{n}"),
                "type": if ip.is_ipv4() { "ipv4_dhcp" } else { "ipv6_slaac" },
                "link": link,
                "network_id": nic.network,
            }));
        }
    }
    json!({"links": links, "networks": networks, "services": []})
}

fn ec2_tree(compute: &Compute, server: &Server) -> Value {
    let address = server.nics.iter().flat_map(|n| &n.fixed_ips).map(|(_, ip)| ip).find(|ip| ip.is_ipv4());
    let address = address.map(ToString::to_string).unwrap_or_default();
    let name = fqdn(compute, server);
    let ec2_id = format!("i-{:08x}", server.id.0.as_u128() >> 96);
    let mut tree = json!({
        "ami-id": server.image.as_ref().map_or_else(String::new, |i| format!("ami-{:08x}", i.id.0.as_u128() >> 96)),
        "ami-launch-index": server.launch_index.to_string(),
        "ami-manifest-path": "FIXME",
        "block-device-mapping": {"ami": "vda", "root": "/dev/vda"},
        "hostname": name,
        "instance-action": "none",
        "instance-id": ec2_id,
        "instance-type": server.flavor.name,
        "local-hostname": name,
        "local-ipv4": address,
        "placement": {"availability-zone": server.availability_zone},
        "public-hostname": name,
        "public-ipv4": "",
        "reservation-id": server.reservation_id,
        "security-groups": server.security_groups.join("\n"),
    });
    if let (Some(name), Some(key)) = (&server.key_name, &server.public_key) {
        tree["public-keys"] = json!({"0": {"_name": name, "openssh-key": key}});
    }
    tree
}

/// A page of the EC2 tree: a leaf's text, or the names below a node.
fn ec2(tree: &Value, path: &[&str]) -> Result<MetadataAnswer> {
    let mut at = tree;
    for part in path {
        // `0=mykey` names a key both by number and by name.
        let name = part.split('=').next().unwrap_or(part);
        at = at
            .get(name)
            .filter(|_| !name.starts_with('_'))
            .ok_or_else(|| Error::not_found("no such page"))?;
    }
    if let Some(leaf) = at.as_str() {
        return Ok(text(leaf));
    }
    let names =
        at.as_object().into_iter().flatten().filter(|(k, _)| !k.starts_with('_')).map(|(k, v)| {
            match v.get("_name").and_then(Value::as_str) {
                Some(name) => format!("{k}={name}"),
                None if v.is_object() => format!("{k}/"),
                None => k.clone(),
            }
        });
    Ok(text(names.collect::<Vec<_>>().join("\n")))
}

/// The files of a server's config drive.
pub fn config_drive(compute: &Compute, server: &Server) -> Vec<(String, Vec<u8>)> {
    let meta = meta_data(compute, server).to_string().into_bytes();
    let network = network_data(server).to_string().into_bytes();
    let mut files = Vec::new();
    for version in ["latest", OPENSTACK[OPENSTACK.len() - 1]] {
        let at = |name: &str| format!("openstack/{version}/{name}");
        files.push((at("meta_data.json"), meta.clone()));
        files.push((at("network_data.json"), network.clone()));
        files.push((at("vendor_data.json"), b"{}".to_vec()));
        if let Some(data) = decoded(server) {
            files.push((at("user_data"), data));
        }
    }
    let ec2 = ec2_tree(compute, server).to_string().into_bytes();
    files.push(("ec2/latest/meta-data.json".into(), ec2));
    for (n, (_, content)) in server.personality.iter().enumerate() {
        if let Ok(content) = BASE64.decode(content) {
            files.push((format!("openstack/content/{n:04}"), content));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ec2_tree_is_walked() {
        let tree =
            json!({"hostname": "a", "public-keys": {"0": {"_name": "mykey", "openssh-key": "ssh-rsa A"}}});
        let body = |path: &[&str]| String::from_utf8(ec2(&tree, path).unwrap().body).unwrap();
        assert_eq!(body(&[]), "hostname\npublic-keys/");
        assert_eq!(body(&["public-keys"]), "0=mykey");
        assert_eq!(body(&["public-keys", "0", "openssh-key"]), "ssh-rsa A");
        assert_eq!(body(&["public-keys", "0=mykey"]), "openssh-key");
        assert!(ec2(&tree, &["public-keys", "0", "_name"]).is_err());
    }
}
