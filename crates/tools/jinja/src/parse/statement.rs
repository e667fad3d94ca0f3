//! Statements.

use std::sync::Arc;

use super::ast::{Block, Expr, For, Macro, Node, Stmt, Target};
use super::stream::Parser;
use super::token::Tok;
use crate::value::repr_str;
use crate::{Error, Str};

const LOOP: usize = 0;
const CALLER: usize = 1;
const VARARGS: usize = 2;
const KWARGS: usize = 3;

impl Parser<'_> {
    /// Text, output and statements up to one of `ends`, which is not taken.
    pub fn subparse(&mut self, ends: &[&'static str]) -> Result<Vec<Node>, Error> {
        self.enter()?;
        let mut body = Vec::new();
        if !ends.is_empty() {
            self.ends.push(ends.to_vec());
        }
        loop {
            let line = self.line();
            match self.tok() {
                Tok::Eof => {
                    if !ends.is_empty() {
                        return Err(self.unknown_tag(None));
                    }
                    break;
                }
                Tok::Data(_) => {
                    if let Tok::Data(text) = self.next() {
                        body.push(Node { line, kind: Stmt::Text(Str::new(text)) });
                    }
                }
                Tok::VariableBegin => {
                    self.next();
                    let e = self.tuple(false, true, &[], false)?;
                    self.expect(&Tok::VariableEnd)?;
                    body.push(Node { line, kind: Stmt::Output(e) });
                }
                Tok::BlockBegin => {
                    self.next();
                    if let Tok::Name(n) = self.tok()
                        && ends.contains(&n.as_str())
                    {
                        break;
                    }
                    self.statement(&mut body)?;
                    self.expect(&Tok::BlockEnd)?;
                }
                other => return Err(self.fail(format!("unexpected {}", repr_str(&other.describe())))),
            }
        }
        if !ends.is_empty() {
            self.ends.pop();
        }
        self.leave();
        Ok(body)
    }

    /// The body of a statement up to one of `ends`, which becomes the current token.
    fn body(&mut self, ends: &[&'static str]) -> Result<Vec<Node>, Error> {
        self.skip_op(":");
        self.expect(&Tok::BlockEnd)?;
        self.subparse(ends)
    }

    /// [`Parser::body`] that takes the end too.
    fn whole_body(&mut self, end: &'static str) -> Result<Vec<Node>, Error> {
        let body = self.body(&[end])?;
        self.next();
        Ok(body)
    }

    fn unknown_tag(&self, name: Option<&str>) -> Error {
        let mut message = match name {
            None => "Unexpected end of template.".to_owned(),
            Some(n) => format!("Encountered unknown tag {}.", repr_str(n)),
        };
        if let Some(looking) = self.ends.last() {
            let list = looking.iter().map(|n| repr_str(n)).collect::<Vec<_>>().join(" or ");
            let expected = name.is_some_and(|n| self.ends.iter().flatten().any(|e| *e == n));
            message += &if expected {
                format!(
                    " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for {list}."
                )
            } else {
                format!(" Jinja was looking for the following tags: {list}.")
            };
        }
        if let Some(tag) = self.tags.last() {
            message += &format!(" The innermost block that needs to be closed is {}.", repr_str(tag));
        }
        self.fail(message)
    }

    fn statement(&mut self, body: &mut Vec<Node>) -> Result<(), Error> {
        let line = self.line();
        let Tok::Name(tag) = self.tok() else {
            return Err(self.fail("tag name expected"));
        };
        let tag = tag.clone();
        self.tags.push(tag.clone());
        let kind = match tag.as_str() {
            "for" => self.for_loop()?,
            "if" => self.if_branches()?,
            "set" => self.set()?,
            "macro" => self.macro_def()?,
            "call" => self.call_block()?,
            "filter" => {
                self.next();
                let filter = self.filter(None, true)?;
                Stmt::FilterBlock { filter, body: self.whole_body("endfilter")? }
            }
            "include" => self.include()?,
            "import" => self.import()?,
            "from" => self.import_names()?,
            "extends" => {
                self.next();
                Stmt::Extends(self.expression()?)
            }
            "block" => self.block()?,
            "with" => self.with()?,
            "autoescape" => {
                self.next();
                self.expression()?;
                Stmt::Scope(self.whole_body("endautoescape")?)
            }
            "print" => {
                self.next();
                while *self.tok() != Tok::BlockEnd {
                    let e = self.expression()?;
                    body.push(Node { line, kind: Stmt::Output(e) });
                    if *self.tok() != Tok::BlockEnd {
                        self.expect_op(",")?;
                    }
                }
                self.tags.pop();
                return Ok(());
            }
            "do" if self.syntax.do_statement => {
                self.next();
                Stmt::Do(self.tuple(false, true, &[], false)?)
            }
            "break" if self.syntax.loop_controls => {
                self.next();
                Stmt::Break
            }
            "continue" if self.syntax.loop_controls => {
                self.next();
                Stmt::Continue
            }
            other => {
                self.tags.pop();
                return Err(self.unknown_tag(Some(other)));
            }
        };
        self.tags.pop();
        body.push(Node { line, kind });
        Ok(())
    }

    fn target_of(&self, e: Expr) -> Result<Target, Error> {
        let kind = match e {
            Expr::Name(n) => return Ok(Target::Name(n)),
            Expr::Tuple(items) => {
                return Ok(Target::Tuple(
                    items.into_iter().map(|e| self.target_of(e)).collect::<Result<_, _>>()?,
                ));
            }
            Expr::List(_) => "list",
            Expr::Dict(_) => "dict",
            _ => "const",
        };
        Err(self.fail(format!("can't assign to '{kind}'")))
    }

    fn target(&mut self, ends: &[&str]) -> Result<Target, Error> {
        let e = self.tuple(true, true, ends, false)?;
        self.target_of(e)
    }

    fn for_loop(&mut self) -> Result<Stmt, Error> {
        self.next();
        let target = self.target(&["in"])?;
        self.expect_name("in")?;
        let iter = self.tuple(false, false, &["recursive"], false)?;
        let seen = self.seen[LOOP];
        let filter = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        let outer = std::mem::replace(&mut self.in_loop, true);
        let body = self.body(&["endfor", "else"])?;
        self.in_loop = outer;
        let uses_loop = recursive || self.seen[LOOP] != seen;
        let other = if self.skip_name("else") {
            self.whole_body("endfor")?
        } else {
            self.next();
            Vec::new()
        };
        Ok(Stmt::For(Arc::new(For { target, iter, filter, body, other, recursive, uses_loop })))
    }

    fn if_branches(&mut self) -> Result<Stmt, Error> {
        self.next();
        self.soft += 1;
        let mut branches = Vec::new();
        let mut other = Vec::new();
        loop {
            let test = self.tuple(false, false, &[], false)?;
            branches.push((test, self.body(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                other = self.whole_body("endif")?;
            } else {
                self.next();
            }
            break;
        }
        self.soft -= 1;
        Ok(Stmt::If { branches, other })
    }

    fn set(&mut self) -> Result<Stmt, Error> {
        self.next();
        let target = if matches!(self.tok(), Tok::Name(_)) && matches!(self.look(), Tok::Op(".")) {
            let name = self.name()?;
            self.next();
            Target::Attr(name, self.name()?)
        } else {
            self.target(&[])?
        };
        if self.skip_op("=") {
            return Ok(Stmt::Set { target, value: self.tuple(false, true, &[], false)? });
        }
        let filter = if self.is_op("|") { Some(self.filter(None, false)?) } else { None };
        Ok(Stmt::SetBlock { target, filter, body: self.whole_body("endset")? })
    }

    fn signature(&mut self) -> Result<(Vec<Arc<str>>, Vec<Expr>), Error> {
        self.expect_op("(")?;
        let (mut params, mut defaults) = (Vec::new(), Vec::new());
        while !self.is_op(")") {
            if !params.is_empty() {
                self.expect_op(",")?;
            }
            let name = self.name()?;
            if self.skip_op("=") {
                defaults.push(self.expression()?);
            } else if !defaults.is_empty() {
                return Err(self.fail("non-default argument follows default argument"));
            }
            params.push(name);
        }
        self.expect_op(")")?;
        Ok((params, defaults))
    }

    fn macro_body(
        &mut self,
        name: Arc<str>,
        (params, defaults): (Vec<Arc<str>>, Vec<Expr>),
        end: &'static str,
    ) -> Result<Arc<Macro>, Error> {
        let seen = self.seen;
        let body = self.whole_body(end)?;
        let uses = |i: usize| self.seen[i] != seen[i];
        let m = Macro {
            uses_caller: uses(CALLER),
            uses_varargs: uses(VARARGS),
            uses_kwargs: uses(KWARGS),
            name,
            params,
            defaults,
            body,
        };
        // what a macro's body names is its own, not the outer macro's
        for i in [CALLER, VARARGS, KWARGS] {
            self.seen[i] = seen[i];
        }
        Ok(Arc::new(m))
    }

    fn macro_def(&mut self) -> Result<Stmt, Error> {
        self.next();
        let name = self.name()?;
        let signature = self.signature()?;
        Ok(Stmt::Macro(self.macro_body(name, signature, "endmacro")?))
    }

    fn call_block(&mut self) -> Result<Stmt, Error> {
        self.next();
        let signature = if self.is_op("(") { self.signature()? } else { (Vec::new(), Vec::new()) };
        let call = self.expression()?;
        if !matches!(call, Expr::Call(..)) {
            return Err(self.fail("expected call"));
        }
        let caller = self.macro_body("caller".into(), signature, "endcall")?;
        Ok(Stmt::CallBlock { call, caller })
    }

    fn import_context(&mut self, default: bool) -> bool {
        let context = matches!(self.look(), Tok::Name(n) if n == "context");
        if context && (self.is_name("with") || self.is_name("without")) {
            let with = self.is_name("with");
            self.next();
            self.next();
            return with;
        }
        default
    }

    fn include(&mut self) -> Result<Stmt, Error> {
        self.next();
        let name = self.expression()?;
        let ignore_missing = self.is_name("ignore") && matches!(self.look(), Tok::Name(n) if n == "missing");
        if ignore_missing {
            self.next();
            self.next();
        }
        let with_context = self.import_context(true);
        Ok(Stmt::Include { name, ignore_missing, with_context })
    }

    fn import(&mut self) -> Result<Stmt, Error> {
        self.next();
        let name = self.expression()?;
        self.expect_name("as")?;
        let target = self.name()?;
        Ok(Stmt::Import { name, target, with_context: self.import_context(false) })
    }

    fn import_names(&mut self) -> Result<Stmt, Error> {
        self.next();
        let name = self.expression()?;
        self.expect_name("import")?;
        let mut names = Vec::new();
        let mut with_context = false;
        loop {
            let before = *self.tok() == Tok::BlockEnd;
            if before {
                break;
            }
            if !names.is_empty() {
                let context = matches!(self.look(), Tok::Name(n) if n == "context");
                if context && (self.is_name("with") || self.is_name("without")) {
                    with_context = self.import_context(false);
                    break;
                }
                self.expect_op(",")?;
            }
            let context = matches!(self.look(), Tok::Name(n) if n == "context");
            if context && (self.is_name("with") || self.is_name("without")) {
                with_context = self.import_context(false);
                break;
            }
            if *self.tok() == Tok::BlockEnd {
                break;
            }
            let n = self.name()?;
            if n.starts_with('_') {
                return Err(self.fail("names starting with an underline can not be imported"));
            }
            let alias = if self.skip_name("as") { self.name()? } else { n.clone() };
            names.push((n, alias));
        }
        Ok(Stmt::FromImport { name, names, with_context })
    }

    fn block(&mut self) -> Result<Stmt, Error> {
        self.next();
        let name = self.name()?;
        let scoped = self.skip_name("scoped");
        let required = self.skip_name("required");
        if self.is_op("-") {
            return Err(self.fail(
                "Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.",
            ));
        }
        if self.blocks.contains_key(&name) {
            return Err(self.fail(format!("block {} defined twice", repr_str(&name))));
        }
        let body = self.whole_body("endblock")?;
        self.skip_name(&name);
        let block = Arc::new(Block { name: name.clone(), body, scoped, required });
        self.blocks.insert(name, block.clone());
        Ok(Stmt::Block(block))
    }

    fn with(&mut self) -> Result<Stmt, Error> {
        self.next();
        let (mut targets, mut values) = (Vec::new(), Vec::new());
        while *self.tok() != Tok::BlockEnd {
            if !targets.is_empty() {
                self.expect_op(",")?;
            }
            targets.push(self.target(&[])?);
            self.expect_op("=")?;
            values.push(self.expression()?);
        }
        Ok(Stmt::With { targets, values, body: self.whole_body("endwith")? })
    }
}
