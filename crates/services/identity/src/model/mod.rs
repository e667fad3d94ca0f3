//! What identity keeps: one file per noun. Each type is at once the stored document and, without its
//! fields that begin with `_`, what the API shows.

pub mod access;
pub mod catalog;
pub mod entity;
pub mod projects;
pub mod rules;
pub mod users;
