//! Filters on sequences.

use super::{Plain, sequence};
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("batch", batch),
    ("combinations", combinations),
    ("count", length),
    ("first", first),
    ("flatten", flatten),
    ("join", join),
    ("last", last),
    ("length", length),
    ("list", list),
    ("permutations", permutations),
    ("product", product),
    ("reverse", reverse),
    ("slice", slice),
    ("zip", |s, a| zip(s, a, false)),
    ("zip_longest", |s, a| zip(s, a, true)),
    ("extract", extract),
];

fn length(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::Int(i64::try_from(a.first().len()?).unwrap_or(i64::MAX)))
}

fn list(state: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::list(state.items(&a.first())?))
}

fn first(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let items = a.first().iter()?.next();
    Ok(items.map_or_else(|| Value::undefined_hint("No first item, sequence was empty."), |v| state.read(v)))
}

fn last(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let items = a.first().to_vec()?;
    Ok(items
        .into_iter()
        .last()
        .map_or_else(|| Value::undefined_hint("No last item, sequence was empty."), |v| state.read(v)))
}

fn reverse(state: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(match a.first() {
        Value::Str(s) => Value::str(s.chars().rev().collect::<String>()),
        v => Value::list(
            state
                .items(&v)
                .map_err(|_| Error::runtime("argument must be iterable"))?
                .into_iter()
                .rev()
                .collect(),
        ),
    })
}

fn join(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("sync_do_join", &["value", "d", "attribute"], 1)?;
    let d = b.text(1, "")?;
    let mut out = String::new();
    for (i, v) in state.items(&b.get(0))?.into_iter().enumerate() {
        if i > 0 {
            out.push_str(&d);
        }
        match b.opt(2) {
            None | Some(Value::None) => v.write_text(&mut out)?,
            Some(by) => super::select::attribute(state, &v, by, None)?.write_text(&mut out)?,
        }
    }
    Ok(Value::str(out))
}

fn batch(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("do_batch", &["value", "linecount", "fill_with"], 2)?;
    let n = usize::try_from(b.int(1, 1)?).unwrap_or(1).max(1);
    let items = state.items(&b.get(0))?;
    let out = items.chunks(n).map(|c| {
        let mut c = c.to_vec();
        if let Some(fill) = b.opt(2).filter(|f| !f.is_none()) {
            c.resize(n, fill.clone());
        }
        Value::list(c)
    });
    Ok(Value::list(out.collect()))
}

fn slice(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("sync_do_slice", &["value", "slices", "fill_with"], 2)?;
    let items = state.items(&b.get(0))?;
    let n = usize::try_from(b.int(1, 1)?).unwrap_or(1).max(1);
    let (each, extra) = (items.len() / n, items.len() % n);
    let mut at = 0;
    let mut out = Vec::new();
    for i in 0..n {
        let take = each + usize::from(i < extra);
        let mut part = items[at..at + take].to_vec();
        at += take;
        if i >= extra
            && extra > 0
            && let Some(fill) = b.opt(2).filter(|f| !f.is_none())
        {
            part.push(fill.clone());
        }
        out.push(Value::list(part));
    }
    Ok(Value::list(out))
}

fn flatten(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("flatten", &["mylist", "levels", "skip_nulls"], 1)?;
    let levels = match b.opt(1) {
        None | Some(Value::None) => None,
        Some(_) => Some(b.int(1, 0)?),
    };
    let skip = b.truth(2, true)?;
    fn go(
        state: &State<'_>,
        items: Vec<Value>,
        levels: Option<i64>,
        skip: bool,
        depth: u32,
        out: &mut Vec<Value>,
    ) -> Result<(), Error> {
        if depth > 200 {
            return Err(Error::runtime("maximum recursion depth exceeded"));
        }
        for v in items {
            if skip && (v.is_none() || matches!(v.as_str(), Some("None" | "null"))) {
                continue;
            }
            match sequence(&v) {
                Some(_) if levels.is_none_or(|l| l >= 1) => {
                    go(state, state.items(&v)?, levels.map(|l| l - 1), skip, depth + 1, out)?;
                }
                _ => out.push(v),
            }
        }
        Ok(())
    }
    let mut out = Vec::new();
    go(state, state.items(&b.get(0))?, levels, skip, 0, &mut out)?;
    Ok(Value::list(out))
}

fn zip(state: &State<'_>, mut a: Args, longest: bool) -> Result<Value, Error> {
    let fill = a.take_named("fillvalue").unwrap_or_default();
    let lists: Result<Vec<Vec<Value>>, Error> = a.pos.iter().map(|v| state.items(v)).collect();
    let lists = lists?;
    let sizes = lists.iter().map(Vec::len);
    let n = if longest { sizes.max() } else { sizes.min() }.unwrap_or(0);
    Ok(Value::list(
        (0..n)
            .map(|i| Value::tuple(lists.iter().map(|l| l.get(i).unwrap_or(&fill).clone()).collect()))
            .collect(),
    ))
}

const MOST: usize = 1_000_000;

fn checked(n: Option<usize>) -> Result<(), Error> {
    match n {
        Some(n) if n <= MOST => Ok(()),
        _ => Err(Error::limit(format!("the result would have more than {MOST} items"))),
    }
}

fn product(state: &State<'_>, mut a: Args) -> Result<Value, Error> {
    let repeat =
        a.take_named("repeat").and_then(|v| v.as_int()).and_then(|n| usize::try_from(n).ok()).unwrap_or(1);
    let lists: Result<Vec<Vec<Value>>, Error> = a.pos.iter().map(|v| state.items(v)).collect();
    let lists = lists?;
    let mut out: Vec<Vec<Value>> = vec![Vec::new()];
    for list in (0..repeat).flat_map(|_| lists.iter()) {
        checked(out.len().checked_mul(list.len()))?;
        out = out
            .iter()
            .flat_map(|head| list.iter().map(move |v| [head.as_slice(), std::slice::from_ref(v)].concat()))
            .collect();
    }
    Ok(Value::list(out.into_iter().map(Value::tuple).collect()))
}

/// The ways to take `n` of `len` indices, in Python's order.
fn choices(len: usize, n: usize, ordered: bool) -> Result<Vec<Vec<usize>>, Error> {
    let mut out: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..n {
        let mut next = Vec::new();
        for head in &out {
            let from = if ordered { 0 } else { head.last().map_or(0, |l| l + 1) };
            for i in (from..len).filter(|i| !head.contains(i)) {
                let mut one = head.clone();
                one.push(i);
                next.push(one);
            }
            checked(Some(next.len()))?;
        }
        out = next;
    }
    Ok(out)
}

fn combinations(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("combinations", &["iterable", "r"], 2)?;
    pick(state, &b.get(0), usize::try_from(b.int(1, 0)?).unwrap_or(0), false)
}

fn permutations(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("permutations", &["iterable", "r"], 1)?;
    let n = match b.opt(1) {
        None | Some(Value::None) => b.get(0).len()?,
        Some(_) => usize::try_from(b.int(1, 0)?).unwrap_or(0),
    };
    pick(state, &b.get(0), n, true)
}

fn pick(state: &State<'_>, v: &Value, n: usize, ordered: bool) -> Result<Value, Error> {
    let items = state.items(v)?;
    let all = choices(items.len(), n, ordered)?;
    Ok(Value::list(
        all.into_iter().map(|c| Value::tuple(c.into_iter().map(|i| items[i].clone()).collect())).collect(),
    ))
}

fn extract(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let b = a.bind("extract", &["item", "container", "morekeys"], 2)?;
    let mut now = state.item(&b.get(1), &b.get(0))?;
    match b.opt(2) {
        None | Some(Value::None) => {}
        Some(more) => {
            for k in sequence(more).unwrap_or_else(|| vec![more.clone()]) {
                now = state.item(&now, &k)?;
            }
        }
    }
    Ok(now)
}
