//! Files over a connection: by the helper in pieces, or through the shell.

use std::io::{Read, Write};

use pileus_modules::frame::{CHUNK_BYTES, Frame};

use super::super::spawn::quote;
use super::super::{Become, Error};
use super::{Connection, Output, as_whom};

impl Connection {
    /// Copies bytes to a file of the user's; `mode` is set when it is whole.
    pub fn put(
        &self,
        from: &mut dyn Read,
        path: &str,
        mode: Option<u32>,
        r#become: Option<&Become>,
    ) -> Result<(), Error> {
        let reading = |e: std::io::Error| Error::Failed(format!("failed to read what is to be {path}: {e}"));
        self.say(|| format!("PUT {path}{}", as_whom(r#become)));
        let helper = if self.transport.name() == "local" && r#become.is_none() {
            None
        } else {
            self.helper(r#become)?
        };
        let Some(helper) = helper else {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map_err(reading)?;
            let chmod = mode.map(|m| format!(" && chmod {m:o} {}", quote(path))).unwrap_or_default();
            let umask = if mode.is_some() { "umask 077 && " } else { "" };
            let output =
                self.exec(&format!("{umask}cat > {}{chmod}", quote(path)), &bytes, r#become, None)?;
            return transferred(&output, path);
        };
        let mut offset = 0;
        loop {
            let mut piece = Vec::with_capacity(CHUNK_BYTES);
            from.take(CHUNK_BYTES as u64).read_to_end(&mut piece).map_err(reading)?;
            let (length, last) = (piece.len() as u64, piece.len() < CHUNK_BYTES);
            let mut frame =
                Frame::new(0).with("op", "put").with("path", path).with("offset", offset).with("last", last);
            if let Some(mode) = mode {
                frame = frame.with("mode", mode);
            }
            helper.ask(frame.blob(piece), |_, answer| answer.flag("done").then_some(()))?;
            offset += length;
            if last {
                return Ok(());
            }
        }
    }

    /// Copies a file of the host's.
    pub fn get(&self, path: &str, into: &mut dyn Write, r#become: Option<&Become>) -> Result<(), Error> {
        let writing = |e: std::io::Error| Error::Failed(format!("failed to write what was {path}: {e}"));
        self.say(|| format!("FETCH {path}{}", as_whom(r#become)));
        let helper = if self.transport.name() == "local" && r#become.is_none() {
            None
        } else {
            self.helper(r#become)?
        };
        let Some(helper) = helper else {
            let output = self.exec(&format!("cat {}", quote(path)), &[], r#become, None)?;
            transferred(&output, path)?;
            return into.write_all(&output.stdout).map_err(writing);
        };
        helper.ask(Frame::new(0).with("op", "get").with("path", path), |_, answer| {
            if answer.flag("done") {
                return Some(Ok(()));
            }
            into.write_all(&answer.blob).map_err(writing).err().map(Err)
        })?
    }
}

fn transferred(output: &Output, path: &str) -> Result<(), Error> {
    if output.rc == 0 {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Error::Failed(format!("failed to transfer file to {path}:\n{}", errors.trim())))
}
