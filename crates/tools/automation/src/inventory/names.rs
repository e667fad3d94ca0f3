//! Names of groups and variables: what is valid, what is done about the rest.

use pileus_jinja::Value;
use pileus_jinja::value::repr_str;

use crate::{config, display};

const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue", "def",
    "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while", "with", "yield",
];
const VARIABLE_HELP: &str = "Variable names must be strings starting with a letter or underscore character, and contain only letters, \
     numbers and underscores.";

/// Whether `name` may be a variable.
pub fn is_variable(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !KEYWORDS.contains(&name)
}

/// Warns of a variable whose name is no variable's.
pub fn check_variable(key: &Value) {
    if !key.as_str().is_some_and(is_variable) {
        let message = format!("Accepting inventory variable with invalid name {}.", key.repr());
        display::deprecated(&message, "2.23", Some(VARIABLE_HELP));
    }
}

/// `name` with what a variable could not hold replaced by `_`, where `force_valid_group_names` says so.
pub fn safe_group(name: &str) -> String {
    let bad = |i: usize, c: char| !(c.is_ascii_alphabetic() || c == '_' || (i > 0 && c.is_ascii_digit()));
    let mut wrong: Vec<char> = name.char_indices().filter(|(i, c)| bad(*i, *c)).map(|(_, c)| c).collect();
    if wrong.is_empty() {
        return name.to_owned();
    }
    wrong.sort_unstable();
    wrong.dedup();
    let list: Vec<String> = wrong.iter().map(|c| repr_str(&c.to_string())).collect();
    let what = format!("invalid character(s) \"{{{}}}\" in group name ({name})", list.join(", "));
    let mode = config::current().text("TRANSFORM_INVALID_GROUP_CHARS").unwrap_or("never").to_owned();
    match mode.as_str() {
        "never" => {
            display::verbose(4, &format!("Not replacing {what}"));
            display::warning(
                "Invalid characters were found in group names but not replaced, use -vvvv to see details",
            );
            name.to_owned()
        }
        "ignore" => name.to_owned(),
        _ => {
            if mode != "silently" {
                display::verbose(4, &format!("Replacing {what}"));
                display::warning(
                    "Invalid characters were found in group names and automatically replaced, use -vvvv to see details",
                );
            }
            name.char_indices().map(|(i, c)| if bad(i, c) { '_' } else { c }).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables() {
        assert!(is_variable("_a1") && !is_variable("1a") && !is_variable("a-b") && !is_variable("class"));
        assert_eq!(safe_group("web_1"), "web_1");
    }
}
