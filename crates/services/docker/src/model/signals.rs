//! Signals by name or number, as `kill` and `StopSignal` give them.

use pileus_base::{Error, Result};

const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
    "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
    "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// SIGKILL's number.
pub const KILL: i32 = 9;
/// SIGTERM's number.
pub const TERM: i32 = 15;

/// The number of a signal.
///
/// # Errors
/// 400, `invalid signal: X`.
pub fn number(text: &str) -> Result<i32> {
    let bad = || Error::bad_request(format!("invalid signal: {text}"));
    if let Ok(n) = text.parse::<i32>() {
        return if (1..=64).contains(&n) { Ok(n) } else { Err(bad()) };
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|n| *n == name) {
        return i32::try_from(at + 1).map_err(|_| bad());
    }
    let offset = |text: &str| text.parse::<i32>().ok();
    match name {
        "RTMIN" => Ok(34),
        "RTMAX" => Ok(64),
        _ if name.starts_with("RTMIN+") => {
            offset(&name[6..]).map(|n| 34 + n).filter(|n| *n <= 64).ok_or_else(bad)
        }
        _ if name.starts_with("RTMAX-") => {
            offset(&name[6..]).map(|n| 64 - n).filter(|n| *n >= 34).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_have_names_and_numbers() {
        for (text, n) in [("9", 9), ("SIGKILL", 9), ("term", 15), ("SIGSYS", 31), ("RTMIN+3", 37)] {
            assert_eq!(number(text).unwrap(), n, "{text}");
        }
        assert!(number("0").is_err());
        assert!(number("SIGNONE").is_err());
    }
}
