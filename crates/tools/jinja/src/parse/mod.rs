//! From text to a syntax tree.

pub(crate) mod ast;

pub(crate) use ast::Template;
