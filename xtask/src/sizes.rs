//! File sizes: past 500 lines a file is named, past 800 it is refused.

use std::path::Path;

use anyhow::bail;

const SOFT: usize = 500;
const HARD: usize = 800;

/// Fails with every file past the hard limit.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let mut found = Vec::new();
    for folder in ["bin", "crates", "xtask", "tests"] {
        walk(&root.join(folder), &mut found)?;
    }
    found.sort_by(|a, b| b.cmp(a));
    for (lines, path) in found.iter().filter(|(lines, _)| *lines > SOFT) {
        println!("sizes: {lines} lines: {path}");
    }
    let over: Vec<_> =
        found.iter().filter(|(lines, _)| *lines > HARD).map(|(_, path)| path.as_str()).collect();
    if over.is_empty() {
        println!("sizes: {} files, none past {HARD} lines", found.len());
        return Ok(());
    }
    bail!("past {HARD} lines: {}", over.join(", "))
}

fn walk(folder: &Path, found: &mut Vec<(usize, String)>) -> anyhow::Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|e| e == "rs") {
            let lines = std::fs::read_to_string(&path)?.lines().count();
            found.push((lines, path.display().to_string()));
        }
    }
    Ok(())
}
