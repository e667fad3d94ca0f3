//! Getting the helper onto a host: one shell command that starts the cached copy, or asks for one.
//!
//! ```text
//!  sh -c SCRIPT   ◄── HELLO …                          the copy for our hash was there, runs and is whole
//!                 ◄── PILEUS-NEED Linux x86_64         ──► the helper's bytes ◄── HELLO …
//!                 ◄── exit                             no place to write and execute, or no such machine
//! ```
//!
//! The copy lies in a directory of the user's that only he can enter: ~/.cache/pileus, else below /var/tmp or /tmp. It
//! gets its name when it is whole and has run once; its size is looked at before each use. Reading all of it to compare
//! the hash would cost more on the target than most plays, and would not keep out its owner, who could change the shell
//! as well.

use std::io::Read;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::Error;

static COMPRESSED: &[u8] = include_bytes!(env!("PILEUS_HELPER"));

/// What the script prints when it wants the helper; the system and the machine follow.
pub const NEED: &[u8] = b"PILEUS-NEED ";

/// The helper's program, for the machine that this was built for.
pub struct Program {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub hash: String,
}

/// The embedded helper, unpacked at the first use.
pub fn program() -> Result<&'static Program, Error> {
    static PROGRAM: OnceLock<Result<Program, String>> = OnceLock::new();
    let unpack = || {
        let mut bytes = Vec::new();
        let mut decoder = zstd::stream::read::Decoder::new(COMPRESSED).map_err(|e| e.to_string())?;
        decoder.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let hash = Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
        Ok(Program { bytes, hash })
    };
    PROGRAM
        .get_or_init(unpack)
        .as_ref()
        .map_err(|e: &String| Error::Failed(format!("failed to unpack the helper: {e}")))
}

/// Whether a host's answer (`Linux x86_64`) names a machine that runs our helper.
pub fn runs_on(system: &str) -> bool {
    system.trim() == format!("Linux {}", std::env::consts::ARCH)
}

/// The script, without single quotes so that any login shell passes it on whole.
pub fn script(program: &Program) -> String {
    SCRIPT
        .replace("HASH", &program.hash)
        .replace("SIZE", &program.bytes.len().to_string())
        .lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
}

const SCRIPT: &str = r#"umask 077
s=
u=
all() {
  d=${HOME:-/nonexistent}/.cache/pileus
  f=$d/helper-HASH
  "$1"
  [ -n "$u" ] || u=$(id -u)
  for d in "/var/tmp/pileus-$u" "/tmp/pileus-$u"; do
    f=$d/helper-HASH
    "$1"
  done
}
start() {
  [ -O "$d" ] && [ ! -L "$d" ] && [ -O "$f" ] && [ -x "$f" ] || return 0
  [ "$("$f" --bytes 2>/dev/null)" = SIZE ] && exec "$f"
}
push() {
  mkdir -p "$d" 2>/dev/null && [ -O "$d" ] && [ ! -L "$d" ] && chmod 700 "$d" 2>/dev/null || return 0
  t=$d/.helper-$$
  if [ -z "$s" ]; then
    : 2>/dev/null >"$t" || return 0
    head -c SIZE >"$t" || exit 93
  else
    cp "$s" "$t" 2>/dev/null || return 0
  fi
  chmod 700 "$t"
  if "$t" --version >/dev/null 2>&1; then
    [ -z "$s" ] || rm -f "$s"
    mv -f "$t" "$f" && exec "$f"
  fi
  if [ -z "$s" ]; then s=$t; else rm -f "$t"; fi
}
all start
echo
echo "PILEUS-NEED $(uname -s) $(uname -m)"
all push
[ -z "$s" ] || rm -f "$s"
drop() { rmdir "$d" 2>/dev/null; }
all drop
exit 94
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_a_shells_and_quotable() {
        let program = Program { bytes: b"x".to_vec(), hash: "abc".into() };
        let script = script(&program);
        assert!(!script.contains('\''));
        let status = std::process::Command::new("/bin/sh").args(["-n", "-c", &script]).status().unwrap();
        assert!(status.success());
    }

    #[test]
    fn the_helper_is_whole_and_small() {
        let program = program().unwrap();
        assert!(program.bytes.starts_with(b"\x7fELF"));
        // The C library's share (about 900 kB) can't be had smaller without rebuilding the standard library.
        // The goal is 1.5 MB; this only keeps it from growing unseen.
        assert!(program.bytes.len() <= 2_800_000, "{} bytes", program.bytes.len());
        assert!(COMPRESSED.len() <= 1_500_000, "{} bytes compressed", COMPRESSED.len());
    }
}
