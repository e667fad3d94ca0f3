//! What the driver tells the supervisor, and how it is written down: numbers of 8 bytes, little-endian;
//! what varies in length has its length in front. Both programs are built from this one file, so there is
//! no versioning: a supervisor only ever talks to the build that embeds it, or to one with the same shape.

// The supervisor has no standard library.
extern crate alloc;

use self::alloc::{string::String, vec::Vec};

/// Something that can be written down and read again.
pub trait Wire: Sized {
    /// Writes it at the end of `to`.
    fn put(&self, to: &mut Vec<u8>);
    /// Reads it off the front of `from`; `None` where that is too short.
    fn take(from: &mut &[u8]) -> Option<Self>;
}

impl Wire for u64 {
    fn put(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.to_le_bytes());
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let (head, rest) = from.split_first_chunk::<8>()?;
        *from = rest;
        Some(u64::from_le_bytes(*head))
    }
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            fn put(&self, to: &mut Vec<u8>) {
                (*self as u64).put(to);
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(u64::take(from)? as $t)
            }
        }
    )*};
}
number!(u8, u16, u32, i32, i64);

impl Wire for bool {
    fn put(&self, to: &mut Vec<u8>) {
        u64::from(*self).put(to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(u64::take(from)? != 0)
    }
}

impl Wire for String {
    fn put(&self, to: &mut Vec<u8>) {
        (self.len() as u64).put(to);
        to.extend_from_slice(self.as_bytes());
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let length = usize::try_from(u64::take(from)?).ok()?;
        let (head, rest) = from.split_at_checked(length)?;
        *from = rest;
        String::from_utf8(head.to_vec()).ok()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, to: &mut Vec<u8>) {
        (self.len() as u64).put(to);
        self.iter().for_each(|one| one.put(to));
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        let count = u64::take(from)?;
        (0..count).map(|_| T::take(from)).collect()
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, to: &mut Vec<u8>) {
        self.is_some().put(to);
        if let Some(one) = self {
            one.put(to);
        }
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(if bool::take(from)? { Some(T::take(from)?) } else { None })
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, to: &mut Vec<u8>) {
        self.0.put(to);
        self.1.put(to);
    }
    fn take(from: &mut &[u8]) -> Option<Self> {
        Some((A::take(from)?, B::take(from)?))
    }
}

macro_rules! shape {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name { $($(#[$doc])* pub $field: $type,)* }
        impl Wire for $name {
            fn put(&self, to: &mut Vec<u8>) {
                $(self.$field.put(to);)*
            }
            fn take(from: &mut &[u8]) -> Option<Self> {
                Some(Self { $($field: Wire::take(from)?,)* })
            }
        }
    };
}

shape! {
    /// A program to run, and as whom.
    Program {
        /// What it is called with, its name first.
        args: Vec<String>,
        /// `NAME=value`.
        env: Vec<String>,
        /// Where it begins; made where missing.
        cwd: String,
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
        /// Further groups.
        groups: Vec<u32>,
        /// The mode mask.
        umask: Option<u32>,
        /// Whether it has a terminal.
        tty: bool,
        /// The terminal's rows (0 for unknown).
        rows: u16,
        /// The terminal's columns.
        columns: u16,
        /// Capabilities it can ever get.
        bounding: u64,
        /// Those in effect.
        effective: u64,
        /// Those it may take.
        permitted: u64,
        /// Those it passes on.
        inheritable: u64,
        /// Those it passes on to any program.
        ambient: u64,
        /// Never more privileges than now.
        no_new_privs: bool,
        /// Resource, and its soft and hard limit.
        rlimits: Vec<(u32, (u64, u64))>,
        /// How readily the kernel kills it for want of memory.
        oom_score_adj: Option<i32>,
        /// A seccomp filter: BPF instructions of 8 bytes each; empty for none.
        seccomp: Vec<u8>,
        /// The AppArmor profile it is confined by; empty for none.
        apparmor: String,
    }
}

/// Beside `MS_…`: attributes go for the mounts below as well.
pub const RECURSIVE: u64 = 1 << 40;

shape! {
    /// A mount.
    Mount {
        /// The filesystem's type; `bind` for another place.
        kind: String,
        /// What is mounted.
        source: String,
        /// Where, from the container's root.
        target: String,
        /// `MS_…`.
        flags: u64,
        /// `MS_PRIVATE` and its like; 0 for none.
        propagation: u64,
        /// Options of the filesystem.
        data: String,
        /// Whether owners are mapped as the container's users are.
        idmap: bool,
    }
}

shape! {
    /// A device node.
    Device {
        /// Where, from the container's root.
        path: String,
        /// The mode with the type.
        mode: u32,
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
        /// The owner.
        uid: u32,
        /// The owning group.
        gid: u32,
    }
}

shape! {
    /// A container, whole.
    Plan {
        /// The container's directory.
        dir: String,
        /// What to run.
        program: Program,
        /// Whether standard input is kept open.
        open_stdin: bool,
        /// Whether it closes when who attached first has left.
        stdin_once: bool,
        /// The log's path (the journal's socket, for the journal); empty for none.
        log: String,
        /// How the log is written: `LOG_JSON`, `LOG_LOCAL` or `LOG_JOURNAL`.
        log_kind: u8,
        /// What each of its lines bears, written out: `,"attrs":{…}` or the journal's fields.
        log_extra: String,
        /// The log's largest size.
        log_size: u64,
        /// How many log files there are.
        log_files: u32,
        /// Whether a small init is process 1.
        init: bool,
        /// `CLONE_NEW…` of namespaces to make.
        namespaces: u64,
        /// Namespaces to join: the flag and the path.
        joins: Vec<(u64, String)>,
        /// The control groups' files to join by: `tasks` of v1, `cgroup.procs` of v2.
        cgroups: Vec<String>,
        /// Where layers are.
        layers_dir: String,
        /// Lower directories, the topmost first, from `layers_dir`.
        lower: Vec<String>,
        /// Whether the root filesystem is read-only.
        readonly: bool,
        /// The root's propagation; 0 for `rslave`.
        propagation: u64,
        /// The host name; empty to leave it.
        hostname: String,
        /// The domain name; empty to leave it.
        domainname: String,
        /// Kernel parameters of the namespaces.
        sysctls: Vec<(String, String)>,
        /// Mounts, in order.
        mounts: Vec<Mount>,
        /// Devices besides the usual ones.
        devices: Vec<Device>,
        /// Paths that are hidden.
        masked: Vec<String>,
        /// Paths that can't be written.
        readonly_paths: Vec<String>,
        /// Users of a user namespace: the first inside, the first on the host, how many; none for the host's.
        uid_map: Vec<(u32, (u32, u32))>,
        /// Its groups.
        gid_map: Vec<(u32, (u32, u32))>,
        /// The streams that those want who are attached already; their sockets follow the plan, in order.
        attached: Vec<u8>,
    }
}

impl Plan {
    /// Lets go of what is needed to start only.
    #[allow(dead_code, reason = "the supervisor does, the driver needn't")]
    pub fn forget(&mut self) {
        let seccomp = core::mem::take(&mut self.program.seccomp);
        self.program = Program { seccomp, ..Program::default() };
        (self.mounts, self.devices) = (Vec::new(), Vec::new());
        (self.masked, self.readonly_paths, self.lower) = (Vec::new(), Vec::new(), Vec::new());
        (self.sysctls, self.joins) = (Vec::new(), Vec::new());
    }
}
/// Docker's `json-file` lines.
pub const LOG_JSON: u8 = 0;
/// Records of our own: u32 length, u8 stream, u64 nanoseconds, text, the length again.
pub const LOG_LOCAL: u8 = 1;
/// Datagrams to systemd's journal, in its native protocol.
pub const LOG_JOURNAL: u8 = 2;

/// Wants standard input.
pub const STDIN: u8 = 1;
/// Wants standard output.
pub const STDOUT: u8 = 2;
/// Wants standard error.
pub const STDERR: u8 = 4;

/// What follows the answer of a `w`ait, once for each time that the kernel killed something for want of memory.
pub const OUT_OF_MEMORY: u8 = b'o';

shape! {
    /// What is asked over the socket, after 8 bytes of length.
    Request {
        /// `a`ttach, `e`xec, `r`esize, `s`tate, `w`ait.
        verb: u8,
        /// Streams wanted.
        wanted: u8,
        /// The exec's name; empty for the container.
        exec: String,
        /// What an exec runs.
        program: Option<Program>,
        /// Rows of a new size.
        rows: u16,
        /// Columns of a new size.
        columns: u16,
    }
}

shape! {
    /// What is answered, after 8 bytes of length.
    Reply {
        /// The process, as the host numbers it.
        pid: u32,
        /// 0, or the exit code that Docker gives the failure.
        code: i32,
        /// What went wrong; empty where nothing did.
        error: String,
    }
}

/// Its bytes, the length in front.
pub fn framed(what: &impl Wire) -> Vec<u8> {
    let mut body = Vec::new();
    what.put(&mut body);
    let mut out = (body.len() as u64).to_le_bytes().to_vec();
    out.append(&mut body);
    out
}
