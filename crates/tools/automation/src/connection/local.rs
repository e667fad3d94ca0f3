//! `connection: local`: commands by fork and exec.

use std::ffi::OsString;

use super::Error;
use super::spawn::{self, Spawned, Transport};

/// This machine.
pub struct Local {
    /// The shell that runs commands (`ansible_executable`, /bin/sh).
    pub executable: String,
}

impl Transport for Local {
    fn name(&self) -> &'static str {
        "local"
    }

    fn spawn(&self, command: &str, _tty: bool) -> Result<Spawned, Error> {
        let argv = [self.executable.clone().into(), OsString::from("-c"), command.into()];
        spawn::program(&argv, &[]).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Failed(format!(
                "failed to find the executable specified {}. Please verify if the executable exists and re-try.",
                self.executable
            )),
            _ => Error::Failed(format!("failed to start {}: {error}", self.executable)),
        })
    }
}
