//! Names of the things that a stack makes: `teststack-my_instance-3jd7aqzv5kce`.

use uuid::Uuid;

use super::{Fault, Result};

/// The twelve letters and digits that Heat derives from the 60 random bits of a version 4 UUID.
pub fn short_id(uuid: Uuid) -> String {
    const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let b = uuid.as_bytes();
    let low = u64::from(u32::from_be_bytes([b[0], b[1], b[2], b[3]]));
    let mid = u64::from(u16::from_be_bytes([b[4], b[5]]));
    let high = u64::from(u16::from_be_bytes([b[6], b[7]]) & 0x0fff);
    let time = high << 48 | mid << 32 | low;
    (0..12).rev().map(|i| char::from(BASE32[(time >> (i * 5) & 31) as usize])).collect()
}

/// The physical name of `resource` in `stack`, at most `limit` long.
pub fn physical(stack: &str, resource: &str, uuid: Uuid, limit: usize) -> String {
    reduce(&format!("{}-{resource}-{}", stack.trim_end_matches('*'), short_id(uuid)), limit)
}

/// Shortens by keeping the first two characters, a hyphen, and the end.
pub fn reduce(name: &str, limit: usize) -> String {
    let chars: Vec<char> = name.chars().collect();
    if chars.len() <= limit || limit < 4 {
        return name.to_owned();
    }
    let mut out: String = chars[..2].iter().collect();
    out.push('-');
    out.extend(&chars[chars.len() - (limit - 3)..]);
    out
}

/// Checks the name of a stack.
///
/// # Errors
/// As Heat words it.
pub fn check_stack(name: &str) -> Result<()> {
    let mut chars = name.chars();
    let ok = name.len() <= 255
        && chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    if ok {
        return Ok(());
    }
    let message = format!(
        "Invalid stack name {name} must contain only alphanumeric or \"_-.\" characters, must start with alpha \
         and must be 255 characters or less."
    );
    Err(Fault::invalid(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ids_are_heats() {
        // From heat's own test: the time field in base32.
        assert_eq!(short_id("11111111-1111-4111-bfff-ffffffffffff".parse().unwrap()), "ceirceirceir");
        assert_eq!(short_id("ffffffff-ffff-4fff-bfff-ffffffffffff".parse().unwrap()), "777777777777");
        assert_eq!(short_id("00000000-0000-4000-8000-000000000000".parse().unwrap()), "aaaaaaaaaaaa");
    }

    #[test]
    fn long_names_keep_their_head_and_tail() {
        let id = Uuid::nil();
        let name = physical("teststack", "my_instance", id, 255);
        assert_eq!(name, "teststack-my_instance-aaaaaaaaaaaa");
        assert_eq!(reduce("abcdefghij", 6), "ab-hij");
        assert_eq!(physical(&"s".repeat(300), "r", id, 63).len(), 63);
    }

    #[test]
    fn stack_names_are_checked() {
        check_stack("teststack").unwrap();
        for bad in ["", "1a", "-a", "a b", "é", "a/b"] {
            assert!(check_stack(bad).is_err(), "{bad}");
        }
    }
}
