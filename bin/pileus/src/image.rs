//! `pileus image build`: the small test guest, from its recipe.

use std::{path::Path, process::Command};

use anyhow::{Context, bail};

use crate::cli::ImageCommand;

/// Runs the recipe `guest/build` of the source tree, or of where `make install` put it.
pub fn run(_state_dir: &Path, command: &ImageCommand) -> anyhow::Result<()> {
    let ImageCommand::Build { output } = command;
    let places =
        [Path::new("guest/build").to_owned(), Path::new("/usr/local/share/pileus/guest/build").to_owned()];
    let Some(recipe) = places.iter().find(|p| p.exists()) else {
        bail!(
            "the guest's recipe is neither in ./guest nor in /usr/local/share/pileus: run this in the source tree"
        );
    };
    let done = Command::new(recipe).arg(output).status();
    let done = done.with_context(|| format!("failed to run `{}`", recipe.display()))?;
    if !done.success() {
        bail!("the recipe failed; what it needs is installed by scripts/setup");
    }
    println!("{}", output.display());
    Ok(())
}
