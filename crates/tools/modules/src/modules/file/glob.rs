//! `glob.glob` and `fnmatch`: `*`, `?`, `[…]`, `[!…]`; a leading dot must be written.

/// Whether a name matches a pattern (`fnmatch.fnmatch`: dots are nothing special).
pub fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut pi, mut ni, mut star, mut mark) = (0, 0, None, 0);
    while ni < n.len() {
        let step = match p.get(pi) {
            Some('*') => {
                star = Some(pi);
                mark = ni;
                pi += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => set(&p[pi..], n[ni]),
            Some(c) if *c == n[ni] => Some(1),
            _ => None,
        };
        match (step, star) {
            (Some(width), _) => {
                pi += width;
                ni += 1;
            }
            (None, Some(at)) => {
                pi = at + 1;
                mark += 1;
                ni = mark;
            }
            (None, None) => return false,
        }
    }
    p[pi..].iter().all(|c| *c == '*')
}

/// The width of the bracket expression when the character is in it.
fn set(pattern: &[char], c: char) -> Option<usize> {
    let negated = pattern.get(1) == Some(&'!');
    let first = 1 + usize::from(negated);
    let Some(end) = pattern.iter().skip(first + 1).position(|x| *x == ']').map(|at| at + first + 1) else {
        return (c == '[').then_some(1);
    };
    let body = &pattern[first..end];
    let mut inside = false;
    let mut at = 0;
    while at < body.len() {
        if at + 2 < body.len() && body[at + 1] == '-' {
            inside |= body[at] <= c && c <= body[at + 2];
            at += 3;
        } else {
            inside |= body[at] == c;
            at += 1;
        }
    }
    (inside != negated).then_some(end + 1)
}

fn magic(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The paths a pattern matches, sorted.
pub fn glob(pattern: &str) -> Vec<String> {
    if !magic(pattern) {
        return if crate::sys::path::lexists(pattern) { vec![pattern.to_string()] } else { Vec::new() };
    }
    let mut found = vec![if pattern.starts_with('/') { "/".to_string() } else { String::new() }];
    for part in pattern.split('/').filter(|p| !p.is_empty()) {
        let mut next = Vec::new();
        for base in &found {
            if !magic(part) {
                let joined = crate::sys::path::join(base, part);
                if crate::sys::path::lexists(&joined) {
                    next.push(joined);
                }
                continue;
            }
            let dir = if base.is_empty() { "." } else { base };
            let Ok(entries) = std::fs::read_dir(dir) else { continue };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if (part.starts_with('.') || !name.starts_with('.')) && matches(part, &name) {
                    next.push(crate::sys::path::join(base, &name));
                }
            }
        }
        found = next;
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        assert!(matches("*.conf", "a.conf") && matches("a?c", "abc") && matches("[a-c]x", "bx"));
        assert!(!matches("[!a-c]x", "bx") && !matches("*.conf", "a.conf~") && matches("*a*b", "xaxxb"));
        assert_eq!(glob("/etc/passw[d]"), ["/etc/passwd"]);
        assert!(glob("/no/such/*").is_empty());
    }
}
