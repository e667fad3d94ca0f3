//! Capabilities: the kernel's numbers for the names, and sets of them as the masks that `capset` and
//! `prctl` take.

use std::{collections::HashSet, fs};

use oci_spec::runtime::Capability;

/// Every capability in the kernel's order: the index is the number.
pub const ALL: [Capability; 41] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::DacReadSearch,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::LinuxImmutable,
    Capability::NetBindService,
    Capability::NetBroadcast,
    Capability::NetAdmin,
    Capability::NetRaw,
    Capability::IpcLock,
    Capability::IpcOwner,
    Capability::SysModule,
    Capability::SysRawio,
    Capability::SysChroot,
    Capability::SysPtrace,
    Capability::SysPacct,
    Capability::SysAdmin,
    Capability::SysBoot,
    Capability::SysNice,
    Capability::SysResource,
    Capability::SysTime,
    Capability::SysTtyConfig,
    Capability::Mknod,
    Capability::Lease,
    Capability::AuditWrite,
    Capability::AuditControl,
    Capability::Setfcap,
    Capability::MacOverride,
    Capability::MacAdmin,
    Capability::Syslog,
    Capability::WakeAlarm,
    Capability::BlockSuspend,
    Capability::AuditRead,
    Capability::Perfmon,
    Capability::Bpf,
    Capability::CheckpointRestore,
];

/// The kernel's number of a capability.
pub fn number(capability: Capability) -> u32 {
    ALL.iter().position(|c| *c == capability).map_or(0, |i| i as u32)
}

/// A set as a mask: bit n stands for capability n.
pub fn mask(set: &HashSet<Capability>) -> u64 {
    set.iter().fold(0, |mask, c| mask | 1 << number(*c))
}

/// The capability of a name, with or without `CAP_`, in any case.
pub fn from_name(name: &str) -> Option<Capability> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("CAP_").unwrap_or(&upper);
    ALL.into_iter().find(|c| c.to_string() == short)
}

/// The capabilities this kernel knows, in its order.
pub fn known() -> Vec<Capability> {
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap")
        .ok()
        .and_then(|text| text.trim().parse::<usize>().ok())
        .unwrap_or(ALL.len() - 1);
    ALL.into_iter().take(last + 1).collect()
}

/// What this process could ever give (`CapBnd` of proc(5)): a host that is itself confined has not all.
pub fn available() -> u64 {
    static MASK: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        bounding(&status).unwrap_or(u64::MAX)
    });
    *MASK
}

fn bounding(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_and_masks_agree_with_the_kernel() {
        assert_eq!(from_name("CAP_CHOWN").map(number), Some(0));
        assert_eq!(from_name("sys_admin").map(number), Some(21));
        assert_eq!(from_name("CHECKPOINT_RESTORE").map(number), Some(40));
        assert_eq!(from_name("CAP_NOPE"), None);
        assert!(ALL.iter().all(|c| from_name(&format!("CAP_{c}")) == Some(*c)));
        assert_eq!(mask(&HashSet::from([Capability::Chown, Capability::NetRaw])), 1 | 1 << 13);
        assert!(known().len() >= 38);
        assert_eq!(bounding("CapEff:\t1\nCapBnd:\t000001fffeffffff\n"), Some(0x1ff_feff_ffff));
        assert_ne!(available(), 0);
    }
}
