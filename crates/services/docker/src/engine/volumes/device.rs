//! Volumes with options: a tmpfs, or a directory of the host, mounted at their path.

use std::{collections::BTreeMap, ffi::CString, path::Path};

use pileus_base::{Error, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, unmount};

/// What the options ask for.
enum Device<'a> {
    /// Nothing: files on the host's own disk.
    None,
    /// A tmpfs with these options.
    Tmpfs(&'a str),
    /// A directory of the host.
    Bind(&'a str),
}

fn read(options: &BTreeMap<String, String>) -> Result<Device<'_>> {
    let of = |name: &str| options.get(name).map_or("", String::as_str);
    if let Some(name) = options.keys().find(|k| !matches!(k.as_str(), "type" | "o" | "device" | "size")) {
        return Err(Error::bad_request(format!("create : invalid option: \"{name}\"")));
    }
    if options.contains_key("size") {
        return Err(Error::not_implemented("quotas of volumes are not supported"));
    }
    let bind = of("o").split(',').any(|o| o == "bind" || o == "rbind");
    match (of("type"), of("device")) {
        ("", "") if of("o").is_empty() => Ok(Device::None),
        ("tmpfs", _) => Ok(Device::Tmpfs(of("o"))),
        ("none" | "bind" | "", device) if bind && device.starts_with('/') => Ok(Device::Bind(device)),
        (_, "") => Err(Error::bad_request("missing device in volume options")),
        (kind, _) => Err(Error::not_implemented(format!("volumes of type \"{kind}\" are not supported"))),
    }
}

/// Whether options can be served.
///
/// # Errors
/// 400 for unknown ones, 501 for what isn't supported.
pub(super) fn check(options: &BTreeMap<String, String>) -> Result<()> {
    read(options).map(drop)
}

fn mounted(path: &Path) -> bool {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    text.lines().any(|l| l.split(' ').nth(4).is_some_and(|m| Path::new(m) == path))
}

/// Mounts what the options ask for at `path`. Done twice, nothing.
///
/// # Errors
/// 500 where the kernel refuses, with what and where.
pub(super) fn ensure(path: &Path, options: &BTreeMap<String, String>) -> Result<()> {
    let device = read(options)?;
    if matches!(device, Device::None) || mounted(path) {
        return Ok(());
    }
    let failed = |e| Error::wrap(format!("failed to mount local volume: mount {}", path.display()), e);
    match device {
        Device::None => Ok(()),
        Device::Tmpfs(o) => {
            let o = CString::new(o).map_err(|_| Error::bad_request("invalid option: \"o\""))?;
            mount("tmpfs", path, "tmpfs", MountFlags::empty(), Some(o.as_c_str())).map_err(failed)
        }
        Device::Bind(from) => mount_bind(from, path).map_err(failed),
    }
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

    #[test]
    fn only_what_can_be_served_is_taken() {
        let of = |all: &[(&str, &str)]| {
            check(&all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert!(of(&[]).is_ok());
        assert!(of(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m")]).is_ok());
        assert!(of(&[("type", "none"), ("o", "bind"), ("device", "/srv")]).is_ok());
        assert!(of(&[("type", "nfs"), ("device", ":/x")]).is_err());
        assert!(of(&[("color", "red")]).is_err());
    }
}
