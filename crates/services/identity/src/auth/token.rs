//! What is inside a token: ids only. Names, roles and the catalog are read when it is used.

use pileus_base::{Error, Result, Time};
use serde::{Deserialize, Serialize};

use crate::keys::Keys;

/// What a token is scoped to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bound {
    /// Nothing.
    #[serde(rename = "u")]
    Unscoped,
    /// A project.
    #[serde(rename = "p")]
    Project(String),
    /// A domain.
    #[serde(rename = "d")]
    Domain(String),
    /// The whole cloud.
    #[serde(rename = "s")]
    System,
}

/// The token's contents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    /// Who logged in.
    #[serde(rename = "u")]
    pub user: String,
    /// How: a bit each of [`METHODS`].
    #[serde(rename = "m")]
    pub methods: u8,
    /// For what.
    #[serde(rename = "b")]
    pub bound: Bound,
    /// Until when.
    #[serde(rename = "e")]
    pub expires: Time,
    /// Since when.
    #[serde(rename = "i")]
    pub issued: Time,
    /// Its audit id, and that of the first token of its chain.
    #[serde(rename = "a")]
    pub audit_ids: Vec<String>,
    /// The trust it was made under.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// The application credential it was made with.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub app_cred: Option<String>,
}

/// The methods by bit.
pub const METHODS: [&str; 3] = ["password", "token", "application_credential"];
/// Logged in by password.
pub const PASSWORD: u8 = 1;
/// Logged in by an earlier token.
pub const TOKEN: u8 = 2;
/// Logged in by an application credential.
pub const APP_CRED: u8 = 4;

impl Payload {
    /// The methods' names.
    pub fn method_names(&self) -> Vec<&'static str> {
        METHODS.iter().enumerate().filter(|(n, _)| self.methods & (1 << n) != 0).map(|(_, m)| *m).collect()
    }
    /// The token's text.
    pub(crate) fn seal(&self, keys: &Keys) -> Result<String> {
        let plain = serde_json::to_vec(self).map_err(|e| Error::wrap("failed to write a token", e))?;
        keys.seal(&plain)
    }
    /// A token's contents, where one of our keys made it.
    pub(crate) fn open(keys: &Keys, token: &str) -> Option<Self> {
        serde_json::from_slice(&keys.open_sealed(token)?).ok()
    }
}
