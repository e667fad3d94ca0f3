//! Functions over lists and maps.

use serde_json::Map;

use super::{
    Fault, Json, Result,
    expr::{Call, Eval},
    python,
    version::Func,
};

/// `items[index]`, negative ones from the end.
pub(super) fn index(items: &[Json], index: i64) -> Option<&Json> {
    let index = if index < 0 { index + items.len() as i64 } else { index };
    usize::try_from(index).ok().and_then(|i| items.get(i))
}

pub(super) fn construct(call: &Call) -> Result<()> {
    let (name, args) = (&call.name, &call.args);
    match call.func {
        Func::Repeat { permutations, .. } => {
            if args.keys().is_none() {
                return Err(Fault::kind(format!("Arguments to \"{name}\" must be a map")));
            }
            if args.entry("for_each").is_none() || args.entry("template").is_none() {
                let example = "repeat:\n              template: This is %var%\n              for_each:\n                %var%: ['a', 'b', 'c']";
                return Err(Fault::key(format!("\"repeat\" syntax should be {example}")));
            }
            match args.entry("permutations") {
                Some(flag) if permutations && !matches!(flag.literal(), Some(Json::Bool(_))) => {
                    Err(Fault::kind(format!("\"permutations\" should be boolean type for {name} function.")))
                }
                _ => Ok(()),
            }
        }
        Func::Filter => match args.items() {
            None => Err(Fault::kind(format!("Argument to \"{name}\" must be a list"))),
            Some(items) if items.len() != 2 => Err(Fault::value(format!(
                "\"{name}\" expected 2 arguments of the form [values, sequence] but got {} arguments instead",
                items.len()
            ))),
            Some(_) => Ok(()),
        },
        Func::Contains => match args.items() {
            Some(items) if items.len() == 2 => Ok(()),
            Some(items) if !items.is_empty() => Err(Fault::value(format!(
                "Arguments to \"{name}\" must be of the form: [value1, [value1, value2]]"
            ))),
            _ => Err(Fault::kind(format!(
                "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ \"value1\", [ \"value1\", \"value2\"]]"
            ))),
        },
        _ => Ok(()),
    }
}

pub(super) fn repeat(name: &str, call: &Call, maps: bool, eval: &Eval<'_>) -> Result<Json> {
    let entry = |key: &str| call.args.entry(key).map_or(Ok(Json::Null), |e| eval.plain(&e));
    let Json::Object(each) = entry("for_each")? else {
        return Err(Fault::kind(format!("The \"for_each\" argument to \"{name}\" must contain a map")));
    };
    if each.is_empty() {
        return Err(Fault::value("not enough values to unpack (expected 2, got 0)"));
    }
    let product = call.args.entry("permutations").and_then(|p| p.literal().and_then(Json::as_bool))
        != Some(false)
        || !matches!(call.func, Func::Repeat { permutations: true, .. });
    let mut lists = Vec::new();
    let mut lengths = Vec::new();
    for (key, list) in &each {
        let list = match list {
            Json::Null => Vec::new(),
            Json::Array(items) => items.clone(),
            Json::Object(map) if maps && product => map.keys().cloned().map(Json::String).collect(),
            _ => {
                let kinds = if maps && product { "lists or maps" } else { "lists" };
                let message =
                    format!("The values of the \"for_each\" argument to \"{name}\" must be {kinds}");
                return Err(Fault::kind(message));
            }
        };
        if !each[key].is_null() {
            lengths.push(list.len());
        }
        lists.push(list);
    }
    if !product && lengths.windows(2).any(|pair| pair[0] != pair[1]) {
        let message = format!("For {name}, the length of for_each values should be equal if no nested loop.");
        return Err(Fault::value(message));
    }
    let template = entry("template")?;
    let keys: Vec<&str> = each.keys().map(String::as_str).collect();
    let rounds = if product {
        lists.iter().try_fold(1usize, |n, list| n.checked_mul(list.len())).unwrap_or(usize::MAX)
    } else {
        lists.iter().map(Vec::len).min().unwrap_or(0)
    };
    eval.charge(rounds.saturating_mul(8))?;
    let mut out = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let mut rest = round;
        let mut picked: Vec<&Json> = Vec::with_capacity(lists.len());
        for list in lists.iter().rev() {
            let at = if product { rest % list.len() } else { round };
            if product {
                rest /= list.len();
            }
            picked.push(&list[at]);
        }
        picked.reverse();
        out.push(fill(&template, &keys, &picked, eval)?);
    }
    Ok(Json::Array(out))
}

fn fill(template: &Json, keys: &[&str], values: &[&Json], eval: &Eval<'_>) -> Result<Json> {
    eval.charge(8)?;
    match template {
        Json::String(text) => fill_text(text, keys, values, eval).map(Json::String),
        Json::Array(items) => {
            items.iter().map(|i| fill(i, keys, values, eval)).collect::<Result<_>>().map(Json::Array)
        }
        Json::Object(map) => {
            let mut out = Map::new();
            for (k, v) in map {
                out.insert(fill_text(k, keys, values, eval)?, fill(v, keys, values, eval)?);
            }
            Ok(Json::Object(out))
        }
        other => Ok(other.clone()),
    }
}

fn fill_text(text: &str, keys: &[&str], values: &[&Json], eval: &Eval<'_>) -> Result<String> {
    let mut text = text.to_owned();
    for (key, value) in keys.iter().zip(values) {
        let Json::String(value) = value else {
            let found = if value.is_null() { "None" } else { python::type_name(value) };
            return Err(Fault::kind(format!("replace() argument 2 must be str, not {found}")));
        };
        if value.len() > key.len() {
            eval.charge((value.len() - key.len()) * text.matches(key).count())?;
        }
        text = text.replace(key, value);
    }
    eval.charge(text.len())?;
    Ok(text)
}

pub(super) fn map_merge(name: &str, args: Json, eval: &Eval<'_>) -> Result<Json> {
    let Json::Array(maps) = args else {
        return Err(Fault::kind(format!(
            "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ {{ \"key1\": \"val1\" }}, {{ \"key2\": \"val2\" }} ]"
        )));
    };
    let mut out = Map::new();
    for map in maps {
        match map {
            Json::Null => {}
            Json::Object(map) => {
                eval.charge(map.len())?;
                out.extend(map);
            }
            other => {
                let (shown, kind) = (clip(&python::repr(&other)), python::type_name(&other));
                return Err(Fault::kind(format!(
                    "Incorrect arguments: Items to merge must be maps. {shown} is type <class '{kind}'> instead of a dict"
                )));
            }
        }
    }
    Ok(Json::Object(out))
}

/// The first 200 characters.
pub(super) fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}

pub(super) fn map_replace(name: &str, args: Json) -> Result<Json> {
    let example = format!(
        "\"{name}\" : [ {{ \"key1\": \"val1\" }}, {{\"keys\": {{\"key1\": \"key2\"}}, \"values\": {{\"val1\": \"val2\"}}}}]"
    );
    let wrong = || format!("Incorrect arguments to \"{name}\" should be: {example}");
    let Json::Array(args) = args else { return Err(Fault::kind(wrong())) };
    let map = |value: Json| match value {
        Json::Null => Ok(Map::new()),
        Json::Object(map) => Ok(map),
        _ => Err(Fault::kind(format!(
            "Incorrect arguments: to \"{name}\", arguments must be a list of maps. Example:  {example}"
        ))),
    };
    let mut args = args.into_iter();
    let mut next = || args.next().ok_or_else(|| Fault::kind(wrong())).and_then(map);
    let (input, mut replace) = (next()?, next()?);
    if args.next().is_some() {
        return Err(Fault::kind(wrong()));
    }
    if replace.keys().any(|k| k != "keys" && k != "values") {
        return Err(Fault::value(wrong()));
    }
    let keys = map(replace.remove("keys").unwrap_or(Json::Null))?;
    let values = map(replace.remove("values").unwrap_or(Json::Null))?;
    let mut out = Map::new();
    for (key, value) in &input {
        let new_key = match keys.get(key) {
            None | Some(Json::Null) => key.clone(),
            Some(new) => {
                let new = python::str(new);
                if input.contains_key(&new) && new != *key {
                    let message = format!("key replacement {new} collides with a key in the input map");
                    return Err(Fault::value(message));
                }
                if out.contains_key(&new) {
                    let message = format!("key replacement {new} collides with a key in the output map");
                    return Err(Fault::value(message));
                }
                new
            }
        };
        let new_value = value.as_str().and_then(|v| values.get(v)).unwrap_or(value);
        out.insert(new_key, new_value.clone());
    }
    Ok(Json::Object(out))
}

pub(super) fn filter(name: &str, call: &Call, eval: &Eval<'_>) -> Result<Json> {
    let items = call.args.items().unwrap_or_default();
    let sequence = items.get(1).map_or(Ok(Json::Null), |s| eval.plain(s))?;
    if !python::truthy(&sequence) {
        return Ok(sequence);
    }
    let Json::Array(sequence) = sequence else {
        return Err(Fault::kind(format!("\"{name}\" only works with lists")));
    };
    let values = items.first().map_or(Ok(Json::Null), |s| eval.plain(s))?;
    match values {
        values if !python::truthy(&values) => Ok(Json::Array(sequence)),
        Json::Array(values) => {
            eval.charge(sequence.len().saturating_mul(values.len()) / 64)?;
            let keep = |item: &Json| !values.iter().any(|v| python::equal(v, item));
            Ok(Json::Array(sequence.into_iter().filter(keep).collect()))
        }
        _ => Err(Fault::kind(format!("\"{name}\" filters a list of values"))),
    }
}

pub(super) fn list_concat(name: &str, args: Json, unique: bool, eval: &Eval<'_>) -> Result<Json> {
    let Json::Array(lists) = &args else {
        return Err(Fault::kind(format!(
            "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ [ <value 1>, <value 2> ], [ <value 3>, <value 4> ] ]"
        )));
    };
    let mut out: Vec<Json> = Vec::new();
    for list in lists {
        match list {
            Json::Null => {}
            Json::Array(items) => {
                eval.charge(items.len())?;
                for item in items {
                    if unique {
                        eval.charge(out.len() / 64)?;
                    }
                    if !unique || !out.iter().any(|o| python::equal(o, item)) {
                        out.push(item.clone());
                    }
                }
            }
            other => {
                return Err(Fault::kind(format!(
                    "Incorrect arguments: Items to concat must be lists. {} contains an item that is not a list: {}",
                    python::dumps(&args, false),
                    python::dumps(other, false)
                )));
            }
        }
    }
    Ok(Json::Array(out))
}

pub(super) fn contains(name: &str, call: &Call, eval: &Eval<'_>) -> Result<Json> {
    let items = call.args.items().unwrap_or_default();
    let mut values = items.iter().map(|i| eval.plain(i));
    let value = values.next().transpose()?.unwrap_or(Json::Null);
    match (value, values.next().transpose()?.unwrap_or(Json::Null)) {
        (value, Json::Array(items)) => Ok(Json::Bool(items.iter().any(|i| python::equal(i, &value)))),
        (Json::String(part), Json::String(whole)) => Ok(Json::Bool(whole.contains(&part))),
        (value, Json::String(_)) => {
            let found = python::type_name(&value);
            Err(Fault::kind(format!("'in <string>' requires string as left operand, not {found}")))
        }
        _ => Err(Fault::kind(format!("Second argument to \"{name}\" should be a sequence."))),
    }
}

/// `Fn::Select`, of the oldest versions.
pub(super) fn select(name: &str, args: Json) -> Result<Json> {
    let wrong = || Fault::value(format!("Arguments to \"{name}\" must be of the form [index, collection]"));
    let Json::Array(args) = args else { return Err(wrong()) };
    let Ok([key, collection]) = <[Json; 2]>::try_from(args) else { return Err(wrong()) };
    let collection = match collection {
        Json::String(text) => serde_json::from_str(&text)
            .map_err(|_| Fault::value(format!("\"{name}\": \"{text}\" is not valid JSON")))?,
        other => other,
    };
    Ok(match collection {
        Json::Null => Json::String(String::new()),
        Json::Object(map) => {
            map.get(&python::str(&key)).cloned().unwrap_or_else(|| Json::String(String::new()))
        }
        Json::Array(items) => {
            let at = key.as_i64().or_else(|| key.as_str().and_then(python::int));
            let at = at.ok_or_else(|| Fault::kind(format!("Index to \"{name}\" must be an integer")))?;
            index(&items, at).cloned().unwrap_or_else(|| Json::String(String::new()))
        }
        _ => return Err(Fault::kind(format!("Arguments to {name} not fully resolved"))),
    })
}
