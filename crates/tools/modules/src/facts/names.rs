//! Shell patterns of fact names: `*`, `?`, `[a-z]`, `[!x]`.

/// Whether the whole name matches, case kept (`fnmatch`).
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => match class(&pattern[p..], name[n]) {
                Some((true, width)) => Some(width),
                Some((false, _)) => None,
                None => (name[n] == '[').then_some(1),
            },
            Some(c) if *c == name[n] => Some(1),
            _ => None,
        };
        match (step, &mut star) {
            (Some(width), _) => {
                p += width;
                n += 1;
            }
            (None, Some((after, from))) => {
                *from += 1;
                (p, n) = (*after, *from);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether a `[…]` at the front takes the character, and how long it is.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = pattern.get(1) == Some(&'!');
    let start = if negated { 2 } else { 1 };
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let (mut at, mut hit) = (start, false);
    while at < end {
        if at + 2 < end && pattern[at + 1] == '-' {
            hit |= (pattern[at]..=pattern[at + 2]).contains(&c);
            at += 3;
        } else {
            hit |= pattern[at] == c;
            at += 1;
        }
    }
    Some((hit != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns() {
        assert!(matches("*_mb", "memfree_mb") && matches("eth[0-2]", "eth1") && matches("a?c*", "abcd"));
        assert!(matches("*local*", "local") && matches("[!e]o", "lo"));
        assert!(!matches("eth[!0]", "eth0") && !matches("ab", "abc") && !matches("a?", "a"));
    }
}
