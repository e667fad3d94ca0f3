//! Absolute limits and what is used of them.

use pileus_base::Result;
use pileus_http::{Reply, Version};
use serde_json::json;

use super::Call;
use crate::{store::quotas, wire::mv};

/// `GET /limits`
pub async fn show(call: Call) -> Result<Reply> {
    let asked = call.query.get("tenant_id").filter(|_| call.ctx.is_admin());
    let project = match asked {
        Some(project) => project.into(),
        None => call.ctx.project_id()?.clone(),
    };
    let read = call.state.store.read(move |rd| {
        let limits = quotas::limits(rd, &project)?;
        let used = |rd: &mut pileus_store::Read<'_>, name| quotas::used(rd, &project, name);
        Ok((limits, used(rd, "instances")?, used(rd, "cores")?, used(rd, "ram")?))
    });
    let (limits, instances, cores, ram) = read.await?;
    let of = |name: &str| limits.get(name).copied().unwrap_or(-1);
    let mut absolute = json!({
        "maxServerMeta": of("metadata_items"),
        "maxTotalInstances": of("instances"),
        "maxTotalCores": of("cores"),
        "maxTotalRAMSize": of("ram"),
        "maxTotalKeypairs": of("key_pairs"),
        "maxServerGroups": of("server_groups"),
        "maxServerGroupMembers": of("server_group_members"),
        "totalInstancesUsed": instances,
        "totalCoresUsed": cores,
        "totalRAMUsed": ram,
        "totalServerGroupsUsed": 0,
    });
    if call.version < mv::NO_PERSONALITY {
        absolute["maxPersonality"] = json!(of("injected_files"));
        absolute["maxPersonalitySize"] = json!(of("injected_file_content_bytes"));
    }
    if call.version < Version(2, 39) {
        absolute["maxImageMeta"] = json!(of("metadata_items"));
    }
    if call.version < mv::NO_PROXIES {
        for (name, value) in [
            ("maxSecurityGroups", of("security_groups")),
            ("maxSecurityGroupRules", of("security_group_rules")),
            ("maxTotalFloatingIps", of("floating_ips")),
            ("totalSecurityGroupsUsed", 0),
            ("totalFloatingIpsUsed", 0),
        ] {
            absolute[name] = json!(value);
        }
    }
    Reply::ok(&json!({"limits": {"rate": [], "absolute": absolute}}))
}
