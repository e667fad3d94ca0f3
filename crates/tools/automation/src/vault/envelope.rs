//! The text form: a header line, then hex in lines of 80.

use super::DEFAULT_ID;
use super::cipher::Sealed;
use crate::Error;

const HEADER: &str = "$ANSIBLE_VAULT";
const WIDTH: usize = 80;

/// Whether `text` begins with a vault's header.
pub fn is_encrypted(text: &[u8]) -> bool {
    text.starts_with(HEADER.as_bytes())
}

/// A vault's text, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// Format: `1.1` or `1.2`.
    pub version: String,
    /// Cipher: `AES256`.
    pub cipher: String,
    /// The id it was encrypted under.
    pub id: String,
    /// The hex of the body, in one line.
    hex: Vec<u8>,
}

impl Envelope {
    /// Takes a vault's text apart.
    ///
    /// # Errors
    /// Where its header is none.
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        let mut lines = text.split(|b| *b == b'\n');
        let header = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
        let mut fields = header.trim().split(';').skip(1).map(str::trim);
        let (Some(version), Some(cipher)) = (fields.next(), fields.next()) else {
            return Err(
                Error::new("Vault envelope format error.").because(Error::new("list index out of range"))
            );
        };
        let id = match fields.next() {
            Some(id) if version == "1.2" => id.to_owned(),
            _ => DEFAULT_ID.to_owned(),
        };
        let hex = lines.flat_map(|l| l.trim_ascii().iter().copied()).collect();
        Ok(Self { version: version.to_owned(), cipher: cipher.to_owned(), id, hex })
    }

    /// The body.
    ///
    /// # Errors
    /// Where it is no hex, or lacks a part.
    pub fn unpack(&self) -> Result<Sealed, Error> {
        let all = unhex(&self.hex)?;
        let mut parts = all.splitn(3, |b| *b == b'\n');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(salt), Some(mac), Some(body)) => {
                Ok(Sealed { salt: unhex(salt)?, mac: unhex(mac)?, body: unhex(body)? })
            }
            _ => {
                let got = all.split(|b| *b == b'\n').count();
                Err(Error::new("Vault vaulttext format error.")
                    .because(Error::new(format!("not enough values to unpack (expected 3, got {got})"))))
            }
        }
    }
}

/// The text of what was encrypted, under `id` (format 1.2) or the default one (1.1).
pub fn pack(sealed: &Sealed, id: Option<&str>) -> String {
    let body = [hex(&sealed.salt), hex(&sealed.mac), hex(&sealed.body)].join("\n");
    let text = hex(body.as_bytes());
    let mut out = match id {
        Some(id) if id != DEFAULT_ID && !id.is_empty() => format!("{HEADER};1.2;AES256;{id}\n"),
        _ => format!("{HEADER};1.1;AES256\n"),
    };
    for line in text.as_bytes().chunks(WIDTH) {
        out.push_str(&String::from_utf8_lossy(line));
        out.push('\n');
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]])
        .map(char::from)
        .collect()
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, Error> {
    let wrong = |why: &str| Error::new("Vault format unhexlify error.").because(Error::new(why));
    if !text.len().is_multiple_of(2) {
        return Err(wrong("Odd-length string"));
    }
    let digit = |b: u8| char::from(b).to_digit(16).ok_or_else(|| wrong("Non-hexadecimal digit found"));
    text.chunks(2).map(|p| Ok(((digit(p[0])? << 4) | digit(p[1])?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_texts_are_named() {
        let e = Envelope::parse(b"$ANSIBLE_VAULT;1.1;AES256\n313\n").unwrap().unpack().unwrap_err();
        assert_eq!(e.brief(), "Vault format unhexlify error: Odd-length string");
        let e = Envelope::parse(b"$ANSIBLE_VAULT;1.1;AES256\n3133\n").unwrap().unpack().unwrap_err();
        assert_eq!(
            e.brief(),
            "Vault vaulttext format error: not enough values to unpack (expected 3, got 1)"
        );
        assert!(Envelope::parse(b"$ANSIBLE_VAULT\n").is_err());
        assert_eq!(Envelope::parse(b"$ANSIBLE_VAULT;1.2;AES256;dev\n").unwrap().id, "dev");
    }
}
