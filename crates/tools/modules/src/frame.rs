//! Frames between the controller and the helper on a target: a JSON head and, beside it, raw bytes.
//!
//! ```text
//! helper ──► HELLO, then frames          | u32 BE head's length | u32 BE blob's length | head (JSON object) | blob |
//! ```
//!
//! Every request has an `id`, which its answers repeat; requests are answered in any order.
//!
//! | request `op` | fields | answers |
//! |---|---|---|
//! | `module` | `name args check diff env cwd tmpdir stream` | `stream` + blob …, then `result` |
//! | `async` | the same, `jid limit_s dir` | `result` (the job is started) |
//! | `exec` | `argv` or `shell`, `env cwd`, blob = its input | `fd` 1 or 2 + blob …, then `rc` |
//! | `put` | `path mode offset last`, blob = the bytes | `done` |
//! | `get` | `path` | blob …, then `done` |
//! | `fetched` | answer to the helper's own `fetch` of the same `id` | – |
//!
//! A failure of the operation itself (not of a module) is `error`: a text.

use std::io::{self, Read, Write};

use serde_json::Value;

use crate::Map;

/// What the helper writes first: whatever a login shell printed before it is no frame.
pub const HELLO: &[u8] = b"\n\x00pileus-helper 1\x00\n";

/// The longest head or blob (a result with a large file in it fits; garbage doesn't).
const MAX_BYTES: usize = 1 << 30;

/// The most bytes of a file in one frame.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// One frame.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frame {
    /// The JSON object.
    pub head: Map,
    /// The raw bytes beside it.
    pub blob: Vec<u8>,
}

impl Frame {
    /// A frame of an id and fields.
    pub fn new(id: u64) -> Self {
        let mut head = Map::new();
        head.insert("id".into(), id.into());
        Frame { head, blob: Vec::new() }
    }

    /// The same with one more field.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.head.insert(key.into(), value.into());
        self
    }

    /// The same with raw bytes.
    pub fn blob(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.blob = bytes.into();
        self
    }

    /// The request this belongs to.
    pub fn id(&self) -> u64 {
        self.head.get("id").and_then(Value::as_u64).unwrap_or(0)
    }

    /// A text field.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.head.get(key)?.as_str()
    }

    /// A flag, false when absent.
    pub fn flag(&self, key: &str) -> bool {
        self.head.get(key).and_then(Value::as_bool).unwrap_or(false)
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 8];
        if serde_json::to_writer(&mut bytes, &self.head).is_err() {
            bytes.truncate(8);
            bytes.extend_from_slice(b"{}");
        }
        let head_bytes = (bytes.len() - 8) as u32;
        bytes[..4].copy_from_slice(&head_bytes.to_be_bytes());
        bytes[4..8].copy_from_slice(&(self.blob.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&self.blob);
        bytes
    }

    /// Writes the frame in one go.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        to.write_all(&self.encode())?;
        to.flush()
    }

    /// Reads a frame; `None` at the end of the input.
    pub fn read(from: &mut dyn Read) -> io::Result<Option<Frame>> {
        let mut sizes = [0; 8];
        match from.read(&mut sizes)? {
            0 => return Ok(None),
            n => from.read_exact(&mut sizes[n..])?,
        }
        let (head, blob) = lengths(&sizes)?;
        let mut bytes = vec![0; head];
        from.read_exact(&mut bytes)?;
        let head = serde_json::from_slice(&bytes)?;
        let mut bytes = vec![0; blob];
        from.read_exact(&mut bytes)?;
        Ok(Some(Frame { head, blob: bytes }))
    }
}

fn lengths(sizes: &[u8; 8]) -> io::Result<(usize, usize)> {
    let number =
        |at: usize| u32::from_be_bytes([sizes[at], sizes[at + 1], sizes[at + 2], sizes[at + 3]]) as usize;
    let (head, blob) = (number(0), number(4));
    if head > MAX_BYTES || blob > MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "this is no frame of the helper's"));
    }
    Ok((head, blob))
}

/// Takes bytes as they come and gives whole frames.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn take(&mut self) -> io::Result<Option<Frame>> {
        let bytes = &self.buffer[self.start..];
        let Some(sizes) = bytes.first_chunk::<8>() else { return Ok(None) };
        let (head, blob) = lengths(sizes)?;
        let Some(body) = bytes.get(8..8 + head + blob) else { return Ok(None) };
        let frame = Frame { head: serde_json::from_slice(&body[..head])?, blob: body[head..].to_vec() };
        self.start += 8 + head + blob;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_survive_any_cut() {
        let first = Frame::new(7).with("op", "put").blob(&b"\x00\xffbytes"[..]);
        let second = Frame::new(8).with("result", serde_json::json!({"changed": true}));
        let bytes = [first.encode(), second.encode()].concat();
        let mut decoder = Decoder::default();
        let mut got = Vec::new();
        for byte in &bytes {
            decoder.feed(std::slice::from_ref(byte));
            got.extend(decoder.take().unwrap());
        }
        assert_eq!(got, [first.clone(), second.clone()]);
        let mut input = bytes.as_slice();
        assert_eq!(Frame::read(&mut input).unwrap(), Some(first));
        assert_eq!(Frame::read(&mut input).unwrap(), Some(second));
        assert_eq!(Frame::read(&mut input).unwrap(), None);
    }

    #[test]
    fn garbage_is_an_error() {
        let mut decoder = Decoder::default();
        decoder.feed(b"HTTP/1.1 400 Bad Request");
        assert!(decoder.take().is_err());
        assert!(Frame::read(&mut &b"\x00\x00"[..]).is_err());
    }
}
