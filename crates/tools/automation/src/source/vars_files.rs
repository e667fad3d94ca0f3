//! Which files hold the variables of a group or host: `NAME`, `NAME.yml` … or everything in a directory `NAME`.

use std::fs;
use std::path::Path;

/// The files of `name` in `dir` (a `group_vars` or `host_vars`), in order; `extensions` with their dots.
pub fn find(dir: &str, name: &str, extensions: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let candidates = std::iter::once("").chain(extensions.iter().map(String::as_str));
    for extension in candidates {
        let dot = if extension.is_empty() || extension.contains('.') { "" } else { "." };
        let full = format!("{dir}/{name}{dot}{extension}");
        let Ok(meta) = fs::metadata(&full) else { continue };
        if meta.is_dir() {
            directory(&full, extensions, &mut found);
        } else {
            found.push(full);
        }
        break;
    }
    found
}

fn directory(dir: &str, extensions: &[String], found: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut names: Vec<String> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
    names.sort();
    for name in names {
        if name.starts_with('.') || name.ends_with('~') {
            continue;
        }
        let extension =
            Path::new(&name).extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
        let full = format!("{dir}/{name}");
        let Ok(meta) = fs::metadata(&full) else { continue };
        if meta.is_dir() && extension.is_empty() {
            directory(&full, extensions, found);
        } else if meta.is_file() && (extension.is_empty() || extensions.contains(&extension)) {
            found.push(full);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path();
        for p in [
            "web/z.yml",
            "web/a",
            "web/deep/b.json",
            "web/c.txt",
            "web/.hidden",
            "web/old~",
            "db.yaml",
            "db.yml",
        ] {
            let path = base.join(p);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let extensions: Vec<String> = [".yml", ".yaml", ".json"].map(String::from).to_vec();
        let base = base.to_str().unwrap();
        let names = |n: &str| -> Vec<String> {
            find(base, n, &extensions).iter().map(|f| f[base.len() + 1..].to_owned()).collect()
        };
        assert_eq!(names("web"), ["web/a", "web/deep/b.json", "web/z.yml"]);
        assert_eq!(names("db"), ["db.yml"]);
        assert!(names("none").is_empty());
    }
}
