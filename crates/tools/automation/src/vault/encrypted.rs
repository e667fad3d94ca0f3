//! A string that stays encrypted until it is used: `!vault`.

use std::sync::{Arc, OnceLock};

use pileus_jinja::{Error, ErrorKind, Object, Origin, Str, Value};

/// An encrypted string; decrypted when first read, with the program's vault.
#[derive(Debug)]
pub struct EncryptedString {
    ciphertext: Arc<str>,
    origin: Option<Arc<Origin>>,
    trusted: bool,
    plain: OnceLock<Value>,
}

impl EncryptedString {
    /// The vault's text `ciphertext`, written at `origin`; its plain text is a template where `trusted`.
    pub fn new(ciphertext: impl Into<Arc<str>>, origin: Option<Arc<Origin>>, trusted: bool) -> Self {
        Self { ciphertext: ciphertext.into(), origin, trusted, plain: OnceLock::new() }
    }
    /// The vault's text.
    pub fn ciphertext(&self) -> &Arc<str> {
        &self.ciphertext
    }
    /// Where it was written.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.origin.as_ref()
    }
    /// Where it was written, with the vault's text.
    fn sealed(&self) -> Arc<Origin> {
        let (file, line, column) =
            self.origin.as_ref().map_or(("<unknown>".into(), 0, 0), |o| (o.file.clone(), o.line, o.column));
        Arc::new(Origin { file, line, column, sealed: Some(self.ciphertext.clone()) })
    }
    /// The plain text.
    ///
    /// # Errors
    /// Where no secret fits, or it is no text.
    pub fn decrypt(&self) -> Result<Value, crate::Error> {
        if let Some(plain) = self.plain.get() {
            return Ok(plain.clone());
        }
        let lost = |e| {
            crate::Error::new("Attempt to use undecryptable variable.").at(self.origin.clone()).because(e)
        };
        let bytes = super::current().decrypt(self.ciphertext.as_bytes()).map_err(lost)?;
        let text = String::from_utf8(bytes)
            .map_err(|_| crate::Error::new("The decrypted value is not UTF-8.").at(self.origin.clone()))?;
        let text = Str::new(text).at(Some(self.sealed()));
        let value = Value::Str(if self.trusted { text.trust() } else { text });
        Ok(self.plain.get_or_init(|| value).clone())
    }
}

impl Object for EncryptedString {
    fn type_name(&self) -> &str {
        "EncryptedString"
    }
    fn resolve(&self) -> Option<Result<Value, Error>> {
        Some(
            self.decrypt().map_err(|e| Error::new(ErrorKind::Vault, e.brief()).through(Some(&self.sealed()))),
        )
    }
    fn is_storable(&self) -> bool {
        true
    }
    fn truth(&self) -> Result<bool, Error> {
        match self.resolve() {
            Some(v) => v?.truth(),
            None => Ok(true),
        }
    }
    fn equals(&self, other: &Value) -> Option<bool> {
        self.decrypt().ok().map(|v| v == *other)
    }
    fn repr(&self) -> String {
        self.decrypt().map_or_else(|_| "EncryptedString".into(), |v| v.repr())
    }
    fn text(&self) -> String {
        self.decrypt()
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_else(|| self.ciphertext.to_string())
    }
}
