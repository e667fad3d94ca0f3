//! A server as it travels, at every microversion from 2.1 to 2.79.

use md5::Digest;
use pileus_http::{Base, Version};
use serde_json::{Map, Value, json};

use super::{
    flavors::{self, extend, links},
    mv,
};
use crate::model::{servers::Server, states::VmState};

/// Who looks: some attributes are for administrators.
#[derive(Clone, Copy)]
pub struct Viewer<'a> {
    /// How the client reached us.
    pub base: &'a Base,
    /// The microversion.
    pub version: Version,
    /// Whether an administrator asks.
    pub admin: bool,
}

/// The short form, in `GET /servers`.
pub fn brief(server: &Server, v: Viewer<'_>) -> Value {
    json!({
        "id": server.id,
        "name": server.name,
        "links": links(v.base, &format!("servers/{}", server.id)),
    })
}

/// The answer to `POST /servers`.
pub fn created(server: &Server, v: Viewer<'_>, admin_pass: &str) -> Value {
    let groups: Vec<_> = server.security_groups.iter().map(|g| json!({"name": g})).collect();
    json!({"server": {
        "id": server.id,
        "links": links(v.base, &format!("servers/{}", server.id)),
        "OS-DCF:diskConfig": server.disk_config,
        "security_groups": groups,
        "adminPass": admin_pass,
    }})
}

/// What hides the host's name from tenants: the same for one project's servers on one host.
pub fn host_id(server: &Server) -> String {
    let Some(host) = &server.host else { return String::new() };
    let digest = sha2::Sha224::digest(format!("{}{host}", server.project_id).as_bytes());
    digest.iter().map(|b| format!("{b:02x}")).collect()
}

/// `addresses`: by network name.
pub fn addresses(server: &Server) -> Value {
    let mut out = Map::new();
    for nic in &server.nics {
        let list: Vec<_> = nic
            .fixed_ips
            .iter()
            .map(|(_, ip)| {
                json!({
                    "version": if ip.is_ipv4() { 4 } else { 6 },
                    "addr": ip,
                    "OS-EXT-IPS:type": "fixed",
                    "OS-EXT-IPS-MAC:mac_addr": nic.mac,
                })
            })
            .collect();
        if let Value::Array(all) = out.entry(nic.network_name.clone()).or_insert_with(|| json!([])) {
            all.extend(list);
        }
    }
    Value::Object(out)
}

/// `addresses` of `GET /servers/{id}/ips`: without the extended attributes.
pub fn ips(server: &Server) -> Value {
    let mut all = addresses(server);
    for list in all.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
        for address in list.as_array_mut().into_iter().flatten() {
            if let Value::Object(a) = address {
                a.retain(|k, _| !k.starts_with("OS-EXT"));
            }
        }
    }
    all
}

/// The whole form. `one` is `GET /servers/{id}`, which shows more than the list does.
pub fn whole(server: &Server, v: Viewer<'_>, one: bool) -> Value {
    let mut view = brief(server, v);
    let image = match &server.image {
        None => json!(""),
        Some(i) => {
            let href = v.base.url(&format!("/images/{}", i.id));
            json!({"id": i.id, "links": [{"rel": "bookmark", "href": href}]})
        }
    };
    let flavor = if v.version >= mv::FLAVOR_IN_SERVER {
        flavors::embedded(&server.flavor)
    } else {
        let id = &server.flavor.flavorid;
        let href = v.base.url(&format!("/flavors/{id}"));
        json!({"id": id, "links": [{"rel": "bookmark", "href": href}]})
    };
    extend(
        &mut view,
        json!({
            "status": server.status(),
            "tenant_id": server.project_id,
            "user_id": server.user_id,
            "metadata": server.metadata,
            "hostId": host_id(server),
            "image": image,
            "flavor": flavor,
            "created": server.created_at.z(),
            "updated": server.updated_at.z(),
            "addresses": addresses(server),
            "accessIPv4": server.access_ip_v4,
            "accessIPv6": server.access_ip_v6,
            "OS-DCF:diskConfig": server.disk_config,
            "OS-EXT-AZ:availability_zone": if server.host.is_some() { "nova" } else { &*server.availability_zone },
            "config_drive": if server.config_drive { "True" } else { "" },
            "key_name": server.key_name,
            "OS-SRV-USG:launched_at": server.launched_at.map(|t| t.micros()),
            "OS-SRV-USG:terminated_at": null,
            "OS-EXT-STS:task_state": server.task_state.map(|t| t.word()),
            "OS-EXT-STS:vm_state": server.vm_state.word(),
            "OS-EXT-STS:power_state": server.power_state as u8,
            "os-extended-volumes:volumes_attached": [],
        }),
    );
    if matches!(server.status(), "ACTIVE" | "BUILD" | "REBUILD" | "RESIZE" | "VERIFY_RESIZE") {
        view["progress"] = json!(if server.vm_state == VmState::Building { 0 } else { 100 });
    }
    if !server.security_groups.is_empty() && server.host.is_some() {
        let groups = server.security_groups.iter().map(|g| json!({"name": g}));
        view["security_groups"] = groups.collect();
    }
    if let (Some(fault), true) = (&server.fault, server.vm_state == VmState::Error) {
        let mut shown = json!({"code": fault.code, "created": fault.created.z(), "message": fault.message});
        if v.admin && !fault.details.is_empty() {
            shown["details"] = json!(fault.details);
        }
        view["fault"] = shown;
    }
    if v.admin {
        let instance = format!("instance-{:08x}", server.id.0.as_u128() >> 96);
        extend(
            &mut view,
            json!({
                "OS-EXT-SRV-ATTR:host": server.host,
                "OS-EXT-SRV-ATTR:instance_name": instance,
                "OS-EXT-SRV-ATTR:hypervisor_hostname": server.host,
            }),
        );
    }
    since(server, v, one, &mut view);
    view
}

/// What later microversions add.
fn since(server: &Server, v: Viewer<'_>, one: bool, view: &mut Value) {
    if v.version >= mv::MORE_ATTRIBUTES && v.admin {
        extend(
            view,
            json!({
                "OS-EXT-SRV-ATTR:reservation_id": server.reservation_id,
                "OS-EXT-SRV-ATTR:launch_index": server.launch_index,
                "OS-EXT-SRV-ATTR:hostname": server.hostname,
                "OS-EXT-SRV-ATTR:kernel_id": "",
                "OS-EXT-SRV-ATTR:ramdisk_id": "",
                "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
                "OS-EXT-SRV-ATTR:user_data": server.user_data,
            }),
        );
    }
    if v.version >= mv::LOCKED {
        view["locked"] = json!(server.locked.is_some());
    }
    if v.version >= mv::HOST_STATUS && v.admin {
        view["host_status"] = json!(if server.host.is_some() { "UP" } else { "" });
    }
    if v.version >= mv::DESCRIPTION {
        view["description"] = json!(server.description);
    }
    if v.version >= mv::TAGS {
        view["tags"] = json!(server.tags);
    }
    if v.version >= mv::TRUSTED_CERTIFICATES {
        view["trusted_image_certificates"] = Value::Null;
    }
    if v.version >= mv::SERVER_GROUPS_IN_SERVER && one {
        view["server_groups"] = json!([]);
    }
    if v.version >= mv::LOCKED_REASON {
        view["locked_reason"] = json!(server.locked.as_ref().and_then(|l| l.reason.clone()));
    }
}
