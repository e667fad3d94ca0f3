//! What kinds of values the bodies of requests have: a value of another kind is refused, never taken for an empty
//! one. The words are those of Go's decoder, with the reference's names of types.

use pileus_base::{Error, Result};
use serde_json::Value;

/// What a field may hold; `null` is always allowed.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Text,
    Int,
    /// An `int64` in the reference's words.
    Long,
    Flag,
    /// A list of texts.
    Texts,
    /// A text or a list of texts.
    Words,
    /// Texts by text.
    Pairs,
    /// An object whose values are of the type that the words name.
    Map(&'static str),
    /// A list of what the words name.
    List(&'static str),
    /// An object with fields of its own, and its type's name.
    Object(&'static str, &'static [Field]),
}

/// A field's name and kind.
pub type Field = (&'static str, Kind);

use Kind::{Flag, Int, List, Long, Map, Object, Pairs, Text, Texts, Words};

const HEALTH: &[Field] =
    &[("Test", Texts), ("Interval", Long), ("Timeout", Long), ("StartPeriod", Long), ("Retries", Int)];
const POLICY: &[Field] = &[("Name", Text), ("MaximumRetryCount", Int)];
const LOG: &[Field] = &[("Type", Text), ("Config", Pairs)];
const HOST: &[Field] = &[
    ("Binds", Texts),
    ("ContainerIDFile", Text),
    ("LogConfig", Object("container.LogConfig", LOG)),
    ("NetworkMode", Text),
    ("PortBindings", Map("nat.PortMap")),
    ("RestartPolicy", Object("container.RestartPolicy", POLICY)),
    ("AutoRemove", Flag),
    ("VolumeDriver", Text),
    ("VolumesFrom", Texts),
    ("CapAdd", Words),
    ("CapDrop", Words),
    ("CgroupnsMode", Text),
    ("Dns", Texts),
    ("DnsOptions", Texts),
    ("DnsSearch", Texts),
    ("ExtraHosts", Texts),
    ("GroupAdd", Texts),
    ("IpcMode", Text),
    ("Cgroup", Text),
    ("Links", Texts),
    ("OomScoreAdj", Int),
    ("PidMode", Text),
    ("Privileged", Flag),
    ("PublishAllPorts", Flag),
    ("ReadonlyRootfs", Flag),
    ("SecurityOpt", Texts),
    ("StorageOpt", Pairs),
    ("Tmpfs", Pairs),
    ("UTSMode", Text),
    ("UsernsMode", Text),
    ("ShmSize", Long),
    ("Sysctls", Pairs),
    ("Runtime", Text),
    ("ConsoleSize", List("[2]uint")),
    ("Isolation", Text),
    ("MaskedPaths", Texts),
    ("ReadonlyPaths", Texts),
    ("Mounts", List("[]mount.Mount")),
    ("Init", Flag),
    ("CpuShares", Long),
    ("Memory", Long),
    ("NanoCpus", Long),
    ("CgroupParent", Text),
    ("BlkioWeightDevice", List("[]*blkiodev.WeightDevice")),
    ("BlkioDeviceReadBps", List("[]*blkiodev.ThrottleDevice")),
    ("BlkioDeviceWriteBps", List("[]*blkiodev.ThrottleDevice")),
    ("BlkioDeviceReadIOps", List("[]*blkiodev.ThrottleDevice")),
    ("BlkioDeviceWriteIOps", List("[]*blkiodev.ThrottleDevice")),
    ("CpuPeriod", Long),
    ("CpuQuota", Long),
    ("CpuRealtimePeriod", Long),
    ("CpuRealtimeRuntime", Long),
    ("CpusetCpus", Text),
    ("CpusetMems", Text),
    ("Devices", List("[]container.DeviceMapping")),
    ("DeviceCgroupRules", Texts),
    ("DeviceRequests", List("[]container.DeviceRequest")),
    ("MemoryReservation", Long),
    ("MemorySwap", Long),
    ("MemorySwappiness", Long),
    ("OomKillDisable", Flag),
    ("PidsLimit", Long),
    ("Ulimits", List("[]*units.Ulimit")),
    ("Annotations", Pairs),
];
const NETWORKING: &[Field] = &[("EndpointsConfig", Map("map[string]*network.EndpointSettings"))];
/// The body of `POST /containers/create`.
pub const CREATE: (&str, &[Field]) = (
    "ContainerConfigWrapper",
    &[
        ("Hostname", Text),
        ("Domainname", Text),
        ("User", Text),
        ("AttachStdin", Flag),
        ("AttachStdout", Flag),
        ("AttachStderr", Flag),
        ("ExposedPorts", Map("nat.PortSet")),
        ("Tty", Flag),
        ("OpenStdin", Flag),
        ("StdinOnce", Flag),
        ("Env", Texts),
        ("Cmd", Words),
        ("Healthcheck", Object("container.HealthConfig", HEALTH)),
        ("Image", Text),
        ("Volumes", Map("map[string]struct {}")),
        ("WorkingDir", Text),
        ("Entrypoint", Words),
        ("NetworkDisabled", Flag),
        ("MacAddress", Text),
        ("OnBuild", Texts),
        ("Labels", Pairs),
        ("StopSignal", Text),
        ("StopTimeout", Int),
        ("Shell", Words),
        ("HostConfig", Object("container.HostConfig", HOST)),
        ("NetworkingConfig", Object("network.NetworkingConfig", NETWORKING)),
    ],
);
/// The body of `POST /containers/{id}/update`.
pub const UPDATE: (&str, &[Field]) = ("UpdateConfig", HOST);
/// The body of `POST /containers/{id}/exec`.
pub const EXEC: (&str, &[Field]) = (
    "ExecConfig",
    &[
        ("User", Text),
        ("Privileged", Flag),
        ("Tty", Flag),
        ("ConsoleSize", List("[2]uint")),
        ("AttachStdin", Flag),
        ("AttachStderr", Flag),
        ("AttachStdout", Flag),
        ("DetachKeys", Text),
        ("Env", Texts),
        ("WorkingDir", Text),
        ("Cmd", Texts),
    ],
);
/// The body of `POST /exec/{id}/start`.
pub const START: (&str, &[Field]) =
    ("ExecStartCheck", &[("Detach", Flag), ("Tty", Flag), ("ConsoleSize", List("[2]uint"))]);
/// The body of `POST /commit`: a container's configuration.
pub const COMMIT: (&str, &[Field]) = CREATE;
/// The body of `POST /volumes/create`.
pub const VOLUME: (&str, &[Field]) =
    ("VolumeCreateBody", &[("Name", Text), ("Driver", Text), ("DriverOpts", Pairs), ("Labels", Pairs)]);
const IPAM: &[Field] = &[("Driver", Text), ("Options", Pairs), ("Config", List("[]network.IPAMConfig"))];
/// The body of `POST /networks/create`.
pub const NETWORK: (&str, &[Field]) = (
    "NetworkCreateRequest",
    &[
        ("Name", Text),
        ("CheckDuplicate", Flag),
        ("Driver", Text),
        ("Scope", Text),
        ("EnableIPv4", Flag),
        ("EnableIPv6", Flag),
        ("IPAM", Object("network.IPAM", IPAM)),
        ("Internal", Flag),
        ("Attachable", Flag),
        ("Ingress", Flag),
        ("ConfigOnly", Flag),
        ("Options", Pairs),
        ("Labels", Pairs),
    ],
);
const ENDPOINT: &[Field] = &[
    ("Links", Texts),
    ("Aliases", Texts),
    ("NetworkID", Text),
    ("IPAddress", Text),
    ("MacAddress", Text),
    ("DriverOpts", Pairs),
    ("GwPriority", Int),
];
/// The bodies of `POST /networks/{id}/connect` and `…/disconnect`.
pub const CONNECT: (&str, &[Field]) = (
    "NetworkConnect",
    &[("Container", Text), ("Force", Flag), ("EndpointConfig", Object("network.EndpointSettings", ENDPOINT))],
);
/// The body of `POST /auth`.
pub const AUTH: (&str, &[Field]) = (
    "AuthConfig",
    &[
        ("username", Text),
        ("password", Text),
        ("email", Text),
        ("serveraddress", Text),
        ("identitytoken", Text),
    ],
);

/// Refuses a body with a value of another kind than its field's.
///
/// # Errors
/// 400, `json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64`.
pub fn check(body: &Value, (name, fields): (&str, &[Field])) -> Result<()> {
    match body {
        Value::Null => Ok(()),
        Value::Object(_) => object(body, name, fields, ""),
        other => refuse(format!("json: cannot unmarshal {} into Go value of type {name}", word(other))),
    }
}

fn refuse<T>(message: String) -> Result<T> {
    Err(Error::bad_request(format!("invalid JSON: {message}")))
}

fn object(value: &Value, name: &str, fields: &[Field], path: &str) -> Result<()> {
    for (field, kind) in fields {
        let Some(value) = value.get(*field).filter(|v| !v.is_null()) else { continue };
        let path = format!("{path}{field}");
        if let Kind::Object(_, fields) = kind
            && value.is_object()
        {
            object(value, field, fields, &format!("{path}."))?;
        } else if let Some((got, wanted)) = clash(value, *kind) {
            return refuse(format!(
                "json: cannot unmarshal {got} into Go struct field {name}.{path} of type {wanted}"
            ));
        }
    }
    Ok(())
}

/// What was found and what was wanted, where they differ.
fn clash(value: &Value, kind: Kind) -> Option<(String, &'static str)> {
    let got = || word(value);
    let odd = |v: &&Value| !v.is_string() && !v.is_null();
    let named = |v: &Value| (word(v), "string");
    match (kind, value) {
        (Text, Value::String(_)) | (Flag, Value::Bool(_)) | (Words, Value::String(_)) => None,
        (Int | Long, Value::Number(n)) if n.is_i64() => None,
        (Int | Long, Value::Number(n)) => Some((format!("number {n}"), whole(kind))),
        (Texts, Value::Array(all)) => all.iter().find(odd).map(named),
        (Words, Value::Array(all)) => all.iter().find(odd).map(|_| ("array".to_owned(), "string")),
        (Pairs, Value::Object(all)) => all.values().find(odd).map(named),
        (Map(_), Value::Object(_)) | (List(_), Value::Array(_)) => None,
        (Text | Words, _) => Some((got(), "string")),
        (Flag, _) => Some((got(), "bool")),
        (Texts, _) => Some((got(), "[]string")),
        (Pairs, _) => Some((got(), "map[string]string")),
        (Int | Long, _) => Some((got(), whole(kind))),
        (Map(wanted) | List(wanted) | Object(wanted, _), _) => Some((got(), wanted)),
    }
}

fn whole(kind: Kind) -> &'static str {
    if matches!(kind, Int) { "int" } else { "int64" }
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_another_kind_are_refused() {
        let of = |body: Value| check(&body, CREATE).map_err(|e| e.message().to_owned());
        let refused = |body: Value| of(body).unwrap_err();
        assert!(of(json!({"Image": "a", "Cmd": "x", "Env": null, "HostConfig": {"Memory": 3}})).is_ok());
        assert_eq!(
            refused(json!({"HostConfig": {"Memory": "64m"}})),
            "invalid JSON: json: cannot unmarshal string into Go struct field HostConfig.HostConfig.Memory of type int64"
        );
        assert_eq!(
            refused(json!({"HostConfig": {"LogConfig": {"Config": {"a": 3}}}})),
            "invalid JSON: json: cannot unmarshal number into Go struct field LogConfig.HostConfig.LogConfig.Config of type string"
        );
        assert!(refused(json!({"HostConfig": {"Memory": 1.5}})).contains("unmarshal number 1.5 into"));
        assert!(refused(json!({"Cmd": ["a", 1]})).contains("unmarshal array into"));
        assert!(refused(json!({"Labels": ["a"]})).ends_with("of type map[string]string"));
        assert!(refused(json!([])).contains("Go value of type ContainerConfigWrapper"));
    }
}
