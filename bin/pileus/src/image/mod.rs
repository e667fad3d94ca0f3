//! `pileus image build`: the small test guest, from its recipe. `pileus image pull` is in [`pull`].

mod bar;
mod cloud;
mod pull;

use std::{path::Path, process::Command};

use anyhow::{Context, bail};

use crate::cli::ImageCommand;

/// `pileus image`
pub fn run(state_dir: &Path, command: &ImageCommand) -> anyhow::Result<()> {
    match command {
        ImageCommand::Build { output } => build(output),
        ImageCommand::Pull(args) => pull::run(state_dir, args),
    }
}

/// Runs the recipe `guest/build` of the source tree, or of where `make install` put it.
fn build(output: &Path) -> anyhow::Result<()> {
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
