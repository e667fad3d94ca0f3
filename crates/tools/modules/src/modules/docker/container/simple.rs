//! The options of a container that stand for one field of the engine's: a table.

use serde_json::Value;

use crate::result::Map;

/// How an option is compared, and by which comparison where none is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Equal or not.
    Value,
    /// Equal, item by item.
    List,
    /// Items in any order; more may be there.
    Set,
    /// Keys and values; more may be there.
    Dict,
}

/// How a parameter becomes the engine's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Same,
    /// A size: `64M` is 67108864.
    Bytes,
    /// A size, or `unlimited` (-1).
    Swap,
    /// Processors in billionths.
    Nano,
    /// A mapping whose values are texts.
    Texts,
}

/// One option.
pub struct Simple {
    /// The parameter.
    pub name: &'static str,
    /// The field of the engine.
    pub field: &'static str,
    /// In `HostConfig`, else at the top (inspected: in `Config`).
    pub host: bool,
    /// How it is compared.
    pub kind: Kind,
    /// How it is written.
    pub form: Form,
    /// A running container can be given another value.
    pub changeable: bool,
}

const fn host(name: &'static str, field: &'static str, kind: Kind) -> Simple {
    Simple { name, field, host: true, kind, form: Form::Same, changeable: false }
}
const fn config(name: &'static str, field: &'static str, kind: Kind) -> Simple {
    Simple { name, field, host: false, kind, form: Form::Same, changeable: false }
}
const fn limit(name: &'static str, field: &'static str, form: Form) -> Simple {
    Simple { name, field, host: true, kind: Kind::Value, form, changeable: true }
}
const fn form(mut simple: Simple, form: Form) -> Simple {
    simple.form = form;
    simple
}

/// The table (Docker Engine API 1.51, ContainerCreate; the documentation of community.docker 4).
pub static TABLE: &[Simple] = &[
    host("auto_remove", "AutoRemove", Kind::Value),
    limit("blkio_weight", "BlkioWeight", Form::Same),
    host("cap_drop", "CapDrop", Kind::Set),
    host("capabilities", "CapAdd", Kind::Set),
    host("cgroup_parent", "CgroupParent", Kind::Value),
    host("cgroupns_mode", "CgroupnsMode", Kind::Value),
    limit("cpu_period", "CpuPeriod", Form::Same),
    limit("cpu_quota", "CpuQuota", Form::Same),
    limit("cpu_shares", "CpuShares", Form::Same),
    limit("cpuset_cpus", "CpusetCpus", Form::Same),
    limit("cpuset_mems", "CpusetMems", Form::Same),
    form(host("cpus", "NanoCpus", Kind::Value), Form::Nano),
    host("device_cgroup_rules", "DeviceCgroupRules", Kind::List),
    host("dns_opts", "DnsOptions", Kind::Set),
    host("dns_search_domains", "DnsSearch", Kind::List),
    host("dns_servers", "Dns", Kind::List),
    config("domainname", "Domainname", Kind::Value),
    host("groups", "GroupAdd", Kind::Set),
    config("hostname", "Hostname", Kind::Value),
    host("init", "Init", Kind::Value),
    config("interactive", "OpenStdin", Kind::Value),
    host("ipc_mode", "IpcMode", Kind::Value),
    limit("kernel_memory", "KernelMemory", Form::Bytes),
    config("mac_address", "MacAddress", Kind::Value),
    limit("memory", "Memory", Form::Bytes),
    limit("memory_reservation", "MemoryReservation", Form::Bytes),
    limit("memory_swap", "MemorySwap", Form::Swap),
    host("memory_swappiness", "MemorySwappiness", Kind::Value),
    host("oom_killer", "OomKillDisable", Kind::Value),
    host("oom_score_adj", "OomScoreAdj", Kind::Value),
    host("pid_mode", "PidMode", Kind::Value),
    host("pids_limit", "PidsLimit", Kind::Value),
    host("privileged", "Privileged", Kind::Value),
    host("publish_all_ports", "PublishAllPorts", Kind::Value),
    host("read_only", "ReadonlyRootfs", Kind::Value),
    host("runtime", "Runtime", Kind::Value),
    host("security_opts", "SecurityOpt", Kind::Set),
    form(host("shm_size", "ShmSize", Kind::Value), Form::Bytes),
    config("stop_signal", "StopSignal", Kind::Value),
    config("stop_timeout", "StopTimeout", Kind::Value),
    form(host("storage_opts", "StorageOpt", Kind::Dict), Form::Texts),
    form(host("sysctls", "Sysctls", Kind::Dict), Form::Texts),
    config("tty", "Tty", Kind::Value),
    config("user", "User", Kind::Value),
    host("userns_mode", "UsernsMode", Kind::Value),
    host("uts", "UTSMode", Kind::Value),
    host("volume_driver", "VolumeDriver", Kind::Value),
    host("volumes_from", "VolumesFrom", Kind::Set),
    config("working_dir", "WorkingDir", Kind::Value),
];

impl Simple {
    /// The parameter as the engine has it.
    ///
    /// # Errors
    /// Where it isn't a size.
    pub fn wanted(&self, params: &Map) -> Result<Option<Value>, String> {
        let value = match params.get(self.name) {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        Ok(Some(match (self.form, value) {
            (Form::Bytes, Value::String(s)) => bytes(self.name, s)?.into(),
            (Form::Swap, Value::String(s)) if matches!(s.as_str(), "unlimited" | "-1") => (-1).into(),
            (Form::Swap, Value::String(s)) => bytes(self.name, s)?.into(),
            (Form::Nano, value) => ((value.as_f64().unwrap_or(0.0) * 1e9).round() as i64).into(),
            (Form::Texts, Value::Object(map)) => {
                let texts = map.iter().map(|(k, v)| (k.clone(), Value::String(crate::py::str(v))));
                Value::Object(texts.collect())
            }
            (_, other) => other.clone(),
        }))
    }
}

/// A size in bytes (units of 1024).
pub fn bytes(name: &str, text: &str) -> Result<i64, String> {
    crate::spec::human_to_bytes(text)
        .map_err(|e| format!("Failed to convert parameter \"{name}\" to bytes: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wanted(name: &str, value: Value) -> Option<Value> {
        let entry = TABLE.iter().find(|e| e.name == name).expect("an option");
        entry.wanted(&crate::map! { name => value }).expect("a value")
    }

    #[test]
    fn values_as_the_engine_has_them() {
        assert_eq!(wanted("memory", json!("64M")), Some(json!(67108864)));
        assert_eq!(wanted("memory_swap", json!("unlimited")), Some(json!(-1)));
        assert_eq!(wanted("cpus", json!(0.5)), Some(json!(500_000_000)));
        assert_eq!(wanted("sysctls", json!({"a": 1})), Some(json!({"a": "1"})));
        assert_eq!(wanted("tty", Value::Null), None);
    }

    #[test]
    fn every_option_is_in_the_spec() {
        let spec = crate::spec("community.docker.docker_container").expect("a spec");
        for entry in TABLE {
            assert!(spec.params.iter().any(|p| p.name == entry.name), "{}", entry.name);
        }
    }
}
