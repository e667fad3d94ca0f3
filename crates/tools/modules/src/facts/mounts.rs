//! What is mounted where, how large and how full: /proc/self/mountinfo, statvfs(3), /dev/disk/by-uuid.

use std::ffi::CString;

use serde_json::{Value, json};

use super::{Facts, entries, link_name};

/// A line of mountinfo.
#[derive(Debug, Clone)]
pub struct Mount {
    pub device: String,
    pub path: String,
    pub kind: String,
    pub options: String,
    /// The directory of the file system that is shown; not `/` for bind mounts.
    pub root: String,
}

/// `\040` and its like undone.
pub fn unescape(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let code = bytes
            .get(at + 1..at + 4)
            .filter(|digits| bytes[at] == b'\\' && digits.iter().all(|d| (b'0'..b'8').contains(d)))
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    crate::py::text(&out)
}

/// All mounts of this process, in order.
pub fn mounts() -> Vec<Mount> {
    let text = super::read("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter_map(|line| {
            let (left, right) = line.split_once(" - ")?;
            let left: Vec<&str> = left.split(' ').collect();
            let right: Vec<&str> = right.split(' ').collect();
            let (own, fs) = (*left.get(5)?, right.get(2).copied().unwrap_or_default());
            // As /proc/mounts shows them: the mount's own, then what the file system adds.
            let mut options: Vec<&str> = own.split(',').collect();
            for option in fs.split(',').filter(|o| !o.is_empty()) {
                let contradicts = option == "rw" && options.contains(&"ro");
                if !contradicts && !options.contains(&option) {
                    options.push(option);
                }
            }
            Some(Mount {
                root: unescape(left.get(3)?),
                path: unescape(left.get(4)?),
                options: options.join(","),
                kind: (*right.first()?).to_string(),
                device: unescape(right.get(1)?),
            })
        })
        .collect()
}

/// The UUID of the file system on a device.
pub fn uuid_of(device: &str) -> Option<String> {
    let name = link_name(device)?;
    let dir = "/dev/disk/by-uuid";
    entries(dir).into_iter().find(|uuid| link_name(&format!("{dir}/{uuid}")).as_deref() == Some(&name))
}

/// Sizes, blocks and inodes of a mounted file system.
pub fn space(path: &str) -> Option<Facts> {
    let c_path = CString::new(path).ok()?;
    // SAFETY: statvfs is plain integers, for which zero is valid.
    let mut st: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is ended and the struct lives through the call.
    if unsafe { libc::statvfs(c_path.as_ptr(), &mut st) } != 0 {
        return None;
    }
    let (fragment, blocks, available) = (st.f_frsize, st.f_blocks, st.f_bavail);
    let map = json!({
        "size_total": fragment * blocks, "size_available": fragment * available,
        "block_size": st.f_bsize, "block_total": blocks, "block_available": available,
        "block_used": blocks.saturating_sub(available),
        "inode_total": st.f_files, "inode_available": st.f_favail, "inode_used": st.f_files.saturating_sub(st.f_favail),
    });
    match map {
        Value::Object(map) => Some(map),
        _ => None,
    }
}

/// `12.00 GB`, with 1024 to a step.
pub fn human(bytes: f64) -> String {
    for (unit, shift) in
        [("YB", 80), ("ZB", 70), ("EB", 60), ("PB", 50), ("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10)]
    {
        let one = (shift as f64).exp2();
        if bytes >= one {
            return format!("{:.2} {unit}", bytes / one);
        }
    }
    format!("{bytes:.2} Bytes")
}

/// The mounts `setup` shows: of devices and of servers.
pub fn for_setup() -> Vec<Value> {
    mounts()
        .into_iter()
        .filter(|m| (m.device.starts_with(['/', '\\']) || m.device.contains(":/")) && m.kind != "none")
        .map(|m| {
            let mut facts = Facts::new();
            facts.insert("mount".into(), m.path.as_str().into());
            facts.insert("device".into(), m.device.as_str().into());
            facts.insert("fstype".into(), m.kind.into());
            let bind = m.root != "/" && !m.root.is_empty() && !m.device.contains(":/");
            facts.insert(
                "options".into(),
                if bind { format!("{},bind", m.options) } else { m.options }.into(),
            );
            facts.insert("dump".into(), 0.into());
            facts.insert("passno".into(), 0.into());
            facts.extend(space(&m.path).unwrap_or_default());
            facts.insert("uuid".into(), uuid_of(&m.device).unwrap_or_else(|| "N/A".into()).into());
            Value::Object(facts)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_escapes() {
        assert_eq!(human(0.0), "0.00 Bytes");
        assert_eq!(human(536_870_912.0 * 512.0), "256.00 GB");
        assert_eq!(unescape("a\\040b\\x"), "a b\\x");
    }
}
