//! Which of the user's private keys belongs to a public key: for hosts of which only that is known.

use std::fs;
use std::path::{Path, PathBuf};

use russh::keys::{PublicKey, decode_secret_key};

/// The first file in `directories` with the private key of `public`, a line of `authorized_keys`. Looked at are
/// files with a `.pub` beside them, and those that are keys by name (`id_*`, `*.pem`, `*.key`) or by `name`.
/// A passphrase is not needed where the format shows the public half (OpenSSH's does).
pub fn private_key_of(public: &str, name: Option<&str>, directories: &[PathBuf]) -> Option<PathBuf> {
    let wanted = PublicKey::from_openssh(public.trim()).ok()?;
    let wanted = wanted.key_data();
    let mut files: Vec<PathBuf> = directories
        .iter()
        .filter_map(|d| fs::read_dir(d).ok())
        .flat_map(|entries| entries.flatten().map(|e| e.path()))
        .filter(|p| p.is_file() && looks_like_a_key(p, name))
        .collect();
    files.sort();
    files.into_iter().find(|file| public_half(file).is_some_and(|p| p.key_data() == wanted))
}

fn looks_like_a_key(path: &Path, wanted: Option<&str>) -> bool {
    let Some(name) = path.file_name().and_then(|n| n.to_str()) else { return false };
    let ends = path.extension().and_then(|e| e.to_str());
    ends != Some("pub")
        && (name.starts_with("id_")
            || matches!(ends, Some("pem" | "key"))
            || Some(name) == wanted
            || beside(path).exists())
}

/// `X.pub`
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

fn public_half(path: &Path) -> Option<PublicKey> {
    let told = fs::read_to_string(beside(path)).ok().and_then(|t| PublicKey::from_openssh(t.trim()).ok());
    told.or_else(|| {
        let text = fs::read_to_string(path).ok()?;
        let key = russh::keys::PrivateKey::from_openssh(&text).or_else(|_| decode_secret_key(&text, None));
        Some(key.ok()?.public_key().clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::ssh_key::LineEnding;
    use russh::keys::{Algorithm, PrivateKey};

    #[test]
    fn the_key_whose_public_half_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let mut rng = rand::rng();
        let keys: Vec<_> =
            (0..2).map(|_| PrivateKey::random(&mut rng, Algorithm::Ed25519).unwrap()).collect();
        for (name, key) in ["a.pem", "mykey"].iter().zip(&keys) {
            fs::write(dir.path().join(name), &*key.to_openssh(LineEnding::LF).unwrap()).unwrap();
        }
        fs::write(dir.path().join("id_broken"), "no key").unwrap();
        let here = [dir.path().to_owned()];
        let line = |k: &PrivateKey| k.public_key().to_openssh().unwrap();
        let found = |k, name| private_key_of(&line(k), name, &here);
        assert_eq!(found(&keys[0], None), Some(dir.path().join("a.pem")));
        assert_eq!(found(&keys[1], None), None);
        assert_eq!(found(&keys[1], Some("mykey")), Some(dir.path().join("mykey")));
        assert_eq!(private_key_of("nonsense", None, &here), None);
    }
}
