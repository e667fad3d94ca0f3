//! Files read into values: YAML and JSON with origins and trust, vaulted ones decrypted.

pub mod excerpt;
pub mod paths;
