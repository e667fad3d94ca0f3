//! The syntax tree.

use std::collections::HashMap;
use std::sync::Arc;

use crate::{Str, Value};

/// A parsed template.
#[derive(Debug)]
pub(crate) struct Template {
    pub body: Vec<Node>,
    /// `{% block %}`s by name.
    pub blocks: HashMap<Arc<str>, Arc<Block>>,
    /// The syntax it was parsed with: for what it includes.
    pub syntax: Arc<crate::Syntax>,
    /// Whether it names a method that changes a list or dict in place.
    pub mutates: bool,
}

#[derive(Debug)]
pub(crate) struct Block {
    pub name: Arc<str>,
    pub body: Vec<Node>,
    pub scoped: bool,
    pub required: bool,
}

/// A statement or text, with its line.
#[derive(Debug)]
pub(crate) struct Node {
    pub line: u32,
    pub kind: Stmt,
}

#[derive(Debug)]
pub(crate) enum Stmt {
    Text(Str),
    Output(Expr),
    For(Arc<For>),
    If {
        branches: Vec<(Expr, Vec<Node>)>,
        other: Vec<Node>,
    },
    Set {
        target: Target,
        value: Expr,
    },
    SetBlock {
        target: Target,
        filter: Option<Expr>,
        body: Vec<Node>,
    },
    Macro(Arc<Macro>),
    CallBlock {
        call: Expr,
        caller: Arc<Macro>,
    },
    FilterBlock {
        filter: Expr,
        body: Vec<Node>,
    },
    Include {
        name: Expr,
        ignore_missing: bool,
        with_context: bool,
    },
    Import {
        name: Expr,
        target: Arc<str>,
        with_context: bool,
    },
    FromImport {
        name: Expr,
        names: Vec<(Arc<str>, Arc<str>)>,
        with_context: bool,
    },
    Extends(Expr),
    Block(Arc<Block>),
    With {
        targets: Vec<Target>,
        values: Vec<Expr>,
        body: Vec<Node>,
    },
    /// `{% autoescape %}` and other plain scopes.
    Scope(Vec<Node>),
    Do(Expr),
    Break,
    Continue,
}

#[derive(Debug)]
pub(crate) struct For {
    pub target: Target,
    pub iter: Expr,
    pub filter: Option<Expr>,
    pub body: Vec<Node>,
    pub other: Vec<Node>,
    pub recursive: bool,
    /// Whether the body names `loop`.
    pub uses_loop: bool,
}

#[derive(Debug)]
pub(crate) enum Target {
    Name(Arc<str>),
    Tuple(Vec<Target>),
    /// `ns.attr`
    Attr(Arc<str>, Arc<str>),
}

#[derive(Debug)]
pub(crate) struct Macro {
    /// `caller` for the body of a call block.
    pub name: Arc<str>,
    pub params: Vec<Arc<str>>,
    /// Defaults of the last parameters.
    pub defaults: Vec<Expr>,
    pub body: Vec<Node>,
    pub uses_caller: bool,
    pub uses_varargs: bool,
    pub uses_kwargs: bool,
}

/// An expression.
#[derive(Debug)]
pub(crate) enum Expr {
    Const(Value),
    Name(Arc<str>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, Arc<str>),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, Box<[Option<Expr>; 3]>),
    Call(Box<Expr>, Box<CallArgs>),
    /// The value is absent for the filter of a block.
    Filter {
        value: Option<Box<Expr>>,
        name: Arc<str>,
        args: Box<CallArgs>,
        line: u32,
    },
    Test {
        value: Box<Expr>,
        name: Arc<str>,
        args: Box<CallArgs>,
        line: u32,
    },
    Not(Box<Expr>),
    Neg(Box<Expr>),
    Pos(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    Concat(Vec<Expr>),
    Compare(Box<Expr>, Vec<(Cmp, Expr)>),
    If {
        test: Box<Expr>,
        then: Box<Expr>,
        other: Option<Box<Expr>>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug, Default)]
pub(crate) struct CallArgs {
    pub pos: Vec<Expr>,
    pub kw: Vec<(Arc<str>, Expr)>,
    pub star: Option<Expr>,
    pub star_star: Option<Expr>,
}
