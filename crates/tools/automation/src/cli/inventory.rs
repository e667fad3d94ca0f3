//! `ansible-inventory`.

use std::ffi::OsString;

/// The whole program; the exit code.
pub fn main(_args: &[OsString]) -> i32 {
    eprintln!("ERROR! ansible-inventory isn't there yet");
    1
}
