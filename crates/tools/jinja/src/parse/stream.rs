//! The parser's state: the tokens ahead, the tags that are open, the names seen.

use std::collections::HashMap;
use std::sync::Arc;

use super::Known;
use super::ast::Block;
use super::token::{Tok, Token};
use crate::{Error, Syntax};

/// Levels of nesting past which a template is refused.
const MAX_DEPTH: u32 = 150;
/// How many links a chain may have (`a + b + …`, `x | f | …`): each is a level of the tree.
const MAX_LINKS: u32 = 400;

pub(crate) struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    pub syntax: &'a Syntax,
    known: Known<'a>,
    pub blocks: HashMap<Arc<str>, Arc<Block>>,
    /// The tags that are open.
    pub tags: Vec<String>,
    /// What ends each of them.
    pub ends: Vec<Vec<&'static str>>,
    /// How often `loop`, `caller`, `varargs` and `kwargs` were named.
    pub seen: [u32; 4],
    /// Inside an `if`: unknown filters are an error only when reached.
    pub soft: u32,
    depth: u32,
    unknown: Vec<(String, u32, bool)>,
    pub in_loop: bool,
    pub mutates: bool,
}

impl<'a> Parser<'a> {
    pub fn new(tokens: Vec<Token>, syntax: &'a Syntax, known: Known<'a>) -> Self {
        Self {
            tokens,
            at: 0,
            syntax,
            known,
            blocks: HashMap::new(),
            tags: Vec::new(),
            ends: Vec::new(),
            seen: [0; 4],
            soft: 0,
            depth: 0,
            unknown: Vec::new(),
            in_loop: false,
            mutates: false,
        }
    }

    pub fn tok(&self) -> &Tok {
        self.tokens.get(self.at).map_or(&Tok::Eof, |t| &t.tok)
    }
    pub fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |t| t.line)
    }
    pub fn look(&self) -> &Tok {
        self.tokens.get(self.at + 1).map_or(&Tok::Eof, |t| &t.tok)
    }
    pub fn next(&mut self) -> Tok {
        let tok = match self.tokens.get_mut(self.at) {
            Some(t) if t.tok != Tok::Eof => std::mem::replace(&mut t.tok, Tok::BlockEnd),
            _ => return Tok::Eof,
        };
        self.at += 1;
        tok
    }
    pub fn is_op(&self, op: &str) -> bool {
        matches!(self.tok(), Tok::Op(o) if *o == op)
    }
    pub fn is_name(&self, name: &str) -> bool {
        matches!(self.tok(), Tok::Name(n) if n == name)
    }
    pub fn skip_op(&mut self, op: &str) -> bool {
        let yes = self.is_op(op);
        if yes {
            self.next();
        }
        yes
    }
    pub fn skip_name(&mut self, name: &str) -> bool {
        let yes = self.is_name(name);
        if yes {
            self.next();
        }
        yes
    }
    pub fn fail(&self, message: impl Into<String>) -> Error {
        Error::syntax(message, self.line())
    }
    fn unexpected(&self, expected: &str) -> Error {
        if *self.tok() == Tok::Eof {
            return self.fail(format!("unexpected end of template, expected '{expected}'."));
        }
        self.fail(format!(
            "expected token '{expected}', got {}",
            crate::value::repr_str(&self.tok().describe())
        ))
    }
    pub fn expect_op(&mut self, op: &str) -> Result<(), Error> {
        if self.skip_op(op) { Ok(()) } else { Err(self.unexpected(op)) }
    }
    pub fn expect_name(&mut self, name: &str) -> Result<(), Error> {
        if self.skip_name(name) { Ok(()) } else { Err(self.unexpected(name)) }
    }
    pub fn name(&mut self) -> Result<Arc<str>, Error> {
        match self.tok() {
            Tok::Name(n) => {
                let n = n.as_str().into();
                self.next();
                Ok(n)
            }
            _ => Err(self.unexpected("name")),
        }
    }
    pub fn expect(&mut self, tok: &Tok) -> Result<(), Error> {
        if self.tok() == tok {
            self.next();
            return Ok(());
        }
        Err(self.unexpected(&tok.describe()))
    }
    /// The end of a bare expression.
    pub fn expect_end(&mut self) -> Result<(), Error> {
        if *self.tok() == Tok::Eof { Ok(()) } else { Err(self.fail("chunk after expression")) }
    }
    /// Goes a level deeper.
    pub fn enter(&mut self) -> Result<(), Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::limit("the template is nested too deeply"));
        }
        Ok(())
    }
    /// One more link of a chain.
    pub fn link(&self, links: &mut u32) -> Result<(), Error> {
        *links += 1;
        if *links > MAX_LINKS {
            return Err(Error::limit("the template is nested too deeply"));
        }
        Ok(())
    }
    pub fn leave(&mut self) {
        self.depth -= 1;
    }
    /// Notes that a filter or test is used.
    pub fn uses(&mut self, name: &str, line: u32, test: bool) {
        if self.soft == 0 && !(self.known)(name, test) {
            self.unknown.push((name.to_owned(), line, test));
        }
    }
    /// Fails where a filter or test that is always reached does not exist.
    pub fn check_names(&self) -> Result<(), Error> {
        match self.unknown.first() {
            None => Ok(()),
            Some((name, line, test)) => {
                let what = if *test { "test" } else { "filter" };
                let name = crate::value::repr_str(name);
                Err(Error::syntax(format!("No {what} named {name}."), *line))
            }
        }
    }
}
