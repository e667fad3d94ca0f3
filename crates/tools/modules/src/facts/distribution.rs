//! The distribution: os-release(5) and the files distributions had before it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::{Facts, read};
use crate::cx::Cx;

/// Families by the distribution's name.
const FAMILIES: &[(&str, &[&str])] = &[
    (
        "RedHat",
        &[
            "RedHat",
            "RHEL",
            "Fedora",
            "CentOS",
            "Scientific",
            "SLC",
            "Ascendos",
            "CloudLinux",
            "PSBM",
            "OracleLinux",
            "OVS",
            "OEL",
            "Amazon",
            "Amzn",
            "Virtuozzo",
            "XenServer",
            "Alibaba",
            "EulerOS",
            "openEuler",
            "AlmaLinux",
            "Rocky",
            "TencentOS",
            "EuroLinux",
            "Kylin Linux Advanced Server",
            "MIRACLE",
        ],
    ),
    (
        "Debian",
        &[
            "Debian",
            "Ubuntu",
            "Raspbian",
            "Neon",
            "KDE neon",
            "Linux Mint",
            "SteamOS",
            "Devuan",
            "Kali",
            "Cumulus Linux",
            "Pop!_OS",
            "Parrot",
            "Pardus GNU/Linux",
            "Uos",
            "Deepin",
            "OSMC",
            "Linuxmint",
        ],
    ),
    (
        "Suse",
        &[
            "SuSE",
            "SLES",
            "SLED",
            "openSUSE",
            "openSUSE Tumbleweed",
            "SLES_SAP",
            "SUSE_LINUX",
            "openSUSE Leap",
            "ALP-Dolomite",
            "SL-Micro",
            "openSUSE MicroOS",
        ],
    ),
    ("Archlinux", &["Archlinux", "Antergos", "Manjaro"]),
    ("Mandrake", &["Mandrake", "Mandriva"]),
    ("Slackware", &["Slackware"]),
    ("Altlinux", &["Altlinux"]),
    ("SMGL", &["SMGL"]),
    ("Gentoo", &["Gentoo", "Funtoo"]),
    ("Alpine", &["Alpine"]),
    ("ClearLinux", &["Clear Linux OS", "Clear Linux Mix"]),
    ("Flatcar", &["Flatcar"]),
];

/// The settings of os-release.
fn os_release() -> HashMap<String, String> {
    let text = read("/etc/os-release").or_else(|| read("/usr/lib/os-release")).unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (key, value) = line.trim().split_once('=')?;
            let words = crate::modules::command::words::split(value).ok()?;
            Some((key.to_string(), words.join(" ")))
        })
        .collect()
}

/// The name facts use for an os-release ID.
fn name_of(os: &HashMap<String, String>) -> String {
    let get = |key: &str| os.get(key).map(String::as_str).unwrap_or_default();
    let (id, name) = (get("ID"), get("NAME"));
    let fixed = match id {
        "" => "OtherLinux",
        "rhel" => "RedHat",
        "centos" => "CentOS",
        "almalinux" => "AlmaLinux",
        "ol" => "OracleLinux",
        "amzn" => "Amazon",
        "arch" => "Archlinux",
        "sles" | "sled" | "opensuse-leap" | "opensuse-tumbleweed" | "opensuse" | "sles_sap" => name,
        "linuxmint" => "Linux Mint",
        "altlinux" => "Altlinux",
        "clear-linux-os" => "Clear Linux OS",
        "neon" => "KDE neon",
        "pop" => "Pop!_OS",
        "openEuler" => "openEuler",
        "steamos" => "SteamOS",
        "tencentos" => "TencentOS",
        "kylin" => "Kylin Linux Advanced Server",
        _ => "",
    };
    if !fixed.is_empty() {
        return fixed.to_string();
    }
    let mut chars = id.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// The file that tells, and the variety it is read as.
fn told_by(name: &str, family: &str) -> Option<(&'static str, &'static str)> {
    let found = match (family, name) {
        (_, "OracleLinux") => ("/etc/oracle-release", "OracleLinux"),
        (_, "CentOS") => ("/etc/centos-release", "CentOS"),
        (_, "Amazon") => ("/etc/os-release", "Amazon"),
        ("RedHat", _) => ("/etc/redhat-release", "RedHat"),
        ("Suse", _) => ("/etc/os-release", "SUSE"),
        ("Alpine", _) => ("/etc/alpine-release", "Alpine"),
        ("Archlinux", _) if Path::new("/etc/arch-release").exists() => ("/etc/arch-release", "Archlinux"),
        ("Archlinux", _) => ("/etc/os-release", "Archlinux"),
        ("Gentoo", _) => ("/etc/gentoo-release", "Gentoo"),
        ("Altlinux", _) => ("/etc/altlinux-release", "Altlinux"),
        ("Slackware", _) => ("/etc/slackware-version", "Slackware"),
        ("ClearLinux", _) => ("/usr/lib/os-release", "ClearLinux"),
        ("Flatcar", _) => ("/etc/flatcar/update.conf", "Flatcar"),
        ("Debian", _) => ("/etc/os-release", "Debian"),
        _ => return None,
    };
    Path::new(found.0).exists().then_some(found)
}

/// The version, as precisely as the machine says it.
fn version(name: &str, os: &HashMap<String, String>) -> Option<String> {
    let plain = os.get("VERSION_ID").cloned();
    let digits = |text: &str| {
        let start = text.find(|c: char| c.is_ascii_digit())?;
        let end =
            text[start..].find(|c: char| !(c.is_ascii_digit() || c == '.')).map_or(text.len(), |e| start + e);
        Some(text[start..end].trim_end_matches('.').to_string())
    };
    match name {
        "Debian" => {
            let exact = read("/etc/debian_version").filter(|v| v.starts_with(|c: char| c.is_ascii_digit()));
            exact.or(plain)
        }
        "Alpine" => read("/etc/alpine-release").or(plain),
        "CentOS" => {
            let exact = read("/etc/centos-release").and_then(|t| digits(&t));
            exact.map(|v| v.split('.').take(2).collect::<Vec<_>>().join(".")).or(plain)
        }
        "Archlinux" => Some("rolling".into()),
        "Gentoo" => read("/etc/gentoo-release").and_then(|t| digits(&t)).or(plain),
        _ => plain,
    }
}

/// The release's code name.
fn release(name: &str, family: &str, os: &HashMap<String, String>) -> String {
    let get = |key: &str| os.get(key).filter(|v| !v.is_empty()).cloned();
    let bracketed = |text: &str| {
        let (_, rest) = text.split_once('(')?;
        Some(rest.split(')').next()?.to_string())
    };
    let found = match family {
        "Debian" => get("VERSION_CODENAME")
            .or_else(|| get("UBUNTU_CODENAME"))
            .or_else(|| get("VERSION").and_then(|v| bracketed(&v)).map(|v| v.to_lowercase()))
            .or_else(|| {
                (name == "Debian")
                    .then(|| read("/etc/debian_version")?.split_once('/').map(|(c, _)| c.to_string()))
                    .flatten()
            }),
        "RedHat" if name == "Amazon" => None,
        "RedHat" => {
            let text = read("/etc/redhat-release").or_else(|| get("VERSION")).unwrap_or_default();
            return match bracketed(&text) {
                Some(code) if name == "Fedora" && code.chars().next().is_some_and(|c| c.is_ascii_digit()) => {
                    String::new()
                }
                Some(code) => code,
                None => {
                    if name == "CentOS" && text.contains("Stream") {
                        "Stream".into()
                    } else {
                        "NA".into()
                    }
                }
            };
        }
        "Suse" => get("VERSION_ID").and_then(|v| v.split_once('.').map(|(_, minor)| minor.to_string())),
        _ => None,
    };
    found.unwrap_or_else(|| "NA".into())
}

/// distribution, its version, release, family and the file that told them.
pub fn collect(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let os = os_release();
    let name = name_of(&os);
    let family = FAMILIES.iter().find(|(_, names)| names.contains(&name.as_str())).map(|(family, _)| *family);
    let told = told_by(&name, family.unwrap_or_default());
    let version = version(&name, &os);
    let or_na = |text: Option<&str>| Value::from(text.filter(|t| !t.is_empty()).unwrap_or("NA"));
    let parts: Vec<&str> = version.as_deref().unwrap_or_default().split('.').collect();
    facts.insert("distribution".into(), name.as_str().into());
    facts.insert("distribution_version".into(), or_na(version.as_deref()));
    facts.insert("distribution_release".into(), release(&name, family.unwrap_or_default(), &os).into());
    facts.insert("distribution_major_version".into(), or_na(parts.first().copied()));
    if let Some((path, variety)) = told {
        facts.insert("distribution_file_path".into(), path.into());
        facts.insert("distribution_file_variety".into(), variety.into());
        facts.insert("distribution_file_parsed".into(), true.into());
    }
    if let Some(minor) = parts.get(1).filter(|_| matches!(family, Some("Debian"))) {
        facts.insert("distribution_minor_version".into(), (*minor).into());
    }
    facts.insert("os_family".into(), family.unwrap_or(&name).into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_families() {
        let os = |id: &str, name: &str| {
            HashMap::from([("ID".to_string(), id.to_string()), ("NAME".to_string(), name.to_string())])
        };
        assert_eq!(name_of(&os("ubuntu", "Ubuntu")), "Ubuntu");
        assert_eq!(name_of(&os("rocky", "Rocky Linux")), "Rocky");
        assert_eq!(name_of(&os("opensuse-leap", "openSUSE Leap")), "openSUSE Leap");
        assert_eq!(name_of(&HashMap::new()), "OtherLinux");
    }
}
