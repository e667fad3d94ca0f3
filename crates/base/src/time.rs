//! A moment, in microseconds since 1970, and the forms in which the APIs write it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A moment: microseconds since 1970-01-01T00:00:00Z. Kept as an integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// Now, by the host's clock.
    pub fn now() -> Self {
        Self(Timestamp::now().as_microsecond())
    }
    /// `secs` seconds later (earlier, where negative).
    pub fn plus_secs(self, secs: i64) -> Self {
        Self(self.0.saturating_add(secs.saturating_mul(1_000_000)))
    }
    /// `ms` milliseconds later.
    pub fn plus_millis(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1_000)))
    }
    /// Whole seconds since 1970.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }
    /// `2021-01-05T09:41:38Z`: Nova, Neutron, Glance, Heat.
    pub fn z(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%SZ")
    }
    /// `2021-01-05T09:41:38.000000Z`: Keystone.
    pub fn micros_z(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S.%6fZ")
    }
    /// `2021-01-05T09:41:38.000000`: Nova's `OS-SRV-USG:launched_at`.
    pub fn micros(self) -> String {
        self.format("%Y-%m-%dT%H:%M:%S.%6f")
    }

    fn format(self, form: &str) -> String {
        let at = Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        at.strftime(form).to_string()
    }

    /// Reads ISO 8601 with or without a zone (UTC then), `T` or a space between.
    ///
    /// # Errors
    /// 400 naming the text.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::bad_request(format!("'{text}' is not a valid ISO 8601 time."));
        if let Ok(at) = text.parse::<Timestamp>() {
            return Ok(Self(at.as_microsecond()));
        }
        let at = text.trim_end_matches('Z').parse::<jiff::civil::DateTime>().map_err(|_| bad())?;
        let at = jiff::tz::TimeZone::UTC.to_timestamp(at).map_err(|_| bad())?;
        Ok(Self(at.as_microsecond()))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.z())
    }
}
impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.micros_z())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms() {
        let t = Time(1_609_839_698_123_456);
        assert_eq!(t.z(), "2021-01-05T09:41:38Z");
        assert_eq!(t.micros_z(), "2021-01-05T09:41:38.123456Z");
        assert_eq!(t.micros(), "2021-01-05T09:41:38.123456");
        for form in [t.micros_z(), t.micros(), "2021-01-05 09:41:38.123456".into()] {
            assert_eq!(Time::parse(&form).unwrap(), t, "{form}");
        }
        assert!(Time::parse("yesterday").is_err());
    }
}
