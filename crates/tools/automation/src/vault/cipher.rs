//! AES-256-CTR with an HMAC-SHA256 over the ciphertext; keys by PBKDF2-SHA256.

use aes::Aes256;
use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Rounds of PBKDF2.
const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;

type Aes = ctr::Ctr128BE<Aes256>;

/// A text encrypted: salt, its authentication code, the ciphertext.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The salt.
    pub salt: Vec<u8>,
    /// HMAC-SHA256 of the ciphertext.
    pub mac: Vec<u8>,
    /// The ciphertext.
    pub body: Vec<u8>,
}

struct Keys {
    cipher: [u8; 32],
    mac: [u8; 32],
    counter: [u8; BLOCK],
}

fn derive(password: &[u8], salt: &[u8]) -> Keys {
    let mut all = [0u8; 80];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ROUNDS, &mut all);
    let mut keys = Keys { cipher: [0; 32], mac: [0; 32], counter: [0; BLOCK] };
    keys.cipher.copy_from_slice(&all[..32]);
    keys.mac.copy_from_slice(&all[32..64]);
    keys.counter.copy_from_slice(&all[64..]);
    keys
}

fn authenticator(keys: &Keys) -> Option<Hmac<Sha256>> {
    Hmac::<Sha256>::new_from_slice(&keys.mac).ok()
}

/// Encrypts.
pub fn seal(plain: &[u8], password: &[u8], salt: &[u8]) -> Sealed {
    let keys = derive(password, salt);
    let padding = BLOCK - plain.len() % BLOCK;
    let mut body = plain.to_vec();
    body.resize(plain.len() + padding, padding as u8);
    Aes::new(&keys.cipher.into(), &keys.counter.into()).apply_keystream(&mut body);
    let mac = authenticator(&keys).map_or_else(Vec::new, |mut m| {
        m.update(&body);
        m.finalize().into_bytes().to_vec()
    });
    Sealed { salt: salt.to_vec(), mac, body }
}

/// Decrypts; `None` where the password is wrong or the text was changed.
pub fn open(sealed: &Sealed, password: &[u8]) -> Option<Vec<u8>> {
    let keys = derive(password, &sealed.salt);
    let mut mac = authenticator(&keys)?;
    mac.update(&sealed.body);
    mac.verify_slice(&sealed.mac).ok()?;
    let mut body = sealed.body.clone();
    Aes::new(&keys.cipher.into(), &keys.counter.into()).apply_keystream(&mut body);
    let padding = usize::from(*body.last()?);
    if padding == 0 || padding > BLOCK || padding > body.len() {
        return None;
    }
    body.truncate(body.len() - padding);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_byte_is_noticed() {
        let mut sealed = seal(b"sixteen bytes ok", b"pw", b"salt");
        assert_eq!(sealed.body.len(), 32);
        assert_eq!(open(&sealed, b"pw").as_deref(), Some(&b"sixteen bytes ok"[..]));
        assert_eq!(open(&sealed, b"other"), None);
        sealed.body[3] ^= 1;
        assert_eq!(open(&sealed, b"pw"), None);
    }
}
