//! Identity through real HTTP.

mod bench;
mod resources;
mod tokens;
