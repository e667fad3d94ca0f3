//! Words for true and false, as the reference's `boolean()` reads them.

use pileus_jinja::Value;

/// What `text` says; `None` where it is neither.
pub fn said(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Some(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Some(false),
        _ => None,
    }
}

/// Whether `text` says yes.
pub fn holds(text: &str) -> bool {
    said(text) == Some(true)
}

/// Whether an option or a result's flag holds: texts by what they say, everything else by Python's truth; `default`
/// where it is not there, or null.
pub fn of(value: Option<Value>, default: bool) -> bool {
    match value {
        None | Some(Value::None) => default,
        Some(Value::Str(s)) => holds(&s),
        Some(v) => v.truth().unwrap_or(default),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        assert_eq!((said(" Yes"), said("F"), said("maybe")), (Some(true), Some(false), None));
        assert!(of(Some(Value::str("t")), false) && !of(Some(Value::str("maybe")), true));
        assert!(of(None, true) && of(Some(Value::None), true) && !of(Some(Value::Int(0)), true));
    }
}
