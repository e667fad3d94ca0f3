//! Expressions.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::parse::ast::{CallArgs, Cmp, Expr, Op};
use crate::value::{self, Undefined, repr_str};
use crate::{Args, Dict, Error, State, Value};

impl State<'_> {
    /// The value of `e`.
    pub(crate) fn eval(&self, e: &Expr) -> Result<Value, Error> {
        Ok(match e {
            Expr::Const(v) => match v {
                Value::Str(s) if self.run.render_constants && s.is_constant_template() => {
                    self.render_nested(&s.clone().trust())
                }
                v => v.clone(),
            },
            Expr::Name(n) => self.name(n).unwrap_or_else(|| Value::undefined(n)),
            Expr::Attr(of, name) => {
                let v = self.eval(of)?;
                self.attr(&v, name)?
            }
            Expr::Item(of, key) => {
                let v = self.eval(of)?;
                let key = self.eval(key)?;
                self.item(&v, &key)?
            }
            Expr::Slice(of, parts) => {
                let v = self.eval(of)?;
                let part = |e: &Option<Expr>| e.as_ref().map(|e| self.eval(e)).transpose();
                let parts = [part(&parts[0])?, part(&parts[1])?, part(&parts[2])?];
                self.slice(&v, parts)?
            }
            Expr::Call(f, args) => self.eval_call(f, args)?,
            Expr::Filter { value, name, args, line } => {
                let v = match value {
                    Some(v) => self.eval(v)?,
                    None => Value::None,
                };
                self.eval_filter(v, name, args, *line)?
            }
            Expr::Test { value, name, args, line } => {
                let v = self.eval(value)?;
                let args = self.eval_args(Some(v), args)?;
                match self.engine.test_entry(name) {
                    Some(entry) => at_line(self.apply_test(&entry, args)?, *line),
                    None => {
                        let m = format!("No test named {} found.", repr_str(name));
                        return Err(Error::runtime(m).at_line(*line));
                    }
                }
            }
            Expr::List(items) => Value::list(items.iter().map(|e| self.eval(e)).collect::<Result<_, _>>()?),
            Expr::Tuple(items) => Value::tuple(items.iter().map(|e| self.eval(e)).collect::<Result<_, _>>()?),
            Expr::Dict(items) => {
                let d = Dict::new();
                for (k, v) in items {
                    let k = self.eval(k)?;
                    k.check_hashable()?;
                    d.insert(k, self.eval(v)?);
                }
                Value::Dict(d)
            }
            Expr::Not(e) => Value::Bool(!self.eval(e)?.truth()?),
            Expr::Neg(e) => value::neg(&self.eval(e)?)?,
            Expr::Pos(e) => value::pos(&self.eval(e)?)?,
            Expr::And(a, b) => {
                let a = self.eval(a)?;
                if a.truth()? { self.eval(b)? } else { a }
            }
            Expr::Or(a, b) => {
                let a = self.eval(a)?;
                if a.truth()? { a } else { self.eval(b)? }
            }
            Expr::Binary(op, a, b) => {
                let a = self.eval(a)?;
                let b = self.eval(b)?;
                self.binary(*op, &a, &b)?
            }
            Expr::Concat(parts) => {
                let mut out = String::new();
                for p in parts {
                    match self.eval(p)? {
                        Value::Str(s) => out.push_str(&s),
                        v => self.plain(v)?.write_text(&mut out)?,
                    }
                }
                self.count_bytes(out.len())?;
                Value::str(out)
            }
            Expr::Compare(first, rest) => {
                let mut left = self.eval(first)?;
                for (cmp, right) in rest {
                    let right = self.eval(right)?;
                    if !self.compare(*cmp, &left, &right)? {
                        return Ok(Value::Bool(false));
                    }
                    left = right;
                }
                Value::Bool(true)
            }
            Expr::If { test, then, other } => {
                if self.eval(test)?.truth()? {
                    self.eval(then)?
                } else if let Some(other) = other {
                    self.eval(other)?
                } else {
                    Value::Undefined(Arc::new(Undefined::no_else(1)))
                }
            }
        })
    }

    /// `a op b`.
    fn binary(&self, op: Op, a: &Value, b: &Value) -> Result<Value, Error> {
        match op {
            Op::Add => value::add(a, b),
            Op::Sub => value::sub(a, b),
            Op::Mul => value::mul(a, b),
            Op::Div => value::true_div(a, b),
            Op::FloorDiv => value::floor_div(a, b),
            Op::Mod => match a {
                Value::Str(_) => value::modulo(a, &self.plain(b.clone())?),
                _ => value::modulo(a, b),
            },
            Op::Pow => value::pow(a, b),
        }
    }

    fn compare(&self, cmp: Cmp, a: &Value, b: &Value) -> Result<bool, Error> {
        let (mut a, mut b) = (a, b);
        let (pa, pb);
        if !matches!(cmp, Cmp::In | Cmp::NotIn) {
            let container = |v: &Value| matches!(v, Value::List(_) | Value::Dict(_) | Value::Tuple(_));
            if container(a) && container(b) {
                pa = self.plain(a.clone())?;
                pb = self.plain(b.clone())?;
                (a, b) = (&pa, &pb);
            }
        }
        Ok(match cmp {
            Cmp::Eq => a.equals(b)?,
            Cmp::Ne => !a.equals(b)?,
            Cmp::Lt => a.order(b, "<")? == Some(Ordering::Less),
            Cmp::Gt => a.order(b, ">")? == Some(Ordering::Greater),
            Cmp::Le => matches!(a.order(b, "<=")?, Some(Ordering::Less | Ordering::Equal)),
            Cmp::Ge => matches!(a.order(b, ">=")?, Some(Ordering::Greater | Ordering::Equal)),
            Cmp::In => self.contains(b, a)?,
            Cmp::NotIn => !self.contains(b, a)?,
        })
    }

    pub(crate) fn eval_args(&self, first: Option<Value>, args: &CallArgs) -> Result<Args, Error> {
        let mut out =
            Args { pos: Vec::with_capacity(args.pos.len() + 1), kw: Vec::with_capacity(args.kw.len()) };
        out.pos.extend(first);
        for e in &args.pos {
            out.pos.push(self.eval(e)?);
        }
        if let Some(star) = &args.star {
            let star = self.eval(star)?;
            out.pos.extend(self.items(&star)?);
        }
        for (k, e) in &args.kw {
            out.kw.push((k.clone(), self.eval(e)?));
        }
        if let Some(star) = &args.star_star {
            let star = self.eval(star)?;
            if !star.is_mapping() {
                star.clone().checked()?;
                let m = format!("argument after ** must be a mapping, not {}", star.type_name());
                return Err(Error::type_error(m));
            }
            for k in star.iter()? {
                let v = self.item(&star, &k)?;
                match &k {
                    Value::Str(s) if out.named(s).is_some() => {
                        return Err(Error::type_error(format!(
                            "got multiple values for keyword argument '{s}'"
                        )));
                    }
                    Value::Str(s) => out.kw.push((s.as_arc().clone(), v)),
                    _ => return Err(Error::type_error("keywords must be strings")),
                }
            }
        }
        Ok(out)
    }

    pub(crate) fn eval_filter(
        &self,
        v: Value,
        name: &str,
        args: &CallArgs,
        line: u32,
    ) -> Result<Value, Error> {
        let args = self.eval_args(Some(v), args)?;
        match self.engine.filter_entry(name) {
            Some(entry) => Ok(at_line(self.apply_filter(&entry, args)?, line)),
            None => Err(Error::runtime(format!("No filter named {} found.", repr_str(name))).at_line(line)),
        }
    }

    pub(crate) fn eval_call(&self, f: &Expr, args: &CallArgs) -> Result<Value, Error> {
        if let Expr::Attr(of, name) = f {
            let this = self.eval(of)?;
            if this.is_undefined() {
                return Ok(this);
            }
            let args = self.eval_args(None, args)?;
            return self.call_method(&this, name, args);
        }
        let f = self.eval(f)?;
        let args = self.eval_args(None, args)?;
        self.call(&f, args)
    }
}

/// Gives a kept error the line of the template.
fn at_line(v: Value, line: u32) -> Value {
    match &v {
        Value::Undefined(u) => match &u.error {
            Some(e) if e.line() == 0 => Value::captured(e.clone().at_line(line)),
            _ => v,
        },
        _ => v,
    }
}
