//! The few words of SQL that both engines are asked in. Placeholders are written `?1`.

use pileus_base::{Error, Result};

/// A statement's argument.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Arg<'a> {
    Text(&'a str),
    OptText(Option<&'a str>),
    Int(i64),
    Blob(&'a [u8]),
}

/// A value of an answer.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Null,
    Text(String),
    Int(i64),
}

impl Cell {
    pub(crate) fn text(self) -> Result<String> {
        match self {
            Cell::Text(t) => Ok(t),
            other => Err(Error::internal(format!("the store holds {other:?} where text belongs"))),
        }
    }
    pub(crate) fn int(&self) -> Result<i64> {
        match self {
            Cell::Int(n) => Ok(*n),
            other => Err(Error::internal(format!("the store holds {other:?} where a number belongs"))),
        }
    }
}

/// One connection, inside a transaction.
pub(crate) trait Sql {
    fn query(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Vec<Cell>>>;
    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64>;
}
