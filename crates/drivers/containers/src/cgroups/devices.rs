//! Device rules on cgroup v2, which has no files for them: a program that the kernel asks whenever a process
//! of the group opens or makes a device (kernel: `Documentation/admin-guide/cgroup-v2.rst`, "Device
//! controller"; the program's context is `struct bpf_cgroup_dev_ctx`).
//!
//! The rules mean what they mean on v1: a default, and a list of exceptions to it which each rule adds to or
//! takes from (kernel: `security/device_cgroup.c`). So the list is made first, the program from that.

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    path::Path,
};

use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use pileus_base::{Error, Result};

const BLOCK: u32 = 1;
const CHAR: u32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;
const ALL: u32 = MKNOD | READ | WRITE;

/// What is allowed or, where the default is to allow, denied.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Exception {
    kind: u32,
    major: Option<u32>,
    minor: Option<u32>,
    access: u32,
}

/// The rules, taken together.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rules {
    allow: bool,
    exceptions: Vec<Exception>,
}

impl Rules {
    fn of(list: &[LinuxDeviceCgroup]) -> Self {
        let mut rules = Self { allow: true, exceptions: Vec::new() };
        for one in list {
            let kind = match one.typ().unwrap_or(LinuxDeviceType::A) {
                LinuxDeviceType::B => BLOCK,
                LinuxDeviceType::C | LinuxDeviceType::U => CHAR,
                _ => {
                    rules = Self { allow: one.allow(), exceptions: Vec::new() };
                    continue;
                }
            };
            let number = |n: Option<i64>| n.and_then(|n| u32::try_from(n).ok());
            let access = one.access().as_deref().unwrap_or("rwm").chars().fold(0, |all, c| match c {
                'r' => all | READ,
                'w' => all | WRITE,
                'm' => all | MKNOD,
                _ => all,
            });
            let (major, minor) = (number(one.major()), number(one.minor()));
            let exceptions = &mut rules.exceptions;
            let same = exceptions.iter_mut().find(|e| (e.kind, e.major, e.minor) == (kind, major, minor));
            match (one.allow() != rules.allow, same) {
                (true, Some(same)) => same.access |= access,
                (true, None) => exceptions.push(Exception { kind, major, minor, access }),
                (false, Some(same)) => same.access &= !access,
                (false, None) => {}
            }
            rules.exceptions.retain(|e| e.access != 0);
        }
        rules
    }
}

/// An instruction of the kernel's machine (kernel: `struct bpf_insn`).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Instruction {
    code: u8,
    /// The source's number in the upper half, the destination's in the lower.
    registers: u8,
    offset: i16,
    value: i32,
}

/// `dst = *(u32 *)(src + offset)`
const LOAD: u8 = 0x61;
/// `dst = value`, 64 bits
const MOVE: u8 = 0xb7;
/// `dst = src`, 32 bits
const COPY: u8 = 0xbc;
/// `dst &= value`, 32 bits
const AND: u8 = 0x54;
/// `dst >>= value`, 32 bits
const SHIFT: u8 = 0x74;
/// `if dst == value`
const IF_EQUAL: u8 = 0x15;
/// `if dst != value`
const UNLESS: u8 = 0x55;
/// `if dst != src`
const UNLESS_SAME: u8 = 0x5d;
const EXIT: u8 = 0x95;

fn instruction(code: u8, destination: u8, source: u8, offset: usize, value: u32) -> Instruction {
    let registers = source << 4 | destination;
    Instruction { code, registers, offset: offset as i16, value: value.cast_signed() }
}

/// The program: 2 is the type, 3 the access, 4 and 5 are the device's numbers; the answer is in 0.
fn program(list: &[LinuxDeviceCgroup]) -> Vec<Instruction> {
    let rules = Rules::of(list);
    let mut program = vec![
        instruction(LOAD, 2, 1, 0, 0),
        instruction(COPY, 3, 2, 0, 0),
        instruction(AND, 2, 0, 0, 0xffff),
        instruction(SHIFT, 3, 0, 0, 16),
        instruction(LOAD, 4, 1, 4, 0),
        instruction(LOAD, 5, 1, 8, 0),
    ];
    let answer = |allow: bool| [instruction(MOVE, 0, 0, 0, allow.into()), instruction(EXIT, 0, 0, 0, 0)];
    for one in &rules.exceptions {
        let mut tests = vec![instruction(UNLESS, 2, 0, 0, one.kind)];
        if one.access != ALL || rules.allow {
            tests.push(instruction(COPY, 1, 3, 0, 0));
            tests.push(instruction(AND, 1, 0, 0, one.access));
            // All that is asked for has to be allowed; one thing that is denied is enough.
            tests.push(if rules.allow {
                instruction(IF_EQUAL, 1, 0, 0, 0)
            } else {
                instruction(UNLESS_SAME, 1, 3, 0, 0)
            });
        }
        tests.extend(one.major.map(|n| instruction(UNLESS, 4, 0, 0, n)));
        tests.extend(one.minor.map(|n| instruction(UNLESS, 5, 0, 0, n)));
        let length = tests.len();
        for (at, test) in tests.iter_mut().enumerate() {
            if test.code & 7 == 5 {
                // Past the rest of the tests and the answer.
                test.offset = (length - at - 1 + 2) as i16;
            }
        }
        program.extend(tests);
        program.extend(answer(!rules.allow));
    }
    program.extend(answer(rules.allow));
    program
}

const PROG_LOAD: i32 = 5;
const PROG_ATTACH: i32 = 8;
const PROG_DETACH: i32 = 9;
const PROG_QUERY: i32 = 16;
const TYPE_CGROUP_DEVICE: u32 = 15;
const ATTACH_CGROUP_DEVICE: u32 = 6;
const ALLOW_MULTI: u32 = 2;
/// As many as the kernel attaches to one group.
const MOST_PROGRAMS: usize = 64;

/// `BPF_PROG_LOAD`'s part of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log: [u64; 2],
    version: u32,
    flags: u32,
    name: [u8; 16],
}

/// `BPF_PROG_ATTACH`'s and `BPF_PROG_DETACH`'s.
#[repr(C)]
struct Attach {
    group: i32,
    program: i32,
    kind: u32,
    flags: u32,
}

/// `BPF_PROG_QUERY`'s.
#[repr(C)]
#[derive(Default)]
struct Query {
    group: i32,
    kind: u32,
    flags: [u32; 2],
    ids: u64,
    count: u32,
    padding: u32,
}

fn bpf<T>(command: i32, with: &mut T) -> io::Result<i32> {
    // SAFETY: each command is given its own part of the union, with its size; what it points at outlives
    // the call.
    let answer = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(with), size_of::<T>()) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer as i32) }
}

/// Has the kernel hold the processes of the group at `dir` to the rules, and to none of before.
///
/// # Errors
/// Where it takes no such program: rules that can't be held to are not passed over.
pub(super) fn apply(dir: &Path, list: &[LinuxDeviceCgroup]) -> Result<()> {
    let failed = |e| Error::wrap(format!("failed to set device rules on {}", dir.display()), e);
    let group = File::open(dir).map_err(failed)?;
    let program = program(list);
    let mut load = Load {
        kind: TYPE_CGROUP_DEVICE,
        count: program.len() as u32,
        instructions: program.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        ..Load::default()
    };
    load.name[..14].copy_from_slice(b"pileus_devices");
    let fd = bpf(PROG_LOAD, &mut load).map_err(failed)?;
    // SAFETY: the kernel has just given it to us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let before = attached(&group).map_err(failed)?;
    let (group, kind, flags) = (group.as_raw_fd(), ATTACH_CGROUP_DEVICE, ALLOW_MULTI);
    bpf(PROG_ATTACH, &mut Attach { group, program: fd.as_raw_fd(), kind, flags }).map_err(failed)?;
    for old in before {
        bpf(PROG_DETACH, &mut Attach { group, program: old.as_raw_fd(), kind, flags: 0 }).map_err(failed)?;
    }
    Ok(())
}

/// The programs that are attached to a group.
fn attached(group: &File) -> io::Result<Vec<OwnedFd>> {
    const PROG_GET_FD_BY_ID: i32 = 13;
    let mut ids = [0_u32; MOST_PROGRAMS];
    let mut query = Query {
        group: group.as_raw_fd(),
        kind: ATTACH_CGROUP_DEVICE,
        ids: ids.as_mut_ptr() as u64,
        count: MOST_PROGRAMS as u32,
        ..Query::default()
    };
    bpf(PROG_QUERY, &mut query)?;
    let mut programs = Vec::new();
    for id in ids.iter().take(query.count as usize) {
        // Identifier, the next one (not asked for), flags.
        let fd = bpf(PROG_GET_FD_BY_ID, &mut [*id, 0, 0])?;
        // SAFETY: the kernel has just given it to us.
        programs.push(unsafe { OwnedFd::from_raw_fd(fd) });
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::process::CommandExt as _, process::Command};

    use super::*;

    fn rules(text: &str) -> Vec<LinuxDeviceCgroup> {
        serde_json::from_str(text).unwrap()
    }

    /// What the kernel's machine would answer.
    fn ask(program: &[Instruction], kind: u32, access: u32, major: u32, minor: u32) -> bool {
        let context = [access << 16 | kind, major, minor];
        let (mut r, mut at) = ([0_u64; 11], 0);
        loop {
            let i = program[at];
            let (d, s) = (usize::from(i.registers & 15), usize::from(i.registers >> 4));
            let value = i64::from(i.value) as u64;
            at += 1;
            let jump = match i.code {
                LOAD => {
                    assert_eq!(s, 1, "the context is in 1");
                    r[d] = context[i.offset as usize / 4].into();
                    false
                }
                MOVE => {
                    r[d] = value;
                    false
                }
                COPY => {
                    r[d] = r[s] & 0xffff_ffff;
                    false
                }
                AND => {
                    r[d] &= value & 0xffff_ffff;
                    false
                }
                SHIFT => {
                    r[d] = (r[d] & 0xffff_ffff) >> value;
                    false
                }
                IF_EQUAL => r[d] == value,
                UNLESS => r[d] != value,
                UNLESS_SAME => r[d] != r[s],
                EXIT => return r[0] == 1,
                other => panic!("no such instruction: {other:#x}"),
            };
            if jump {
                at += i.offset as usize;
            }
        }
    }

    #[test]
    fn what_is_not_allowed_is_denied() {
        let program = program(&rules(
            r#"[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","access":"m"},
                {"allow":true,"type":"b","access":"m"},
                {"allow":true,"type":"c","major":1,"minor":3,"access":"rw"},
                {"allow":true,"type":"c","major":1,"minor":3,"access":"m"},
                {"allow":true,"type":"c","major":136,"access":"rwm"}]"#,
        ));
        assert!(ask(&program, CHAR, READ | WRITE, 1, 3));
        assert!(ask(&program, CHAR, ALL, 1, 3), "two rules on one device are one");
        assert!(ask(&program, CHAR, READ, 136, 7));
        assert!(ask(&program, BLOCK, MKNOD, 8, 0));
        assert!(!ask(&program, BLOCK, READ, 8, 0));
        assert!(!ask(&program, BLOCK, MKNOD | READ, 8, 0));
        assert!(!ask(&program, CHAR, READ, 1, 5));
        assert!(!ask(&program, BLOCK, READ, 1, 3), "a block device is no character device");
    }

    #[test]
    fn what_is_not_denied_is_allowed() {
        let list = r#"[{"allow":true,"access":"rwm"},{"allow":false,"type":"b","major":8,"access":"w"},
                       {"allow":false,"type":"c","major":5,"minor":1,"access":"rwm"},
                       {"allow":true,"type":"c","major":5,"minor":1,"access":"r"}]"#;
        let program = program(&rules(list));
        assert!(ask(&program, BLOCK, READ, 8, 0));
        assert!(!ask(&program, BLOCK, READ | WRITE, 8, 16));
        assert!(ask(&program, CHAR, READ, 5, 1));
        assert!(!ask(&program, CHAR, WRITE, 5, 1));
        assert!(ask(&super::program(&[]), CHAR, ALL, 1, 1));
    }

    #[test]
    fn the_kernel_takes_the_program_and_holds_to_it() {
        let root = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"].map(Path::new);
        let Some(root) = root.into_iter().find(|r| r.join("cgroup.controllers").exists()) else { return };
        let dir = root.join(format!("pileus-devices-{}", std::process::id()));
        if fs::create_dir(&dir).is_err() {
            return;
        }
        let reads = |device: &str| {
            let procs = dir.join("cgroup.procs");
            let mut command = Command::new("head");
            command.args(["-c1", device]);
            // SAFETY: before exec, in the child: one write to a file.
            unsafe { command.pre_exec(move || fs::write(&procs, "0")) };
            command.output().unwrap().status.success()
        };
        let only = |minor: u32| {
            let list = format!(
                r#"[{{"allow":false,"access":"rwm"}},
                    {{"allow":true,"type":"c","major":1,"minor":{minor},"access":"rwm"}}]"#
            );
            apply(&dir, &rules(&list)).unwrap();
        };
        only(5);
        let first = (reads("/dev/zero"), reads("/dev/urandom"));
        only(9);
        let second = (reads("/dev/zero"), reads("/dev/urandom"));
        let programs = attached(&File::open(&dir).unwrap()).unwrap().len();
        fs::remove_dir(&dir).unwrap();
        assert_eq!((first, second, programs), ((true, false), (false, true), 1));
    }
}
