//! YAML 1.1 as PyYAML reads it, for Heat's templates and Ansible's playbooks.
//!
//! ```text
//! text ──events (libyaml)──► compose ──plain scalars──► resolve (YAML 1.1) ──► Value with spans
//! ```
//!
//! The parser underneath is libyaml's, so a text is broken where PyYAML finds it broken, and in its words. What
//! makes a scalar a number, a truth value or a date is decided here, by PyYAML's own patterns: `yes` is true,
//! `0644` is 420, `1:30` is 90. `<<` merges, a repeated key wins with a warning, tags stay on their values.
//! Whoever sends the text is not trusted: [`Limits`] bound its bytes, its depth, its aliases and the nodes that
//! these expand to.

#![deny(unsafe_code)]

mod compose;
mod emit;
mod emitter;
mod error;
mod json;
mod parser;
mod resolve;
mod value;

pub use emit::to_yaml;
pub use emitter::{Emitter, Event, Layout, Quote};
pub use error::{Error, Warning};
pub use resolve::{Scalar, plain as resolve_plain};
pub use value::{Kind, Map, Span, Value};

/// How much a text may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of input.
    pub bytes: usize,
    /// Levels of nesting.
    pub depth: usize,
    /// Aliases (`*name`) used.
    pub aliases: usize,
    /// Values, counted after the aliases are expanded.
    pub nodes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 8 << 20, depth: 100, aliases: 10_000, nodes: 1_000_000 }
    }
}

/// What becomes of a plain `2013-05-23`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timestamps {
    /// [`Kind::Date`] with the text as written.
    Date,
    /// A string, as Heat's loader has it.
    Text,
}

/// What becomes of a tag that YAML itself does not define.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownTags {
    /// It stays on the value.
    Keep,
    /// It is an error, as in PyYAML's SafeLoader.
    Refuse,
}

/// How to read.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Bounds.
    pub limits: Limits,
    /// Dates.
    pub timestamps: Timestamps,
    /// Tags of applications.
    pub unknown_tags: UnknownTags,
    /// Whether a text that opens with `{` is tried as JSON first.
    pub json_first: bool,
}

impl Options {
    /// As Heat reads templates and environments.
    pub fn heat() -> Self {
        Self {
            limits: Limits::default(),
            timestamps: Timestamps::Text,
            unknown_tags: UnknownTags::Refuse,
            json_first: true,
        }
    }

    /// As Ansible reads playbooks, variables and inventories: the user's own files, so bounds only against
    /// bombs (an inventory of 100,000 hosts is normal).
    pub fn ansible() -> Self {
        Self {
            limits: Limits { bytes: 1 << 30, depth: 500, aliases: 1_000_000, nodes: 50_000_000 },
            timestamps: Timestamps::Date,
            unknown_tags: UnknownTags::Keep,
            json_first: false,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            timestamps: Timestamps::Date,
            unknown_tags: UnknownTags::Keep,
            json_first: false,
        }
    }
}

/// A text read: its value, and what was odd but accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// The root.
    pub value: Value,
    /// Repeated keys.
    pub warnings: Vec<Warning>,
}

/// Reads the one document of `text`. An empty text is null.
///
/// # Errors
/// Where the text is no YAML, holds several documents, or passes a limit.
pub fn load(text: &str, options: &Options) -> Result<Document, Error> {
    if let Some(value) = json::first(text, options)? {
        return Ok(Document { value, warnings: Vec::new() });
    }
    let mut all = compose::documents(text, options, true)?;
    Ok(all.pop().unwrap_or_else(|| Document { value: Value::null(), warnings: Vec::new() }))
}

/// Reads every document of `text`.
///
/// # Errors
/// Where the text is no YAML or passes a limit.
pub fn load_all(text: &str, options: &Options) -> Result<Vec<Document>, Error> {
    compose::documents(text, options, false)
}

#[cfg(test)]
mod tests;
