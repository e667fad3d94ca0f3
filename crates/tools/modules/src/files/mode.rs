//! Modes: octal (`0644`, `"644"`, the number 420 that YAML makes of 0644) and symbolic (`u=rw,g+X`).

use serde_json::Value;

/// Bits a mode may have.
const ALL: u32 = 0o7777;

/// The mode a parameter asks for, from the file's present mode.
///
/// # Errors
/// `(msg, details)` of the reference.
pub fn wanted(param: &Value, present: u32, is_dir: bool, umask: u32) -> Result<u32, (String, String)> {
    let invalid =
        || ("Invalid mode supplied, only permission info is allowed".to_string(), crate::py::str(param));
    if let Some(number) = param.as_i64() {
        return u32::try_from(number).ok().filter(|m| *m <= ALL).ok_or_else(invalid);
    }
    let text = crate::py::str(param);
    let digits = text.trim().strip_prefix("0o").unwrap_or(text.trim());
    if !digits.is_empty() && digits.chars().all(|c| c.is_digit(8)) {
        // What a longer number says beyond permissions is ignored.
        return u32::from_str_radix(digits, 8).map(|m| m & ALL).map_err(|_| invalid());
    }
    symbolic(&text, present & ALL, is_dir, umask)
        .map_err(|details| ("mode must be in octal or symbolic form".to_string(), details))
}

/// Applies a symbolic mode.
pub fn symbolic(text: &str, present: u32, is_dir: bool, umask: u32) -> Result<u32, String> {
    let mut mode = present;
    for clause in text.split(',') {
        let bad = || format!("bad symbolic permission for mode: {clause}");
        let at = clause.find(['+', '-', '=']).ok_or_else(bad)?;
        let (users, mut rest) = clause.split_at(at);
        if !users.chars().all(|c| "ugoa".contains(c)) {
            return Err(bad());
        }
        let with_umask = users.is_empty();
        let users = if users.is_empty() || users.contains('a') { "ugo" } else { users };
        while let Some(op) = rest.chars().next() {
            let end = rest[1..].find(['+', '-', '=']).map_or(rest.len(), |e| e + 1);
            let perms = &rest[1..end];
            rest = &rest[end..];
            if !perms.chars().all(|c| "rwxXstugo".contains(c)) {
                return Err(bad());
            }
            for user in users.chars() {
                let mut bits =
                    perms.chars().fold(0, |bits, perm| bits | bit(user, perm, mode, present, is_dir));
                if with_umask {
                    bits &= !umask | 0o7000;
                }
                mode = match op {
                    '+' => mode | bits,
                    '-' => mode & !bits,
                    _ => (mode & !mask(user)) | bits,
                };
            }
        }
    }
    Ok(mode)
}

fn shift(user: char) -> u32 {
    match user {
        'u' => 6,
        'g' => 3,
        _ => 0,
    }
}

fn mask(user: char) -> u32 {
    match user {
        'u' => 0o4700,
        'g' => 0o2070,
        _ => 0o1007,
    }
}

fn bit(user: char, perm: char, mode: u32, present: u32, is_dir: bool) -> u32 {
    let three = match perm {
        'r' => 4,
        'w' => 2,
        'x' => 1,
        'X' if is_dir || present & 0o111 != 0 => 1,
        'u' | 'g' | 'o' => (mode >> shift(perm)) & 7,
        's' => {
            return match user {
                'u' => 0o4000,
                'g' => 0o2000,
                _ => 0,
            };
        }
        't' => return if user == 'o' { 0o1000 } else { 0 },
        _ => 0,
    };
    three << shift(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn octal_in_its_spellings() {
        for value in [json!(420), json!("0644"), json!("644"), json!("0o644")] {
            assert_eq!(wanted(&value, 0, false, 0o022), Ok(0o644), "{value}");
        }
        assert_eq!(wanted(&json!("100644"), 0, false, 0), Ok(0o644));
        let error = wanted(&json!(0o100_644), 0, false, 0).unwrap_err().0;
        assert_eq!(error, "Invalid mode supplied, only permission info is allowed");
    }

    #[test]
    fn symbolic_clauses() {
        assert_eq!(symbolic("u=rwx,g=rx,o=", 0o644, false, 0o022), Ok(0o750));
        assert_eq!(symbolic("a+X", 0o644, false, 0o022), Ok(0o644));
        assert_eq!(symbolic("a+X", 0o744, false, 0o022), Ok(0o755));
        assert_eq!(symbolic("a+X", 0o644, true, 0o022), Ok(0o755));
        assert_eq!(symbolic("+w", 0o444, false, 0o022), Ok(0o644));
        assert_eq!(symbolic("g=u", 0o640, false, 0o022), Ok(0o660));
        assert_eq!(symbolic("u+s,g-s,o+t", 0o2755, false, 0o022), Ok(0o5755));
        assert_eq!(symbolic("u+r-w", 0o200, false, 0), Ok(0o400));
        assert!(symbolic("u+q", 0, false, 0).is_err());
    }
}
