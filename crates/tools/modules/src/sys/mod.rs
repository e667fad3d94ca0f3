//! What modules need of the system, without NSS and without a runtime.

pub mod clock;
pub mod hash;
pub mod path;
pub mod process;
pub mod users;
pub mod xattr;

/// The machine's name (`uname -n`).
pub fn hostname() -> String {
    uname().nodename
}

/// `uname(2)`.
#[derive(Debug, Clone, Default)]
pub struct Uname {
    pub sysname: String,
    pub nodename: String,
    pub release: String,
    pub version: String,
    pub machine: String,
}

/// The kernel's names.
pub fn uname() -> Uname {
    // SAFETY: utsname is plain bytes, for which zero is valid; the kernel fills it with ended strings.
    let mut raw: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a utsname that lives through the call.
    if unsafe { libc::uname(&mut raw) } != 0 {
        return Uname::default();
    }
    let text = |field: &[libc::c_char]| {
        let bytes: Vec<u8> = field.iter().take_while(|c| **c != 0).map(|c| *c as u8).collect();
        crate::py::text(&bytes)
    };
    Uname {
        sysname: text(&raw.sysname),
        nodename: text(&raw.nodename),
        release: text(&raw.release),
        version: text(&raw.version),
        machine: text(&raw.machine),
    }
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

/// The effective group id.
pub fn egid() -> u32 {
    // SAFETY: getegid has no preconditions and cannot fail.
    unsafe { libc::getegid() }
}

/// Waits for the given time: only where a module's own parameter asks for a pause (`delay`, `sleep`).
pub fn pause(duration: std::time::Duration) {
    let until = std::time::Instant::now() + duration;
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        if left.is_zero() {
            return;
        }
        // SAFETY: no descriptors are passed; poll only waits.
        unsafe { libc::poll(std::ptr::null_mut(), 0, left.as_millis().clamp(1, 60_000) as libc::c_int) };
    }
}
