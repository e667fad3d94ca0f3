//! Changing a container's limits and restart policy.

use std::sync::Arc;

use pileus_base::{Error, Result};
use serde_json::{Value, json};

use crate::{Container, Docker, model::config, store::Status};

/// What may be changed, besides the restart policy.
const RESOURCES: [&str; 18] = [
    "CpuShares",
    "Memory",
    "NanoCpus",
    "BlkioWeight",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpusetCpus",
    "CpusetMems",
    "MemoryReservation",
    "MemorySwap",
    "PidsLimit",
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
];

impl Docker {
    /// Changes limits and the restart policy, of its processes too where it runs.
    ///
    /// # Errors
    /// 400 and 409 in the reference's words; nothing has changed then.
    pub(crate) async fn update_container(self: &Arc<Self>, name: &str, body: &Value) -> Result<()> {
        let id = self.container(name).await?.value.id;
        let lock = self.lock(&id);
        let _held = lock.lock().await;
        let c = self.container(&id).await?.value;
        let refuse =
            |e: Error| Error::new(e.kind(), format!("Cannot update container {id}: {}", e.message()));
        if matches!(c.state.status, Status::Removing | Status::Dead) {
            return Err(refuse(Error::conflict("container is marked for removal and cannot be \"update\"")));
        }
        let host = updated(&c, body, refuse)?;
        if c.runs() {
            self.host.update_container(&c.id, &super::spec::limits(&host)?).await.map_err(refuse)?;
        }
        let c = self.change(&c.id, move |c| c.host_config.clone_from(&host)).await?;
        self.container_event(&c, "update", &[]);
        Ok(())
    }
}

fn updated(c: &Container, body: &Value, refuse: impl Fn(Error) -> Error) -> Result<Value> {
    let mut host = c.host_config.clone();
    let new = |key: &str| body[key].as_i64().unwrap_or(0);
    let old = |key: &str| c.host_config[key].as_i64().unwrap_or(0);
    let clashes = [
        (
            "NanoCpus",
            "CpuPeriod",
            "Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set",
        ),
        (
            "NanoCpus",
            "CpuQuota",
            "Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set",
        ),
        (
            "CpuPeriod",
            "NanoCpus",
            "Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set",
        ),
        (
            "CpuQuota",
            "NanoCpus",
            "Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set",
        ),
    ];
    for (asked, set, words) in clashes {
        if new(asked) > 0 && old(set) > 0 {
            return Err(refuse(Error::conflict(words)));
        }
    }
    let (memory, swap) = (new("Memory"), new("MemorySwap"));
    if memory != 0 && swap == 0 && old("MemorySwap") > 0 && memory > old("MemorySwap") {
        return Err(refuse(Error::conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
        )));
    }
    for key in RESOURCES {
        let value = &body[key];
        let unset = value.is_null() || value == &json!(0) || value == &json!("") || value == &json!([]);
        if !unset {
            host[key] = value.clone();
        }
    }
    let policy = &body["RestartPolicy"];
    if !policy["Name"].as_str().unwrap_or("").is_empty() {
        if host["AutoRemove"] == json!(true) && policy["Name"] != json!("no") {
            return Err(refuse(Error::conflict(
                "Restart policy cannot be updated because AutoRemove is enabled for the container",
            )));
        }
        host["RestartPolicy"] = json!({
            "Name": policy["Name"], "MaximumRetryCount": policy["MaximumRetryCount"].as_i64().unwrap_or(0),
        });
    }
    config::check_host(&host)?;
    crate::model::spec::check_resources(&host)?;
    Ok(host)
}
