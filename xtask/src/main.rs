//! `cargo xtask layers|sizes`: what keeps the house in shape. `make lint` runs them.

#![forbid(unsafe_code)]

mod layers;
mod sizes;

use std::path::{Path, PathBuf};

fn main() -> anyhow::Result<()> {
    let root = root();
    match std::env::args().nth(1).as_deref() {
        Some("layers") => layers::check(&root),
        Some("sizes") => sizes::check(&root),
        _ => anyhow::bail!("usage: cargo xtask layers|sizes"),
    }
}

/// The workspace's root: the parent of this crate.
fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}
