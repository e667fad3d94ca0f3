//! Seccomp: an OCI profile compiled to the kernel's filter program, by libseccomp.
//!
//! What comes out is an array of `struct sock_filter` in the machine's byte order, ready for
//! `seccomp(SECCOMP_SET_MODE_FILTER)`. As runc does, a system call of a name that libseccomp doesn't know
//! is skipped, and so is a rule that says what the default says. Programs are kept by profile: compiling
//! the default one takes milliseconds.

use std::{
    collections::HashMap,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Seek},
    sync::LazyLock,
};

use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};
use parking_lot::Mutex;
use pileus_base::{Error, Result};
use rustix::fs::MemfdFlags;

const EPERM: u32 = 1;
/// How many programs are kept.
const KEPT: usize = 64;

static PROGRAMS: LazyLock<Mutex<HashMap<u64, Vec<u8>>>> = LazyLock::new(Mutex::default);

/// The filter program of a profile.
///
/// # Errors
/// Where the profile says something that libseccomp refuses, or asks for a listener.
pub fn compile(profile: &LinuxSeccomp) -> Result<Vec<u8>> {
    let text =
        serde_json::to_string(profile).map_err(|e| Error::wrap("failed to write a seccomp profile", e))?;
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let key = hasher.finish();
    if let Some(program) = PROGRAMS.lock().get(&key) {
        return Ok(program.clone());
    }
    let program = build(profile)?;
    let mut programs = PROGRAMS.lock();
    if programs.len() >= KEPT {
        programs.clear();
    }
    programs.insert(key, program.clone());
    Ok(program)
}

fn build(profile: &LinuxSeccomp) -> Result<Vec<u8>> {
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut filter = ScmpFilterContext::new(default).map_err(failed("start a filter"))?;
    for arch in profile.architectures().iter().flatten() {
        filter.add_arch(architecture(*arch)?).map_err(failed("add an architecture"))?;
    }
    // A binary tree rather than a list of comparisons, where the library can.
    let _ = filter.set_ctl_optimize(2);
    for rule in profile.syscalls().iter().flatten() {
        let wanted = action(rule.action(), rule.errno_ret())?;
        if wanted == default {
            continue;
        }
        let args = rule.args().as_deref().unwrap_or_default();
        for name in rule.names() {
            if let Ok(call) = ScmpSyscall::from_name(name) {
                add(&mut filter, wanted, call, args).map_err(failed(&format!("add a rule for {name}")))?;
            }
        }
    }
    export(&filter)
}

/// Adds a rule. Conditions hold all together, but where two are on one argument each is a rule by itself.
fn add(
    filter: &mut ScmpFilterContext,
    action: ScmpAction,
    call: ScmpSyscall,
    args: &[LinuxSeccompArg],
) -> Result<(), libseccomp::error::SeccompError> {
    let compare: Vec<_> = args.iter().map(comparison).collect();
    let twice = args.iter().enumerate().any(|(i, a)| args[..i].iter().any(|b| a.index() == b.index()));
    if twice {
        compare.iter().try_for_each(|c| filter.add_rule_conditional(action, call, &[*c]).map(drop))
    } else {
        filter.add_rule_conditional(action, call, &compare).map(drop)
    }
}

fn comparison(arg: &LinuxSeccompArg) -> ScmpArgCompare {
    use LinuxSeccompOperator as Op;
    let (op, datum) = match arg.op() {
        Op::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        Op::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        Op::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        Op::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        Op::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        Op::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        Op::ScmpCmpMaskedEq => (ScmpCompareOp::MaskedEqual(arg.value()), arg.value_two().unwrap_or_default()),
    };
    ScmpArgCompare::new(arg.index() as u32, op, datum)
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction> {
    use LinuxSeccompAction as Act;
    let errno = errno.unwrap_or(EPERM);
    Ok(match action {
        Act::ScmpActKill | Act::ScmpActKillThread => ScmpAction::KillThread,
        Act::ScmpActKillProcess => ScmpAction::KillProcess,
        Act::ScmpActTrap => ScmpAction::Trap,
        Act::ScmpActErrno => ScmpAction::Errno(errno as i32),
        Act::ScmpActTrace => ScmpAction::Trace(errno as u16),
        Act::ScmpActLog => ScmpAction::Log,
        Act::ScmpActAllow => ScmpAction::Allow,
        Act::ScmpActNotify => {
            return Err(Error::not_implemented("SCMP_ACT_NOTIFY is not supported in a seccomp profile"));
        }
    })
}

fn architecture(arch: Arch) -> Result<ScmpArch> {
    Ok(match arch {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        other => return Err(Error::bad_request(format!("unsupported seccomp architecture {other:?}"))),
    })
}

fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>> {
    let io = |e: std::io::Error| Error::wrap("failed to read a filter program", e);
    let memory = rustix::fs::memfd_create("seccomp", MemfdFlags::CLOEXEC).map_err(|e| io(e.into()))?;
    let mut file = File::from(memory);
    filter.export_bpf(&mut file).map_err(failed("export a filter"))?;
    file.rewind().map_err(io)?;
    let mut program = Vec::new();
    file.read_to_end(&mut program).map_err(io)?;
    Ok(program)
}

fn failed(doing: &str) -> impl FnOnce(libseccomp::error::SeccompError) -> Error {
    let doing = format!("failed to {doing} with libseccomp");
    move |e| Error::wrap(doing, e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(text: &str) -> LinuxSeccomp {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_profile_becomes_a_program_of_whole_instructions() {
        let program = compile(&profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"],
                "syscalls":[{"names":["mkdir","no_such_call"],"action":"SCMP_ACT_ERRNO","errnoRet":38},
                {"names":["clone"],"action":"SCMP_ACT_ERRNO",
                 "args":[{"index":0,"value":2114060288,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}"#,
        ))
        .unwrap();
        assert!(!program.is_empty() && program.len().is_multiple_of(8));
        // BPF_RET with SECCOMP_RET_ERRNO | ENOSYS is among them.
        let wanted: Vec<u8> =
            [6u16.to_ne_bytes().as_slice(), &[0, 0], &0x0005_0026u32.to_ne_bytes()].concat();
        assert!(program.chunks(8).any(|i| i == wanted));
    }

    #[test]
    fn dockers_default_profile_compiles() {
        let file = "../../services/docker/src/model/spec/seccomp_default.json";
        let mut whole: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        whole["architectures"] = serde_json::json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]);
        whole["syscalls"].as_array_mut().unwrap().retain(|rule| rule.get("includes").is_none());
        let program = compile(&serde_json::from_value(whole).unwrap()).unwrap();
        assert!(program.len() > 8 * 100 && program.len() < 8 * 4096);
    }

    #[test]
    fn the_kernel_takes_a_program_and_holds_to_it() {
        use std::os::unix::process::CommandExt as _;
        let program = compile(&profile(
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
                {"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}"#,
        ))
        .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("mkdir");
        command.arg(dir.path().join("new")).env("LC_ALL", "C");
        let install = move || {
            let filter = libc::sock_fprog {
                len: (program.len() / 8) as u16,
                filter: program.as_ptr().cast_mut().cast(),
            };
            // SAFETY: the program outlives both calls, which only read it; neither allocates.
            let done = unsafe {
                libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                    && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &filter) == 0
            };
            if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
        };
        // SAFETY: between fork and exec it makes two system calls and nothing else.
        unsafe { command.pre_exec(install) };
        let output = command.output().unwrap();
        assert!(String::from_utf8_lossy(&output.stderr).contains("Operation not supported"));
    }

    #[test]
    fn notify_is_refused() {
        let listens = profile(r#"{"defaultAction":"SCMP_ACT_NOTIFY"}"#);
        assert!(compile(&listens).is_err());
    }
}
