//! Filters on dicts and lists of dicts.

use super::{Plain, sequence};
use crate::value::sort_by_key;
use crate::{Args, Dict, Error, ErrorKind, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("combine", combine),
    ("dict2items", dict2items),
    ("dictsort", dictsort),
    ("items", items),
    ("items2dict", items2dict),
    ("rekey_on_member", rekey_on_member),
    ("subelements", subelements),
    ("xmlattr", xmlattr),
];

fn fail<T>(message: impl Into<String>) -> Result<T, Error> {
    Err(Error::new(ErrorKind::Plugin, message))
}

/// The pairs of a dict or a mapping object, rendered.
fn pairs(state: &State<'_>, v: &Value) -> Result<Vec<(Value, Value)>, Error> {
    match v {
        Value::Dict(d) => Ok(d.items().into_iter().map(|(k, v)| (k, state.read(v))).collect()),
        v => v.iter()?.map(|k| Ok((k.clone(), state.item(v, &k)?))).collect(),
    }
}

fn items(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let v = a.first();
    if !v.is_mapping() {
        return Err(Error::type_error("Can only get item pairs from a mapping."));
    }
    Ok(Value::list(pairs(state, &v)?.into_iter().map(|(k, v)| Value::tuple(vec![k, v])).collect()))
}

fn dictsort(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_dictsort", &["value", "case_sensitive", "by", "reverse"], 1)?;
    let by_value = match b.text(2, "key")?.as_str() {
        "key" => false,
        "value" => true,
        _ => return Err(Error::runtime("You can only sort by either \"key\" or \"value\"")),
    };
    let case = b.truth(1, false)?;
    let mut keyed: Vec<(Value, Value)> = pairs(state, &b.get(0))?
        .into_iter()
        .map(|(k, v)| {
            let key = match if by_value { v.clone() } else { k.clone() } {
                Value::Str(s) if !case => Value::str(s.to_lowercase()),
                other => other,
            };
            (key, Value::tuple(vec![k, v]))
        })
        .collect();
    sort_by_key(&mut keyed, b.truth(3, false)?)?;
    Ok(Value::list(keyed.into_iter().map(|(_, v)| v).collect()))
}

fn dict2items(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("dict_to_list_of_dict_key_value_elements", &["mydict", "key_name", "value_name"], 1)?;
    if !b.get(0).is_mapping() {
        return fail(format!("dict2items requires a dictionary, got '{}' instead.", b.get(0).type_name()));
    }
    let (k, v) = (b.text(1, "key")?, b.text(2, "value")?);
    let out = pairs(state, &b.get(0))?
        .into_iter()
        .map(|(key, value)| Value::dict([(k.as_str(), key), (v.as_str(), value)]));
    Ok(Value::list(out.collect()))
}

fn items2dict(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("list_of_dict_key_value_elements_to_dict", &["mylist", "key_name", "value_name"], 1)?;
    let (k, v) = (b.text(1, "key")?, b.text(2, "value")?);
    let Some(items) = sequence(&b.get(0)) else {
        return fail(format!("items2dict requires a list, got '{}' instead.", b.get(0).type_name()));
    };
    let out = Dict::new();
    for item in items {
        let item = state.read(item);
        match (item.get(&k), item.get(&v)) {
            (Some(key), Some(value)) => {
                let key = state.read(key);
                key.check_hashable()?;
                out.insert(key, state.read(value));
            }
            _ if !item.is_mapping() => {
                return fail(format!(
                    "items2dict requires a list of dictionaries, got a list of {} instead.",
                    item.type_name()
                ));
            }
            _ => {
                return fail(format!(
                    "items2dict requires each dictionary in the list to contain the keys '{k}' and '{v}', got {} instead.",
                    b.get(0).repr()
                ));
            }
        }
    }
    Ok(Value::Dict(out))
}

/// How lists under the same key are joined.
fn join_lists(how: &str, x: &Value, y: &Value) -> Result<Value, Error> {
    let (a, b) = (x.to_vec()?, y.to_vec()?);
    Ok(Value::list(match how {
        "append" => [a, b].concat(),
        "prepend" => [b, a].concat(),
        "append_rp" => a.into_iter().filter(|v| !b.contains(v)).chain(b.clone()).collect(),
        "prepend_rp" => b.iter().cloned().chain(a.into_iter().filter(|v| !b.contains(v))).collect(),
        "keep" => a,
        _ => b,
    }))
}

fn merge(
    state: &State<'_>,
    x: &Value,
    y: &Value,
    recursive: bool,
    lists: &str,
    depth: u32,
) -> Result<Value, Error> {
    if depth > 200 {
        return Err(Error::runtime("maximum recursion depth exceeded"));
    }
    let out: Dict = pairs(state, x)?.into_iter().collect();
    for (k, v) in pairs(state, y)? {
        let merged = match out.get_value(&k) {
            Some(old) if recursive && old.is_mapping() && v.is_mapping() => {
                merge(state, &old, &v, true, lists, depth + 1)?
            }
            Some(old) if recursive && lists != "replace" && old.is_sequence() && v.is_sequence() => {
                join_lists(lists, &old, &v)?
            }
            Some(old) if !recursive && lists != "replace" && old.is_sequence() && v.is_sequence() => {
                join_lists(lists, &old, &v)?
            }
            _ => v,
        };
        out.write().insert(k, merged);
    }
    Ok(Value::Dict(out))
}

fn combine(state: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let recursive = a.take_named("recursive").map_or(Ok(false), |v| v.truth())?;
    let lists = a.take_named("list_merge").map_or_else(|| Ok("replace".to_owned()), |v| v.to_text())?;
    if let Some((_, _)) = a.kw.first() {
        return fail("'recursive' and 'list_merge' are the only valid keyword arguments");
    }
    if !["replace", "keep", "append", "prepend", "append_rp", "prepend_rp"].contains(&lists.as_str()) {
        return fail(
            "merge_hash: 'list_merge' argument can only be equal to 'replace', 'keep', 'append', 'prepend', 'append_rp' or 'prepend_rp'",
        );
    }
    // lists among the arguments are spread, one level deep
    let mut all = Vec::new();
    for v in a.pos {
        match sequence(&v) {
            Some(items) => all.extend(items.into_iter().map(|v| state.read(v))),
            None => all.push(v),
        }
    }
    let mut result: Option<Value> = None;
    for v in all {
        if let Value::Undefined(u) = &v {
            return Err(u.to_error());
        }
        if v.is_none() {
            continue;
        }
        if !v.is_mapping() {
            return fail(format!(
                "failed to combine variables, expected dicts but got a '{}' and a '{}'.",
                result.as_ref().map_or("dict", Value::type_name),
                v.type_name()
            ));
        }
        result = Some(match result {
            None => Value::Dict(pairs(state, &v)?.into_iter().collect()),
            Some(r) => merge(state, &r, &v, recursive, &lists, 0)?,
        });
    }
    Ok(result.unwrap_or_else(|| Value::Dict(Dict::new())))
}

fn rekey_on_member(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("rekey_on_member", &["data", "key", "duplicates"], 2)?;
    let duplicates = b.text(2, "error")?;
    if !["error", "overwrite"].contains(&duplicates.as_str()) {
        return fail(format!(
            "duplicates parameter to rekey_on_member has unknown value {}",
            crate::value::repr_str(&duplicates)
        ));
    }
    let data = b.get(0);
    let items: Vec<Value> = if data.is_mapping() {
        pairs(state, &data)?.into_iter().map(|(_, v)| v).collect()
    } else if data.is_sequence() {
        state.items(&data)?
    } else {
        return fail("Type is not a valid list, set, or dict");
    };
    let out = Dict::new();
    for item in items {
        if !item.is_mapping() {
            return fail("List item is not a valid dict");
        }
        let key = state.item(&item, &b.get(1))?;
        if key.is_undefined() {
            return fail(format!("Key {} was not found.", b.get(1).repr()));
        }
        if duplicates == "error" && out.get_value(&key).is_some() {
            return fail(format!("Key {} is not unique, cannot convert to dict.", key.repr()));
        }
        out.insert(key, item);
    }
    Ok(Value::Dict(out))
}

fn subelements(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("subelements", &["obj", "subelements", "skip_missing"], 2)?;
    let obj = b.get(0);
    let elements = if obj.is_mapping() {
        pairs(state, &obj)?.into_iter().map(|(_, v)| v).collect()
    } else if let Some(items) = sequence(&obj) {
        items
    } else {
        return fail("obj must be a list of dicts or a nested dict");
    };
    let path: Vec<String> = match b.get(1) {
        Value::Str(s) => s.split('.').map(str::to_owned).collect(),
        v => match sequence(&v) {
            Some(items) => items.iter().map(Value::to_text).collect::<Result<_, _>>()?,
            None => return fail("subelements must be a list or a string"),
        },
    };
    let skip = b.truth(2, false)?;
    let mut out = Vec::new();
    for element in elements {
        let element = state.read(element);
        let mut values = Value::list(Vec::new());
        let mut now = element.clone();
        for (i, part) in path.iter().enumerate() {
            match now.get(part) {
                Some(v) => now = state.read(v),
                None if skip => {
                    now = Value::list(Vec::new());
                    break;
                }
                None if !now.is_mapping() => {
                    return fail(format!(
                        "the key {part} should point to a dictionary, got '{}'",
                        now.to_text()?
                    ));
                }
                None => {
                    return fail(format!(
                        "could not find {} key in iterated item {}",
                        crate::value::repr_str(part),
                        now.repr()
                    ));
                }
            }
            if i + 1 == path.len() && !now.is_sequence() {
                return fail(format!("the key {part} should point to a list, got {}", now.repr()));
            }
        }
        std::mem::swap(&mut values, &mut now);
        for v in state.items(&values)? {
            out.push(Value::tuple(vec![element.clone(), v]));
        }
    }
    Ok(Value::list(out))
}

/// Takes undefined values: only the chosen one counts.
pub(super) fn ternary(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("ternary", &["value", "true_val", "false_val", "none_val"], 3)?;
    let value = state.read(b.get(0));
    if value.is_none() && b.opt(3).is_some_and(|v| !v.is_none()) {
        return Ok(state.read(b.get(3)));
    }
    Ok(state.read(if value.truth()? { b.get(1) } else { b.get(2) }))
}

fn xmlattr(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_xmlattr", &["d", "autospace"], 1)?;
    if !b.get(0).is_mapping() {
        let name = b.get(0).type_name().to_owned();
        return Err(Error::type_error(format!("'{name}' object has no attribute 'items'")));
    }
    let mut out = String::new();
    for (k, v) in pairs(state, &b.get(0))? {
        if v.is_none() || v.is_undefined() {
            continue;
        }
        let k = k.to_text()?;
        if k.contains([' ', '/', '>', '=']) {
            return Err(Error::value_error(format!(
                "Invalid character in attribute name: {}",
                crate::value::repr_str(&k)
            )));
        }
        if !out.is_empty() || b.truth(1, true)? {
            out.push(' ');
        }
        out.push_str(&format!(
            "{}=\"{}\"",
            super::text::escape_html(&k),
            super::text::escape_html(&v.to_text()?)
        ));
    }
    Ok(Value::str(out))
}
