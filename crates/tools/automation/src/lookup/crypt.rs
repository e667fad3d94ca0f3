//! `vault` and `unvault` in templates, and the test `vaulted_file`.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use pileus_jinja::{Args, Engine, Error, ErrorKind, Origin, State, Str, Value};

use crate::vault::{Secret, Vault, cipher, envelope, is_encrypted};

/// The id of texts that the filter encrypts.
const DEFAULT_ID: &str = "filter_default";
/// Enough of a file to know a vault.
const HEADER: usize = 32;

fn plugin(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Plugin, message)
}

/// Registers them.
pub fn register(engine: &mut Engine) {
    engine.add_filter("vault", Arc::new(vault));
    engine.add_raw_filter("unvault", Arc::new(unvault));
    engine.add_test("vaulted_file", Arc::new(vaulted_file));
}

fn class(v: &Value) -> String {
    format!("<class '{}'>", v.type_name())
}

fn vault(_: &State<'_>, a: Args) -> Result<Value, Error> {
    let names = ["data", "secret", "salt", "vault_id", "wrap_object", "vaultid"];
    let b = a.bind("do_vault", &names, 2)?;
    let (data, secret) = (b.get(0), b.get(1));
    let Some(password) = secret.as_str() else {
        return Err(plugin(format!(
            "Secret passed is required to be a string, instead we got {}.",
            class(&secret)
        )));
    };
    let Some(plain) = data.as_str() else {
        return Err(plugin(format!("Can only vault strings, instead we got {}.", class(&data))));
    };
    let cannot = |why: &str| plugin(format!("Unable to encrypt: {why}"));
    if is_encrypted(plain.as_bytes()) {
        return Err(cannot("input is already encrypted"));
    }
    let salt = match b.opt(2).filter(|v| !v.is_none()) {
        Some(v) => v.to_text()?.into_bytes(),
        None => rand::random::<[u8; 32]>().to_vec(),
    };
    if salt.is_empty() {
        return Err(cannot("Empty or invalid salt passed to encrypt()"));
    }
    let id = b.text(3, DEFAULT_ID)?;
    let sealed = cipher::seal(plain.as_bytes(), password.as_bytes(), &salt);
    let text = envelope::pack(&sealed, Some(&id));
    if !b.truth(4, false)? {
        return Ok(Value::from(text));
    }
    // the text itself, which `to_yaml` writes as `!vault`
    let origin = Origin { file: "<vault filter>".into(), line: 0, column: 0, sealed: Some(text.into()) };
    Ok(Value::Str(Str::new(plain).at(Some(Arc::new(origin)))))
}

/// Takes undefined values: what the program's own secrets cannot decrypt is one.
fn unvault(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_unvault", &["vault", "secret", "vault_id", "vaultid"], 2)?;
    let (data, secret) = (state.read(b.get(0)), state.read(b.get(1)).checked()?);
    let data = match data.ciphertext() {
        Some(text) => Value::from(text.to_string()),
        None => data.checked()?,
    };
    let Some(password) = secret.as_str() else {
        return Err(plugin(format!(
            "Secret passed is required to be as string, instead we got {}.",
            class(&secret)
        )));
    };
    let Some(text) = data.as_str() else {
        return Err(plugin(format!(
            "Vault should be in the form of a string, instead we got {}.",
            class(&data)
        )));
    };
    if !is_encrypted(text.as_bytes()) {
        return Ok(data);
    }
    let secret = Secret { id: b.text(2, DEFAULT_ID)?, password: password.as_bytes().into() };
    let plain = Vault::new(vec![secret])
        .decrypt(text.as_bytes())
        .map_err(|e| plugin(format!("Unable to decrypt: {}", e.brief())))?;
    match String::from_utf8(plain) {
        Ok(s) => Ok(Value::from(s)),
        Err(e) => Ok(Value::Bytes(e.into_bytes().into())),
    }
}

fn vaulted_file(_: &State<'_>, a: Args) -> Result<bool, Error> {
    let v = a.first();
    let path = v.to_text()?;
    let mut head = Vec::with_capacity(HEADER);
    File::open(&path).and_then(|f| f.take(HEADER as u64).read_to_end(&mut head)).map_err(|e| {
        plugin(format!(
            "Cannot test if the file {} is a vault: {}",
            v.repr(),
            crate::os_error(&e, &path).brief().replacen(": ", ": b", 1)
        ))
    })?;
    Ok(is_encrypted(&head))
}

#[cfg(test)]
mod tests {
    use pileus_jinja::{EmptyScope, Str};

    use super::*;

    fn of(text: &str) -> Result<Value, Error> {
        let mut engine = Engine::new();
        register(&mut engine);
        engine.expression(&Str::trusted(text), &EmptyScope)
    }

    #[test]
    fn what_the_reference_encrypts() {
        let text = of("'x' | vault('pw', salt='abc')").unwrap().to_text().unwrap();
        assert!(text.starts_with(
            "$ANSIBLE_VAULT;1.2;AES256;filter_default\n\
             3631363236330a313531346238346566313437313262663031353530656133363937656465306230\n"
        ));
        assert_eq!(of("'é' | vault('p') | unvault('p')").unwrap(), Value::from("é"));
        assert!(
            of("'x' | vault('p') | unvault('q')")
                .unwrap_err()
                .to_string()
                .contains("failed: Unable to decrypt: Decryption failed")
        );
        assert!(of("('x' | vault('p')) | vault('p')").unwrap_err().to_string().contains("already encrypted"));
        assert_eq!(of("'plain' | unvault('q')").unwrap(), Value::from("plain"));
    }

    #[test]
    fn files_are_asked() {
        assert_eq!(of("'/etc/passwd' is vaulted_file").unwrap(), Value::Bool(false));
        assert!(
            of("'/nonexist' is vaulted_file").unwrap_err().to_string().contains("No such file or directory")
        );
    }
}
