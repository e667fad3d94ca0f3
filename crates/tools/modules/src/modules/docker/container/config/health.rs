//! The health check.

use serde_json::{Value, json};

use super::super::simple::Kind;
use super::{Place, Wanted};
use crate::cx::Cx;
use crate::result::Map;

impl Wanted {
    pub(super) fn health(&mut self, cx: &Cx<'_>) -> Result<(), String> {
        let Some(check) = cx.raw("healthcheck").as_object() else { return Ok(()) };
        let mut out = Map::new();
        match &check["test"] {
            Value::Array(items) => {
                out.insert("Test".into(), items.iter().map(crate::py::str).collect());
            }
            Value::Null if check["test_cli_compatible"] == true => {}
            Value::Null => _ = out.insert("Test".into(), json!(["NONE"])),
            other => _ = out.insert("Test".into(), json!(["CMD-SHELL", crate::py::str(other)])),
        }
        let off = out.get("Test").is_some_and(|test| test[0] == "NONE");
        if off {
            out.insert("Test".into(), json!(["NONE"]));
        } else {
            let times = [
                ("interval", "Interval"),
                ("timeout", "Timeout"),
                ("start_period", "StartPeriod"),
                ("start_interval", "StartInterval"),
            ];
            for (name, field) in times {
                if let Some(text) = check[name].as_str() {
                    out.insert(field.into(), nanoseconds(text)?.into());
                }
            }
            if let Some(retries) = check["retries"].as_i64() {
                out.insert("Retries".into(), retries.into());
            }
        }
        self.config.insert("Healthcheck".into(), Value::Object(out.clone()));
        let actual = |c: &Value| match &c["Config"]["Healthcheck"] {
            Value::Null => json!({"Test": ["NONE"]}),
            other => other.clone(),
        };
        self.add("healthcheck", Kind::Dict, Value::Object(out), Place::Taken(actual));
        Ok(())
    }
}

/// `1m30s` in nanoseconds; `0` needs no unit.
fn nanoseconds(text: &str) -> Result<i64, String> {
    let bad = || format!("Invalid time duration - {text}");
    let (mut total, mut rest) = (0_i64, text.trim());
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: i64 = rest[..at].parse().map_err(|_| bad())?;
        rest = &rest[at..];
        let units = [
            ("us", 1_000),
            ("ms", 1_000_000),
            ("s", 1_000_000_000),
            ("m", 60_000_000_000),
            ("h", 3_600_000_000_000),
        ];
        let (unit, size) = units.into_iter().find(|(unit, _)| rest.starts_with(unit)).ok_or_else(bad)?;
        total = number.checked_mul(size).and_then(|n| total.checked_add(n)).ok_or_else(bad)?;
        rest = &rest[unit.len()..];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(nanoseconds("1m30s"), Ok(90_000_000_000));
        assert_eq!(nanoseconds("5ms"), Ok(5_000_000));
        assert!(
            nanoseconds("5").is_err() && nanoseconds("x").is_err() && nanoseconds("99999999999h").is_err()
        );
    }
}
