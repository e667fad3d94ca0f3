//! Encodings, digests and identifiers.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{Plain, text_of};
use crate::{Args, Error, ErrorKind, State, Value, crypt};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("b64decode", b64decode),
    ("b64encode", b64encode),
    ("checksum", |_, a| Ok(Value::str(hex(&Sha1::digest(text_of(&a.first())?))))),
    ("hash", hash),
    ("md5", |_, a| Ok(Value::str(hex(&Md5::digest(text_of(&a.first())?))))),
    ("password_hash", password_hash),
    ("sha1", |_, a| Ok(Value::str(hex(&Sha1::digest(text_of(&a.first())?))))),
    ("to_uuid", to_uuid),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn bytes_of(v: &Value) -> Result<Vec<u8>, Error> {
    match v {
        Value::Bytes(b) => Ok(b.to_vec()),
        v => Ok(v.to_text()?.into_bytes()),
    }
}

fn encoding(name: &str) -> Result<(), Error> {
    match name.to_lowercase().replace('_', "-").as_str() {
        "utf-8" | "utf8" | "ascii" | "us-ascii" | "latin-1" | "latin1" | "iso-8859-1" | "utf-16-le" => Ok(()),
        _ => Err(Error::new(ErrorKind::Plugin, format!("unknown encoding: {name}"))),
    }
}

fn b64encode(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("b64encode", &["string", "encoding", "urlsafe"], 1)?;
    let name = b.text(1, "utf-8")?;
    encoding(&name)?;
    let bytes = if name.to_lowercase().starts_with("utf-16") {
        b.text(0, "")?.encode_utf16().flat_map(u16::to_le_bytes).collect()
    } else {
        bytes_of(&b.get(0))?
    };
    Ok(Value::str(if b.truth(2, false)? { URL_SAFE.encode(bytes) } else { STANDARD.encode(bytes) }))
}

fn b64decode(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("b64decode", &["string", "encoding", "urlsafe"], 1)?;
    let name = b.text(1, "utf-8")?;
    encoding(&name)?;
    let text: String = b.text(0, "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let decoded = if b.truth(2, false)? { URL_SAFE.decode(&text) } else { STANDARD.decode(&text) };
    let bytes = decoded.map_err(|_| Error::value_error("Incorrect padding"))?;
    if name.to_lowercase().starts_with("utf-16") {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|c| u16::from_le_bytes([c[0], c[1]])).collect();
        return Ok(Value::str(String::from_utf16_lossy(&units)));
    }
    Ok(match String::from_utf8(bytes) {
        Ok(s) => Value::str(s),
        Err(e) => Value::str(String::from_utf8_lossy(e.as_bytes()).into_owned()),
    })
}

fn password_hash(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let names = ["password", "hashtype", "salt", "salt_size", "rounds", "ident"];
    let b = a.bind("get_encrypted_password", &names, 1)?;
    let text = |i: usize| match b.opt(i) {
        None | Some(Value::None) => Ok(None),
        Some(v) => v.to_text().map(Some),
    };
    let number = |i: usize| match b.opt(i) {
        None | Some(Value::None) => Ok(None),
        Some(v) => {
            let n = v.as_int().or_else(|| v.as_str()?.trim().parse().ok());
            n.map(Some).ok_or_else(|| Error::value_error(format!("{} must be an integer", names[i])))
        }
    };
    let wanted = crypt::Wanted {
        kind: text(1)?.unwrap_or_else(|| "sha512".into()),
        salt: text(2)?,
        salt_size: number(3)?.and_then(|n| usize::try_from(n).ok()),
        rounds: number(4)?,
        ident: text(5)?,
    };
    crypt::hash(&b.text(0, "")?, &wanted).map(Value::str).map_err(|e| Error::new(ErrorKind::Plugin, e))
}

fn hash(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("get_hash", &["data", "hashtype"], 1)?;
    let data = bytes_of(&b.get(0))?;
    Ok(Value::str(match b.text(1, "sha1")?.as_str() {
        "md5" => hex(&Md5::digest(data)),
        "sha1" => hex(&Sha1::digest(data)),
        "sha224" => hex(&Sha224::digest(data)),
        "sha256" => hex(&Sha256::digest(data)),
        "sha384" => hex(&Sha384::digest(data)),
        "sha512" => hex(&Sha512::digest(data)),
        other => return Err(Error::new(ErrorKind::Plugin, format!("unsupported hash type {other}"))),
    }))
}

/// A name's UUID (RFC 9562 §5.5) in ansible-core's namespace.
fn to_uuid(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("to_uuid", &["string", "namespace"], 1)?;
    let namespace = b.text(1, "361e6d51-faec-444a-9079-341386da8e2e")?;
    let digits: String = namespace.chars().filter(|c| *c != '-').collect();
    let parsed = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
    let Some(ns) = parsed else {
        return Err(Error::new(
            ErrorKind::Plugin,
            format!("Invalid value '{namespace}' for 'namespace': badly formed hexadecimal UUID string"),
        ));
    };
    let mut sha = Sha1::new();
    sha.update(ns.to_be_bytes());
    sha.update(b.text(0, "")?);
    let mut id = [0u8; 16];
    id.copy_from_slice(&sha.finalize()[..16]);
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    let h = hex(&id);
    Ok(Value::str(format!("{}-{}-{}-{}-{}", &h[..8], &h[8..12], &h[12..16], &h[16..20], &h[20..])))
}
