//! What a closure can do inside a transaction: [`Read`] to look, [`Tx`] to change.

use std::{
    collections::BTreeSet,
    fmt::Display,
    ops::{Deref, DerefMut},
};

use pileus_base::{Error, Result, Scope, ids::ProjectId};

use crate::{
    Indexes, Query, Resource, Stored, Unique,
    sql::{Arg, Cell, Sql},
};

/// A unique key that another document holds: an ordinary answer, found with [`taken`].
#[derive(Debug, Clone, thiserror::Error)]
#[error("{name} {value} is held by {kind} {id}")]
pub struct Taken {
    /// The key's name, as given to [`Unique::claim`].
    pub name: String,
    /// The value that was wanted.
    pub value: String,
    /// The kind that holds it.
    pub kind: String,
    /// The id that holds it.
    pub id: String,
}

/// The taken key behind an error of [`Tx::insert`] or [`Tx::put`], if that is what it is.
pub fn taken(error: &Error) -> Option<&Taken> {
    std::error::Error::source(error)?.downcast_ref()
}

/// A snapshot.
pub struct Read<'a> {
    sql: &'a mut dyn Sql,
}

impl<'a> Read<'a> {
    pub(crate) fn new(sql: &'a mut dyn Sql) -> Self {
        Self { sql }
    }

    /// The document `id`, if it is there and `scope` covers it.
    pub fn find<T: Resource>(&mut self, scope: &Scope, id: impl Display) -> Result<Option<Stored<T>>> {
        let id = id.to_string();
        let sql = "SELECT revision, version, doc, project FROM resource WHERE kind = ?1 AND id = ?2";
        let mut rows = self.sql.query(sql, &[Arg::Text(T::KIND), Arg::Text(&id)])?;
        let Some(mut row) = rows.pop() else { return Ok(None) };
        let project = match row.pop() {
            Some(Cell::Text(p)) => Some(ProjectId::from(p)),
            _ => None,
        };
        if !scope.covers(project.as_ref()) {
            return Ok(None);
        }
        decode(row).map(Some)
    }

    /// The document `id`.
    ///
    /// # Errors
    /// [`Resource::not_found`] where it is not there or not covered by `scope`.
    pub fn get<T: Resource>(&mut self, scope: &Scope, id: impl Display) -> Result<Stored<T>> {
        let id = id.to_string();
        self.find(scope, &id)?.ok_or_else(|| T::not_found(&id))
    }

    /// The documents that `query` selects and `scope` covers.
    ///
    /// # Errors
    /// [`Resource::not_found`] where the query's marker is not there.
    pub fn list<T: Resource>(&mut self, scope: &Scope, query: &Query) -> Result<Vec<Stored<T>>> {
        if let Some(marker) = query.marker() {
            self.get::<T>(scope, marker)?;
        }
        let (sql, args) = query.sql("r.revision, r.version, r.doc", T::KIND, scope);
        self.sql.query(&sql, &args)?.into_iter().map(decode).collect()
    }

    /// The first document that `query` selects.
    pub fn first<T: Resource>(&mut self, scope: &Scope, query: Query) -> Result<Option<Stored<T>>> {
        Ok(self.list(scope, &query.limit(1))?.pop())
    }

    /// How many documents `query` selects.
    pub fn count<T: Resource>(&mut self, scope: &Scope, query: &Query) -> Result<usize> {
        let (sql, args) = query.sql("r.id", T::KIND, scope);
        Ok(self.sql.query(&sql, &args)?.len())
    }

    /// Who holds the unique key `name` = `value`: its kind and id.
    pub fn holder(&mut self, name: &str, value: impl Display) -> Result<Option<(String, String)>> {
        let value = value.to_string();
        let sql = "SELECT kind, id FROM unique_key WHERE name = ?1 AND val = ?2";
        let mut rows = self.sql.query(sql, &[Arg::Text(name), Arg::Text(&value)])?;
        let Some(mut row) = rows.pop() else { return Ok(None) };
        let (id, kind) = (row.pop(), row.pop());
        match (kind, id) {
            (Some(kind), Some(id)) => Ok(Some((kind.text()?, id.text()?))),
            _ => Ok(None),
        }
    }

    /// The counter `name` of `project`; 0 before its first use.
    pub fn counter(&mut self, name: &str, project: &ProjectId) -> Result<i64> {
        let sql = "SELECT value FROM counter WHERE name = ?1 AND project = ?2";
        let rows = self.sql.query(sql, &[Arg::Text(name), Arg::Text(project.as_str())])?;
        rows.first().map_or(Ok(0), |r| r[0].int())
    }
}

fn decode<T: Resource>(row: Vec<Cell>) -> Result<Stored<T>> {
    let mut row = row.into_iter();
    let mut next = || row.next().unwrap_or(Cell::Null);
    let (revision, version, doc) = (next().int()?, next().int()?, next().text()?);
    let broken = |e| Error::wrap(format!("failed to read a {} document", T::KIND), e);
    if version == i64::from(T::VERSION) {
        let value = serde_json::from_str(&doc).map_err(broken)?;
        return Ok(Stored { value, revision });
    }
    let old = u32::try_from(version).unwrap_or(u32::MAX);
    if old > T::VERSION {
        return Err(Error::internal(format!(
            "a {} document has version {old}, this program knows {}: use the newer pileus",
            T::KIND,
            T::VERSION
        )));
    }
    let doc = T::migrate(old, serde_json::from_str(&doc).map_err(broken)?)?;
    Ok(Stored { value: serde_json::from_value(doc).map_err(broken)?, revision })
}

/// A transaction.
pub struct Tx<'a> {
    read: Read<'a>,
    touched: &'a mut BTreeSet<&'static str>,
}

impl<'a> Deref for Tx<'a> {
    type Target = Read<'a>;
    fn deref(&self) -> &Read<'a> {
        &self.read
    }
}
impl<'a> DerefMut for Tx<'a> {
    fn deref_mut(&mut self) -> &mut Read<'a> {
        &mut self.read
    }
}

impl<'a> Tx<'a> {
    pub(crate) fn new(sql: &'a mut dyn Sql, touched: &'a mut BTreeSet<&'static str>) -> Self {
        Self { read: Read::new(sql), touched }
    }

    /// Adds a document.
    ///
    /// # Errors
    /// 409 where the id or a unique key is taken (see [`taken`]).
    pub fn insert<T: Resource>(&mut self, value: &T) -> Result<()> {
        let id = value.id();
        let doc = encode(value)?;
        let project = value.project().map(ProjectId::as_str);
        let done = self.read.sql.execute(
            "INSERT INTO resource (kind, id, project, revision, version, doc) VALUES (?1, ?2, ?3, 1, ?4, ?5) \
             ON CONFLICT (kind, id) DO NOTHING",
            &[
                Arg::Text(T::KIND),
                Arg::Text(&id),
                Arg::OptText(project),
                Arg::Int(i64::from(T::VERSION)),
                Arg::Text(&doc),
            ],
        )?;
        if done == 0 {
            return Err(held("id", &id, T::KIND, &id));
        }
        self.touched.insert(T::KIND);
        let (indexes, unique) = keys(value);
        self.claim(T::KIND, &id, &unique.0)?;
        self.index(T::KIND, &id, &indexes.0)
    }

    /// Replaces a document that was read before.
    ///
    /// # Errors
    /// 409 where it has changed since (a stale revision) or a unique key is taken; 404 where it is gone.
    pub fn put<T: Resource>(&mut self, doc: &Stored<T>) -> Result<()> {
        let id = doc.value.id();
        let old: Stored<T> = self.get(&Scope::All, &id)?;
        if old.revision != doc.revision {
            return Err(Error::conflict(format!("{} {id} has changed meanwhile.", T::KIND)).code("Stale"));
        }
        let text = encode(&doc.value)?;
        let project = doc.value.project().map(ProjectId::as_str);
        self.read.sql.execute(
            "UPDATE resource SET revision = revision + 1, version = ?3, doc = ?4, project = ?5 WHERE kind = ?1 AND id = ?2",
            &[
                Arg::Text(T::KIND),
                Arg::Text(&id),
                Arg::Int(i64::from(T::VERSION)),
                Arg::Text(&text),
                Arg::OptText(project),
            ],
        )?;
        self.touched.insert(T::KIND);
        let ((old_ix, old_unique), (new_ix, new_unique)) = (keys(&old.value), keys(&doc.value));
        if old_unique != new_unique {
            self.release(T::KIND, &id)?;
            self.claim(T::KIND, &id, &new_unique.0)?;
        }
        if old_ix != new_ix {
            self.unindex(T::KIND, &id)?;
            self.index(T::KIND, &id, &new_ix.0)?;
        }
        Ok(())
    }

    /// Reads a document, changes it with `f`, and writes it back.
    ///
    /// # Errors
    /// [`Resource::not_found`]; those of `f`; those of [`Tx::put`].
    pub fn update<T: Resource>(
        &mut self,
        scope: &Scope,
        id: impl Display,
        f: impl FnOnce(&mut T) -> Result<()>,
    ) -> Result<Stored<T>> {
        let mut doc: Stored<T> = self.get(scope, id)?;
        f(&mut doc.value)?;
        self.put(&doc)?;
        doc.revision += 1;
        Ok(doc)
    }

    /// Removes a document; whether it was there.
    pub fn delete<T: Resource>(&mut self, id: impl Display) -> Result<bool> {
        let id = id.to_string();
        let args = [Arg::Text(T::KIND), Arg::Text(&id)];
        let done = self.read.sql.execute("DELETE FROM resource WHERE kind = ?1 AND id = ?2", &args)?;
        self.release(T::KIND, &id)?;
        self.unindex(T::KIND, &id)?;
        self.touched.insert(T::KIND);
        Ok(done > 0)
    }

    /// Adds `delta` to the counter `name` of `project`; its new value. Never below 0.
    pub fn add(&mut self, name: &str, project: &ProjectId, delta: i64) -> Result<i64> {
        let value = (self.counter(name, project)? + delta).max(0);
        self.read.sql.execute(
            "INSERT INTO counter (name, project, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT (name, project) DO UPDATE SET value = excluded.value",
            &[Arg::Text(name), Arg::Text(project.as_str()), Arg::Int(value)],
        )?;
        Ok(value)
    }

    fn claim(&mut self, kind: &'static str, id: &str, keys: &[(&'static str, String)]) -> Result<()> {
        for (name, value) in keys {
            let done = self.read.sql.execute(
                "INSERT INTO unique_key (name, val, kind, id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name, val) DO NOTHING",
                &[Arg::Text(name), Arg::Text(value), Arg::Text(kind), Arg::Text(id)],
            )?;
            if done == 0 {
                let holder = self.holder(name, value)?;
                let (kind, id) = holder.unwrap_or_default();
                return Err(held(name, value, &kind, &id));
            }
        }
        Ok(())
    }

    fn release(&mut self, kind: &str, id: &str) -> Result<()> {
        let args = [Arg::Text(kind), Arg::Text(id)];
        self.read.sql.execute("DELETE FROM unique_key WHERE kind = ?1 AND id = ?2", &args).map(drop)
    }

    fn index(&mut self, kind: &str, id: &str, indexes: &[(&'static str, Vec<u8>)]) -> Result<()> {
        for (name, value) in indexes {
            self.read.sql.execute(
                "INSERT INTO resource_index (kind, name, val, id) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                &[Arg::Text(kind), Arg::Text(name), Arg::Blob(value), Arg::Text(id)],
            )?;
        }
        Ok(())
    }

    fn unindex(&mut self, kind: &str, id: &str) -> Result<()> {
        let args = [Arg::Text(kind), Arg::Text(id)];
        self.read.sql.execute("DELETE FROM resource_index WHERE kind = ?1 AND id = ?2", &args).map(drop)
    }
}

fn keys<T: Resource>(value: &T) -> (Indexes, Unique) {
    let (mut indexes, mut unique) = (Indexes::default(), Unique::default());
    value.indexes(&mut indexes);
    value.unique(&mut unique);
    (indexes, unique)
}

fn encode<T: Resource>(value: &T) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|e| Error::wrap(format!("failed to write a {} document", T::KIND), e))
}

fn held(name: &str, value: &str, kind: &str, id: &str) -> Error {
    let taken = Taken { name: name.into(), value: value.into(), kind: kind.into(), id: id.into() };
    Error::conflict(format!("{name} {value} is already in use.")).code("Taken").caused_by(taken)
}
