//! Keypairs: public keys that servers are given at birth. They belong to users, not projects.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use md5::{Digest, Md5};
use pileus_base::{
    Error, Result, Time,
    ids::{ProjectId, UserId},
};
use pileus_store::{Indexes, Resource, Unique};
use serde::{Deserialize, Serialize};
use ssh_key::{Algorithm, LineEnding, PrivateKey};

/// A keypair.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Keypair {
    /// The owner.
    pub user_id: UserId,
    /// The name, unique for the owner.
    pub name: String,
    /// `ssh`, or `x509` (kept, not generated).
    pub kind: String,
    /// One line of `authorized_keys`.
    pub public_key: String,
    /// MD5 in pairs of hex digits, as Nova shows it.
    pub fingerprint: String,
    /// When it was made.
    pub created_at: Time,
}

/// The id of a user's keypair in the store.
pub fn key(user: &UserId, name: &str) -> String {
    format!("{user}/{name}")
}

impl Resource for Keypair {
    const KIND: &'static str = "compute.keypair";
    fn id(&self) -> String {
        key(&self.user_id, &self.name)
    }
    fn project(&self) -> Option<&ProjectId> {
        None
    }
    fn indexes(&self, ix: &mut Indexes) {
        ix.add("user_id", &self.user_id);
        ix.text("name", &self.name);
    }
    fn unique(&self, _: &mut Unique) {}
    fn not_found(id: &str) -> Error {
        let (user, name) = id.split_once('/').unwrap_or(("", id));
        Error::not_found(format!("Keypair {name} not found for user {user}"))
    }
}

/// Makes an Ed25519 pair: the private key in OpenSSH's PEM, the public one's line.
///
/// # Errors
/// 500 where the key can't be written.
pub fn generate() -> Result<(String, String)> {
    let failed = |e| Error::wrap("failed to make a key", e);
    let secret: [u8; 32] = rand::random();
    let pair = ssh_key::private::Ed25519Keypair::from_seed(&secret);
    let mut private = PrivateKey::from(pair);
    private.set_comment("Generated-by-Nova");
    debug_assert_eq!(private.algorithm(), Algorithm::Ed25519);
    let pem = private.to_openssh(LineEnding::LF).map_err(failed)?;
    let public = private.public_key().to_openssh().map_err(failed)?;
    Ok((pem.to_string(), public))
}

/// The fingerprint of a public key's line.
///
/// # Errors
/// 400 in Nova's words.
pub fn fingerprint(line: &str) -> Result<String> {
    let bad = || Error::bad_request("Keypair data is invalid: failed to generate fingerprint");
    let mut words = line.split_whitespace();
    let (kind, data) = words.next().zip(words.next()).ok_or_else(bad)?;
    let bytes = BASE64.decode(data).map_err(|_| bad())?;
    // RFC 4253, 6.6: the blob begins with its own kind, behind a length.
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(bad)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| bad())?;
    if rest.get(..length) != Some(kind.as_bytes()) {
        return Err(bad());
    }
    let digest = Md5::digest(&bytes);
    Ok(digest.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generated_key_has_a_fingerprint() {
        let (private, public) = generate().unwrap();
        assert!(private.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----"));
        assert_eq!(fingerprint(&public).unwrap().len(), 47);
        assert!(fingerprint("ssh-rsa nonsense").is_err());
    }
}
