//! What `create` warns of: settings that the host honours only in part.

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::values::Fields as _;

/// CAP_SYS_RESOURCE's bit: with it limits may be raised.
const SYS_RESOURCE: u64 = 1 << 24;

/// The warnings of a host configuration.
pub fn warnings(host: &Value) -> Vec<String> {
    let mut all = Vec::new();
    if !may_raise(&std::fs::read_to_string("/proc/self/status").unwrap_or_default()) {
        let limits = host.list("Ulimits").iter();
        all.extend(limits.filter_map(|u| {
            let most = getrlimit(resource(u.text("Name"))?).maximum?;
            clamped(u.text("Name"), u.number("Hard"), most)
        }));
    }
    for server in host.strings("Dns").iter().filter(|s| s.starts_with("127.") || *s == "::1") {
        all.push(format!("Localhost DNS setting (--dns={server}) may fail in containers."));
    }
    all
}

/// Whether a process with this `/proc/self/status` may raise its limits.
fn may_raise(status: &str) -> bool {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    line.and_then(|l| u64::from_str_radix(l.trim(), 16).ok()).is_some_and(|caps| caps & SYS_RESOURCE != 0)
}

/// -1 asks for no limit at all.
fn clamped(name: &str, hard: i64, most: u64) -> Option<String> {
    let over = u64::try_from(hard).map_or(true, |hard| hard > most);
    over.then(|| format!("ulimit {name}: the host allows at most {most}, which the container gets"))
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_beyond_the_hosts_are_warned_of() {
        assert!(clamped("nofile", 1000, 2000).is_none());
        assert!(clamped("nofile", 3000, 2000).is_some() && clamped("nofile", -1, 2000).is_some());
        assert!(may_raise("CapEff:\t000001ffffffffff\n") && !may_raise("CapEff:\t000001fffeffffff\n"));
        assert_eq!(warnings(&serde_json::json!({"Dns": ["127.0.0.53", "1.1.1.1"]})).len(), 1);
    }
}
