//! Time in the machine's zone, through `localtime_r`/`strftime` of libc.

use std::ffi::CString;
use std::time::{SystemTime, UNIX_EPOCH};

/// Now: seconds and nanoseconds since 1970.
pub fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs() as i64, since.subsec_nanos())
}

/// Waits as long as a call's own parameter says (`delay`, `sleep`, `retries`). Nothing of ours waits for a time
/// otherwise.
#[expect(clippy::disallowed_methods, reason = "the time itself is what the call asks for")]
pub fn pause(time: std::time::Duration) {
    std::thread::sleep(time);
}

/// Broken-down local time.
pub fn local(secs: i64) -> libc::tm {
    // SAFETY: tm is plain integers and a pointer, for which zero is valid.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers live through the call.
    unsafe { libc::localtime_r(&secs, &mut tm) };
    tm
}

/// The zone's names, plain and with daylight saving time (`tzname`).
pub fn zone_names() -> [String; 2] {
    let (mut plain, mut summer) = (String::new(), String::new());
    // A year of months shows both; the half without daylight saving time names the plain one.
    let start = now().0;
    for month in 0..12 {
        let tm = local(start + month * 2_629_800);
        let name = format("%Z", &tm);
        if tm.tm_isdst > 0 { summer = name } else { plain = name }
    }
    if summer.is_empty() {
        summer.clone_from(&plain);
    }
    [plain, summer]
}

/// `strftime(format, tm)`.
pub fn format(format: &str, tm: &libc::tm) -> String {
    let Ok(c_format) = CString::new(format) else { return String::new() };
    let mut buffer = vec![0u8; format.len() * 8 + 128];
    // SAFETY: the buffer's length is passed, the format is ended, tm came from libc.
    let written = unsafe { libc::strftime(buffer.as_mut_ptr().cast(), buffer.len(), c_format.as_ptr(), tm) };
    buffer.truncate(written);
    crate::py::text(&buffer)
}

/// Local seconds by `strptime(text, format)` and `mktime`.
pub fn parse(text: &str, format: &str) -> Option<i64> {
    let (c_text, c_format) = (CString::new(text).ok()?, CString::new(format).ok()?);
    // SAFETY: as in `local`.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both strings are ended; tm lives through the call.
    let end = unsafe { libc::strptime(c_text.as_ptr(), c_format.as_ptr(), &mut tm) };
    // SAFETY: when not null, strptime's result points into c_text, which is still alive.
    if end.is_null() || unsafe { *end } != 0 {
        return None;
    }
    tm.tm_isdst = -1;
    // SAFETY: tm lives through the call.
    Some(unsafe { libc::mktime(&mut tm) })
}

/// `2026-11-26 13:40:45.123456`, as Python prints a `datetime`.
pub fn datetime(secs: i64, nanos: u32) -> String {
    let base = format("%Y-%m-%d %H:%M:%S", &local(secs));
    let micros = nanos / 1000;
    if micros == 0 { base } else { format!("{base}.{micros:06}") }
}

/// `0:00:01.000123`, as Python prints a `timedelta`.
pub fn timedelta(nanos: u128) -> String {
    let micros = nanos / 1000;
    let (secs, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, secs) = (secs / 86400, secs % 86400);
    let prefix = match days {
        0 => String::new(),
        1 => "1 day, ".into(),
        n => format!("{n} days, "),
    };
    let base = format!("{prefix}{}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60);
    if micros == 0 { base } else { format!("{base}.{micros:06}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn python_s_forms() {
        assert_eq!(timedelta(1_000_123_000), "0:00:01.000123");
        assert_eq!(timedelta(90_061_000_000_000), "1 day, 1:01:01");
        assert_eq!(format("%Y-%m-%d", &local(86_400 * 14))[..9], *"1970-01-1");
        let secs = parse("202401020304.05", "%Y%m%d%H%M.%S").expect("a time");
        assert_eq!(format("%Y%m%d%H%M.%S", &local(secs)), "202401020304.05");
        assert!(parse("nope", "%Y").is_none());
    }
}
