//! PostgreSQL: SERIALIZABLE transactions on the blocking pool, run again where they collide.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use pileus_base::{Error, Kind, Result};
use postgres::{
    Client, NoTls, Statement,
    error::SqlState,
    types::{ToSql, Type},
};

use crate::{
    Read, Tx, schema,
    sql::{Arg, Cell, Sql},
    watch::Watchers,
};

/// How often a transaction is run before its collisions are reported.
const TRIES_MAX: u32 = 100;
/// Connections kept open.
const IDLE_MAX: usize = 8;

pub(crate) struct Postgres {
    url: String,
    idle: Mutex<Vec<Conn>>,
    watchers: Arc<Watchers>,
}

impl Postgres {
    pub(crate) fn open(url: &str, watchers: Arc<Watchers>) -> Result<Self> {
        let this = Self { url: url.to_owned(), idle: Mutex::default(), watchers };
        let mut conn = this.connect()?;
        conn.batch("BEGIN")?;
        // Two daemons may make the tables at once; the lock ends with the transaction.
        conn.batch("SELECT pg_advisory_xact_lock(7302014)")?;
        schema::prepare(&mut conn, "TEXT COLLATE \"C\"", "BYTEA", "")?;
        conn.batch("COMMIT")?;
        this.give(conn);
        Ok(this)
    }

    fn connect(&self) -> Result<Conn> {
        let down = |e| Error::unavailable("The database can't be reached.").caused_by(Cause(e));
        let mut config: postgres::Config = self.url.parse().map_err(down)?;
        config.connect_timeout(Duration::from_secs(10));
        let mut client = config.connect(NoTls).map_err(down)?;
        let session = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE; \
                       SET client_min_messages = warning";
        client.batch_execute(session).map_err(down)?;
        Ok(Conn { client, statements: HashMap::new(), collided: false })
    }

    fn take(&self) -> Result<Conn> {
        let idle = self.idle.lock().pop();
        match idle {
            Some(conn) if !conn.client.is_closed() => Ok(conn),
            _ => self.connect(),
        }
    }

    fn give(&self, conn: Conn) {
        let mut idle = self.idle.lock();
        if idle.len() < IDLE_MAX && !conn.client.is_closed() {
            idle.push(conn);
        }
    }

    pub(crate) async fn write<T, F>(self: Arc<Self>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Tx<'_>) -> Result<T> + Send + 'static,
    {
        let work = tokio::task::spawn_blocking(move || {
            let mut conn = self.take()?;
            for _ in 0..TRIES_MAX {
                conn.collided = false;
                let mut touched = BTreeSet::new();
                conn.batch("BEGIN")?;
                let mut answer = f(&mut Tx::new(&mut conn, &mut touched));
                if answer.is_ok() {
                    answer = conn.batch("COMMIT").and(answer);
                }
                if answer.is_err() {
                    conn.batch("ROLLBACK")?;
                }
                if !conn.collided {
                    self.give(conn);
                    if answer.is_ok() {
                        self.watchers.nudge(&touched);
                    }
                    return answer;
                }
            }
            Err(Error::unavailable("The database is too busy: a transaction collided again and again."))
        });
        work.await.map_err(|e| Error::wrap("a transaction was cut off", e))?
    }

    pub(crate) async fn read<T, F>(self: Arc<Self>, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Read<'_>) -> Result<T> + Send + 'static,
    {
        let work = tokio::task::spawn_blocking(move || {
            let mut conn = self.take()?;
            conn.batch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
            let answer = f(&mut Read::new(&mut conn));
            conn.batch("ROLLBACK")?;
            self.give(conn);
            answer
        });
        work.await.map_err(|e| Error::wrap("a read of the store was cut off", e))?
    }
}

impl Drop for Postgres {
    /// The client blocks when it closes, which an async caller must not.
    fn drop(&mut self) {
        let idle = std::mem::take(&mut *self.idle.lock());
        std::thread::spawn(move || drop(idle));
    }
}

/// PostgreSQL's error prints its own cause; this keeps the chain from saying it twice.
#[derive(Debug)]
struct Cause(postgres::Error);

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.as_db_error() {
            Some(db) => write!(f, "{}", db.message()),
            None => write!(f, "{}", self.0),
        }
    }
}
impl std::error::Error for Cause {}

struct Conn {
    client: Client,
    statements: HashMap<String, Statement>,
    collided: bool,
}

impl Conn {
    fn batch(&mut self, sql: &str) -> Result<()> {
        let end = self.client.batch_execute(sql);
        end.map_err(|e| self.failed(sql, e))
    }

    fn failed(&mut self, sql: &str, e: postgres::Error) -> Error {
        let code = e.code();
        self.collided |= code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
            || code == Some(&SqlState::T_R_DEADLOCK_DETECTED);
        if code == Some(&SqlState::DISK_FULL) {
            return Error::new(Kind::Unavailable, "The database's disk is full.").caused_by(Cause(e));
        }
        Error::wrap(format!("failed to run `{sql}`"), Cause(e))
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let statement = self.client.prepare(&sql.replace('?', "$")).map_err(|e| self.failed(sql, e))?;
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn params<'a>(args: &'a [Arg<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    args.iter()
        .map(|a| match a {
            Arg::Text(t) => t as &(dyn ToSql + Sync),
            Arg::OptText(t) => t,
            Arg::Int(n) => n,
            Arg::Blob(b) => b,
        })
        .collect()
}

impl Sql for Conn {
    fn query(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<Vec<Vec<Cell>>> {
        let statement = self.prepare(sql)?;
        let rows = self.client.query(&statement, &params(args)).map_err(|e| self.failed(sql, e))?;
        let cell = |row: &postgres::Row, n: usize| -> Result<Cell, postgres::Error> {
            Ok(if *row.columns()[n].type_() == Type::INT8 {
                row.try_get::<_, Option<i64>>(n)?.map_or(Cell::Null, Cell::Int)
            } else {
                row.try_get::<_, Option<String>>(n)?.map_or(Cell::Null, Cell::Text)
            })
        };
        let read = |row: &postgres::Row| (0..row.len()).map(|n| cell(row, n)).collect();
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|e| self.failed(sql, e))
    }

    fn execute(&mut self, sql: &str, args: &[Arg<'_>]) -> Result<u64> {
        let statement = self.prepare(sql)?;
        self.client.execute(&statement, &params(args)).map_err(|e| self.failed(sql, e))
    }
}
