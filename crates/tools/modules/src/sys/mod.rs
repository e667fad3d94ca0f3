//! What modules need of the system, without NSS and without a runtime.

pub mod clock;
pub mod hash;
pub mod path;
pub mod process;
pub mod users;
pub mod xattr;

/// The machine's name (`uname -n`).
pub fn hostname() -> String {
    // SAFETY: utsname is plain bytes, for which zero is valid; the kernel fills it with ended strings.
    let mut raw: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a utsname that lives through the call.
    if unsafe { libc::uname(&mut raw) } != 0 {
        return String::new();
    }
    let bytes: Vec<u8> = raw.nodename.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
    crate::py::text(&bytes)
}

/// The process's umask. The kernel shows it in /proc, so it is read without being changed.
pub fn umask() -> u32 {
    std::fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|l| l.strip_prefix("Umask:"))?;
            u32::from_str_radix(line.trim(), 8).ok()
        })
        .unwrap_or(0o022)
}

/// The effective user id.
pub fn euid() -> u32 {
    // SAFETY: geteuid has no preconditions and cannot fail.
    unsafe { libc::geteuid() }
}
