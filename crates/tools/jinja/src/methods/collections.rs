//! Methods of lists, tuples and dicts. A method that changes its object does so in place.

use crate::value::sort_by_key;
use crate::{Args, Dict, Error, List, State, Value};

pub(super) const LIST: &[&str] = &[
    "append",
    "clear",
    "copy",
    "count",
    "extend",
    "index",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
    "__setitem__",
];
pub(super) const DICT: &[&str] = &[
    "clear",
    "copy",
    "fromkeys",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
    "__setitem__",
];

fn at(i: i64, n: usize) -> usize {
    let n = i64::try_from(n).unwrap_or(i64::MAX);
    usize::try_from(if i < 0 { (i + n).max(0) } else { i.min(n) }).unwrap_or(0)
}

pub(super) fn list(state: &State<'_>, l: &List, name: &str, args: Args) -> Result<Value, Error> {
    match name {
        "append" => {
            let b = args.bind("list.append", &["object"], 1)?;
            l.push(b.get(0));
        }
        "extend" => {
            let more = state.items(&args.bind("list.extend", &["iterable"], 1)?.get(0))?;
            l.write().extend(more);
        }
        "insert" => {
            let b = args.bind("list.insert", &["index", "object"], 2)?;
            let i = b.int(0, 0)?;
            let mut items = l.write();
            let i = at(i, items.len());
            items.insert(i, b.get(1));
        }
        "pop" => {
            let b = args.bind("list.pop", &["index"], 0)?;
            let i = b.int(0, -1)?;
            let mut items = l.write();
            if items.is_empty() {
                return Err(Error::value_error("pop from empty list"));
            }
            return match crate::eval::index(i, items.len()) {
                Some(i) => Ok(items.remove(i)),
                None => Err(Error::value_error("pop index out of range")),
            };
        }
        "remove" => {
            let v = args.bind("list.remove", &["value"], 1)?.get(0);
            let mut items = l.write();
            match items.iter().position(|x| *x == v) {
                Some(i) => drop(items.remove(i)),
                None => return Err(Error::value_error("list.remove(x): x not in list")),
            }
        }
        "clear" => l.write().clear(),
        "copy" => return Ok(Value::list(l.items())),
        "reverse" => l.write().reverse(),
        "sort" => {
            let reverse = args.named("reverse").map_or(Ok(false), Value::truth)?;
            let mut keyed: Vec<(Value, Value)> =
                state.items(&Value::List(l.clone()))?.into_iter().map(|v| (v.clone(), v)).collect();
            sort_by_key(&mut keyed, reverse)?;
            *l.write() = keyed.into_iter().map(|(_, v)| v).collect();
        }
        "__setitem__" => {
            let b = args.bind("list.__setitem__", &["key", "value"], 2)?;
            let i = b.int(0, 0)?;
            let mut items = l.write();
            let n = items.len();
            match crate::eval::index(i, n) {
                Some(i) => items[i] = b.get(1),
                None => return Err(Error::value_error("list assignment index out of range")),
            }
        }
        _ => return sequence(&state.items(&Value::List(l.clone()))?, "list", name, args),
    }
    Ok(Value::None)
}

pub(super) fn sequence(items: &[Value], what: &str, name: &str, args: Args) -> Result<Value, Error> {
    let b = args.bind(&format!("{what}.{name}"), &["value", "start", "stop"], 1)?;
    let v = b.get(0);
    if name == "count" {
        return Ok(Value::Int(items.iter().filter(|x| **x == v).count() as i64));
    }
    let (start, stop) = (at(b.int(1, 0)?, items.len()), at(b.int(2, i64::MAX)?, items.len()));
    match (start..stop).find(|i| items[*i] == v) {
        Some(i) => Ok(Value::Int(i as i64)),
        None if what == "list" => Err(Error::value_error(format!("{} is not in list", v.repr()))),
        None => Err(Error::value_error("tuple.index(x): x not in tuple")),
    }
}

fn key(v: Value) -> Result<Value, Error> {
    v.check_hashable()?;
    Ok(v)
}

pub(super) fn dict(state: &State<'_>, d: &Dict, name: &str, args: Args) -> Result<Value, Error> {
    Ok(match name {
        "get" => {
            let b = args.bind("dict.get", &["key", "default"], 1)?;
            d.get_value(&key(b.get(0))?).map_or_else(|| b.get(1), |v| state.read(v))
        }
        "items" => {
            Value::list(d.items().into_iter().map(|(k, v)| Value::tuple(vec![k, state.read(v)])).collect())
        }
        "keys" => Value::list(d.keys()),
        "values" => Value::list(d.values().into_iter().map(|v| state.read(v)).collect()),
        "copy" => Value::Dict(d.copy()),
        "fromkeys" => {
            let b = args.bind("dict.fromkeys", &["iterable", "value"], 1)?;
            Value::Dict(state.items(&b.get(0))?.into_iter().map(|k| (k, b.get(1))).collect())
        }
        "clear" => {
            d.write().clear();
            Value::None
        }
        "pop" => {
            let b = args.bind("dict.pop", &["key", "default"], 1)?;
            let k = key(b.get(0))?;
            match (d.write().shift_remove(&k), b.opt(1)) {
                (Some(v), _) => state.read(v),
                (None, Some(default)) => default.clone(),
                (None, None) => return Err(Error::value_error(k.repr())),
            }
        }
        "popitem" => match d.write().pop() {
            Some((k, v)) => Value::tuple(vec![k, state.read(v)]),
            None => return Err(Error::value_error("'popitem(): dictionary is empty'")),
        },
        "setdefault" => {
            let b = args.bind("dict.setdefault", &["key", "default"], 1)?;
            let k = key(b.get(0))?;
            match d.get_value(&k) {
                Some(v) => state.read(v),
                None => {
                    d.write().insert(k, b.get(1));
                    b.get(1)
                }
            }
        }
        "update" => {
            let mut args = args;
            for v in std::mem::take(&mut args.pos) {
                for (k, v) in pairs(state, &v)? {
                    d.write().insert(key(k)?, v);
                }
            }
            for (k, v) in args.kw {
                d.write().insert(Value::str(k), v);
            }
            Value::None
        }
        "__setitem__" => {
            let b = args.bind("dict.__setitem__", &["key", "value"], 2)?;
            d.write().insert(key(b.get(0))?, b.get(1));
            Value::None
        }
        other => return Err(Error::type_error(format!("'dict' object has no method '{other}'"))),
    })
}

/// The pairs of a mapping or of a sequence of pairs.
pub(crate) fn pairs(state: &State<'_>, v: &Value) -> Result<Vec<(Value, Value)>, Error> {
    match v {
        Value::Dict(d) => Ok(d.items()),
        v if v.is_mapping() => v.to_vec()?.into_iter().map(|k| Ok((k.clone(), state.item(v, &k)?))).collect(),
        v => state
            .items(v)?
            .into_iter()
            .enumerate()
            .map(|(i, p)| match state.items(&p)?.as_slice() {
                [k, v] => Ok((k.clone(), v.clone())),
                other => Err(Error::value_error(format!(
                    "dictionary update sequence element #{i} has length {}; 2 is required",
                    other.len()
                ))),
            })
            .collect(),
    }
}

/// The methods that any mapping object has.
pub(super) fn mapping(state: &State<'_>, this: &Value, name: &str, args: Args) -> Result<Value, Error> {
    if name == "get" {
        let b = args.bind("get", &["key", "default"], 1)?;
        let Value::Object(o) = this else { return Ok(Value::None) };
        return Ok(o.item(&b.get(0))?.map_or_else(|| b.get(1), |v| state.read(v)));
    }
    let keys = this.to_vec()?;
    let item = |k: &Value| state.item(this, k);
    Ok(Value::list(match name {
        "keys" => keys,
        "values" => keys.iter().map(item).collect::<Result<_, _>>()?,
        _ => {
            keys.iter().map(|k| Ok(Value::tuple(vec![k.clone(), item(k)?]))).collect::<Result<_, Error>>()?
        }
    }))
}
