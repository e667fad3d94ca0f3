//! Expressions.

use std::sync::Arc;

use super::ast::{CallArgs, Cmp, Expr, Op};
use super::stream::Parser;
use super::token::Tok;
use crate::value::repr_str;
use crate::{Error, Str, Value};

impl Parser<'_> {
    /// An expression, with `a if b else c`.
    pub fn expression(&mut self) -> Result<Expr, Error> {
        self.enter()?;
        let (mut expr, mut links) = (self.or()?, 0);
        while self.skip_name("if") {
            self.link(&mut links)?;
            self.soft += 1;
            let test = self.or()?;
            let other = if self.skip_name("else") { Some(Box::new(self.expression()?)) } else { None };
            self.soft -= 1;
            expr = Expr::If { test: Box::new(test), then: Box::new(expr), other };
        }
        self.leave();
        Ok(expr)
    }

    pub fn or(&mut self) -> Result<Expr, Error> {
        let (mut left, mut links) = (self.and()?, 0);
        while self.skip_name("or") {
            self.link(&mut links)?;
            left = Expr::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Error> {
        let (mut left, mut links) = (self.not()?, 0);
        while self.skip_name("and") {
            self.link(&mut links)?;
            left = Expr::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Error> {
        if self.skip_name("not") {
            self.enter()?;
            let e = Expr::Not(Box::new(self.not()?));
            self.leave();
            return Ok(e);
        }
        self.compare()
    }

    fn compare(&mut self) -> Result<Expr, Error> {
        let first = self.sum()?;
        let mut ops = Vec::new();
        loop {
            let cmp = match self.tok() {
                Tok::Op("==") => Cmp::Eq,
                Tok::Op("!=") => Cmp::Ne,
                Tok::Op("<") => Cmp::Lt,
                Tok::Op("<=") => Cmp::Le,
                Tok::Op(">") => Cmp::Gt,
                Tok::Op(">=") => Cmp::Ge,
                Tok::Name(n) if n == "in" => Cmp::In,
                Tok::Name(n) if n == "not" && matches!(self.look(), Tok::Name(m) if m == "in") => {
                    self.next();
                    Cmp::NotIn
                }
                _ => break,
            };
            self.next();
            ops.push((cmp, self.sum()?));
        }
        Ok(if ops.is_empty() { first } else { Expr::Compare(Box::new(first), ops) })
    }

    fn sum(&mut self) -> Result<Expr, Error> {
        let (mut left, mut links) = (self.concat()?, 0);
        loop {
            self.link(&mut links)?;
            let op = match self.tok() {
                Tok::Op("+") => Op::Add,
                Tok::Op("-") => Op::Sub,
                _ => return Ok(left),
            };
            self.next();
            left = Expr::Binary(op, Box::new(left), Box::new(self.concat()?));
        }
    }

    fn concat(&mut self) -> Result<Expr, Error> {
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        Ok(Expr::Concat(parts))
    }

    fn product(&mut self) -> Result<Expr, Error> {
        let (mut left, mut links) = (self.power()?, 0);
        loop {
            self.link(&mut links)?;
            let op = match self.tok() {
                Tok::Op("*") => Op::Mul,
                Tok::Op("/") => Op::Div,
                Tok::Op("//") => Op::FloorDiv,
                Tok::Op("%") => Op::Mod,
                _ => return Ok(left),
            };
            self.next();
            left = Expr::Binary(op, Box::new(left), Box::new(self.power()?));
        }
    }

    fn power(&mut self) -> Result<Expr, Error> {
        let (mut left, mut links) = (self.unary(true)?, 0);
        while self.skip_op("**") {
            self.link(&mut links)?;
            left = Expr::Binary(Op::Pow, Box::new(left), Box::new(self.unary(true)?));
        }
        Ok(left)
    }

    fn unary(&mut self, with_filter: bool) -> Result<Expr, Error> {
        self.enter()?;
        let node = if self.skip_op("-") {
            Expr::Neg(Box::new(self.unary(false)?))
        } else if self.skip_op("+") {
            Expr::Pos(Box::new(self.unary(false)?))
        } else {
            self.primary()?
        };
        let node = self.postfix(node)?;
        let node = if with_filter { self.filters_and_tests(node)? } else { node };
        self.leave();
        Ok(node)
    }

    pub fn primary(&mut self) -> Result<Expr, Error> {
        match self.tok() {
            Tok::Name(_) => {
                let name = self.name()?;
                Ok(match &*name {
                    "true" | "True" => Expr::Const(Value::Bool(true)),
                    "false" | "False" => Expr::Const(Value::Bool(false)),
                    "none" | "None" => Expr::Const(Value::None),
                    _ => {
                        let special = ["loop", "caller", "varargs", "kwargs"];
                        if let Some(i) = special.iter().position(|s| **s == *name) {
                            self.seen[i] += 1;
                        }
                        Expr::Name(name)
                    }
                })
            }
            Tok::Str(_) => {
                let mut text = String::new();
                while let Tok::Str(s) = self.tok() {
                    text.push_str(s);
                    self.next();
                }
                Ok(Expr::Const(Value::Str(Str::constant(text))))
            }
            Tok::Int(digits) => {
                let v = match digits.parse::<i64>() {
                    Ok(i) => Value::Int(i),
                    Err(_) => digits.parse().map_or(Value::Int(0), Value::big),
                };
                self.next();
                Ok(Expr::Const(v))
            }
            Tok::Float(f) => {
                let f = *f;
                self.next();
                Ok(Expr::Const(Value::Float(f)))
            }
            Tok::Op("(") => {
                self.next();
                let e = self.tuple(false, true, &[], true)?;
                self.expect_op(")")?;
                Ok(e)
            }
            Tok::Op("[") => {
                self.next();
                let mut items = Vec::new();
                while !self.is_op("]") {
                    if !items.is_empty() {
                        self.expect_op(",")?;
                    }
                    if self.is_op("]") {
                        break;
                    }
                    items.push(self.expression()?);
                }
                self.expect_op("]")?;
                Ok(Expr::List(items))
            }
            Tok::Op("{") => {
                self.next();
                let mut items = Vec::new();
                while !self.is_op("}") {
                    if !items.is_empty() {
                        self.expect_op(",")?;
                    }
                    if self.is_op("}") {
                        break;
                    }
                    let k = self.expression()?;
                    self.expect_op(":")?;
                    items.push((k, self.expression()?));
                }
                self.expect_op("}")?;
                Ok(Expr::Dict(items))
            }
            other => Err(self.fail(format!("unexpected {}", repr_str(&other.describe())))),
        }
    }

    /// A tuple without need of parentheses, or the one expression it would hold.
    pub fn tuple(
        &mut self,
        simplified: bool,
        with_condexpr: bool,
        ends: &[&str],
        parentheses: bool,
    ) -> Result<Expr, Error> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            if !items.is_empty() {
                self.expect_op(",")?;
            }
            let at_end = match self.tok() {
                Tok::VariableEnd | Tok::BlockEnd | Tok::Op(")") => true,
                Tok::Name(n) => ends.contains(&n.as_str()),
                _ => false,
            };
            if at_end {
                break;
            }
            items.push(if simplified {
                self.primary()?
            } else if with_condexpr {
                self.expression()?
            } else {
                self.or()?
            });
            if self.is_op(",") {
                is_tuple = true;
            } else {
                break;
            }
        }
        if !is_tuple {
            if let Some(one) = items.pop() {
                return Ok(one);
            }
            if !parentheses {
                let got = repr_str(&self.tok().describe());
                return Err(self.fail(format!("Expected an expression, got {got}")));
            }
        }
        Ok(Expr::Tuple(items))
    }

    pub fn postfix(&mut self, mut node: Expr) -> Result<Expr, Error> {
        let mut links = 0;
        loop {
            self.link(&mut links)?;
            node = if self.skip_op(".") {
                match self.next() {
                    Tok::Name(n) => {
                        self.mutates |= crate::methods::changes_in_place(&n);
                        Expr::Attr(Box::new(node), n.into())
                    }
                    Tok::Int(i) => {
                        let i = i.parse().map_or(Value::Int(i64::MAX), Value::Int);
                        Expr::Item(Box::new(node), Box::new(Expr::Const(i)))
                    }
                    _ => return Err(self.fail("expected name or number")),
                }
            } else if self.skip_op("[") {
                self.subscript(node)?
            } else if self.is_op("(") {
                let args = self.call_args()?;
                Expr::Call(Box::new(node), Box::new(args))
            } else {
                return Ok(node);
            };
        }
    }

    fn subscript(&mut self, node: Expr) -> Result<Expr, Error> {
        let mut items = Vec::new();
        let mut slice = None;
        while !self.is_op("]") {
            if !items.is_empty() || slice.is_some() {
                self.expect_op(",")?;
                if slice.is_some() {
                    return Err(self.fail("slices in tuples are not supported"));
                }
            }
            let mut parts: [Option<Expr>; 3] = [None, None, None];
            if !self.is_op(":") {
                let e = self.expression()?;
                if !self.is_op(":") {
                    items.push(e);
                    continue;
                }
                parts[0] = Some(e);
            }
            self.next();
            if !(self.is_op(":") || self.is_op("]") || self.is_op(",")) {
                parts[1] = Some(self.expression()?);
            }
            if self.skip_op(":") && !(self.is_op("]") || self.is_op(",")) {
                parts[2] = Some(self.expression()?);
            }
            slice = Some(parts);
        }
        self.expect_op("]")?;
        if let Some(parts) = slice {
            return Ok(Expr::Slice(Box::new(node), Box::new(parts)));
        }
        let key = match items.len() {
            1 => items.remove(0),
            _ => Expr::Tuple(items),
        };
        Ok(Expr::Item(Box::new(node), Box::new(key)))
    }

    pub fn call_args(&mut self) -> Result<CallArgs, Error> {
        self.expect_op("(")?;
        let mut args = CallArgs::default();
        let mut comma = false;
        let bad = |p: &Self| p.fail("invalid syntax for function call expression");
        while !self.is_op(")") {
            if comma {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            if self.skip_op("*") {
                if args.star.is_some() || args.star_star.is_some() {
                    return Err(bad(self));
                }
                args.star = Some(self.expression()?);
            } else if self.skip_op("**") {
                if args.star_star.is_some() {
                    return Err(bad(self));
                }
                args.star_star = Some(self.expression()?);
            } else if matches!(self.tok(), Tok::Name(_)) && matches!(self.look(), Tok::Op("=")) {
                if args.star_star.is_some() {
                    return Err(bad(self));
                }
                let name = self.name()?;
                self.next();
                args.kw.push((name, self.expression()?));
            } else {
                if args.star.is_some() || args.star_star.is_some() || !args.kw.is_empty() {
                    return Err(bad(self));
                }
                args.pos.push(self.expression()?);
            }
            comma = true;
        }
        self.expect_op(")")?;
        Ok(args)
    }

    fn filters_and_tests(&mut self, mut node: Expr) -> Result<Expr, Error> {
        let mut links = 0;
        loop {
            self.link(&mut links)?;
            node = if self.is_op("|") {
                self.filter(Some(node), false)?
            } else if self.is_name("is") {
                self.test(node)?
            } else if self.is_op("(") {
                let args = self.call_args()?;
                Expr::Call(Box::new(node), Box::new(args))
            } else {
                return Ok(node);
            };
        }
    }

    fn dotted(&mut self) -> Result<Arc<str>, Error> {
        let mut name = self.name()?.to_string();
        while self.skip_op(".") {
            name.push('.');
            name.push_str(&self.name()?);
        }
        Ok(name.into())
    }

    /// `| name(args) | …` after `node`; `inline` without the first bar.
    pub fn filter(&mut self, mut node: Option<Expr>, mut inline: bool) -> Result<Expr, Error> {
        let mut links = 0;
        loop {
            self.link(&mut links)?;
            if !inline {
                self.expect_op("|")?;
            }
            inline = false;
            let line = self.line();
            let name = self.dotted()?;
            self.uses(&name, line, false);
            let args = if self.is_op("(") { self.call_args()? } else { CallArgs::default() };
            let f = Expr::Filter { value: node.map(Box::new), name, args: Box::new(args), line };
            if !self.is_op("|") {
                return Ok(f);
            }
            node = Some(f);
        }
    }

    fn test(&mut self, node: Expr) -> Result<Expr, Error> {
        let line = self.line();
        self.next();
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        self.uses(&name, line, true);
        let mut args = CallArgs::default();
        let operand = match self.tok() {
            Tok::Op("(") => {
                args = self.call_args()?;
                false
            }
            Tok::Name(n) => !matches!(n.as_str(), "else" | "or" | "and"),
            Tok::Str(_) | Tok::Int(_) | Tok::Float(_) | Tok::Op("[" | "{") => true,
            _ => false,
        };
        if operand {
            if self.is_name("is") {
                return Err(self.fail("You cannot chain multiple tests with is"));
            }
            let arg = self.primary()?;
            args.pos.push(self.postfix(arg)?);
        }
        let test = Expr::Test { value: Box::new(node), name, args: Box::new(args), line };
        Ok(if negated { Expr::Not(Box::new(test)) } else { test })
    }
}
