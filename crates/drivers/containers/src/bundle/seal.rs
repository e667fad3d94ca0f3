//! Runs this program again from a read-only view of itself: a container that gets at `/proc/<pid>/exe` of a
//! runtime process could otherwise write to the host's program (CVE-2019-5736).

use std::{
    ffi::CString,
    os::{fd::AsRawFd, unix::ffi::OsStrExt as _},
};

use pileus_base::Result;

use super::sys::{MountAttr, c, doing, open_tree, set_attributes};

const EXE: &str = "/proc/self/exe";
const MOUNT_ATTR_RDONLY: u64 = 1;

/// Comes back at once where the program can't be written to as we see it; otherwise runs it again, from the
/// start and with the same arguments, so that it is so.
///
/// # Errors
/// Where the kernel gives no such view.
pub fn seal() -> Result<()> {
    let exe = c(EXE).map_err(doing(EXE))?;
    // SAFETY: a statvfs of zeros is valid; it and the path outlive the call.
    let readonly = unsafe {
        let mut about: libc::statvfs = std::mem::zeroed();
        libc::statvfs(exe.as_ptr(), &raw mut about) == 0 && about.f_flag & libc::ST_RDONLY != 0
    };
    if readonly {
        return Ok(());
    }
    let view = open_tree(EXE, false).map_err(doing("clone our own program's mount"))?;
    let attr = MountAttr { set: MOUNT_ATTR_RDONLY, ..MountAttr::default() };
    set_attributes(&view, false, &attr).map_err(doing("make our own program read-only"))?;
    let own = |text: &std::ffi::OsStr| CString::new(text.as_bytes()).unwrap_or_default();
    let args: Vec<_> = std::env::args_os().map(|one| own(&one)).collect();
    let env: Vec<_> = std::env::vars_os()
        .map(|(name, value)| own(&std::ffi::OsString::from_iter([name, "=".into(), value])))
        .collect();
    let list = |of: &[CString]| of.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect::<Vec<_>>();
    let (args, env) = (list(&args), list(&env));
    // SAFETY: the lists end in a null and outlive the call, which comes back only with an error.
    unsafe {
        let none = c"".as_ptr();
        libc::syscall(
            libc::SYS_execveat,
            view.as_raw_fd(),
            none,
            args.as_ptr(),
            env.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(doing("run our own program again")(std::io::Error::last_os_error()))
}
