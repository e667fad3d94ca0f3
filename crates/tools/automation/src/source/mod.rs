//! Files read into values: YAML and JSON with origins and trust, vaulted ones decrypted.
//!
//! ```text
//! loader.rs: path ──read, decrypt──► text ──json.rs, else yaml.rs──► Value (text knows file, line, column)
//!                                              └─ errors worded by yaml_error.rs, shown with excerpt.rs
//! vars_files.rs: which files make group_vars/NAME and host_vars/NAME
//! ```

pub mod dump_json;
pub mod dump_toml;
pub mod dump_yaml;
pub mod encode;
pub mod excerpt;
pub mod json;
pub mod loader;
pub mod paths;
pub mod vars_files;
pub mod yaml;
pub mod yaml_error;

pub use loader::{Loader, Text, parse};
