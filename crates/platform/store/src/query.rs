//! What a list asks for, and the SQL that it becomes.

use std::fmt::Display;

use pileus_base::{Scope, Time};

use crate::{
    resource::{key_int, key_text},
    sql::Arg,
};

/// Which way a sort runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// A selection over declared indexes. All conditions must hold.
#[derive(Debug, Clone, Default)]
pub struct Query {
    any: Vec<(&'static str, Vec<Vec<u8>>)>,
    sort: Vec<(&'static str, Direction)>,
    after: Option<String>,
    limit: Option<usize>,
}

impl Query {
    /// Everything of the kind that the scope covers, in order of id.
    pub fn all() -> Self {
        Self::default()
    }
    /// Those whose index `name` is `value`.
    pub fn by(name: &'static str, value: impl Display) -> Self {
        Self::all().eq(name, value)
    }
    /// And whose text index `name` is `value`.
    pub fn eq(self, name: &'static str, value: impl Display) -> Self {
        self.any(name, [value])
    }
    /// And whose text index `name` is one of `values`.
    pub fn any(mut self, name: &'static str, values: impl IntoIterator<Item = impl Display>) -> Self {
        self.any.push((name, values.into_iter().map(|v| key_text(&v.to_string())).collect()));
        self
    }
    /// And whose integer index `name` is `value`.
    pub fn eq_int(mut self, name: &'static str, value: i64) -> Self {
        self.any.push((name, vec![key_int(value)]));
        self
    }
    /// And whose time index `name` is `value`.
    pub fn eq_time(self, name: &'static str, value: Time) -> Self {
        self.eq_int(name, value.0)
    }
    /// Sorted by index `name`, ascending; then by what was asked before it. Documents without it drop out.
    pub fn sort(self, name: &'static str) -> Self {
        self.sort_by(name, Direction::Asc)
    }
    /// Sorted by index `name` in `direction`. Every order ends in the id.
    pub fn sort_by(mut self, name: &'static str, direction: Direction) -> Self {
        self.sort.push((name, direction));
        self
    }
    /// Only what comes after the document `id` in this order.
    pub fn after(mut self, id: impl Display) -> Self {
        self.after = Some(id.to_string());
        self
    }
    /// At most `n`.
    pub fn limit(mut self, n: usize) -> Self {
        self.limit = Some(n);
        self
    }
    pub(crate) fn marker(&self) -> Option<&str> {
        self.after.as_deref()
    }

    /// The statement and its arguments. `columns` is what to select of the row `r`.
    pub(crate) fn sql<'a>(
        &'a self,
        columns: &str,
        kind: &'a str,
        scope: &'a Scope,
    ) -> (String, Vec<Arg<'a>>) {
        let mut args = vec![Arg::Text(kind)];
        let (mut joins, mut wheres, mut order) = (String::new(), String::from("r.kind = ?1"), String::new());
        let arg = |a: Arg<'a>, args: &mut Vec<Arg<'a>>| {
            args.push(a);
            format!("?{}", args.len())
        };
        if let Scope::Project(p) = scope {
            wheres += &format!(" AND r.project = {}", arg(Arg::Text(p.as_str()), &mut args));
        }
        for (n, (name, values)) in self.any.iter().enumerate() {
            if values.is_empty() {
                wheres += " AND 1 = 0";
                continue;
            }
            let name = arg(Arg::Text(name), &mut args);
            let list: Vec<_> = values.iter().map(|v| arg(Arg::Blob(v), &mut args)).collect();
            if values.len() == 1 {
                joins += &format!(
                    " JOIN resource_index f{n} ON f{n}.kind = r.kind AND f{n}.id = r.id AND f{n}.name = {name} AND f{n}.val = {}",
                    list[0]
                );
            } else {
                wheres += &format!(
                    " AND r.id IN (SELECT id FROM resource_index WHERE kind = ?1 AND name = {name} AND val IN ({}))",
                    list.join(", ")
                );
            }
        }
        let mut last = Direction::Asc;
        let mut keys = Vec::new();
        for (n, (name, direction)) in self.sort.iter().enumerate() {
            let name = arg(Arg::Text(name), &mut args);
            joins += &format!(
                " JOIN resource_index s{n} ON s{n}.kind = r.kind AND s{n}.id = r.id AND s{n}.name = {name}"
            );
            last = *direction;
            keys.push((format!("s{n}.val"), *direction, Some(name)));
        }
        // The id by its index row: ordered by `r.id`, SQLite would walk every document of the kind instead.
        let single = self.any.iter().position(|(_, values)| values.len() == 1);
        let id = match (self.sort.len(), single) {
            (1.., _) => "s0.id".to_owned(),
            (0, Some(n)) => format!("f{n}.id"),
            (0, None) => "r.id".to_owned(),
        };
        keys.push((id, last, None));
        if let Some(marker) = &self.after {
            let id = arg(Arg::Text(marker), &mut args);
            wheres += &format!(" AND ({})", after(&keys, &id));
        }
        for (column, direction, _) in &keys {
            order += if order.is_empty() { " ORDER BY " } else { ", " };
            order += column;
            order += if *direction == Direction::Asc { " ASC" } else { " DESC" };
        }
        let mut sql = format!("SELECT {columns} FROM resource r{joins} WHERE {wheres}{order}");
        if let Some(n) = self.limit {
            sql += &format!(" LIMIT {}", arg(Arg::Int(i64::try_from(n).unwrap_or(i64::MAX)), &mut args));
        }
        (sql, args)
    }
}

/// `(a > A) OR (a = A AND b > B) OR …`, the marker's own values read by a subquery.
fn after(keys: &[(String, Direction, Option<String>)], id: &str) -> String {
    let value = |name: &Option<String>| match name {
        Some(name) => {
            format!("(SELECT val FROM resource_index WHERE kind = ?1 AND name = {name} AND id = {id})")
        }
        None => id.to_owned(),
    };
    let mut terms = Vec::new();
    for n in 0..keys.len() {
        let mut term: Vec<_> =
            keys[..n].iter().map(|(c, _, name)| format!("{c} = {}", value(name))).collect();
        let (column, direction, name) = &keys[n];
        let op = if *direction == Direction::Asc { ">" } else { "<" };
        term.push(format!("{column} {op} {}", value(name)));
        terms.push(format!("({})", term.join(" AND ")));
    }
    terms.join(" OR ")
}
