//! Set operations on lists. Of whole numbers, in the order of the reference's sets ([`super::pyset`]); of other
//! things (whose order is random there) in the order of the first.

use super::Plain;
use super::pyset::IntSet;
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("difference", difference),
    ("intersect", intersect),
    ("symmetric_difference", symmetric_difference),
    ("union", union),
];

/// What is in a list, found quickly where it can be hashed.
struct Members {
    hashed: std::collections::HashSet<Value>,
    others: Vec<Value>,
}

impl Members {
    fn new() -> Self {
        Self { hashed: std::collections::HashSet::new(), others: Vec::new() }
    }
    fn of(items: &[Value]) -> Self {
        let mut m = Self::new();
        for v in items {
            m.add(v);
        }
        m
    }
    /// Whether it was not there yet.
    fn add(&mut self, v: &Value) -> bool {
        if v.check_hashable().is_ok() {
            return self.hashed.insert(v.clone());
        }
        let fresh = !self.others.contains(v);
        if fresh {
            self.others.push(v.clone());
        }
        fresh
    }
    fn has(&self, v: &Value) -> bool {
        if v.check_hashable().is_ok() { self.hashed.contains(v) } else { self.others.contains(v) }
    }
}

fn both(state: &State<'_>, a: Args, name: &str) -> Result<(Vec<Value>, Vec<Value>), Error> {
    let b = a.bind(name, &["a", "b"], 2)?;
    Ok((state.items(&b.get(0))?, state.items(&b.get(1))?))
}

fn distinct(items: impl Iterator<Item = Value>) -> Value {
    let mut seen = Members::new();
    Value::list(items.filter(|v| seen.add(v)).collect())
}

fn union(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let (a, b) = both(state, a, "union")?;
    if let (Some(a), Some(b)) = (IntSet::of(&a), IntSet::of(&b)) {
        return Ok(a.or(&b).to_list());
    }
    Ok(distinct(a.into_iter().chain(b)))
}

fn intersect(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let (a, b) = both(state, a, "intersect")?;
    if let (Some(a), Some(b)) = (IntSet::of(&a), IntSet::of(&b)) {
        return Ok(a.and(&b).to_list());
    }
    let b = Members::of(&b);
    Ok(distinct(a.into_iter().filter(|v| b.has(v))))
}

fn difference(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let (a, b) = both(state, a, "difference")?;
    if let (Some(a), Some(b)) = (IntSet::of(&a), IntSet::of(&b)) {
        return Ok(a.minus(&b).to_list());
    }
    let b = Members::of(&b);
    Ok(distinct(a.into_iter().filter(|v| !b.has(v))))
}

fn symmetric_difference(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let (a, b) = both(state, a, "symmetric_difference")?;
    if let (Some(a), Some(b)) = (IntSet::of(&a), IntSet::of(&b)) {
        return Ok(a.xor(&b).to_list());
    }
    let (in_a, in_b) = (Members::of(&a), Members::of(&b));
    Ok(distinct(a.into_iter().chain(b).filter(|v| in_a.has(v) != in_b.has(v))))
}
