//! Paths as the reference resolves them: `~`, `$VAR`, `.` and `..` away, absolute, links not followed.

use std::path::{Component, Path, PathBuf};

/// `path` resolved from the working directory.
pub fn unfrack(path: &str) -> String {
    let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    unfrack_from(path, &cwd.to_string_lossy())
}

/// `path` resolved from `base`, a directory.
pub fn unfrack_from(path: &str, base: &str) -> String {
    let expanded = expand_user(&expand_vars(path));
    let full = if expanded.starts_with('/') { expanded } else { format!("{base}/{expanded}") };
    normalize(&full)
}

/// An absolute path without `.`, `..`, and repeated slashes.
pub fn normalize(path: &str) -> String {
    let mut out = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !out.pop() && !path.starts_with('/') {
                    out.push("..");
                }
            }
            other => out.push(other),
        }
    }
    let text = out.to_string_lossy().into_owned();
    if text.is_empty() { ".".into() } else { text }
}

/// `~` and `~user` by `HOME` and the passwd file.
pub fn expand_user(path: &str) -> String {
    let Some(rest) = path.strip_prefix('~') else { return path.to_owned() };
    let (user, tail) = rest.find('/').map_or((rest, ""), |i| rest.split_at(i));
    let home = if user.is_empty() {
        std::env::var("HOME").ok().or_else(|| home_of(|f| f.get(2) == Some(&uid().as_str())))
    } else {
        home_of(|f| f.first() == Some(&user))
    };
    home.map_or_else(|| path.to_owned(), |h| format!("{}{tail}", h.trim_end_matches('/')))
}

fn uid() -> String {
    rustix::process::getuid().as_raw().to_string()
}

fn home_of(matches: impl Fn(&[&str]) -> bool) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.len() > 5 && matches(&fields)).then(|| fields[5].to_owned())
    })
}

/// `$NAME` and `${NAME}` from the environment; unknown ones stay.
pub fn expand_vars(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, used) = match after.strip_prefix('{') {
            Some(inner) => match inner.find('}') {
                Some(end) => (&inner[..end], end + 2),
                None => ("", 0),
            },
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                (&after[..end], end)
            }
        };
        match std::env::var(name) {
            Ok(value) if !name.is_empty() => out.push_str(&value),
            _ => out.push_str(&rest[at..=at + used]),
        }
        rest = &after[used..];
    }
    out.push_str(rest);
    out
}

/// The directory that a path stands for: itself where it is one, else its parent; "" is the working directory.
pub fn basedir(source: &str) -> String {
    let path = unfrack(source);
    if Path::new(&path).is_dir() {
        return path;
    }
    Path::new(&path).parent().map_or_else(|| "/".to_owned(), |p| p.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolves() {
        assert_eq!(unfrack_from("a/./b/../c", "/x"), "/x/a/c");
        assert_eq!(unfrack_from("/..//a//b/", "/x"), "/a/b");
        assert_eq!(normalize("/"), "/");
        assert_eq!(
            expand_vars("$no_such_variable_here/${also_no_such}x"),
            "$no_such_variable_here/${also_no_such}x"
        );
    }
}
