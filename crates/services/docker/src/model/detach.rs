//! Detach keys: the keys that part a client from a process with a terminal and leave that running.

use pileus_base::{Error, Result};

/// What parts a client where nothing else is asked: ctrl-p, ctrl-q.
pub const DEFAULT: [u8; 2] = [16, 17];

/// Keys as people write them (`ctrl-p,ctrl-q`, `a`, `DEL`) as the bytes that a terminal sends.
///
/// # Errors
/// 400, `Invalid detach keys (x) provided`.
pub fn keys(text: &str) -> Result<Vec<u8>> {
    let one = |key: &str| match *key.as_bytes() {
        [byte] => Some(byte),
        [b'c', b't', b'r', b'l', b'-', byte @ b'a'..=b'z'] => Some(byte - b'a' + 1),
        [b'c', b't', b'r', b'l', b'-', b'@'] => Some(0),
        [b'c', b't', b'r', b'l', b'-', byte @ b'['..=b'_'] => Some(byte - b'@'),
        _ => (key == "DEL").then_some(127),
    };
    let all: Option<Vec<u8>> = text.split(',').map(one).collect();
    all.ok_or_else(|| Error::bad_request(format!("Invalid detach keys ({text}) provided")))
}

/// Looks for the keys in what is typed. What may become them is held back until it can't.
#[derive(Debug)]
pub struct Watch {
    keys: Vec<u8>,
    met: usize,
}

impl Watch {
    /// Looks for `keys`; for nothing where they are empty.
    pub fn new(keys: Vec<u8>) -> Self {
        Self { keys, met: 0 }
    }

    /// Passes `typed` on into `out`; whether the keys were met, which ends it.
    pub fn pass(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        if self.keys.is_empty() {
            out.extend_from_slice(typed);
            return false;
        }
        for byte in typed {
            if *byte != self.keys[self.met] {
                out.extend_from_slice(&self.keys[..self.met]);
                self.met = 0;
            }
            if *byte != self.keys[self.met] {
                out.push(*byte);
                continue;
            }
            self.met += 1;
            if self.met == self.keys.len() {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_the_reference_reads_them() {
        assert_eq!(keys("ctrl-p,ctrl-q").unwrap(), DEFAULT);
        assert_eq!(keys("ctrl-x,a,ctrl-@,ctrl-],ctrl-_,DEL").unwrap(), [24, b'a', 0, 29, 31, 127]);
        for bad in ["ctrl-", "ctrl-A", "ab", "", "ctrl-p,"] {
            let told = keys(bad).unwrap_err();
            assert_eq!(told.message(), format!("Invalid detach keys ({bad}) provided"));
        }
    }

    #[test]
    fn keys_are_met_across_reads_and_given_back_where_not() {
        let mut watch = Watch::new(DEFAULT.to_vec());
        let mut out = Vec::new();
        assert!(!watch.pass(b"ab\x10", &mut out) && out == b"ab");
        assert!(!watch.pass(b"\x10c\x10", &mut out) && out == b"ab\x10\x10c");
        assert!(watch.pass(b"\x11rest", &mut out) && out == b"ab\x10\x10c");
        let mut none = Watch::new(Vec::new());
        assert!(!none.pass(b"\x10\x11", &mut out) && out.ends_with(b"\x10\x11"));
    }
}
