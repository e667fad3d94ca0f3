//! Files to and from the controller, in pieces.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use pileus_modules::frame::{CHUNK_BYTES, Frame};
use serde_json::Value;

use crate::output::Output;

/// Writes one piece at its offset; the first makes the file anew, the last gives it its mode.
pub fn put(frame: &Frame, output: &Output) -> io::Result<()> {
    let path = frame.text("path").ok_or_else(|| io::Error::other("a file without a path"))?;
    let mode = frame.head.get("mode").and_then(Value::as_u64).map(|m| m as u32);
    let offset = frame.head.get("offset").and_then(Value::as_u64).unwrap_or(0);
    // Readable by its owner only until it is whole.
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(offset == 0).mode(if mode.is_some() { 0o600 } else { 0o666 });
    let mut file = options.open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    file.write_all(&frame.blob)?;
    if frame.flag("last")
        && let Some(mode) = mode
    {
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    }
    output.send(&Frame::new(frame.id()).with("done", true))
}

/// Sends a file piece by piece.
pub fn get(frame: &Frame, output: &Output) -> io::Result<()> {
    let path = frame.text("path").ok_or_else(|| io::Error::other("a file without a path"))?;
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer)? {
            0 => return output.send(&Frame::new(frame.id()).with("done", true)),
            n => output.send(&Frame::new(frame.id()).blob(&buffer[..n]))?,
        }
    }
}
