//! Does `/dev/kvm` run real guest code? It may open and still be an emulator that takes a microsecond an
//! instruction and knows only the old ones. So a guest of 18 bytes must loop 100,000 times, run one SSE2
//! instruction and say `out 0x80` within a deadline.

use std::{
    fs::OpenOptions,
    os::fd::{AsRawFd, RawFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

/// An accelerated processor needs well under a millisecond.
const DEADLINE: Duration = Duration::from_millis(60);

const KVM_CREATE_VM: libc::c_ulong = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE: libc::c_ulong = 0xae04;
const KVM_CREATE_VCPU: libc::c_ulong = 0xae41;
const KVM_SET_TSS_ADDR: libc::c_ulong = 0xae47;
const KVM_RUN: libc::c_ulong = 0xae80;
const KVM_SET_USER_MEMORY_REGION: libc::c_ulong = 0x4020_ae46;
const KVM_GET_SREGS: libc::c_ulong = 0x8138_ae83;
const KVM_SET_SREGS: libc::c_ulong = 0x4138_ae84;
const KVM_SET_REGS: libc::c_ulong = 0x4090_ae82;
const KVM_EXIT_IO: u32 = 2;
const PAGE: usize = 4096;
const GUEST_AT: u64 = 0x1000;

/// mov ecx,100000; 1: dec ecx; jnz 1b; pxor xmm0,xmm0; mov al,'K'; out 0x80,al; hlt
const CODE: [u8; 19] = [
    0x66, 0xb9, 0xa0, 0x86, 1, 0, 0x66, 0x49, 0x75, 0xfc, 0x66, 0x0f, 0xef, 0xc0, 0xb0, b'K', 0xe6, 0x80,
    0xf4,
];

/// `Ok` where it does; else why not, in a sentence.
pub fn kvm() -> Result<(), String> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/kvm");
    let device = device.map_err(|e| format!("/dev/kvm does not open: {e}"))?;
    match run(device.as_raw_fd()) {
        Ok(true) => Ok(()),
        Ok(false) => Err("/dev/kvm opens but only emulates: it did not run guest code in 60 ms".into()),
        Err(e) => Err(format!("/dev/kvm does not make a virtual machine: {e}")),
    }
}

#[repr(C)]
struct MemoryRegion {
    slot: u32,
    flags: u32,
    guest_address: u64,
    size: u64,
    host_address: u64,
}

/// Closes a descriptor, unmaps a mapping.
struct Fd(RawFd);
impl Drop for Fd {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours and closed once.
        unsafe { libc::close(self.0) };
    }
}
struct Map(*mut u8, usize);
impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and unmapped once.
        unsafe { libc::munmap(self.0.cast(), self.1) };
    }
}

extern "C" fn ignore(_: libc::c_int) {}

fn check(rc: libc::c_int) -> std::io::Result<libc::c_int> {
    if rc < 0 { Err(std::io::Error::last_os_error()) } else { Ok(rc) }
}

fn run(kvm: RawFd) -> std::io::Result<bool> {
    // SAFETY: the ioctls get descriptors made here and pointers to values of the sizes that their numbers
    // carry (kvm_sregs 312 bytes, kvm_regs 144); the guest's page and the run area outlive KVM_RUN; the
    // signal handler does nothing.
    unsafe {
        let vm = Fd(check(libc::ioctl(kvm, KVM_CREATE_VM, 0))?);
        libc::ioctl(vm.0, KVM_SET_TSS_ADDR, 0xfffb_d000_u64);
        let map = |len: usize, fd: RawFd, flags: libc::c_int| {
            let at = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0);
            if at == libc::MAP_FAILED {
                Err(std::io::Error::last_os_error())
            } else {
                Ok(Map(at.cast(), len))
            }
        };
        let memory = map(PAGE, -1, libc::MAP_SHARED | libc::MAP_ANONYMOUS)?;
        std::ptr::copy_nonoverlapping(CODE.as_ptr(), memory.0, CODE.len());
        let region = MemoryRegion {
            slot: 0,
            flags: 0,
            guest_address: GUEST_AT,
            size: PAGE as u64,
            host_address: memory.0 as u64,
        };
        check(libc::ioctl(vm.0, KVM_SET_USER_MEMORY_REGION, &raw const region))?;
        let cpu = Fd(check(libc::ioctl(vm.0, KVM_CREATE_VCPU, 0))?);
        let size = check(libc::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0))?;
        let area = map(usize::try_from(size).unwrap_or(PAGE), cpu.0, libc::MAP_SHARED)?;
        set_registers(cpu.0)?;

        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = ignore as *const () as usize;
        check(libc::sigaction(libc::SIGUSR2, &raw const action, std::ptr::null_mut()))?;
        let (done, thread) = (Arc::new(AtomicBool::new(false)), libc::pthread_self() as usize);
        let watcher = {
            let done = done.clone();
            std::thread::spawn(move || {
                let end = Instant::now() + DEADLINE;
                while Instant::now() < end && !done.load(Ordering::Acquire) {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                // Again and again: a signal just before KVM_RUN is lost.
                while !done.load(Ordering::Acquire) {
                    libc::pthread_kill(thread as libc::pthread_t, libc::SIGUSR2);
                    std::thread::park_timeout(Duration::from_millis(1));
                }
            })
        };
        let rc = libc::ioctl(cpu.0, KVM_RUN, 0);
        done.store(true, Ordering::Release);
        watcher.thread().unpark();
        // It can only have ended.
        let _ = watcher.join();
        // kvm_run: exit_reason at 8, the exit's union at 32, whose io.port is at 2.
        let reason = area.0.add(8).cast::<u32>().read_unaligned();
        let port = area.0.add(32 + 2).cast::<u16>().read_unaligned();
        Ok(rc == 0 && reason == KVM_EXIT_IO && port == 0x80)
    }
}

/// Real mode at the guest's page, SSE switched on.
///
/// # Safety
/// `cpu` must be a KVM processor's descriptor.
unsafe fn set_registers(cpu: RawFd) -> std::io::Result<()> {
    // kvm_sregs begins with cs, ds, es, fs, gs, ss, tr, ldt: 24 bytes each (base u64, limit u32, selector u16).
    const SREGS: usize = 312;
    const SEGMENT: usize = 24;
    // Behind eight segments and two tables of 16: cr0, cr2, cr3, cr4.
    const CR0: usize = 8 * SEGMENT + 2 * 16;
    let mut sregs = [0u8; SREGS];
    // SAFETY: the buffers have the sizes that the ioctls' numbers carry.
    unsafe { check(libc::ioctl(cpu, KVM_GET_SREGS, sregs.as_mut_ptr()))? };
    let mut set = |at: usize, bytes: &[u8]| sregs[at..at + bytes.len()].copy_from_slice(bytes);
    set(0, &GUEST_AT.to_le_bytes());
    set(12, &0x100_u16.to_le_bytes());
    set(SEGMENT, &0_u64.to_le_bytes());
    let read = |sregs: &[u8; SREGS], at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&sregs[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let cr0 = read(&sregs, CR0) & !(4 | 8);
    let cr4 = read(&sregs, CR0 + 24) | 0x600;
    sregs[CR0..CR0 + 8].copy_from_slice(&cr0.to_le_bytes());
    sregs[CR0 + 24..CR0 + 32].copy_from_slice(&cr4.to_le_bytes());
    // kvm_regs: sixteen general registers, rip, rflags.
    let mut regs = [0u64; 18];
    regs[17] = 2;
    // SAFETY: as above.
    unsafe {
        check(libc::ioctl(cpu, KVM_SET_SREGS, sregs.as_ptr()))?;
        check(libc::ioctl(cpu, KVM_SET_REGS, regs.as_ptr()))?;
    }
    Ok(())
}
