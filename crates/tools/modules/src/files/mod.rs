//! The common file layer: mode, owner, group, SELinux context and attributes of a path; atomic writes;
//! backups; what results say about a path.

pub mod attrs;
pub mod backup;
pub mod info;
pub mod mode;
pub mod validate;
pub mod write;

pub use attrs::{Diff, FileArgs};
