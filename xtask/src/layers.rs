//! No arrow goes up: every crate's dependencies on other crates of ours against the picture in
//! docs/architecture.md.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use toml::Table;

/// Services, left to right; each may call those to its left.
const LINE: [&[&str]; 8] = [
    &["identity"],
    &["secrets", "image", "placement"],
    &["network"],
    &["volume"],
    &["compute"],
    &["balancer"],
    &["stack"],
    &["docker", "libvirt", "apps", "dashboard"],
];

/// Fails with every arrow that goes up.
pub fn check(root: &Path) -> anyhow::Result<()> {
    let mut crates = BTreeMap::new();
    for pattern in ["crates", "crates/platform", "crates/drivers", "crates/services", "crates/tools", "bin"] {
        let Ok(entries) = std::fs::read_dir(root.join(pattern)) else { continue };
        for entry in entries {
            let manifest = entry?.path().join("Cargo.toml");
            if !manifest.exists() {
                continue;
            }
            let room = pattern.rsplit('/').next().unwrap_or(pattern);
            let text = std::fs::read_to_string(&manifest)?;
            let table: Table = text.parse().with_context(|| manifest.display().to_string())?;
            let name = table["package"]["name"].as_str().unwrap_or("").to_owned();
            let deps = table.get("dependencies").and_then(|d| d.as_table());
            let ours = deps.into_iter().flat_map(|d| d.keys()).filter(|d| d.starts_with("pileus-"));
            crates.insert(name.clone(), (room_of(room, &name), ours.cloned().collect::<Vec<_>>()));
        }
    }
    let mut wrong = Vec::new();
    for (name, (room, deps)) in &crates {
        for dep in deps {
            let Some((to, _)) = crates.get(dep) else { continue };
            if !allowed(room, name, to, dep) {
                wrong.push(format!("{name} ({room}) must not depend on {dep} ({to})"));
            }
        }
    }
    if wrong.is_empty() {
        println!("layers: {} crates, no arrow goes up", crates.len());
        return Ok(());
    }
    bail!("{}", wrong.join("\n"))
}

fn room_of(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("crates", "pileus-base") => "base",
        ("crates", "pileus-host") => "host",
        ("crates", "pileus-agent") => "agent",
        (other, _) => other,
    }
    .to_owned()
}

fn allowed(from: &str, name: &str, to: &str, dep: &str) -> bool {
    match (from, to) {
        (_, "base") | ("bin", _) | ("platform", "platform") => true,
        ("agent", "host" | "drivers") => true,
        ("agent", "platform") => dep == "pileus-bus",
        ("services", "platform" | "host") => true,
        ("services", "services") => place(dep) < place(name),
        ("tools", "platform") => matches!(dep, "pileus-yaml" | "pileus-tls"),
        ("tools", "tools") => true,
        _ => false,
    }
}

fn place(name: &str) -> usize {
    let noun = name.trim_start_matches("pileus-");
    LINE.iter().position(|group| group.contains(&noun)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_go_down_and_left() {
        assert!(allowed("services", "pileus-compute", "services", "pileus-network"));
        assert!(!allowed("services", "pileus-network", "services", "pileus-compute"));
        assert!(!allowed("services", "pileus-compute", "agent", "pileus-agent"));
        assert!(!allowed("drivers", "pileus-hypervisor", "host", "pileus-host"));
        assert!(!allowed("platform", "pileus-http", "services", "pileus-identity"));
    }
}
