//! Moments as filters (`until`) and queries give them: a duration before now (`24h`, `1h30m`), seconds since the
//! epoch, or a date with as much of a time as there is. The reference's `timestamp.GetTimestamp`.

use pileus_base::{Error, Result};

/// Nanoseconds since the epoch; `now` likewise.
///
/// # Errors
/// 400 where it is none of them.
pub fn moment(text: &str, now: i64) -> Result<i64> {
    if let Some(before) = duration(text) {
        return Ok(now.saturating_sub(before));
    }
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).map_err(|_| bad(text));
    }
    // Without a zone it is UTC.
    if let Ok(at) = text.parse::<jiff::civil::DateTime>()
        && let Ok(at) = format!("{at}Z").parse::<jiff::Timestamp>()
    {
        return i64::try_from(at.as_nanosecond()).map_err(|_| bad(text));
    }
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds = seconds.parse::<i64>().map_err(|_| bad(text))?;
    let nanos: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanos = nanos.parse::<i64>().map_err(|_| bad(text))?;
    Ok(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

fn bad(text: &str) -> Error {
    Error::bad_request(format!("failed to parse value as time or duration: \"{text}\""))
}

/// A duration as Go writes it, in nanoseconds.
pub fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number = rest[..end].parse::<f64>().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3_600e9,
            _ => return None,
        };
        rest = &rest[end..];
        total += number * unit;
    }
    Some(if negative { -total } else { total } as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_durations_seconds_or_dates() {
        let now = 10_000_000_000_000;
        for (text, at) in [
            ("1h30m", now - 5_400_000_000_000),
            ("300ms", now - 300_000_000),
            ("-1s", now + 1_000_000_000),
            ("1.5", 1_500_000_000),
            ("0", 0),
            ("1970-01-01T00:00:02Z", 2_000_000_000),
        ] {
            assert_eq!(moment(text, now).unwrap(), at, "{text}");
        }
        assert!(moment("1970-01-02", now).is_ok() && moment("1970-01-02T01:02", now).is_ok());
        for bad in ["", "soon", "1x", "1h3"] {
            assert!(moment(bad, now).is_err(), "{bad}");
        }
    }
}
