//! The modules: one file or folder each.

pub mod assemble;
pub mod async_status;
pub mod blockinfile;
pub mod command;
pub mod copy;
pub mod cron;
pub mod docker;
mod edit;
pub mod file;
pub mod find;
pub mod get_url;
pub mod getent;
pub mod git;
pub mod group;
pub mod ini_file;
pub mod lineinfile;
pub mod ping;
pub mod replace;
pub mod setup;
pub mod slurp;
pub mod stat;
pub mod sysctl;
pub mod tempfile;
pub mod unarchive;
pub mod uri;
pub mod user;
pub mod wait_for;
