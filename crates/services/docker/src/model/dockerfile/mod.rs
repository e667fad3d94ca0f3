//! Dockerfiles, as the reference's classic builder reads them: lines, words, instructions. Pure.

mod ignore;
mod instruction;
mod lines;
mod words;

pub(crate) use ignore::{Ignore, matches};
pub(crate) use instruction::{Args, Command, Copy, From, Health, instruction};
pub(crate) use lines::{Dockerfile, Heredoc, Line};
pub(crate) use words::expand;
