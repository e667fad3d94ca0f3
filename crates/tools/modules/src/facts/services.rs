//! Which package manager and which service manager the machine has.

use std::path::Path;

use super::{Facts, read};
use crate::cx::Cx;

/// Package managers by their program, the less certain first: the last one found is taken.
const MANAGERS: &[(&str, &str)] = &[
    ("/usr/bin/pkg5", "pkg5"),
    ("/usr/bin/xbps-install", "xbps"),
    ("/usr/sbin/swupd", "swupd"),
    ("/usr/bin/swupd", "swupd"),
    ("/usr/sbin/sorcery", "sorcery"),
    ("/usr/bin/installp", "installp"),
    ("/QOpenSys/pkgs/bin/yum", "yum"),
    ("/opt/homebrew/bin/brew", "homebrew"),
    ("/usr/local/bin/brew", "homebrew"),
    ("/opt/local/bin/port", "macports"),
    ("/opt/tools/bin/pkgin", "pkgin"),
    ("/opt/local/bin/pkgin", "pkgin"),
    ("/usr/pkg/bin/pkgin", "pkgin"),
    ("/sbin/apk", "apk"),
    ("/usr/bin/emerge", "portage"),
    ("/usr/sbin/urpmi", "urpmi"),
    ("/usr/bin/zypper", "zypper"),
    ("/usr/bin/pacman", "pacman"),
    ("/bin/opkg", "opkg"),
    ("/usr/bin/apt-get", "apt"),
    ("/usr/bin/yum", "yum"),
    ("/usr/bin/dnf-3", "dnf"),
    ("/usr/bin/dnf5", "dnf5"),
    ("/usr/bin/rpm-ostree", "atomic_container"),
];

/// The package manager, given the distribution's family and name.
pub fn package_manager(family: &str, distribution: &str) -> String {
    let there =
        |manager: &str| MANAGERS.iter().any(|(path, name)| *name == manager && Path::new(path).exists());
    let preferred: &[&str] = match family {
        "Debian" => &["apt"],
        "RedHat" if Path::new("/run/ostree-booted").exists() => &["atomic_container", "dnf5", "dnf", "yum"],
        "RedHat" if distribution == "Fedora" => &["dnf5", "dnf", "yum"],
        "RedHat" => &["dnf", "dnf5", "yum"],
        "Altlinux" => return if there("apt") { "apt_rpm".into() } else { "unknown".into() },
        "Suse" => &["zypper"],
        "Alpine" => &["apk"],
        "Archlinux" => &["pacman"],
        "Gentoo" => &["portage"],
        _ => &[],
    };
    if let Some(found) = preferred.iter().find(|m| there(m)) {
        return (*found).to_string();
    }
    MANAGERS
        .iter()
        .rev()
        .find(|(path, _)| Path::new(path).exists())
        .map_or_else(|| "unknown".to_string(), |(_, name)| (*name).to_string())
}

/// `pkg_mgr`.
pub fn collect_packages(_cx: &mut Cx<'_>, facts: &mut Facts) {
    let text = |key: &str| facts.get(key).and_then(|v| v.as_str()).unwrap_or_default().to_string();
    let manager = package_manager(&text("os_family"), &text("distribution"));
    facts.insert("pkg_mgr".into(), manager.into());
}

/// The service manager: by the first process's name, else by what is installed.
pub fn service_manager(cx: &Cx<'_>) -> String {
    let comm = read("/proc/1/comm").unwrap_or_default();
    let known = match comm.as_str() {
        "procd" => "openwrt_init",
        "runit-init" => "runit",
        "svscan" => "svc",
        "openrc-init" => "openrc",
        "init" | "COMMAND" | "" => "",
        name if name.ends_with("sh") => "",
        name => name,
    };
    if !known.is_empty() {
        return known.to_string();
    }
    let systemctl = cx.find_bin("systemctl").is_some();
    let exists = |path: &str| Path::new(path).exists();
    let manages = ["/run/systemd/system/", "/dev/.run/systemd/", "/dev/.systemd/"].iter().any(|p| exists(p));
    if systemctl && manages {
        "systemd".into()
    } else if cx.find_bin("initctl").is_some() && exists("/etc/init/") {
        "upstart".into()
    } else if exists("/sbin/openrc") {
        "openrc".into()
    } else if systemctl && super::link_name("/sbin/init").as_deref() == Some("systemd") {
        "systemd".into()
    } else if exists("/etc/init.d/") {
        "sysvinit".into()
    } else {
        "service".into()
    }
}

/// `service_mgr`.
pub fn collect_services(cx: &mut Cx<'_>, facts: &mut Facts) {
    facts.insert("service_mgr".into(), service_manager(cx).into());
}
