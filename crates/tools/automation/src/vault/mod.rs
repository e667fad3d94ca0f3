//! Ansible's vault: files and strings encrypted with passwords, each password under an id.
//!
//! ```text
//! $ANSIBLE_VAULT;1.2;AES256;id          envelope.rs: header, hex in lines of 80
//! 3138…                                 hex of "hex(salt) \n hex(hmac) \n hex(ciphertext)"
//!     PBKDF2-SHA256(password, salt, 10000) → key, mac key, counter       cipher.rs: AES-256-CTR, HMAC-SHA256
//! ```
//!
//! [`Vault`] holds the secrets ([`secrets`] gets them from files, scripts and prompts) and tries them in order:
//! first those whose id the text names, then (unless `vault_id_match`) the others.

pub mod cipher;
pub mod encrypted;
pub mod envelope;
pub mod prompt;
pub mod secrets;

use std::sync::{Arc, OnceLock};

use parking_lot::RwLock;

pub use encrypted::EncryptedString;
pub use envelope::{Envelope, is_encrypted};

use crate::{Error, display};

/// The id of a secret that was given none.
pub const DEFAULT_ID: &str = "default";

/// A password under its id.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The id.
    pub id: String,
    /// The password.
    pub password: Arc<[u8]>,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The secrets of a program.
#[derive(Debug, Clone, Default)]
pub struct Vault {
    secrets: Vec<Secret>,
    /// Whether only the secret whose id the text names is tried (`vault_id_match`).
    pub exact: bool,
}

fn slot() -> &'static RwLock<Arc<Vault>> {
    static CURRENT: OnceLock<RwLock<Arc<Vault>>> = OnceLock::new();
    CURRENT.get_or_init(RwLock::default)
}

/// The program's vault, with which inline strings are decrypted.
pub fn current() -> Arc<Vault> {
    slot().read().clone()
}

/// Sets the program's vault.
pub fn set_current(vault: Arc<Vault>) {
    *slot().write() = vault;
}

impl Vault {
    /// A vault of `secrets`.
    pub fn new(secrets: Vec<Secret>) -> Self {
        Self { secrets, exact: crate::config::current().bool("DEFAULT_VAULT_ID_MATCH") }
    }
    /// The secrets.
    pub fn secrets(&self) -> &[Secret] {
        &self.secrets
    }
    /// Adds a secret.
    pub fn push(&mut self, secret: Secret) {
        self.secrets.push(secret);
    }

    /// Decrypts a text that begins with a vault's header.
    ///
    /// # Errors
    /// Where it is none, or no secret fits.
    pub fn decrypt(&self, text: &[u8]) -> Result<Vec<u8>, Error> {
        self.decrypt_with(text).map(|(plain, _)| plain)
    }

    /// [`Vault::decrypt`], and the secret that did it.
    ///
    /// # Errors
    /// As [`Vault::decrypt`].
    pub fn decrypt_with(&self, text: &[u8]) -> Result<(Vec<u8>, &Secret), Error> {
        if self.secrets.is_empty() {
            return Err(Error::new("Attempting to decrypt but no vault secrets found."));
        }
        if !is_encrypted(text) {
            return Err(Error::new("Input is not vault encrypted data."));
        }
        let envelope = Envelope::parse(text)?;
        if envelope.cipher != "AES256" {
            return Err(Error::new(format!("Cipher '{}' could not be found.", envelope.cipher)));
        }
        let sealed = envelope.unpack()?;
        let named = self.secrets.iter().filter(|s| s.id == envelope.id);
        let others = self.secrets.iter().filter(|s| !self.exact && s.id != envelope.id);
        for secret in named.chain(others) {
            display::verbose(4, &format!("Trying secret for vault_id={}", secret.id));
            if let Some(plain) = cipher::open(&sealed, &secret.password) {
                return Ok((plain, secret));
            }
        }
        Err(Error::new("Decryption failed (no vault secrets were found that could decrypt)."))
    }

    /// The secret to encrypt with: that of `id`, or the first.
    ///
    /// # Errors
    /// Where there is none of that id.
    pub fn secret_for(&self, id: Option<&str>) -> Result<&Secret, Error> {
        let found = match id {
            Some(id) => self.secrets.iter().find(|s| s.id == id),
            None => self.secrets.first(),
        };
        found.ok_or_else(|| {
            let known: Vec<&str> = self.secrets.iter().map(|s| s.id.as_str()).collect();
            let list = known.iter().map(|k| format!("'{k}'")).collect::<Vec<_>>().join(", ");
            Error::new(format!(
                "Did not find a match for --encrypt-vault-id={} in the known vault-ids [{list}]",
                id.unwrap_or_default()
            ))
        })
    }
}

/// Encrypts `plain` with `secret`, under `id` (format 1.2) or none (1.1).
///
/// # Errors
/// Where it is encrypted already, or the system gives no random bytes.
pub fn encrypt(plain: &[u8], secret: &Secret, id: Option<&str>) -> Result<String, Error> {
    if is_encrypted(plain) {
        return Err(Error::new("input is already encrypted"));
    }
    let salt = match crate::config::current().text("VAULT_ENCRYPT_SALT") {
        Some(salt) => salt.as_bytes().to_vec(),
        None => rand::random::<[u8; 32]>().to_vec(),
    };
    Ok(envelope::pack(&cipher::seal(plain, &secret.password, &salt), id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(id: &str, password: &str) -> Secret {
        Secret { id: id.into(), password: password.as_bytes().into() }
    }

    #[test]
    fn round_trip_with_ids() {
        let text = encrypt(b"hello\n", &secret("dev", "pw"), Some("dev")).unwrap();
        assert!(text.starts_with("$ANSIBLE_VAULT;1.2;AES256;dev\n"));
        let vault = Vault::new(vec![secret("other", "x"), secret("dev", "pw")]);
        let (plain, used) = vault.decrypt_with(text.as_bytes()).unwrap();
        assert_eq!((plain.as_slice(), used.id.as_str()), (&b"hello\n"[..], "dev"));
        let wrong = Vault::new(vec![secret("dev", "no")]);
        assert_eq!(
            wrong.decrypt(text.as_bytes()).unwrap_err().brief(),
            "Decryption failed (no vault secrets were found that could decrypt)."
        );
        let mut exact = Vault::new(vec![secret("default", "pw")]);
        assert!(exact.decrypt(text.as_bytes()).is_ok());
        exact.exact = true;
        assert!(exact.decrypt(text.as_bytes()).is_err());
    }

    #[test]
    fn reads_what_the_reference_wrote() {
        // ansible-vault encrypt_string, password "test-vault-password"
        let text = include_str!("testdata/reference.txt");
        let vault = Vault::new(vec![secret("default", "test-vault-password")]);
        assert_eq!(vault.decrypt(text.as_bytes()).unwrap(), b"from the reference");
    }
}
