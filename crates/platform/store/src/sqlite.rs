//! SQLite: one writer thread with group commit, readers on connections of their own.
//!
//! ```text
//!   write(f) ─► channel ─► thread: BEGIN · SAVEPOINT f1 · SAVEPOINT f2 … · COMMIT ─► answers, nudges
//! ```
//! A closure that fails or panics is rolled back to its savepoint; its neighbours commit. An answer is
//! given after the commit, never before.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;
use pileus_base::{Error, Kind, Result};
use rusqlite::{Connection, OpenFlags, types::ValueRef};
use tokio::sync::oneshot;

use crate::{
    Read, Tx, schema,
    sql::{Arg, Cell, Sql},
    watch::Watchers,
};

/// Most transactions in one commit: bounds how long the first of them waits.
const GROUP_MAX: usize = 256;
/// Readers kept open.
const READERS_MAX: usize = 8;

type Run = Box<dyn FnMut(&mut Tx<'_>) -> Result<()> + Send>;
type Done = Box<dyn FnOnce(Result<()>) + Send>;

struct Work {
    run: Run,
    done: Done,
}

pub(crate) struct Sqlite {
    path: PathBuf,
    writer: mpsc::Sender<Work>,
    readers: Mutex<Vec<Connection>>,
}

impl Sqlite {
    pub(crate) fn open(path: PathBuf, durable: bool, watchers: Arc<Watchers>) -> Result<Self> {
        let mut connection = connect(&path, OpenFlags::default())?;
        let sync = if durable { "FULL" } else { "NORMAL" };
        for (name, value) in [("journal_mode", "WAL"), ("synchronous", sync), ("wal_autocheckpoint", "4000")]
        {
            connection
                .pragma_update(None, name, value)
                .map_err(|e| failed(format!("failed to open the store `{}`", path.display()), e))?;
        }
        schema::prepare(&mut Conn(&mut connection), "TEXT", "BLOB", " WITHOUT ROWID")?;
        let (writer, work) = mpsc::channel();
        std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_loop(connection, &work, &watchers))
            .map_err(|e| Error::wrap("failed to start the store's writer", e))?;
        Ok(Self { path, writer, readers: Mutex::default() })
    }

    pub(crate) async fn write<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let slot = Arc::new(Mutex::new(None));
        let filled = slot.clone();
        let work = Work {
            run: Box::new(move |tx| {
                *filled.lock() = Some(f(tx)?);
                Ok(())
            }),
            done: Box::new(move |end| {
                let value = slot.lock().take();
                let missing = || Error::internal("a transaction ended without its answer");
                // The caller may have gone; the transaction stands all the same.
                let _ = answer.send(end.and_then(|()| value.ok_or_else(missing)));
            }),
        };
        let stopped = || Error::unavailable("The store has stopped.");
        self.writer.send(work).map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }

    pub(crate) async fn read<T, F>(self: Arc<Self>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Read<'_>) -> Result<T> + Send + 'static,
    {
        let work = tokio::task::spawn_blocking(move || {
            let pooled = self.readers.lock().pop();
            let mut connection = match pooled {
                Some(c) => c,
                None => connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
            };
            let mut sql = Conn(&mut connection);
            sql.execute("BEGIN", &[])?;
            let answer = f(&mut Read::new(&mut sql));
            sql.execute("COMMIT", &[])?;
            let mut readers = self.readers.lock();
            if readers.len() < READERS_MAX {
                readers.push(connection);
            }
            answer
        });
        work.await.map_err(|e| Error::wrap("a read of the store was cut off", e))?
    }

    /// A copy of the database as it is at one moment, without stopping writers.
    pub(crate) async fn copy_to(self: Arc<Self>, to: PathBuf) -> Result<()> {
        let copied = tokio::task::spawn_blocking(move || {
            let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            let text = to.to_str().ok_or_else(|| Error::bad_request("the path is no text"))?;
            connection
                .execute("VACUUM INTO ?1", [text])
                .map_err(|e| failed(format!("failed to copy the store to `{}`", to.display()), e))?;
            Ok(())
        });
        copied.await.map_err(|e| Error::wrap("failed to copy the store", e))?
    }
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection> {
    let doing = || format!("failed to open the store `{}`", path.display());
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| failed(doing(), e))?;
    connection.busy_timeout(Duration::from_secs(10)).map_err(|e| failed(doing(), e))?;
    connection.set_prepared_statement_cache_capacity(256);
    Ok(connection)
}

fn write_loop(mut connection: Connection, work: &mpsc::Receiver<Work>, watchers: &Watchers) {
    while let Ok(first) = work.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX {
            match work.try_recv() {
                Ok(next) => group.push(next),
                Err(_) => break,
            }
        }
        let mut touched = BTreeSet::new();
        let ends = commit(&mut connection, &mut group, &mut touched);
        for (work, end) in group.into_iter().zip(ends) {
            (work.done)(end);
        }
        watchers.nudge(&touched);
    }
}

/// Runs a group in one transaction; each work's end. Where the commit fails, all failed.
fn commit(
    connection: &mut Connection,
    group: &mut [Work],
    touched: &mut BTreeSet<&'static str>,
) -> Vec<Result<()>> {
    let mut sql = Conn(connection);
    if let Err(e) = sql.execute("BEGIN IMMEDIATE", &[]) {
        return group.iter().map(|_| Err(e.clone())).collect();
    }
    let mut ends = Vec::with_capacity(group.len());
    for work in group.iter_mut() {
        ends.push(savepoint(&mut sql, &mut work.run, touched));
    }
    match sql.execute("COMMIT", &[]) {
        Ok(_) => ends,
        Err(e) => {
            touched.clear();
            // The transaction is gone either way; the commit's error is the one to tell.
            let _ = sql.execute("ROLLBACK", &[]);
            ends.into_iter().map(|end| end.and(Err(e.clone()))).collect()
        }
    }
}

fn savepoint(sql: &mut Conn<'_>, run: &mut Run, touched: &mut BTreeSet<&'static str>) -> Result<()> {
    sql.execute("SAVEPOINT one", &[])?;
    let mut mine = BTreeSet::new();
    let end = catch_unwind(AssertUnwindSafe(|| run(&mut Tx::new(sql, &mut mine))))
        .unwrap_or_else(|_| Err(Error::internal("a transaction panicked")));
    if end.is_err() {
        sql.execute("ROLLBACK TO one", &[])?;
    } else {
        touched.extend(mine);
    }
    sql.execute("RELEASE one", &[])?;
    end
}

/// Gives an engine's error its meaning: a full disk is not a defect.
fn failed(doing: String, e: rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DiskFull, SystemIoFailure};
    match e.sqlite_error_code() {
        Some(DiskFull) => {
            Error::new(Kind::Unavailable, "The disk that holds the cloud's state is full.").caused_by(e)
        }
        Some(SystemIoFailure) => {
            Error::new(Kind::Unavailable, "The disk that holds the cloud's state failed.").caused_by(e)
        }
        _ => Error::wrap(doing, e),
    }
}

struct Conn<'a>(&'a mut Connection);

impl rusqlite::ToSql for Arg<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput::Borrowed, ValueRef};
        Ok(Borrowed(match self {
            Arg::Text(t) | Arg::OptText(Some(t)) => ValueRef::Text(t.as_bytes()),
            Arg::OptText(None) => ValueRef::Null,
            Arg::Int(n) => ValueRef::Integer(*n),
            Arg::Blob(b) => ValueRef::Blob(b),
        }))
    }
}

impl Sql for Conn<'_> {
    fn query(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Vec<Cell>>> {
        let doing = || format!("failed to run `{sql}`");
        let mut statement = self.0.prepare_cached(sql).map_err(|e| failed(doing(), e))?;
        let width = statement.column_count();
        let rows = statement.query_map(rusqlite::params_from_iter(args), |row| {
            (0..width)
                .map(|n| {
                    Ok(match row.get_ref(n)? {
                        ValueRef::Integer(i) => Cell::Int(i),
                        ValueRef::Text(t) => Cell::Text(String::from_utf8_lossy(t).into_owned()),
                        _ => Cell::Null,
                    })
                })
                .collect()
        });
        rows.and_then(Iterator::collect).map_err(|e| failed(doing(), e))
    }

    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64> {
        let doing = || format!("failed to run `{sql}`");
        let mut statement = self.0.prepare_cached(sql).map_err(|e| failed(doing(), e))?;
        let done = statement.execute(rusqlite::params_from_iter(args)).map_err(|e| failed(doing(), e))?;
        Ok(done as u64)
    }
}
