//! `pileus backup`: everything the cloud keeps, as one tar stream made by the running daemon.
//!
//! ```text
//!   pileus-backup.json   what it is: format, version, when
//!   state.db             the store at one moment (VACUUM INTO)
//!   …                    keys, clouds.yaml, certificates, images, prepared bases
//!   disks/<server>/…     each copied while its server is paused, so that it is of one moment
//!   pileus-backup.end    the last entry: without it a backup is not whole
//! ```

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::BodyExt;
use pileus_base::{Error, Result};
use pileus_host::Power;
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::{runtime::Handle, sync::mpsc};

use crate::{
    cli::BackupArgs,
    control::{self, Asked, Parts, block_on},
    progress::Progress,
};

/// The first entry.
pub const MANIFEST: &str = "pileus-backup.json";
/// The last entry.
pub const END: &str = "pileus-backup.end";
/// The format's number; a reader refuses a newer one.
pub const FORMAT: u64 = 1;
/// What of the state directory belongs to a daemon or a guest that runs, not to the cloud.
const LEFT_OUT: [&str; 12] = [
    "state.db",
    "state.db-wal",
    "state.db-shm",
    "pileus.sock",
    "docker.sock",
    "libvirt-sock",
    "lock",
    "instance",
    "netns",
    "guests",
    "sim-guests",
    "disks",
];
const CHUNK: usize = 256 * 1024;

/// Writes a backup of the running cloud.
pub fn run(state_dir: &Path, args: &BackupArgs) -> anyhow::Result<()> {
    let to_stdout = args.file == Path::new("-");
    if !to_stdout && args.file.exists() {
        bail!("`{}` is there already: remove it, or give another name", args.file.display());
    }
    let failed = || format!("failed to write `{}`", args.file.display());
    let draft = PathBuf::from(format!("{}.part", args.file.display()));
    let mut out: Box<dyn Write> = if to_stdout {
        Box::new(io::stdout().lock())
    } else {
        let file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft);
        Box::new(file.with_context(failed)?)
    };
    let body = json!({"disks": !args.without_disks});
    let copied = block_on(async {
        let mut body = control::download(state_dir, "/backup", &body).await?;
        let mut progress = Progress::new("backup", None);
        let mut tail = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.context("the daemon broke off; see its log")?.into_data() else { continue };
            out.write_all(&bytes).with_context(failed)?;
            progress.add(bytes.len() as u64);
            tail.extend_from_slice(&bytes);
            tail.drain(..tail.len().saturating_sub(4096));
        }
        if !tail.windows(END.len()).any(|w| w == END.as_bytes()) {
            bail!("the backup is not whole: see the daemon's log");
        }
        out.flush().with_context(failed)
    });
    if to_stdout {
        return copied;
    }
    if let Err(e) = copied {
        // Half a backup is none.
        let _ = fs::remove_file(&draft);
        return Err(e);
    }
    fs::File::open(&draft).and_then(|f| f.sync_all()).with_context(failed)?;
    fs::rename(&draft, &args.file).with_context(failed)?;
    println!("{} (it holds every secret of this cloud)", args.file.display());
    Ok(())
}

/// The daemon's part.
pub async fn serve(mut call: Asked) -> Result<Reply> {
    let asked: Value = call.value().await?;
    let parts = call.state.clone();
    let copy = parts.state_dir.join("backup.db");
    remove(&copy)?;
    parts.store.copy_to(copy.clone()).await?;
    let (tx, rx) = mpsc::channel(4);
    let runtime = Handle::current();
    let disks = asked["disks"] != false;
    tokio::task::spawn_blocking(move || {
        let sent = write(&parts, &copy, disks, Chunks { tx: tx.clone(), buffer: Vec::new() }, &runtime);
        let removed = remove(&copy);
        if let Err(e) = sent.and(removed) {
            tracing::error!(error = e.chain(), "a backup failed");
            // Breaks the stream off, so that the reader sees it is not whole.
            let _ = tx.blocking_send(Err(io::Error::other("the backup failed")));
        }
    });
    let stream = futures_util::stream::unfold(rx, |mut rx| async move { rx.recv().await.map(|c| (c, rx)) });
    Ok(Reply::stream(200, "application/x-tar", Body::stream(stream, None)))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::wrap(format!("failed to remove `{}`", path.display()), e))
        }
        _ => Ok(()),
    }
}

/// A writer into a response's body.
struct Chunks {
    tx: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Chunks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.flush()?;
        }
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        let chunk = std::mem::take(&mut self.buffer);
        self.tx.blocking_send(Ok(chunk.into())).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

fn write(parts: &Parts, copy: &Path, disks: bool, out: Chunks, runtime: &Handle) -> Result<()> {
    let failed = |e: io::Error| Error::wrap("failed to write a backup", e);
    let mut tar = tar::Builder::new(out);
    tar.follow_symlinks(false);
    let created = pileus_base::Time::now().z();
    let manifest = json!({"format": FORMAT, "version": env!("CARGO_PKG_VERSION"), "created_at": created, "state_dir": parts.state_dir, "disks": disks});
    append(&mut tar, MANIFEST, manifest.to_string().as_bytes())?;
    tar.append_path_with_name(copy, "state.db").map_err(failed)?;
    let mut entries: Vec<_> = fs::read_dir(&parts.state_dir).map_err(failed)?.flatten().collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if LEFT_OUT.contains(&&*text) || text.starts_with("backup.") || text.ends_with(".new") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            tar.append_dir_all(&name, &path)
        } else {
            tar.append_path_with_name(&path, &name)
        }
        .map_err(failed)?;
    }
    if disks {
        for server in runtime.block_on(parts.host.disk_owners())? {
            let dir = parts.state_dir.join("disks").join(server.to_string());
            if !dir.is_dir() {
                continue;
            }
            let running = runtime.block_on(parts.host.server(server))?.power == Power::Running;
            if running {
                runtime.block_on(parts.host.pause_server(server))?;
            }
            let name = Path::new("disks").join(server.to_string());
            let copied = tar.append_dir_all(&name, &dir).map_err(failed);
            if running {
                runtime.block_on(parts.host.unpause_server(server))?;
            }
            copied?;
        }
    }
    append(&mut tar, END, b"")?;
    let mut out = tar.into_inner().map_err(failed)?;
    out.flush().map_err(failed)
}

fn append(tar: &mut tar::Builder<Chunks>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o600);
    tar.append_data(&mut header, name, bytes).map_err(|e| Error::wrap("failed to write a backup", e))
}
