//! The global functions: `range`, `dict`, `namespace`, `cycler`, `joiner`, `lipsum`, and Ansible's `undef`,
//! `omit` and `now`. Lookups are registered by whoever can do I/O.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::eval::{FunctionObject, Namespace};
use crate::value::ValueIter;
use crate::{Args, Dict, Engine, Error, Object, State, Value};

type Plain = fn(&State<'_>, Args) -> Result<Value, Error>;

pub(crate) fn register(engine: &mut Engine) {
    let table: [(&'static str, Plain); 7] = [
        ("range", range),
        ("dict", dict),
        ("namespace", |s, a| Ok(Value::object(Namespace(to_dict(s, a)?)))),
        ("cycler", cycler),
        ("joiner", joiner),
        ("undef", undef),
        ("now", now),
    ];
    for (name, f) in table {
        engine.add_global(
            name,
            Value::object(FunctionObject {
                name,
                f: Arc::new(f),
                raw: name == "dict" || name == "namespace",
            }),
        );
    }
    engine.add_global("omit", Value::omit());
    engine.add_global("True", Value::Bool(true));
    engine.add_global("False", Value::Bool(false));
    engine.add_global("None", Value::None);
}

fn to_dict(state: &State<'_>, args: Args) -> Result<Dict, Error> {
    let d = Dict::new();
    for v in &args.pos {
        for (k, v) in crate::methods::pairs(state, v)? {
            k.check_hashable()?;
            d.write().insert(k, v);
        }
    }
    for (k, v) in args.kw {
        d.write().insert(Value::str(k), v);
    }
    Ok(d)
}

fn dict(state: &State<'_>, args: Args) -> Result<Value, Error> {
    Ok(Value::Dict(to_dict(state, args)?))
}

/// Python's `range`.
#[derive(Debug)]
struct Range {
    start: i64,
    stop: i64,
    step: i64,
    len: usize,
}

impl Object for Range {
    fn type_name(&self) -> &str {
        "range"
    }
    fn is_sequence(&self) -> bool {
        true
    }
    fn len(&self) -> Option<usize> {
        Some(self.len)
    }
    fn item(&self, key: &Value) -> Result<Option<Value>, Error> {
        Ok(key
            .as_int()
            .and_then(|i| crate::eval::index(i, self.len))
            .map(|i| Value::Int(self.start + self.step * i as i64)))
    }
    fn iter(&self) -> Option<Result<ValueIter, Error>> {
        let (start, step, n) = (self.start, self.step, self.len as i64);
        Some(Ok(Box::new((0..n).map(move |i| Value::Int(start + step * i)))))
    }
    fn repr(&self) -> String {
        if self.step == 1 {
            format!("range({}, {})", self.start, self.stop)
        } else {
            format!("range({}, {}, {})", self.start, self.stop, self.step)
        }
    }
}

fn range(_: &State<'_>, args: Args) -> Result<Value, Error> {
    let ints: Result<Vec<i64>, Error> = args
        .pos
        .iter()
        .map(|v| match v {
            Value::Undefined(u) => Err(u.to_error()),
            v => v.as_int().ok_or_else(|| {
                Error::type_error(format!("'{}' object cannot be interpreted as an integer", v.type_name()))
            }),
        })
        .collect();
    let (start, stop, step) = match ints?.as_slice() {
        [stop] => (0, *stop, 1),
        [start, stop] => (*start, *stop, 1),
        [start, stop, step] => (*start, *stop, *step),
        other => {
            return Err(Error::type_error(format!(
                "range expected at least 1 argument, got {}",
                other.len()
            )));
        }
    };
    if step == 0 {
        return Err(Error::value_error("range() arg 3 must not be zero"));
    }
    let width = i128::from(stop) - i128::from(start);
    let s = i128::from(step);
    let n = if (width > 0) == (s > 0) && width != 0 { (width.abs() + s.abs() - 1) / s.abs() } else { 0 };
    Ok(Value::object(Range { start, stop, step, len: usize::try_from(n).unwrap_or(0) }))
}

#[derive(Debug)]
struct Cycler {
    items: Vec<Value>,
    at: Mutex<usize>,
}

impl Object for Cycler {
    fn type_name(&self) -> &str {
        "Cycler"
    }
    fn attr(&self, name: &str) -> Result<Option<Value>, Error> {
        Ok((name == "current").then(|| self.items[*self.at.lock()].clone()))
    }
    fn call_method(&self, _: &State<'_>, name: &str, _: &Args) -> Option<Result<Value, Error>> {
        let mut at = self.at.lock();
        match name {
            "next" => {
                let v = self.items[*at].clone();
                *at = (*at + 1) % self.items.len();
                Some(Ok(v))
            }
            "reset" => {
                *at = 0;
                Some(Ok(Value::None))
            }
            _ => None,
        }
    }
}

fn cycler(_: &State<'_>, args: Args) -> Result<Value, Error> {
    if args.pos.is_empty() {
        return Err(Error::type_error("at least one item has to be provided"));
    }
    Ok(Value::object(Cycler { items: args.pos, at: Mutex::new(0) }))
}

#[derive(Debug)]
struct Joiner {
    sep: String,
    used: Mutex<bool>,
}

impl Object for Joiner {
    fn type_name(&self) -> &str {
        "Joiner"
    }
    fn is_callable(&self) -> bool {
        true
    }
    fn call(&self, _: &State<'_>, _: Args) -> Result<Value, Error> {
        let used = std::mem::replace(&mut *self.used.lock(), true);
        Ok(Value::str(if used { self.sep.as_str() } else { "" }))
    }
}

fn joiner(_: &State<'_>, args: Args) -> Result<Value, Error> {
    let sep = args.bind("Joiner", &["sep"], 0)?.text(0, ", ")?;
    Ok(Value::object(Joiner { sep, used: Mutex::new(false) }))
}

fn undef(_: &State<'_>, args: Args) -> Result<Value, Error> {
    let b = args.bind("undef", &["hint"], 0)?;
    let hint = if b.get(0).is_none() { String::new() } else { b.text(0, "")? };
    Ok(Value::undefined_hint(if hint.is_empty() {
        "Mandatory variable has not been overridden"
    } else {
        &hint
    }))
}

/// ansible-core's `now(utc=False, fmt=None)`.
fn now(_: &State<'_>, args: Args) -> Result<Value, Error> {
    let b = args.bind("now", &["utc", "fmt"], 0)?;
    let zone = if b.truth(0, false)? { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
    let zoned = jiff::Timestamp::now().to_zoned_datetime(zone);
    match b.opt(1) {
        None | Some(Value::None) => Ok(crate::filters::date(zoned.datetime())),
        Some(f) => jiff::fmt::strtime::format(f.to_text()?, &zoned)
            .map(Value::str)
            .map_err(|e| Error::value_error(e.to_string())),
    }
}
