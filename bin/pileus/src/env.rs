//! `pileus env`: exports for a shell.

use std::path::Path;

use anyhow::bail;

/// Prints the exports.
pub fn run(state_dir: &Path, admin: bool) -> anyhow::Result<()> {
    let clouds = state_dir.join("clouds.yaml");
    if !clouds.exists() {
        bail!("there is no cloud in `{}` yet: start one with `pileus up`", state_dir.display());
    }
    let cloud = if admin { "pileus-admin" } else { "pileus" };
    let mut exports = vec![
        ("OS_CLIENT_CONFIG_FILE", clouds.display().to_string()),
        ("OS_CLOUD", cloud.to_owned()),
        ("PILEUS_STATE_DIR", state_dir.display().to_string()),
    ];
    // A simulated cloud, or one with `[docker] enabled = false`, serves no engine.
    let engine = crate::state::docker_socket(state_dir);
    if engine.exists() {
        exports.push(("DOCKER_HOST", format!("unix://{}", engine.display())));
        // Clients take BuildKit for granted unless told otherwise.
        exports.push(("DOCKER_BUILDKIT", "0".to_owned()));
    }
    for (name, value) in exports {
        println!("export {name}={}", quote(&value));
    }
    Ok(())
}

/// Quotes for a POSIX shell.
pub fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn quotes_survive_a_shell() {
        assert_eq!(super::quote("/a b/it's"), "'/a b/it'\\''s'");
    }
}
