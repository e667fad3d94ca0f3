//! Known hosts (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT): patterns, hashed names, ports, revoked keys.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

use super::config::patterns;

/// What the files say of a host's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is his.
    Known,
    /// There is none of that host (or none of that kind).
    Unknown,
    /// He had another of that kind.
    Changed,
    /// It must not be used.
    Revoked,
    /// Certificates speak for him: not followed here.
    Authority,
}

/// A line's answer for one host.
struct Entry {
    marker: Option<String>,
    kind: String,
    key: String,
}

/// The host's name as the files have it.
pub fn name(host: &str, port: u16) -> String {
    if port == 22 { host.to_lowercase() } else { format!("[{}]:{port}", host.to_lowercase()) }
}

/// The lines about a host.
fn entries(files: &[PathBuf], name: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for text in files.iter().filter_map(|f| std::fs::read_to_string(f).ok()) {
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            let mut words = line.split_whitespace().peekable();
            let marker = words.next_if(|w| w.starts_with('@')).map(str::to_string);
            if let (Some(hosts), Some(kind), Some(key)) = (words.next(), words.next(), words.next())
                && is_about(hosts, name)
            {
                entries.push(Entry { marker, kind: kind.into(), key: key.into() });
            }
        }
    }
    entries
}

fn is_about(hosts: &str, name: &str) -> bool {
    let Some(hashed) = hosts.strip_prefix("|1|") else { return patterns(hosts, name) };
    let Some((salt, hash)) = hashed.split_once('|') else { return false };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
    Hmac::<Sha1>::new_from_slice(&salt).is_ok_and(|mut mac| {
        mac.update(name.as_bytes());
        mac.verify_slice(&hash).is_ok()
    })
}

/// What the files say of the key (`kind` as `ssh-ed25519`, `key` in base64).
pub fn check(files: &[PathBuf], name: &str, kind: &str, key: &str) -> Verdict {
    let mut verdict = Verdict::Unknown;
    for entry in entries(files, name) {
        match entry.marker.as_deref() {
            Some("@revoked") if entry.key == key => return Verdict::Revoked,
            Some("@cert-authority") if verdict == Verdict::Unknown => verdict = Verdict::Authority,
            Some(_) => {}
            None if entry.key == key => verdict = Verdict::Known,
            None if entry.kind == kind && verdict != Verdict::Known => verdict = Verdict::Changed,
            None => {}
        }
    }
    verdict
}

/// The kinds of keys known of a host, to be preferred in the negotiation.
pub fn kinds(files: &[PathBuf], name: &str) -> Vec<String> {
    entries(files, name).into_iter().filter(|e| e.marker.is_none()).map(|e| e.kind).collect()
}

/// Adds a key that was accepted.
pub fn learn(file: &Path, name: &str, kind: &str, key: &str, hashed: bool) -> io::Result<()> {
    if let Some(directory) = file.parent().filter(|d| !d.exists()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let name = if hashed { hash(name) } else { name.to_string() };
    let open_line = std::fs::read(file).is_ok_and(|bytes| !bytes.is_empty() && !bytes.ends_with(b"\n"));
    let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(file)?;
    let newline = if open_line { "\n" } else { "" };
    file.write_all(format!("{newline}{name} {kind} {key}\n").as_bytes())
}

fn hash(name: &str) -> String {
    let mut salt = [0u8; 20];
    // SAFETY: the buffer and its length belong together; a salt of zeros still works.
    unsafe { libc::getrandom(salt.as_mut_ptr().cast(), salt.len(), 0) };
    match Hmac::<Sha1>::new_from_slice(&salt) {
        Ok(mut mac) => {
            mac.update(name.as_bytes());
            format!("|1|{}|{}", STANDARD.encode(salt), STANDARD.encode(mac.finalize().into_bytes()))
        }
        Err(_) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts() {
        let directory = std::env::temp_dir().join(format!("pileus-known-hosts-{}", std::process::id()));
        let file = directory.join("sub/known_hosts");
        learn(&file, &name("Host", 2222), "ssh-ed25519", "AAAA", true).unwrap();
        learn(&file, &name("plain", 22), "ssh-rsa", "BBBB", false).unwrap();
        std::fs::OpenOptions::new()
            .append(true)
            .open(&file)
            .unwrap()
            .write_all(b"@revoked * ssh-rsa CCCC\n*.org,!x.org ssh-rsa D")
            .unwrap();
        let files = [file.clone()];
        assert_eq!(check(&files, "[host]:2222", "ssh-ed25519", "AAAA"), Verdict::Known);
        assert_eq!(check(&files, "[host]:2222", "ssh-ed25519", "EEEE"), Verdict::Changed);
        assert_eq!(check(&files, "host", "ssh-ed25519", "AAAA"), Verdict::Unknown);
        assert_eq!(check(&files, "plain", "ssh-ed25519", "AAAA"), Verdict::Unknown);
        assert_eq!(check(&files, "plain", "ssh-rsa", "CCCC"), Verdict::Revoked);
        assert_eq!(check(&files, "a.org", "ssh-rsa", "D"), Verdict::Known);
        assert_eq!(check(&files, "x.org", "ssh-rsa", "D"), Verdict::Unknown);
        assert!(!std::fs::read_to_string(&file).unwrap().contains("host]:2222"));
        learn(&file, "more", "k", "F", false).unwrap();
        assert_eq!(check(&files, "more", "k", "F"), Verdict::Known);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
