//! Reading a file: found from a base directory, decrypted, parsed, kept.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use pileus_jinja::{Origin, Value};

use super::{json, paths, yaml};
use crate::{Error, display, os_error, vault};

/// A file's text.
#[derive(Debug, Clone)]
pub struct Text {
    /// The text, decrypted.
    pub text: String,
    /// The file's full path.
    pub file: Arc<str>,
    /// Whether it was encrypted: its content is not shown in errors then.
    pub encrypted: bool,
}

/// Reads `text`, which came from `file`: JSON first, then YAML. Its text is a template where `trusted`.
///
/// # Errors
/// Where it is neither.
pub fn parse(text: &str, file: &Arc<str>, trusted: bool) -> Result<Value, Error> {
    match json::parse(text, file, trusted) {
        Some(v) => Ok(v),
        None => yaml::parse(text, file, trusted),
    }
}

/// Reads files from a base directory, each once.
#[derive(Debug, Default)]
pub struct Loader {
    base: RwLock<Option<String>>,
    cache: Mutex<HashMap<String, Value>>,
}

impl Loader {
    /// A loader at the working directory.
    pub fn new() -> Self {
        Self::default()
    }
    /// Sets the directory that relative paths are found from.
    pub fn set_base(&self, dir: &str) {
        *self.base.write() = Some(dir.to_owned());
    }
    /// The directory that relative paths are found from.
    pub fn base(&self) -> String {
        self.base.read().clone().unwrap_or_else(|| ".".into())
    }
    /// The full path of `given`.
    pub fn path(&self, given: &str) -> String {
        let given = crate::config::types::unquote(given);
        if given.starts_with(['/', '~']) {
            return paths::unfrack(given);
        }
        match &*self.base.read() {
            Some(base) => paths::unfrack(&format!("{base}/{given}")),
            None => paths::unfrack(given),
        }
    }

    /// The bytes of a file, decrypted where it is encrypted; whether it was.
    ///
    /// # Errors
    /// Where it cannot be read or decrypted.
    pub fn bytes(&self, given: &str) -> Result<(Vec<u8>, bool), Error> {
        let path = self.path(given);
        let bytes = fs::read(&path).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Error::not_found(format!(
                "Unable to retrieve file contents.\nCould not find or access '{path}' on the Ansible Controller.\nIf \
                 you are using a module and expect the file to exist on the remote, see the remote_src option"
            ))
            .because(os_error(&e, &path)),
            _ => Error::parser(format!("An error occurred while trying to read the file '{path}'."))
                .because(os_error(&e, &path)),
        })?;
        if !vault::is_encrypted(&bytes) {
            return Ok((bytes, false));
        }
        let origin = Origin { file: path.as_str().into(), line: 0, column: 0, sealed: None };
        let plain = vault::current().decrypt(&bytes).map_err(|e| e.at(Some(Arc::new(origin))))?;
        Ok((plain, true))
    }

    /// The text of a file.
    ///
    /// # Errors
    /// As [`Loader::bytes`].
    pub fn text(&self, given: &str) -> Result<Text, Error> {
        let file = self.path(given);
        let (bytes, encrypted) = self.bytes(given)?;
        let text = String::from_utf8(bytes).unwrap_or_else(|e| {
            display::deprecated(
                &format!("File '{file}' could not be decoded as 'utf-8'. Invalid content has been escaped."),
                "2.23",
                Some("This file must be UTF-8 encoded."),
            );
            String::from_utf8_lossy(e.as_bytes()).into_owned()
        });
        Ok(Text { text, file: file.into(), encrypted })
    }

    /// The value of a YAML or JSON file, read anew; its text is a template where `trusted`.
    ///
    /// # Errors
    /// Where it cannot be read, or is neither.
    pub fn load_fresh(&self, given: &str, trusted: bool) -> Result<Value, Error> {
        let Text { text, file, encrypted } = self.text(given)?;
        parse(&text, &file, trusted).map_err(|e| if encrypted { e.redact() } else { e })
    }

    /// The value of a YAML or JSON file, read once per loader. The value is shared: copy before changing it.
    ///
    /// # Errors
    /// As [`Loader::load_fresh`].
    pub fn load(&self, given: &str) -> Result<Value, Error> {
        let path = self.path(given);
        if let Some(v) = self.cache.lock().get(&path) {
            return Ok(v.clone());
        }
        let value = self.load_fresh(&path, true)?;
        self.cache.lock().insert(path, value.clone());
        Ok(value)
    }

    /// Forgets what was read.
    pub fn clear(&self) {
        self.cache.lock().clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_once_and_names_the_missing() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.yml");
        fs::write(&file, "x: yes\n").unwrap();
        let loader = Loader::new();
        loader.set_base(dir.path().to_str().unwrap());
        assert_eq!(loader.load("a.yml").unwrap().get("x"), Some(Value::Bool(true)));
        fs::write(&file, "x: no\n").unwrap();
        assert_eq!(loader.load("a.yml").unwrap().get("x"), Some(Value::Bool(true)));
        loader.clear();
        assert_eq!(loader.load("a.yml").unwrap().get("x"), Some(Value::Bool(false)));
        assert!(loader.load("b.yml").unwrap_err().brief().starts_with("Unable to retrieve file contents."));
    }
}
