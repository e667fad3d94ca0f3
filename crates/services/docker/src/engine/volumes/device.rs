//! Volumes with options: a tmpfs, a directory of the host, a share of another machine, mounted at their path as
//! `mount -t TYPE -o O DEVICE` would.

use std::{collections::BTreeMap, ffi::CString, net::ToSocketAddrs, path::Path};

use pileus_base::{Error, Result};
use rustix::mount::{
    MountFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_remount, unmount,
};

/// What the options ask for.
#[derive(Debug, PartialEq, Eq)]
struct Device<'a> {
    kind: &'a str,
    device: &'a str,
    flags: MountFlags,
    /// What is left of `o` for the filesystem itself.
    data: Vec<&'a str>,
}

/// Words of `mount -o`: what each sets, and what it clears.
fn flag(word: &str) -> Option<(MountFlags, MountFlags)> {
    let (set, none) = (|f| Some((f, MountFlags::empty())), |f| Some((MountFlags::empty(), f)));
    match word {
        "defaults" | "" | "async" | "atime" | "diratime" | "norelatime" | "private" | "rprivate" => {
            Some((MountFlags::empty(), MountFlags::empty()))
        }
        "ro" => set(MountFlags::RDONLY),
        "rw" => none(MountFlags::RDONLY),
        "nosuid" => set(MountFlags::NOSUID),
        "suid" => none(MountFlags::NOSUID),
        "nodev" => set(MountFlags::NODEV),
        "dev" => none(MountFlags::NODEV),
        "noexec" => set(MountFlags::NOEXEC),
        "exec" => none(MountFlags::NOEXEC),
        "sync" => set(MountFlags::SYNCHRONOUS),
        "dirsync" => set(MountFlags::DIRSYNC),
        "noatime" => set(MountFlags::NOATIME),
        "nodiratime" => set(MountFlags::NODIRATIME),
        "relatime" => set(MountFlags::RELATIME),
        "strictatime" => set(MountFlags::STRICTATIME),
        "bind" => set(MountFlags::BIND),
        "rbind" => set(MountFlags::BIND | MountFlags::REC),
        _ => None,
    }
}

fn read(options: &BTreeMap<String, String>) -> Result<Option<Device<'_>>> {
    let of = |name: &str| options.get(name).map_or("", String::as_str);
    if let Some(name) = options.keys().find(|k| !matches!(k.as_str(), "type" | "o" | "device" | "size")) {
        return Err(Error::bad_request(format!("invalid option: \"{name}\"")));
    }
    if options.contains_key("size") {
        return Err(Error::bad_request("quota size requested but no quota support"));
    }
    for (name, wanted) in [("device", "type"), ("type", "device"), ("o", "device"), ("o", "type")] {
        if options.contains_key(name) && !options.contains_key(wanted) {
            return Err(Error::bad_request(format!("missing required option: \"{wanted}\"")));
        }
    }
    if options.is_empty() {
        return Ok(None);
    }
    let mut device =
        Device { kind: of("type"), device: of("device"), flags: MountFlags::empty(), data: vec![] };
    for word in of("o").split(',') {
        match flag(word) {
            Some((set, clear)) => device.flags = (device.flags | set) & !clear,
            None => device.data.push(word),
        }
    }
    Ok(Some(device))
}

/// Whether options can be served.
///
/// # Errors
/// 400 for unknown ones, and for those that lack another.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<()> {
    read(options).map(drop)
}

fn mounted(path: &Path) -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    text.lines().any(|l| l.split(' ').nth(4).is_some_and(|m| Path::new(m) == path))
}

/// `addr=name` with the name's address, which is what the kernel reads.
fn resolved(word: &str) -> Result<String> {
    let Some(name) = word.strip_prefix("addr=").filter(|n| n.parse::<std::net::IpAddr>().is_err()) else {
        return Ok(word.to_owned());
    };
    let found = (name, 0).to_socket_addrs().ok().and_then(|mut all| all.next());
    let found = found.ok_or_else(|| {
        Error::internal(format!(
            "error resolving passed in network volume address: lookup {name}: no such host"
        ))
    })?;
    Ok(format!("addr={}", found.ip()))
}

/// Mounts what the options ask for at `path`. Done twice, nothing.
///
/// # Errors
/// 500 where the kernel refuses, with what and where.
pub(super) fn ensure(path: &Path, options: &BTreeMap<String, String>) -> Result<()> {
    let Some(device) = read(options)? else { return Ok(()) };
    if mounted(path) {
        return Ok(());
    }
    let network = matches!(device.kind, "nfs" | "nfs4" | "cifs");
    let data: Vec<String> = match network {
        true => device.data.iter().map(|w| resolved(w)).collect::<Result<_>>()?,
        false => device.data.iter().map(|w| (*w).to_owned()).collect(),
    };
    let data = data.join(",");
    let failed = |e: rustix::io::Errno| {
        let (at, told) =
            (path.display(), if data.is_empty() { String::new() } else { format!(", data: {data}") });
        let why = std::io::Error::from(e).to_string();
        let why = why.split(" (os error").next().unwrap_or_default().to_lowercase();
        Error::internal(format!(
            "error while mounting volume '{at}': failed to mount local volume: mount {}:{at}{told}: {why}",
            device.device
        ))
    };
    if device.flags.contains(MountFlags::BIND) {
        match device.flags.contains(MountFlags::REC) {
            true => mount_bind_recursive(device.device, path),
            false => mount_bind(device.device, path),
        }
        .map_err(failed)?;
        let rest = device.flags - MountFlags::BIND - MountFlags::REC;
        if !rest.is_empty()
            && let Err(e) = mount_remount(path, MountFlags::BIND | rest, "")
        {
            let _ = unmount(path, UnmountFlags::DETACH);
            return Err(failed(e));
        }
        return Ok(());
    }
    let text = CString::new(data.as_str()).map_err(|_| Error::bad_request("invalid option: \"o\""))?;
    mount(device.device, path, device.kind, device.flags, Some(text.as_c_str())).map_err(failed)
}

/// Takes away what is mounted at `path`.
///
/// # Errors
/// 500 where it is in use.
pub(super) fn remove(path: &Path) -> Result<()> {
    while mounted(path) {
        let failed = |e| Error::wrap(format!("failed to unmount {}", path.display()), e);
        unmount(path, UnmountFlags::empty()).map_err(failed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn only_what_can_be_served_is_taken() {
        let said = |all: &[(&str, &str)]| {
            check(&options(all)).err().map_or(String::new(), |e| e.message().to_owned())
        };
        assert_eq!(said(&[]), "");
        assert_eq!(said(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]), "");
        assert_eq!(said(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=10.0.0.1,rw")]), "");
        assert_eq!(said(&[("color", "red")]), "invalid option: \"color\"");
        assert_eq!(said(&[("type", "tmpfs")]), "missing required option: \"device\"");
        assert_eq!(said(&[("o", "bind")]), "missing required option: \"device\"");
    }

    #[test]
    fn words_are_flags_or_the_filesystem_s() {
        let all = options(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=10.0.0.1,ro,nosuid,soft")]);
        let device = read(&all).unwrap().unwrap();
        assert_eq!(device.flags, MountFlags::RDONLY | MountFlags::NOSUID);
        assert_eq!(device.data, ["addr=10.0.0.1", "soft"]);
        assert_eq!(resolved("addr=10.0.0.1").unwrap(), "addr=10.0.0.1");
    }
}
