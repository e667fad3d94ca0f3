//! The tables, the same on both engines but for the names of types.

use pileus_base::{Error, Result};

use crate::sql::{Arg, Sql};

/// Raised when a table changes shape; older programs refuse a state that has a higher one.
const VERSION: i64 = 1;

/// Makes what is missing and checks the version.
pub(crate) fn prepare(sql: &mut dyn Sql, text: &str, blob: &str, tail: &str) -> Result<()> {
    for statement in [
        format!(
            "CREATE TABLE IF NOT EXISTS resource (kind {text} NOT NULL, id {text} NOT NULL, project {text}, \
             revision BIGINT NOT NULL, version BIGINT NOT NULL, doc {text} NOT NULL, PRIMARY KEY (kind, id)){tail}"
        ),
        format!(
            "CREATE TABLE IF NOT EXISTS resource_index (kind {text} NOT NULL, name {text} NOT NULL, val {blob} NOT NULL, \
             id {text} NOT NULL, PRIMARY KEY (kind, name, val, id)){tail}"
        ),
        "CREATE INDEX IF NOT EXISTS resource_index_owner ON resource_index (kind, id, name, val)".into(),
        "CREATE INDEX IF NOT EXISTS resource_project ON resource (kind, project, id)".into(),
        format!(
            "CREATE TABLE IF NOT EXISTS unique_key (name {text} NOT NULL, val {text} NOT NULL, kind {text} NOT NULL, \
             id {text} NOT NULL, PRIMARY KEY (name, val)){tail}"
        ),
        "CREATE INDEX IF NOT EXISTS unique_key_owner ON unique_key (kind, id)".into(),
        format!(
            "CREATE TABLE IF NOT EXISTS counter (name {text} NOT NULL, project {text} NOT NULL, value BIGINT NOT NULL, \
             PRIMARY KEY (name, project)){tail}"
        ),
    ] {
        sql.execute(&statement, &[])?;
    }
    let found = sql.query("SELECT value FROM counter WHERE name = 'schema' AND project = ''", &[])?;
    match found.first() {
        None => {
            sql.execute(
                "INSERT INTO counter (name, project, value) VALUES ('schema', '', ?1)",
                &[Arg::Int(VERSION)],
            )?;
        }
        Some(row) if row[0].int()? > VERSION => {
            return Err(Error::internal(format!(
                "the state was written by a newer pileus (schema {}, this program knows {VERSION}): use that version",
                row[0].int()?
            )));
        }
        Some(_) => {}
    }
    Ok(())
}
