//! Lists by OpenStack's rules: `sort_key`/`sort_dir` or `sort=key:dir`, `limit`, `marker`, `page_reverse`.
//!
//! For resources whose lists a store query can't narrow far enough, [`Listing::apply`] does it over views
//! (JSON objects) in memory, with the same outcome.

use std::cmp::Ordering;

use pileus_base::{Error, Result};
use serde_json::Value;

use crate::Params;

/// One sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sort {
    /// The attribute.
    pub key: String,
    /// Largest first.
    pub descending: bool,
}

/// What a list request asks for besides its filters.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// In order of weight.
    pub sort: Vec<Sort>,
    /// At most so many; `None` for all.
    pub limit: Option<usize>,
    /// Only what comes after this id.
    pub marker: Option<String>,
    /// Before the marker rather than after it (Neutron).
    pub reverse: bool,
}

impl Listing {
    /// Reads `query`. `keys` are the attributes that may be sorted by, the first two words of the error
    /// otherwise; `max` bounds the limit; `default` directions hold where none is given.
    ///
    /// # Errors
    /// 400 that names the parameter.
    pub fn parse(query: &Params, keys: &[&str], default: (&str, bool), max: usize) -> Result<Self> {
        let mut sort = Vec::new();
        let descending = |dir: &str| match dir {
            "asc" => Ok(false),
            "desc" => Ok(true),
            other => Err(Error::bad_request(format!(
                "Unknown sort direction, must be one of: asc, desc. Got '{other}'."
            ))),
        };
        let dirs: Vec<&str> = query.all("sort_dir").collect();
        for (n, key) in query.all("sort_key").enumerate() {
            let dir = dirs.get(n).or(dirs.last()).map_or(Ok(default.1), |d| descending(d))?;
            sort.push(Sort { key: key.to_owned(), descending: dir });
        }
        for part in query.all("sort").flat_map(|s| s.split(',')).filter(|p| !p.is_empty()) {
            let (key, dir) = part.split_once(':').unwrap_or((part, "asc"));
            sort.push(Sort { key: key.trim().to_owned(), descending: descending(dir.trim())? });
        }
        if let Some(bad) = sort.iter().find(|s| !keys.is_empty() && !keys.contains(&s.key.as_str())) {
            return Err(Error::bad_request(format!("Invalid sort key '{}'.", bad.key)));
        }
        if sort.is_empty() && !default.0.is_empty() {
            sort.push(Sort { key: default.0.to_owned(), descending: default.1 });
        }
        let limit = match query.get("limit") {
            None => None,
            Some(text) => Some(text.parse::<usize>().map_err(|_| {
                Error::bad_request(format!("limit param must be a non-negative integer, got '{text}'."))
            })?),
        };
        let limit = limit.map(|n| n.min(max)).or(if max == usize::MAX { None } else { Some(max) });
        let marker = query.get("marker").filter(|m| !m.is_empty()).map(str::to_owned);
        Ok(Self { sort, limit, marker, reverse: query.flag("page_reverse") == Some(true) })
    }

    /// Sorts, cuts at the marker, and takes the limit; whether more would follow.
    ///
    /// # Errors
    /// 400 where the marker isn't among the items.
    pub fn apply(&self, mut items: Vec<Value>) -> Result<(Vec<Value>, bool)> {
        items.sort_by(|a, b| self.compare(a, b));
        if self.reverse {
            items.reverse();
        }
        if let Some(marker) = &self.marker {
            let at = items.iter().position(|i| i["id"].as_str() == Some(marker));
            let at = at.ok_or_else(|| Error::bad_request(format!("marker [{marker}] not found")))?;
            items.drain(..=at);
        }
        let limit = self.limit.unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        if self.reverse {
            items.reverse();
        }
        Ok((items, more))
    }

    fn compare(&self, a: &Value, b: &Value) -> Ordering {
        for Sort { key, descending } in &self.sort {
            let order = order(&a[key.as_str()], &b[key.as_str()]);
            let order = if *descending { order.reverse() } else { order };
            if order != Ordering::Equal {
                return order;
            }
        }
        let last = self.sort.last().is_some_and(|s| s.descending);
        let order = order(&a["id"], &b["id"]);
        if last { order.reverse() } else { order }
    }
}

/// Nulls first, then booleans, numbers, text.
fn order(a: &Value, b: &Value) -> Ordering {
    let rank = |v: &Value| match v {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        _ => 4,
    };
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
        }
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ids(items: &[Value]) -> String {
        items.iter().map(|i| i["id"].as_str().unwrap()).collect()
    }

    #[test]
    fn pages_by_two_keys() {
        let items: Vec<_> =
            [("a", 2), ("b", 1), ("c", 2), ("d", 3)].map(|(id, n)| json!({"id": id, "n": n})).into();
        let list = |query: &str| {
            let query = Params::parse(Some(query)).unwrap();
            let listing = Listing::parse(&query, &["n", "id"], ("id", false), 1000)?;
            listing.apply(items.clone()).map(|(i, more)| (ids(&i), more))
        };
        assert_eq!(list("").unwrap(), ("abcd".into(), false));
        assert_eq!(list("sort_key=n&sort_dir=desc&sort_key=id&sort_dir=asc").unwrap().0, "dacb");
        assert_eq!(list("sort=n:desc,id:asc&limit=2&marker=d").unwrap(), ("ac".into(), true));
        assert_eq!(list("marker=c&limit=1&page_reverse=True").unwrap(), ("b".into(), true));
        assert_eq!(list("limit=0").unwrap(), ("".into(), true));
        for bad in ["limit=-1", "limit=x", "marker=zz", "sort_key=q", "sort=n:up"] {
            assert!(list(bad).is_err(), "{bad}");
        }
    }
}
