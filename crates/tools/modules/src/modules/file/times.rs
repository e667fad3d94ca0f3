//! Access and modification times of `file`: `preserve`, `now` or a time in a given format.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::os_fail;
use crate::cx::Cx;
use crate::files::Diff;
use crate::result::Fail;
use crate::sys::clock;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Want {
    Preserve,
    Now,
    At(i64),
}

/// The times a call asks for.
#[derive(Debug, Clone)]
pub struct Times {
    modified: Want,
    accessed: Want,
}

impl Times {
    /// Those of the parameters: `touch` means now, everything else leaves them.
    pub fn of(cx: &Cx<'_>, state: &str) -> Result<Self, Fail> {
        let default = if state == "touch" { "now" } else { "preserve" };
        let read = |key: &str| -> Result<Want, Fail> {
            let format = cx.string(&format!("{key}_format"));
            Ok(match cx.str(key).unwrap_or(default) {
                "preserve" => Want::Preserve,
                "now" => Want::Now,
                text => Want::At(clock::parse(text, &format).ok_or_else(|| {
                    Fail::msg(format!("Error while obtaining timestamp for time {text} using format {format}: time data '{text}' does not match format '{format}'"))
                })?),
            })
        };
        Ok(Times { modified: read("modification_time")?, accessed: read("access_time")? })
    }

    /// Whether both stay as they are.
    pub fn preserves(&self) -> bool {
        self.modified == Want::Preserve && self.accessed == Want::Preserve
    }

    /// Sets what differs.
    pub fn set(&self, cx: &Cx<'_>, path: &str, diff: &mut Diff) -> Result<bool, Fail> {
        if self.preserves() {
            return Ok(false);
        }
        let Ok(meta) = fs::symlink_metadata(path) else { return Ok(cx.check) };
        let old_modified = (meta.mtime(), meta.mtime_nsec());
        let old_accessed = (meta.atime(), meta.atime_nsec());
        let (modified, accessed) =
            (resolve(self.modified, old_modified), resolve(self.accessed, old_accessed));
        if (modified, accessed) == (old_modified, old_accessed) {
            return Ok(false);
        }
        let shown = |(secs, nanos): (i64, i64)| secs as f64 + nanos as f64 / 1e9;
        if modified != old_modified {
            diff.note("mtime", shown(old_modified), shown(modified));
        }
        if accessed != old_accessed {
            diff.note("atime", shown(old_accessed), shown(accessed));
        }
        if !cx.check {
            let time = |want: Want, secs: i64| match want {
                Want::Preserve => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT },
                Want::Now => libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW },
                Want::At(_) => libc::timespec { tv_sec: secs, tv_nsec: 0 },
            };
            set_times(path, [time(self.accessed, accessed.0), time(self.modified, modified.0)])
                .map_err(|e| os_fail("Error while updating modification or access time", &e, path))?;
        }
        Ok(true)
    }
}

/// The wanted time in seconds and nanoseconds.
fn resolve(want: Want, present: (i64, i64)) -> (i64, i64) {
    match want {
        Want::Preserve => present,
        Want::Now => {
            let (secs, nanos) = clock::now();
            (secs, i64::from(nanos))
        }
        Want::At(secs) => (secs, 0),
    }
}

/// `utimensat(2)`, following links.
pub fn set_times(path: &str, times: [libc::timespec; 2]) -> std::io::Result<()> {
    let c_path = std::ffi::CString::new(path)?;
    // SAFETY: the path is ended and two times are passed, as the call wants.
    let rc = unsafe { libc::utimensat(libc::AT_FDCWD, c_path.as_ptr(), times.as_ptr(), 0) };
    if rc == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
