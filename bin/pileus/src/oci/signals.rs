//! Signals by name or number.

/// The kernel's number of a signal given as `9`, `KILL` or `SIGKILL`.
pub fn number(word: &str) -> Option<i32> {
    if let Ok(number) = word.parse::<i32>() {
        return (1..=64).contains(&number).then_some(number);
    }
    const NAMES: [&str; 31] = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE",
        "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ",
        "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some(at) = NAMES.iter().position(|one| *one == name) {
        return Some(at as i32 + 1);
    }
    match name {
        "RTMIN" => return Some(34),
        "RTMAX" => return Some(64),
        "IOT" => return Some(6),
        "POLL" => return Some(29),
        "CLD" => return Some(17),
        _ => {}
    }
    let offset = |rest: &str| rest.parse::<i32>().ok();
    let real_time = name.strip_prefix("RTMIN+").and_then(offset).map(|n| 34 + n);
    let real_time = real_time.or_else(|| name.strip_prefix("RTMAX-").and_then(offset).map(|n| 64 - n));
    real_time.filter(|n| (34..=64).contains(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(
            ["9", "KILL", "sigkill", "SYS", "RTMIN+2"].map(number),
            [Some(9), Some(9), Some(9), Some(31), Some(36)]
        );
        assert_eq!(["0", "65", "NOPE", ""].map(number), [None; 4]);
    }
}
