//! Password rules and lockout: Keystone's `[security_compliance]`, off by default as there.

use pileus_base::{Error, Result, Time};
use regex::Regex;

/// What a password must be, and when logins are refused.
#[derive(Debug, Clone, Default)]
pub struct PasswordRules {
    /// What a new password must match.
    pub regex: Option<Regex>,
    /// The rule in words, for whoever broke it.
    pub regex_description: Option<String>,
    /// How many of the newest passwords, the present one counted, may not be used again.
    pub unique_last: usize,
    /// Days until a password ends.
    pub expires_days: Option<i64>,
    /// Days that must pass before users change theirs again.
    pub minimum_age_days: i64,
    /// Failed logins after which a user is locked out.
    pub lockout_attempts: Option<u32>,
    /// How long for, in seconds.
    pub lockout_s: i64,
}

impl PasswordRules {
    /// Whether `password` may be set.
    ///
    /// # Errors
    /// 400 in Keystone's words.
    pub fn check(&self, password: &str) -> Result<()> {
        match &self.regex {
            Some(regex) if !regex.is_match(password) => {
                let detail = self.regex_description.as_deref().unwrap_or_else(|| regex.as_str());
                let what = "The password does not match the requirements";
                Err(Error::bad_request(format!("{what}: {detail}.")))
            }
            _ => Ok(()),
        }
    }
    /// When a password set at `at` ends.
    pub fn expiry(&self, at: Time) -> Option<Time> {
        self.expires_days.map(|d| at.plus_secs(d * 86_400))
    }
    /// Whether so many failures, the last of them at `last`, lock a user out.
    pub fn locked(&self, failures: u32, last: Time, now: Time) -> bool {
        self.lockout_attempts.is_some_and(|max| failures >= max && now < last.plus_secs(self.lockout_s))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lockout_ends() {
        let rules = PasswordRules { lockout_attempts: Some(2), lockout_s: 60, ..Default::default() };
        let at = Time(0);
        assert!(!rules.locked(1, at, at));
        assert!(rules.locked(2, at, at.plus_secs(59)));
        assert!(!rules.locked(2, at, at.plus_secs(60)));
    }
}
