//! `validate: cmd %s`: new content is checked by a program before it takes the file's place.

use std::io::Write;

use crate::cx::Cx;
use crate::result::{Fail, os_error};

/// Writes the bytes to a temporary file and runs the validator on it.
pub fn validate(cx: &mut Cx<'_>, bytes: &[u8]) -> Result<(), Fail> {
    let Some(command) = cx.text("validate") else { return Ok(()) };
    let dir = cx.tmpdir.to_string_lossy().into_owned();
    let (temp, mut file) =
        super::write::temp_in(&dir, "tmp", "").map_err(|e| Fail::msg(os_error(&e, Some(&dir))))?;
    let result = match file.write_all(bytes) {
        Ok(()) => run(cx, &command, &temp),
        Err(e) => Err(Fail::msg(os_error(&e, Some(&temp)))),
    };
    let _ = std::fs::remove_file(&temp);
    result
}

/// Runs the validator on an existing file.
pub fn run(cx: &mut Cx<'_>, command: &str, file: &str) -> Result<(), Fail> {
    if !command.contains("%s") {
        return Err(Fail::msg(format!("validate must contain %s: {command}")));
    }
    let line = command.replace("%s", file);
    let words = crate::modules::command::words::split(&line).map_err(Fail::msg)?;
    let argv: Vec<&str> = words.iter().map(String::as_str).collect();
    let output = cx.exec(&argv).map_err(|e| Fail::msg(os_error(&e, argv.first().copied())))?;
    if output.rc != 0 {
        return Err(Fail::msg(format!("failed to validate: rc:{} error:{}", output.rc, output.stderr())));
    }
    Ok(())
}
