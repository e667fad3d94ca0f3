//! Calling: functions, methods, macros, filters, tests.

use std::sync::Arc;

use super::objects::{FunctionObject, MacroObject};
use crate::engine::{Entry, Filter, Test};
use crate::methods;
use crate::{Args, Error, ErrorKind, State, Value};

fn first_undefined(args: &Args) -> Option<&Value> {
    args.pos.iter().chain(args.kw.iter().map(|(_, v)| v)).find(|v| v.is_undefined())
}

/// An error of a call, kept; bounds passed are not kept.
fn keep(e: Error) -> Result<Value, Error> {
    if e.kind() == ErrorKind::Limit { Err(e) } else { Ok(Value::captured(e)) }
}

impl State<'_> {
    /// Calls `f`.
    ///
    /// # Errors
    /// Where a bound is passed. Other failures are kept in the value.
    pub fn call(&self, f: &Value, args: Args) -> Result<Value, Error> {
        self.tick()?;
        let result = match f {
            Value::Undefined(_) => return Ok(f.clone()),
            Value::Object(o) => {
                let takes_undefined = o.takes_undefined()
                    || o.downcast::<MacroObject>().is_some()
                    || o.downcast::<FunctionObject>().is_some_and(|f| f.raw);
                if !takes_undefined && let Some(u) = first_undefined(&args) {
                    return Ok(u.clone());
                }
                o.call(self, args)
            }
            other => Err(Error::type_error(format!("'{}' object is not callable", other.type_name()))),
        };
        result.or_else(keep)
    }

    /// Calls the method `name` of `this`.
    ///
    /// # Errors
    /// As [`State::call`].
    pub fn call_method(&self, this: &Value, name: &str, args: Args) -> Result<Value, Error> {
        if this.is_undefined() {
            return Ok(this.clone());
        }
        if let Value::Object(o) = this {
            if let Some(u) = first_undefined(&args) {
                return Ok(u.clone());
            }
            if let Some(r) = o.call_method(self, name, &args) {
                return r.or_else(keep);
            }
        } else if methods::exists(this, name) {
            self.tick()?;
            if let Some(u) = first_undefined(&args) {
                return Ok(u.clone());
            }
            return methods::call(self, this, name, args).or_else(keep);
        }
        let f = self.attr(this, name)?;
        self.call(&f, args)
    }

    pub(crate) fn apply_filter(&self, entry: &Entry<Filter>, mut args: Args) -> Result<Value, Error> {
        self.tick()?;
        if !entry.undefined
            && let Some(u) = first_undefined(&args)
        {
            return Ok(u.clone());
        }
        let result = match self.plain_args(&mut args, entry.lazy) {
            Ok(()) => (entry.f)(self, args),
            Err(e) => Err(e),
        };
        result.or_else(|e| keep_plugin(e, "filter", &entry.name))
    }

    /// A bool, or what is undefined.
    pub(crate) fn apply_test(&self, entry: &Entry<Test>, mut args: Args) -> Result<Value, Error> {
        self.tick()?;
        if !entry.undefined
            && let Some(u) = first_undefined(&args)
        {
            return Ok(u.clone());
        }
        let result = match self.plain_args(&mut args, entry.lazy) {
            Ok(()) => (entry.f)(self, args).map(Value::Bool),
            Err(e) => Err(e),
        };
        result.or_else(|e| keep_plugin(e, "test", &entry.name))
    }

    fn plain_args(&self, args: &mut Args, lazy: bool) -> Result<(), Error> {
        if lazy {
            return Ok(());
        }
        for v in args.pos.iter_mut().chain(args.kw.iter_mut().map(|(_, v)| v)) {
            if matches!(v, Value::List(_) | Value::Dict(_) | Value::Tuple(_) | Value::Object(_)) {
                *v = self.plain(std::mem::take(v))?;
            }
        }
        Ok(())
    }

    /// One step; fails where the bounds are passed.
    pub(crate) fn tick(&self) -> Result<(), Error> {
        let steps = self.run.steps.get() + 1;
        self.run.steps.set(steps);
        if steps > self.engine.limits().steps {
            return Err(Error::limit("the template takes too many steps"));
        }
        if steps.is_multiple_of(1024) && self.run.deadline.is_some_and(|d| std::time::Instant::now() > d) {
            return Err(Error::limit("the template takes too long"));
        }
        Ok(())
    }

    pub(crate) fn count_bytes(&self, n: usize) -> Result<(), Error> {
        let bytes = self.run.bytes.get() + n;
        self.run.bytes.set(bytes);
        if bytes > self.engine.limits().bytes {
            return Err(Error::limit("the template's output is too long"));
        }
        Ok(())
    }

    /// A lookup's term: a string constant that looks like a template is rendered, for old playbooks' sake.
    pub fn lookup_term(&self, v: Value) -> Value {
        match v {
            Value::Str(s) if s.is_constant_template() => self.render_nested(&s.trust()),
            Value::List(l) => l.items().into_iter().map(|v| self.lookup_term(v)).collect::<Vec<_>>().into(),
            other => other,
        }
    }
}

fn keep_plugin(e: Error, what: &str, name: &Arc<str>) -> Result<Value, Error> {
    if e.is_marker() || e.kind() == ErrorKind::Limit {
        return keep(e);
    }
    Ok(Value::captured(e.context(ErrorKind::Plugin, format!("The {what} plugin '{name}' failed."))))
}
