//! An engine of its own for each test: a fresh SQLite file, or a fresh database in a PostgreSQL that the
//! test run starts on a unix socket below a temporary directory.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use pileus_store::{Location, Store};
use tempfile::TempDir;

/// A store and what keeps it alive; dropped at the end of the test.
pub struct Bench {
    pub store: Store,
    pub location: Location,
    _dir: TempDir,
    _server: Option<Server>,
}

pub async fn sqlite() -> Bench {
    let dir = TempDir::new().unwrap();
    let location = Location::Sqlite { path: dir.path().join("state.db"), durable: false };
    Bench { store: Store::open(location.clone()).await.unwrap(), location, _dir: dir, _server: None }
}

pub async fn postgres() -> Bench {
    let dir = TempDir::new().unwrap();
    let server = Server::start(dir.path());
    let location = Location::Postgres(server.url.clone());
    Bench { store: Store::open(location.clone()).await.unwrap(), location, _dir: dir, _server: Some(server) }
}

struct Server {
    child: Child,
    url: String,
}

/// Where Debian puts the server's programs.
fn bindir() -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed (scripts/setup)")
        .map(|e| e.unwrap().path().join("bin"))
        .filter(|p| p.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL's server is installed (scripts/setup)")
}

/// PostgreSQL refuses to run as root: there it runs as its package's user.
fn command(program: &Path, dir: &Path) -> Command {
    let root = std::fs::metadata("/proc/self").unwrap();
    if std::os::unix::fs::MetadataExt::uid(&root) == 0 {
        std::os::unix::fs::chown(dir, Some(postgres_uid()), None).unwrap();
        let mut c = Command::new("setpriv");
        c.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
        c.current_dir(dir);
        c
    } else {
        Command::new(program)
    }
}

fn postgres_uid() -> u32 {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = passwd.lines().find(|l| l.starts_with("postgres:")).expect("the user postgres exists");
    line.split(':').nth(2).unwrap().parse().unwrap()
}

impl Server {
    fn start(dir: &Path) -> Self {
        let data = dir.join("data");
        let made = command(&bindir().join("initdb"), dir)
            .args(["--no-sync", "--auth=trust", "--username=pileus", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let child = command(&bindir().join("postgres"), dir)
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "shared_buffers=16MB", "-k"])
            .arg(dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let url = format!("host={} user=pileus dbname=postgres", dir.display());
        let mut server = Self { child, url };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let socket = self.url.clone();
        let started = std::time::Instant::now();
        loop {
            let answered = std::thread::scope(|s| {
                s.spawn(|| postgres::Client::connect(&socket, postgres::NoTls).is_ok()).join().unwrap()
            });
            if answered {
                return;
            }
            assert!(self.child.try_wait().unwrap().is_none(), "PostgreSQL ended early");
            assert!(started.elapsed().as_secs() < 60, "PostgreSQL did not start in 60 s");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // setpriv execs, so the child is the server itself; SIGKILL is fine for data that goes away.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
