//! `.dockerignore`: Go's `filepath.Match` with `**`, later lines over earlier ones, `!` for exceptions.

/// The patterns.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ignore(Vec<(bool, Vec<String>)>);

impl Ignore {
    /// Reads a file.
    pub fn read(text: &str) -> Self {
        let rules = text.trim_start_matches('\u{feff}').lines().filter_map(|line| {
            let line = if line.starts_with('#') { "" } else { line.trim() };
            let (not, pattern) = line.strip_prefix('!').map_or((false, line), |p| (true, p.trim()));
            let parts: Vec<String> = clean(pattern);
            (!parts.is_empty()).then_some((not, parts))
        });
        Self(rules.collect())
    }
    /// Whether a path (or a directory it is in) is left out.
    pub fn excludes(&self, path: &str) -> bool {
        let path = clean(path);
        let mut out = false;
        for (not, pattern) in &self.0 {
            let hit = (1..=path.len()).any(|n| segments(pattern, &path[..n]));
            if hit {
                out = !not;
            }
        }
        out
    }
}

fn clean(path: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part.to_owned()),
        }
    }
    parts
}

fn segments(pattern: &[String], path: &[String]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((first, rest)) if first == "**" => {
            if rest.is_empty() {
                return !path.is_empty();
            }
            (0..=path.len()).any(|n| segments(rest, &path[n..]))
        }
        Some((first, rest)) => match path.split_first() {
            Some((name, below)) => matches(first, name) && segments(rest, below),
            None => false,
        },
    }
}

/// Go's `filepath.Match` for one name.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    let (p, n): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    go(&p, &n)
}

fn go(p: &[char], n: &[char]) -> bool {
    match p.first() {
        None => n.is_empty(),
        Some('*') => (0..=n.len()).any(|i| go(&p[1..], &n[i..])),
        Some('?') => !n.is_empty() && go(&p[1..], &n[1..]),
        Some('[') => match (n.first(), class(&p[1..])) {
            (Some(&c), Some((not, ranges, used))) => {
                ranges.iter().any(|&(a, b)| a <= c && c <= b) != not && go(&p[1 + used..], &n[1..])
            }
            _ => false,
        },
        Some('\\') if p.len() > 1 => n.first() == Some(&p[1]) && go(&p[2..], &n[1..]),
        Some(c) => n.first() == Some(c) && go(&p[1..], &n[1..]),
    }
}

type Class = (bool, Vec<(char, char)>, usize);

fn class(p: &[char]) -> Option<Class> {
    let not = p.first() == Some(&'^');
    let mut at = usize::from(not);
    let mut ranges = Vec::new();
    let one = |at: &mut usize| -> Option<char> {
        if p.get(*at) == Some(&'\\') {
            *at += 1;
        }
        let c = *p.get(*at)?;
        *at += 1;
        Some(c)
    };
    loop {
        if p.get(at) == Some(&']') && !ranges.is_empty() {
            return Some((not, ranges, at + 1));
        }
        let low = one(&mut at)?;
        let mut high = low;
        if p.get(at) == Some(&'-') {
            at += 1;
            high = one(&mut at)?;
        }
        ranges.push((low, high));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_gos_do() {
        assert!(matches("a*c", "abbc") && matches("[a-c]?", "bx") && matches("[^a]", "b"));
        assert!(!matches("[^a]", "a") && !matches("a?", "a") && matches("\\*", "*"));
    }

    #[test]
    fn later_rules_win() {
        let i = Ignore::read("# c\n*.md\n!README.md\n/build\n**/x.o\n");
        assert!(i.excludes("a.md") && !i.excludes("README.md"));
        assert!(i.excludes("build/deep/file") && !i.excludes("src/build"));
        assert!(i.excludes("x.o") && i.excludes("a/b/x.o") && !i.excludes("a/x.c"));
    }
}
