//! Words of mount options and limits as the kernel's numbers.

use super::plan::RECURSIVE;

/// A propagation's flags.
pub fn propagation(word: &str) -> Option<u64> {
    let (deep, word) = word.strip_prefix('r').map_or((0, word), |word| (libc::MS_REC, word));
    Some(
        deep | match word {
            "private" => libc::MS_PRIVATE,
            "shared" => libc::MS_SHARED,
            "slave" => libc::MS_SLAVE,
            "unbindable" => libc::MS_UNBINDABLE,
            _ => return None,
        },
    )
}

/// Flags, propagation, and what is left for the filesystem itself.
pub fn mount(options: &[String]) -> (u64, u64, String) {
    let (mut flags, mut shared, mut data) = (0, 0, Vec::new());
    for word in options {
        let (set, clear) = match &**word {
            "bind" => (libc::MS_BIND, 0),
            "rbind" => (libc::MS_BIND | libc::MS_REC, 0),
            "ro" => (libc::MS_RDONLY, 0),
            "rro" => (libc::MS_RDONLY | RECURSIVE, 0),
            "rw" => (0, libc::MS_RDONLY),
            "nosuid" => (libc::MS_NOSUID, 0),
            "suid" => (0, libc::MS_NOSUID),
            "nodev" => (libc::MS_NODEV, 0),
            "dev" => (0, libc::MS_NODEV),
            "noexec" => (libc::MS_NOEXEC, 0),
            "exec" => (0, libc::MS_NOEXEC),
            "sync" => (libc::MS_SYNCHRONOUS, 0),
            "noatime" => (libc::MS_NOATIME, 0),
            "nodiratime" => (libc::MS_NODIRATIME, 0),
            "relatime" => (libc::MS_RELATIME, 0),
            "strictatime" => (libc::MS_STRICTATIME, 0),
            "defaults" | "async" | "atime" | "diratime" | "norelatime" => (0, 0),
            word => {
                match propagation(word) {
                    Some(flag) => shared |= flag,
                    None => data.push(word),
                }
                (0, 0)
            }
        };
        flags = (flags | set) & !clear;
    }
    (flags, shared, data.join(","))
}

/// A limit's number, by OCI's name.
pub fn rlimit(name: &str) -> Option<u32> {
    let names = [
        "CPU",
        "FSIZE",
        "DATA",
        "STACK",
        "CORE",
        "RSS",
        "NPROC",
        "NOFILE",
        "MEMLOCK",
        "AS",
        "LOCKS",
        "SIGPENDING",
        "MSGQUEUE",
        "NICE",
        "RTPRIO",
        "RTTIME",
    ];
    let name = name.strip_prefix("RLIMIT_")?;
    names.iter().position(|one| *one == name).map(|at| at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_flags_propagation_and_data() {
        let words = ["rbind", "ro", "rprivate", "size=64m", "mode=755"].map(String::from);
        let (flags, shared, data) = mount(&words);
        assert_eq!(flags, libc::MS_BIND | libc::MS_REC | libc::MS_RDONLY);
        assert_eq!(shared, libc::MS_REC | libc::MS_PRIVATE);
        assert_eq!(data, "size=64m,mode=755");
    }

    #[test]
    fn limits_have_the_kernel_s_numbers() {
        assert_eq!(rlimit("RLIMIT_NOFILE"), Some(libc::RLIMIT_NOFILE));
        assert_eq!(rlimit("RLIMIT_RTTIME"), Some(libc::RLIMIT_RTTIME));
    }
}
