//! Mount options: runc's words as the kernel's numbers, for a new filesystem and for a bind.

/// What a list of options means.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `MS_…` for mount(2).
    pub flags: u64,
    /// `MS_…` that were named, set or cleared: what a bind changes of what it copies.
    pub named: u64,
    /// `MS_PRIVATE` and its like, in order.
    pub propagation: Vec<u64>,
    /// `MOUNT_ATTR_…` to set on the whole tree (`rro` and its like).
    pub deep_set: u64,
    /// `MOUNT_ATTR_…` to clear on the whole tree.
    pub deep_clear: u64,
    /// `idmap` or `ridmap`, as said.
    pub idmap: bool,
    /// For the whole tree.
    pub deep_idmap: bool,
    /// Copy what the image has there into a new tmpfs.
    pub copy_up: bool,
    /// The filesystem's own options.
    pub data: String,
}

/// The words for flags of one mount, each with what it sets and what it clears.
const FLAGS: [(&str, u64, u64); 27] = [
    ("ro", libc::MS_RDONLY, 0),
    ("rw", 0, libc::MS_RDONLY),
    ("nosuid", libc::MS_NOSUID, 0),
    ("suid", 0, libc::MS_NOSUID),
    ("nodev", libc::MS_NODEV, 0),
    ("dev", 0, libc::MS_NODEV),
    ("noexec", libc::MS_NOEXEC, 0),
    ("exec", 0, libc::MS_NOEXEC),
    ("sync", libc::MS_SYNCHRONOUS, 0),
    ("async", 0, libc::MS_SYNCHRONOUS),
    ("dirsync", libc::MS_DIRSYNC, 0),
    ("remount", libc::MS_REMOUNT, 0),
    ("mand", libc::MS_MANDLOCK, 0),
    ("nomand", 0, libc::MS_MANDLOCK),
    ("noatime", libc::MS_NOATIME, 0),
    ("atime", 0, libc::MS_NOATIME),
    ("nodiratime", libc::MS_NODIRATIME, 0),
    ("diratime", 0, libc::MS_NODIRATIME),
    ("relatime", libc::MS_RELATIME, 0),
    ("norelatime", 0, libc::MS_RELATIME),
    ("strictatime", libc::MS_STRICTATIME, 0),
    ("nostrictatime", 0, libc::MS_STRICTATIME),
    ("bind", libc::MS_BIND, 0),
    ("rbind", libc::MS_BIND | libc::MS_REC, 0),
    ("silent", libc::MS_SILENT, 0),
    ("loud", 0, libc::MS_SILENT),
    ("nosymfollow", libc::MS_NOSYMFOLLOW, 0),
];

const ATTR_RDONLY: u64 = 0x1;
const ATTR_NOSUID: u64 = 0x2;
const ATTR_NODEV: u64 = 0x4;
const ATTR_NOEXEC: u64 = 0x8;
const ATTR_ATIME: u64 = 0x70;
const ATTR_NOATIME: u64 = 0x10;
const ATTR_STRICTATIME: u64 = 0x20;
const ATTR_NODIRATIME: u64 = 0x80;
const ATTR_NOSYMFOLLOW: u64 = 0x20_0000;

/// The words for attributes of a whole tree.
const DEEP: [(&str, u64, u64); 15] = [
    ("rro", ATTR_RDONLY, 0),
    ("rrw", 0, ATTR_RDONLY),
    ("rnosuid", ATTR_NOSUID, 0),
    ("rsuid", 0, ATTR_NOSUID),
    ("rnodev", ATTR_NODEV, 0),
    ("rdev", 0, ATTR_NODEV),
    ("rnoexec", ATTR_NOEXEC, 0),
    ("rexec", 0, ATTR_NOEXEC),
    ("rnodiratime", ATTR_NODIRATIME, 0),
    ("rdiratime", 0, ATTR_NODIRATIME),
    ("rrelatime", 0, ATTR_ATIME),
    ("rnoatime", ATTR_NOATIME, ATTR_ATIME),
    ("rstrictatime", ATTR_STRICTATIME, ATTR_ATIME),
    ("rnosymfollow", ATTR_NOSYMFOLLOW, 0),
    ("rsymfollow", 0, ATTR_NOSYMFOLLOW),
];

/// Every word that is known.
pub fn words() -> Vec<String> {
    let shared = ["private", "shared", "slave", "unbindable"];
    let deep = shared.map(|word| format!("r{word}"));
    let own = ["defaults", "idmap", "ridmap", "tmpcopyup"];
    let mut all: Vec<String> = FLAGS.iter().chain(&DEEP).map(|(word, ..)| (*word).to_owned()).collect();
    all.extend(shared.iter().chain(&own).map(|word| (*word).to_owned()));
    all.extend(deep);
    all.sort();
    all
}

/// A propagation's flags.
pub fn propagation(word: &str) -> Option<u64> {
    crate::linux::options::propagation(word)
}

/// Reads a list of options.
pub fn read(words: &[String]) -> Options {
    let (mut out, mut data) = (Options::default(), Vec::new());
    for word in words {
        if let Some((_, set, clear)) = FLAGS.iter().find(|(name, ..)| name == word) {
            out.flags = (out.flags | set) & !clear;
            out.named |= set | clear;
        } else if let Some((_, set, clear)) = DEEP.iter().find(|(name, ..)| name == word) {
            out.deep_clear |= clear | set;
            out.deep_set = out.deep_set & !clear | set;
        } else if let Some(flag) = propagation(word) {
            out.propagation.push(flag);
        } else {
            match &**word {
                "defaults" => {}
                "idmap" => out.idmap = true,
                "ridmap" => (out.idmap, out.deep_idmap) = (true, true),
                "tmpcopyup" => out.copy_up = true,
                own => data.push(own),
            }
        }
    }
    out.data = data.join(",");
    out
}

/// The attributes of mount_setattr(2) that stand for flags of mount(2): what to set, what to clear.
pub fn attributes(flags: u64, named: u64) -> (u64, u64) {
    let simple = [
        (libc::MS_RDONLY, ATTR_RDONLY),
        (libc::MS_NOSUID, ATTR_NOSUID),
        (libc::MS_NODEV, ATTR_NODEV),
        (libc::MS_NOEXEC, ATTR_NOEXEC),
        (libc::MS_NODIRATIME, ATTR_NODIRATIME),
        (libc::MS_NOSYMFOLLOW, ATTR_NOSYMFOLLOW),
    ];
    let (mut set, mut clear) = (0, 0);
    for (flag, attr) in simple {
        if flags & flag != 0 {
            set |= attr;
        } else if named & flag != 0 {
            clear |= attr;
        }
    }
    if named & (libc::MS_NOATIME | libc::MS_RELATIME | libc::MS_STRICTATIME) != 0 {
        clear |= ATTR_ATIME;
        if flags & libc::MS_NOATIME != 0 {
            set |= ATTR_NOATIME;
        } else if flags & libc::MS_STRICTATIME != 0 {
            set |= ATTR_STRICTATIME;
        }
    }
    (set, clear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_flags_trees_propagation_and_data() {
        let words = ["rbind", "ro", "suid", "rnoexec", "rslave", "size=64m", "mode=755"].map(String::from);
        let read = read(&words);
        assert_eq!(read.flags, libc::MS_BIND | libc::MS_REC | libc::MS_RDONLY);
        assert_eq!(attributes(read.flags, read.named), (ATTR_RDONLY, ATTR_NOSUID));
        assert_eq!((read.deep_set, read.propagation), (ATTR_NOEXEC, vec![libc::MS_REC | libc::MS_SLAVE]));
        assert_eq!(read.data, "size=64m,mode=755");
    }
}
