//! Collectors of a few lines each.

use std::path::Path;

use serde_json::{Value, json};

use super::{Facts, entries, output, read};
use crate::cx::Cx;
use crate::sys::clock;

/// Whether AppArmor is there.
pub fn apparmor(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let on = Path::new("/sys/kernel/security/apparmor").exists();
    facts.insert("apparmor".into(), json!({"status": if on { "enabled" } else { "disabled" }}));
}

/// The process's capabilities, in libcap's words.
pub fn capabilities(cx: &mut Cx<'_>, facts: &mut Facts) {
    let Some(capsh) = cx.find_bin("capsh") else {
        facts.insert("system_capabilities_enforced".into(), "N/A".into());
        facts.insert("system_capabilities".into(), "N/A".into());
        return;
    };
    let text = output(cx, &[&capsh, "--print"]).unwrap_or_default();
    let Some(line) = text.lines().find_map(|l| l.strip_prefix("Current:")) else { return };
    let line = line.trim();
    let (enforced, list): (&str, Vec<String>) = if line == "=ep" {
        ("False", Vec::new())
    } else {
        let after = line.split_once('=').map_or("", |(_, v)| v);
        ("True", after.split(',').map(|c| c.trim().to_string()).collect())
    };
    facts.insert("system_capabilities_enforced".into(), enforced.into());
    facts.insert("system_capabilities".into(), list.into());
}

/// Whether `/` is the first process's root.
pub fn chroot(cx: &mut Cx<'_>, facts: &mut Facts) {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata("/");
    let inside = cx.env("debian_chroot").is_some()
        || match (root, std::fs::metadata("/proc/1/root/.")) {
            (Ok(a), Ok(b)) => (a.ino(), a.dev()) != (b.ino(), b.dev()),
            // Roots have well-known numbers: 2 of ext4, 256 of btrfs, 128 of xfs.
            (Ok(a), Err(_)) => !matches!(a.ino(), 2 | 128 | 256),
            _ => false,
        };
    facts.insert("is_chroot".into(), inside.into());
}

/// The kernel's command line, as one value a key and with all of them.
pub fn cmdline(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let Some(text) = read("/proc/cmdline") else { return };
    let words = crate::modules::command::words::split(&text).unwrap_or_default();
    let (mut last, mut all) = (Facts::new(), Facts::new());
    for word in words {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key.to_string(), Value::from(value)),
            None => (word.clone(), Value::Bool(true)),
        };
        last.insert(key.clone(), value.clone());
        match all.get_mut(&key) {
            Some(Value::Array(list)) => list.push(value),
            Some(old) => *old = json!([old.clone(), value]),
            None => {
                all.insert(key, value);
            }
        }
    }
    facts.insert("cmdline".into(), Value::Object(last));
    facts.insert("proc_cmdline".into(), Value::Object(all));
}

/// Now, in the machine's zone and in UTC.
pub fn date_time(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let (secs, nanos) = clock::now();
    let micros = nanos / 1000;
    let local = clock::local(secs);
    let utc = utc(secs);
    let at = |format: &str| clock::format(format, &local);
    let dst = clock::zone_names()[1].clone();
    facts.insert(
        "date_time".into(),
        json!({
            "year": at("%Y"), "month": at("%m"), "weekday": at("%A"), "weekday_number": at("%w"),
            "weeknumber": at("%W"), "day": at("%d"), "hour": at("%H"), "minute": at("%M"), "second": at("%S"),
            "epoch": secs.to_string(), "epoch_int": secs.to_string(),
            "date": at("%Y-%m-%d"), "time": at("%H:%M:%S"),
            "iso8601_micro": format!("{}.{micros:06}Z", clock::format("%Y-%m-%dT%H:%M:%S", &utc)),
            "iso8601": clock::format("%Y-%m-%dT%H:%M:%SZ", &utc),
            "iso8601_basic": format!("{}{micros:06}", at("%Y%m%dT%H%M%S")),
            "iso8601_basic_short": at("%Y%m%dT%H%M%S"),
            "tz": at("%Z"), "tz_dst": dst, "tz_offset": at("%z"),
        }),
    );
}

fn utc(secs: i64) -> libc::tm {
    // SAFETY: tm is plain integers and a pointer, for which zero is valid.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers live through the call.
    unsafe { libc::gmtime_r(&secs, &mut tm) };
    tm
}

/// resolv.conf(5).
pub fn dns(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let mut dns = Facts::new();
    for line in read("/etc/resolv.conf").unwrap_or_default().lines() {
        if line.starts_with(['#', ';']) || line.trim().is_empty() {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let rest = &words[1..];
        match words[0] {
            "nameserver" => {
                let list = dns.entry("nameservers").or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.extend(rest.iter().map(|w| Value::from(*w)));
                }
            }
            "domain" if !rest.is_empty() => {
                dns.insert("domain".into(), rest[0].into());
            }
            key @ ("search" | "sortlist") => {
                dns.insert(key.into(), json!(rest));
            }
            "options" => {
                let mut options = Facts::new();
                for word in rest {
                    let (key, value) = match word.split_once(':') {
                        Some((key, value)) => (key, Value::from(value)),
                        None => (*word, Value::Bool(true)),
                    };
                    options.insert(key.into(), value);
                }
                dns.insert("options".into(), Value::Object(options));
            }
            _ => {}
        }
    }
    facts.insert("dns".into(), Value::Object(dns));
}

/// The environment a task's programs get.
pub fn env(cx: &mut Cx<'_>, facts: &mut Facts) {
    let mut env = Facts::new();
    for (key, value) in std::env::vars_os() {
        env.insert(key.to_string_lossy().into_owned(), value.to_string_lossy().into_owned().into());
    }
    for (key, value) in &cx.environment {
        env.insert(key.clone(), value.as_str().into());
    }
    facts.insert("env".into(), Value::Object(env));
}

/// The names of Fibre Channel ports.
pub fn fibre_channel(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let ports: Vec<String> = entries("/sys/class/fc_host")
        .iter()
        .filter_map(|host| read(&format!("/sys/class/fc_host/{host}/port_name")))
        .map(|name| name.trim_start_matches("0x").to_string())
        .collect();
    facts.insert("fibre_channel_wwn".into(), ports.into());
}

/// FIPS mode of the kernel.
pub fn fips(_cx: &mut Cx<'_>, facts: &mut Facts) {
    facts.insert("fips".into(), (read("/proc/sys/crypto/fips_enabled").as_deref() == Some("1")).into());
}

/// The iSCSI initiator's name.
pub fn iscsi(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let text = read("/etc/iscsi/initiatorname.iscsi").unwrap_or_default();
    let name = text.lines().find_map(|l| l.trim().strip_prefix("InitiatorName=")).unwrap_or_default();
    facts.insert("iscsi_iqn".into(), name.into());
}

/// The NVMe host's name.
pub fn nvme(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let text = read("/etc/nvme/hostnqn").unwrap_or_default();
    let name = text.lines().map(str::trim).find(|l| l.starts_with("nqn.")).unwrap_or_default();
    facts.insert("hostnqn".into(), name.into());
}

/// How many programs want to run.
pub fn loadavg(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let mut load = [0f64; 3];
    // SAFETY: the array holds the three numbers asked for.
    if unsafe { libc::getloadavg(load.as_mut_ptr(), 3) } == 3 {
        facts.insert("loadavg".into(), json!({"1m": load[0], "5m": load[1], "15m": load[2]}));
    }
}

/// The Linux Standard Base's words for the distribution.
pub fn lsb(cx: &mut Cx<'_>, facts: &mut Facts) {
    let mut lsb = Facts::new();
    let mut note = |key: &str, value: &str| {
        lsb.insert(key.into(), value.trim_matches(['"', '\'', '\\']).trim().into());
    };
    if let Some(program) = cx.find_bin("lsb_release") {
        for line in output(cx, &[&program, "-a"]).unwrap_or_default().lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            match key {
                "LSB Version" => note("release", value.trim()),
                "Distributor ID" => note("id", value.trim()),
                "Description" => note("description", value.trim()),
                "Release" => note("release", value.trim()),
                "Codename" => note("codename", value.trim()),
                _ => {}
            }
        }
    } else {
        for line in read("/etc/lsb-release").unwrap_or_default().lines() {
            let Some((key, value)) = line.split_once('=') else { continue };
            match key {
                "DISTRIB_ID" => note("id", value),
                "DISTRIB_RELEASE" => note("release", value),
                "DISTRIB_DESCRIPTION" => note("description", value),
                "DISTRIB_CODENAME" => note("codename", value),
                _ => {}
            }
        }
    }
    if let Some(release) = lsb.get("release").and_then(Value::as_str) {
        let major = release.split('.').next().unwrap_or_default().to_string();
        lsb.insert("major_release".into(), major.into());
    }
    facts.insert("lsb".into(), Value::Object(lsb));
}

/// SELinux, by its file system and its configuration.
pub fn selinux(_cx: &mut Cx<'_>, facts: &mut Facts) {
    facts.insert("selinux_python_present".into(), true.into());
    if !crate::sys::xattr::selinux_enabled() {
        facts.insert("selinux".into(), json!({"status": "disabled"}));
        return;
    }
    let config = read("/etc/selinux/config").unwrap_or_default();
    let setting = |key: &str| {
        config.lines().find_map(|l| l.trim().strip_prefix(key)?.strip_prefix('=').map(str::to_string))
    };
    let mode = match read("/sys/fs/selinux/enforce").as_deref() {
        Some("1") => "enforcing",
        Some("0") => "permissive",
        _ => "unknown",
    };
    facts.insert(
        "selinux".into(),
        json!({
            "status": "enabled",
            "policyvers": read("/sys/fs/selinux/policyvers").and_then(|v| v.parse::<i64>().ok()).map_or(json!("unknown"), |v| json!(v)),
            "config_mode": setting("SELINUX").unwrap_or_else(|| "unknown".into()),
            "mode": mode,
            "type": setting("SELINUXTYPE").unwrap_or_else(|| "unknown".into()),
        }),
    );
}

/// The SSH server's public keys.
pub fn ssh_keys(_cx: &mut Cx<'_>, facts: &mut Facts) {
    for dir in ["/etc/ssh", "/etc/openssh", "/etc"] {
        let mut any = false;
        for kind in ["dsa", "rsa", "ecdsa", "ed25519"] {
            let Some(text) = read(&format!("{dir}/ssh_host_{kind}_key.pub")) else { continue };
            let mut words = text.split_whitespace();
            if let (Some(name), Some(key)) = (words.next(), words.next()) {
                facts.insert(format!("ssh_host_key_{kind}_public"), key.into());
                facts.insert(format!("ssh_host_key_{kind}_public_keytype"), name.into());
                any = true;
            }
        }
        if any {
            break;
        }
    }
}

/// systemd's version, where it manages the machine.
pub fn systemd(cx: &mut Cx<'_>, facts: &mut Facts) {
    if !Path::new("/run/systemd/system").exists() {
        return;
    }
    let Some(systemctl) = cx.find_bin("systemctl") else { return };
    let Some(text) = output(cx, &[&systemctl, "--version"]) else { return };
    let mut lines = text.lines();
    let version = lines.next().and_then(|l| l.split_whitespace().nth(1)).and_then(|v| v.parse::<i64>().ok());
    let features = lines.next().unwrap_or_default();
    if let Some(version) = version {
        facts.insert("systemd".into(), json!({"version": version, "features": features}));
    }
}

/// Facts of `facter`, where it is installed.
pub fn facter(cx: &mut Cx<'_>, facts: &mut Facts) {
    let program = cx.find_bin("facter").or_else(|| cx.find_bin("cfacter"));
    let Some(program) = program else { return };
    if let Some(text) = output(cx, &[&program, "--puppet", "--json"])
        && let Ok(Value::Object(map)) = serde_json::from_str(&text)
    {
        facts.extend(map.into_iter().map(|(k, v)| (format!("facter_{k}"), v)));
    }
}

/// Facts of `ohai`, where it is installed.
pub fn ohai(cx: &mut Cx<'_>, facts: &mut Facts) {
    let Some(program) = cx.find_bin("ohai") else { return };
    if let Some(text) = output(cx, &[&program])
        && let Ok(Value::Object(map)) = serde_json::from_str(&text)
    {
        facts.extend(map.into_iter().map(|(k, v)| (format!("ohai_{k}"), v)));
    }
}
