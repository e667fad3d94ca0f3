//! Dockerfiles: lines, instructions, words, and `.dockerignore`. Nothing here touches a file.
//!
//! ```text
//!   text ─► lines (parser: continuation, here-documents, flags, JSON) ─► instruction (what each asks)
//!                                     words (variables, when it is done) ◄┘
//! ```

mod flags;
mod ignore;
mod instruction;
mod lines;
mod parts;
mod pattern;
mod words;

pub(crate) use ignore::{Ignore, matches};
pub(crate) use instruction::{Args, Command, Copy, From, Health, instruction};
pub(crate) use lines::{Dockerfile, Heredoc};
pub(crate) use words::{Lex, expand};

/// A text as Go's `%q` writes it.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
