//! What a program without a standard library needs: where it begins, how it ends when it is wrong, memory
//! from the kernel, and the functions that compilers call of their own accord.
//!
//! Memory is given back to the kernel at once where it is a page or more, so that a burst of output leaves
//! nothing behind; what is smaller comes from lists of pieces of one size each.

use core::{
    alloc::{GlobalAlloc, Layout},
    arch::{asm, global_asm},
    cell::UnsafeCell,
    panic::PanicInfo,
    ptr::null_mut,
};

use syscalls::{Sysno, raw_syscall, syscall};

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym crate::begin,
);
#[cfg(target_arch = "aarch64")]
global_asm!(".globl _start", "_start:", "mov x29, #0", "mov x30, #0", "bl {main}", "brk #1", main = sym crate::begin);

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(125)
}

/// What the precompiled libraries would unwind with; nothing here unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(125)
}

/// Ends the process.
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: it doesn't come back.
        unsafe { raw_syscall!(Sysno::exit_group, code) };
    }
}

const PAGE: usize = 4096;
/// Small pieces: 16, 32, … 2048 bytes.
const SIZES: usize = 8;
/// What the small pieces are cut from.
const CHUNK: usize = 4 * PAGE;

struct Heap(UnsafeCell<Lists>);

struct Lists {
    free: [*mut u8; SIZES],
    next: *mut u8,
    left: usize,
}

// SAFETY: there is one thread.
unsafe impl Sync for Heap {}

#[global_allocator]
static HEAP: Heap = Heap(UnsafeCell::new(Lists { free: [null_mut(); SIZES], next: null_mut(), left: 0 }));

fn pages(size: usize) -> *mut u8 {
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory disturbs nothing.
    let at = unsafe { syscall!(Sysno::mmap, 0, size, prot, flags, -1_isize, 0) };
    at.map_or(null_mut(), |at| at as *mut u8)
}

/// Which list pieces of such a layout are on; `None` for whole pages.
fn list(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(16).next_power_of_two();
    let list = size.trailing_zeros() as usize - 4;
    (list < SIZES).then_some(list)
}

fn whole(size: usize) -> usize {
    size.next_multiple_of(PAGE)
}

// SAFETY: pieces are powers of two, cut from page-aligned chunks by size, so that each is aligned to its
// size where it is the first of its kind; `next` is aligned before each cut. None is handed out twice.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(list) = list(layout) else { return pages(whole(layout.size())) };
        // SAFETY: one thread, and nobody else holds the lists.
        let lists = unsafe { &mut *self.0.get() };
        let (first, size) = (lists.free[list], 16 << list);
        if !first.is_null() {
            // SAFETY: a free piece begins with the address of the next one.
            lists.free[list] = unsafe { first.cast::<*mut u8>().read() };
            return first;
        }
        let skip = lists.next.align_offset(size);
        if lists.left < skip.saturating_add(size) {
            (lists.next, lists.left) = (pages(CHUNK), CHUNK);
            if lists.next.is_null() {
                lists.left = 0;
                return null_mut();
            }
        } else {
            // SAFETY: within the chunk, as was just seen.
            lists.next = unsafe { lists.next.add(skip) };
            lists.left -= skip;
        }
        let piece = lists.next;
        // SAFETY: the same.
        lists.next = unsafe { piece.add(size) };
        lists.left -= size;
        piece
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        let Some(list) = list(layout) else {
            // SAFETY: it was mapped with this size, and nobody uses it any more.
            let _ = unsafe { syscall!(Sysno::munmap, at, whole(layout.size())) };
            return;
        };
        // SAFETY: one thread; the piece has room for an address and is aligned for it.
        unsafe {
            let lists = &mut *self.0.get();
            at.cast::<*mut u8>().write(lists.free[list]);
            lists.free[list] = at;
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the alignment is that of a valid layout, and the caller answers for the size.
        let new = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (list(layout), list(new)) {
            (Some(a), Some(b)) if a == b => at,
            (None, None) if whole(layout.size()) == whole(size) => at,
            (None, None) => {
                let (old, size) = (whole(layout.size()), whole(size));
                // SAFETY: it was mapped with this size.
                let moved = unsafe { syscall!(Sysno::mremap, at, old, size, libc::MREMAP_MAYMOVE) };
                moved.map_or(null_mut(), |at| at as *mut u8)
            }
            _ => {
                // SAFETY: both have room for the smaller of the two, and don't overlap.
                unsafe {
                    let to = self.alloc(new);
                    if !to.is_null() {
                        memcpy(to, at, layout.size().min(size));
                        self.dealloc(at, layout);
                    }
                    to
                }
            }
        }
    }
}

// The compiler's own: they must not be written with what it would make calls of them.

/// # Safety
/// C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("rep movsb", inout("rcx") n => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
        #[cfg(not(target_arch = "x86_64"))]
        for i in 0..n {
            to.add(i).write_volatile(from.add(i).read_volatile());
        }
    }
    to
}

/// # Safety
/// C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    // SAFETY: the caller's; backwards where the target's beginning is within the source.
    unsafe {
        if (to as usize).wrapping_sub(from as usize) >= n {
            return memcpy(to, from, n);
        }
        #[cfg(target_arch = "x86_64")]
        asm!("std", "rep movsb", "cld", inout("rcx") n => _, inout("rdi") to.add(n).wrapping_sub(1) => _,
            inout("rsi") from.add(n).wrapping_sub(1) => _, options(nostack));
        #[cfg(not(target_arch = "x86_64"))]
        for i in (0..n).rev() {
            to.add(i).write_volatile(from.add(i).read_volatile());
        }
    }
    to
}

/// # Safety
/// C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("rep stosb", inout("rcx") n => _, inout("rdi") to => _, in("al") byte as u8,
            options(nostack, preserves_flags));
        #[cfg(not(target_arch = "x86_64"))]
        for i in 0..n {
            to.add(i).write_volatile(byte as u8);
        }
    }
    to
}

/// # Safety
/// C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for i in 0..n {
        // SAFETY: the caller's.
        let (x, y) = unsafe { (a.add(i).read_volatile(), b.add(i).read_volatile()) };
        if x != y {
            return i32::from(x) - i32::from(y);
        }
    }
    0
}

/// # Safety
/// C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: the caller's.
    unsafe { memcmp(a, b, n) }
}

/// # Safety
/// C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut n = 0;
    // SAFETY: the caller's: there is a zero byte.
    while unsafe { text.add(n).read_volatile() } != 0 {
        n += 1;
    }
    n
}
