//! Paths as the reference treats them: `~` and `$VAR`, `realpath`, where programs are.

use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

/// Directories searched after PATH.
const SYSTEM: [&str; 3] = ["/sbin", "/usr/sbin", "/usr/local/sbin"];

/// `expanduser(expandvars(text))`.
pub fn expand(text: &str) -> String {
    expand_user(&expand_vars(text, |name| std::env::var(name).ok()))
}

/// `$NAME` and `${NAME}` replaced; unknown ones stay.
pub fn expand_vars(text: &str, get: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, len) = if let Some(braced) = after.strip_prefix('{') {
            match braced.find('}') {
                Some(end) => (&braced[..end], end + 2),
                None => ("", 0),
            }
        } else {
            let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
            (&after[..end], end)
        };
        match (!name.is_empty()).then(|| get(name)).flatten() {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..at + 1 + len]),
        }
        rest = &after[len..];
    }
    out.push_str(rest);
    out
}

/// `~` and `~user` at the front replaced.
pub fn expand_user(text: &str) -> String {
    let Some(rest) = text.strip_prefix('~') else { return text.to_string() };
    let (user, tail) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let home = if user.is_empty() {
        std::env::var("HOME").ok().or_else(|| super::users::by_uid(super::euid()).map(|u| u.home))
    } else {
        super::users::by_name(user).map(|u| u.home)
    };
    match home {
        Some(home) => {
            let joined = format!("{}{tail}", home.trim_end_matches('/'));
            if joined.is_empty() { "/".into() } else { joined }
        }
        None => text.to_string(),
    }
}

/// `os.path.realpath`: links resolved as far as the path exists.
pub fn realpath(path: &str) -> String {
    let path = Path::new(path);
    let mut absolute = if path.is_absolute() {
        PathBuf::from("/")
    } else {
        std::env::current_dir().unwrap_or_else(|_| "/".into())
    };
    let mut queue: Vec<std::ffi::OsString> =
        path.components().rev().map(|c| c.as_os_str().to_owned()).collect();
    let mut links = 0;
    while let Some(part) = queue.pop() {
        match Path::new(&part).components().next() {
            Some(Component::RootDir) => absolute = PathBuf::from("/"),
            Some(Component::ParentDir) => {
                absolute.pop();
            }
            Some(Component::Normal(_)) => {
                let next = absolute.join(&part);
                match std::fs::read_link(&next) {
                    Ok(target) if links < 40 => {
                        links += 1;
                        queue.extend(target.components().rev().map(|c| c.as_os_str().to_owned()));
                    }
                    _ => absolute = next,
                }
            }
            _ => {}
        }
    }
    absolute.to_string_lossy().into_owned()
}

/// `os.path.dirname`.
pub fn dirname(path: &str) -> &str {
    match path.rfind('/') {
        Some(0) => "/",
        Some(at) => path[..at].trim_end_matches('/'),
        None => "",
    }
}

/// `os.path.basename`.
pub fn basename(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `os.path.join`.
pub fn join(base: &str, name: &str) -> String {
    if name.starts_with('/') || base.is_empty() {
        name.to_string()
    } else if base.ends_with('/') {
        format!("{base}{name}")
    } else {
        format!("{base}/{name}")
    }
}

/// PATH and the system directories.
pub fn search_path(path: Option<&str>) -> Vec<String> {
    let mut dirs: Vec<String> =
        path.unwrap_or("/usr/bin:/bin").split(':').filter(|d| !d.is_empty()).map(str::to_string).collect();
    for dir in SYSTEM {
        if !dirs.iter().any(|d| d == dir) && Path::new(dir).is_dir() {
            dirs.push(dir.into());
        }
    }
    dirs
}

/// Where a program is.
pub fn find_bin(name: &str, path: Option<&str>) -> Option<String> {
    if name.contains('/') {
        return is_executable(name).then(|| name.to_string());
    }
    search_path(path).into_iter().map(|dir| join(&dir, name)).find(|file| is_executable(file))
}

/// A file somebody may execute.
pub fn is_executable(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Whether something is there, a broken link included.
pub fn lexists(path: &str) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_names() {
        let get = |name: &str| (name == "A").then(|| "x".to_string());
        assert_eq!(expand_vars("$A/${A}b/$B/${C}/$", get), "x/xb/$B/${C}/$");
        assert_eq!(dirname("/a/b"), "/a");
        assert_eq!(dirname("a"), "");
        assert_eq!(join("/a", "b"), "/a/b");
    }
}
