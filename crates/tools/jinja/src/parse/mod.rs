//! From text to a syntax tree.

pub(crate) mod ast;
mod expression;
mod lexer;
mod statement;
mod stream;
mod token;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use ast::Template;

use crate::{Error, Syntax};
use ast::Expr;
use stream::Parser;

/// Asks whether a filter (or, with `true`, a test) of that name exists.
pub(crate) type Known<'a> = &'a dyn Fn(&str, bool) -> bool;

/// Parses the template `source`.
pub(crate) fn template(source: &str, syntax: &Arc<Syntax>, known: Known<'_>) -> Result<Template, Error> {
    let tokens = lexer::tokens(source, syntax)?;
    let mut p = Parser::new(tokens, syntax, known);
    let body = p.subparse(&[])?;
    p.check_names()?;
    Ok(Template { body, blocks: p.blocks, syntax: syntax.clone(), mutates: p.mutates })
}

/// Parses the expression `source`.
pub(crate) fn expression(source: &str, syntax: &Arc<Syntax>, known: Known<'_>) -> Result<Template, Error> {
    let tokens = lexer::expression_tokens(source, syntax)?;
    let mut p = Parser::new(tokens, syntax, known);
    let expr: Expr = p.expression()?;
    p.expect_end()?;
    p.check_names()?;
    let body = vec![ast::Node { line: 1, kind: ast::Stmt::Output(expr) }];
    Ok(Template { body, blocks: HashMap::new(), syntax: syntax.clone(), mutates: p.mutates })
}
