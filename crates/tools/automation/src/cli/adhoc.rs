//! `ansible`.

use std::ffi::OsString;

/// The whole program; the exit code.
pub fn main(_args: &[OsString]) -> i32 {
    eprintln!("ERROR! ansible isn't there yet");
    1
}
