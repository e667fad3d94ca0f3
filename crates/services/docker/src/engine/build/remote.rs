//! What is brought from elsewhere: ADD's URLs; a context that is a Dockerfile or an archive at a URL, or a
//! git repository, which the program `git` clones.

use std::{path::Path, process::Stdio, sync::Arc};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use pileus_base::{Error, Result};
use pileus_host::pipe::{self, FromPieces};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::{io::AsyncWriteExt, process::Command, sync::mpsc};

use super::{
    Builder, Context, Options, archive,
    context::blocking,
    place::Source,
    sources::node_sum,
    tree::{Data, Kind, Node, Tree},
};
use crate::{Docker, engine::registry::fetch, new_id};

/// Whether a text is a URL.
fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

/// Whether a text names a git repository.
fn is_git(text: &str) -> bool {
    let path = text.split('#').next().unwrap_or_default();
    (is_url(text) && path.ends_with(".git"))
        || ["git://", "github.com/", "git@"].iter().any(|p| text.starts_with(p))
}

impl Builder {
    /// A file that ADD names by its URL.
    pub(super) async fn download(&self, url: &str, to: &str, checksum: Option<&str>) -> Result<Source> {
        let reply = fetch::get(url).await?;
        let header = |name: &str| reply.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let uri: http::Uri =
            url.parse().map_err(|_| Error::bad_request(format!("parse {url:?}: invalid URL")))?;
        let disposition = header("content-disposition");
        let name = file_name(uri.path()).or_else(|| attachment(disposition));
        if name.is_none() && to.ends_with('/') {
            return Err(Error::bad_request(format!("cannot determine filename for source {url}")));
        }
        let mtime =
            jiff::fmt::rfc2822::parse(header("last-modified")).map_or(0, |t| t.timestamp().as_second());
        let path = self.context.dir.join(format!("{}.download", &new_id()[..12]));
        let total: u64 = header("content-length").parse().unwrap_or(0);
        let len = self.save(reply.into_body(), &path, total).await?;
        let name = name.unwrap_or_else(|| "__unnamed__".into()).into_bytes();
        let (url, checksum) = (url.to_owned(), checksum.map(str::to_owned));
        blocking(move || {
            let open = |e| Error::wrap("reading a download", e);
            let file = Arc::new(std::fs::File::open(&path).map_err(open)?);
            std::fs::remove_file(&path).map_err(open)?;
            let data = Data::Piece { file, at: 0, len };
            if let Some(wanted) = checksum {
                check(&data, &wanted, &url)?;
            }
            let node = Node::new(Kind::File(data), 0o600, mtime);
            let hash = node_sum(&name, &node)?;
            let mut tree = Tree::default();
            tree.put(&name, node)?;
            Ok(Source { tree: Arc::new(tree), path: name, hash, archive: false })
        })
        .await
    }

    async fn save(&self, mut body: Incoming, path: &Path, total: u64) -> Result<u64> {
        let failed = |e| Error::wrap("writing a download", e);
        let mut file = tokio::fs::File::create(path).await.map_err(failed)?;
        let (mut len, mut told) = (0, 0);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|e| Error::internal(format!("downloading: {e}")))?;
            let Ok(data) = frame.into_data() else { continue };
            len += data.len() as u64;
            file.write_all(&data).await.map_err(failed)?;
            if len - told >= 512 << 10 || len == total {
                told = len;
                let detail = json!({ "current": len, "total": total });
                self.line(&json!({ "status": "Downloading", "progressDetail": detail })).await?;
            }
        }
        file.flush().await.map_err(failed)?;
        self.say("\n").await?;
        Ok(len)
    }
}

/// The last name of a URL's path.
fn file_name(path: &str) -> Option<String> {
    let name = path.rsplit('/').next().filter(|n| !n.is_empty() && !matches!(*n, "." | ".."))?;
    let name = percent_encoding::percent_decode_str(name).decode_utf8_lossy();
    let name = name.rsplit('/').next().unwrap_or_default();
    (!matches!(name, "" | "." | "..")).then(|| name.to_owned())
}

/// The name in `attachment; filename="x"`.
fn attachment(disposition: &str) -> Option<String> {
    let at = disposition.find("filename=")? + "filename=".len();
    let name = disposition[at..].split(';').next().unwrap_or_default().trim().trim_matches('"');
    file_name(name)
}

fn check(data: &Data, wanted: &str, url: &str) -> Result<()> {
    use std::io::Read;
    let hex =
        wanted.strip_prefix("sha256:").ok_or_else(|| Error::bad_request("unsupported digest algorithm"))?;
    if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Error::bad_request("invalid checksum digest format"));
    }
    let (mut from, mut hash, mut piece) = (data.read(), Sha256::new(), vec![0; 256 << 10]);
    loop {
        match from.read(&mut piece).map_err(|e| Error::wrap("reading a download", e))? {
            0 => break,
            n => hash.update(&piece[..n]),
        }
    }
    let found = format!("sha256:{}", crate::engine::images::hex(&hash.finalize()));
    if found == wanted {
        return Ok(());
    }
    Err(Error::bad_request(format!("digest mismatch for {url}: {found} (expected: {wanted})")))
}

impl Context {
    /// Brings a context from where the request says.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub async fn bring(docker: &Docker, options: &Options) -> Result<Self> {
        let remote = options.remote.as_str();
        let mut context = Self::begin(docker).await?;
        if remote == "client-session" {
            return Err(Error::bad_request(
                "experimental session with v1 builder is no longer supported, use builder version v2 (BuildKit) instead",
            ));
        }
        if is_git(remote) {
            let root = clone(&context.dir, remote).await?;
            let spool = context.dir.join("context.tar");
            let packed = pipe::reader(move |out| {
                let mut tar = tar::Builder::new(out);
                tar.follow_symlinks(false);
                tar.append_dir_all(".", &root)?;
                tar.into_inner().map(drop)
            });
            let packed = pipe::blocking(packed);
            let tree = blocking(move || archive::read(packed, &spool)).await?;
            context.fill(tree, &options.dockerfile)?;
            return Ok(context);
        }
        if !is_url(remote) {
            return Err(Error::bad_request(format!("remoteURL ({remote}) could not be recognized as URL")));
        }
        let reply = fetch::get(remote).await.map_err(|e| {
            Error::new(e.kind(), format!("error downloading remote context {remote}: {}", e.message()))
                .caused_by(e)
        })?;
        let given = reply.headers().get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default();
        let given = given.to_owned();
        let mut body = reply.into_body();
        let first = next(&mut body).await?.ok_or_else(|| {
            Error::bad_request(format!("error detecting content type for remote {remote}: empty response"))
        })?;
        let kind = acceptable(&given, &first).ok_or_else(|| {
            Error::bad_request(format!(
                "error detecting content type for remote {remote}: unsupported Content-Type {given:?}"
            ))
        })?;
        if kind == "text/plain" {
            let mut text = first.to_vec();
            while let Some(more) = next(&mut body).await? {
                text.extend_from_slice(&more);
            }
            context.dockerfile = String::from_utf8_lossy(&text).into_owned();
            return Ok(context);
        }
        let spool = context.dir.join("context.tar");
        let (to, from) = mpsc::channel(16);
        let reading = tokio::task::spawn_blocking(move || archive::read(FromPieces::new(from), &spool));
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if to.send(Ok(bytes)).await.is_err() {
                break;
            }
            piece = next(&mut body).await?;
        }
        drop(to);
        let tree = reading.await.map_err(|e| Error::wrap("reading the context broke off", e))??;
        context.fill(tree, &options.dockerfile)?;
        Ok(context)
    }
}

async fn next(body: &mut Incoming) -> Result<Option<Bytes>> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| Error::internal(format!("downloading: {e}")))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// What a remote context is taken for: an archive or text.
fn acceptable(given: &str, head: &[u8]) -> Option<&'static str> {
    let given = given.split(';').next().unwrap_or_default().trim();
    let kind = given.strip_prefix("application/").map(|k| k.strip_prefix("x-").unwrap_or(k));
    match (given, kind) {
        ("" | "application/octet-stream", _) => {
            let text = !head.iter().take(100).any(|b| *b < 9 || (14..27).contains(b));
            Some(if text { "text/plain" } else { "application/octet-stream" })
        }
        ("text/plain", _) => Some("text/plain"),
        (_, Some("tar" | "gzip" | "bzip" | "bzip2" | "xz")) => Some("application/octet-stream"),
        _ => None,
    }
}

/// A repository's address, what to check out of it, and the directory in it.
fn parts(remote: &str) -> Result<(String, String, String)> {
    let known = ["git@", "git://", "http://", "https://", "ssh://"].iter().any(|p| remote.starts_with(p));
    let whole = if known { remote.to_owned() } else { format!("https://{remote}") };
    let (address, fragment) = whole.split_once('#').unwrap_or((&whole, ""));
    let (name, dir) = fragment.split_once(':').unwrap_or((fragment, ""));
    let name = if name.is_empty() { "master" } else { name };
    if name.starts_with('-') {
        return Err(Error::bad_request(format!("invalid refspec: {name}")));
    }
    Ok((address.to_owned(), name.to_owned(), dir.to_owned()))
}

/// Clones a repository below `dir`; the directory that is the context.
async fn clone(dir: &Path, remote: &str) -> Result<std::path::PathBuf> {
    let (address, name, below) = parts(remote)?;
    let root = dir.join("git");
    tokio::fs::create_dir_all(&root).await.map_err(|e| Error::wrap("making the build's directory", e))?;
    git(&root, &["init", "-q"]).await.map_err(|e| said("failed to init repo", &e))?;
    git(&root, &["remote", "add", "origin", &address])
        .await
        .map_err(|e| said("failed add origin repo", &e))?;
    let shallow = git(&root, &["fetch", "--depth", "1", "origin", "--", &name]).await;
    if shallow.is_err() {
        // A server that knows no shallow clones.
        git(&root, &["fetch", "origin", "--", &name]).await.map_err(|e| said("error fetching", &e))?;
    }
    if let Err(e) = git(&root, &["checkout", "-q", &name]).await {
        git(&root, &["checkout", "-q", "FETCH_HEAD"])
            .await
            .map_err(|_| said(&format!("error checking out {name}"), &e))?;
    }
    git(&root, &["submodule", "update", "--init", "--recursive", "--depth=1"])
        .await
        .map_err(|e| said("error initializing submodules", &e))?;
    if below.is_empty() {
        return Ok(root);
    }
    let outside = || Error::bad_request(format!("error setting git context, {below:?} not within git root"));
    let path = root.join(below.trim_start_matches('/'));
    let real = tokio::fs::canonicalize(&path).await.map_err(|_| outside())?;
    let top = tokio::fs::canonicalize(&root).await.map_err(|_| outside())?;
    if !real.starts_with(&top) {
        return Err(outside());
    }
    if !real.is_dir() {
        return Err(Error::bad_request(format!("error setting git context, not a directory: {below}")));
    }
    Ok(real)
}

fn said(doing: &str, e: &Error) -> Error {
    Error::bad_request(format!("{doing}: {}", e.message()))
}

/// Runs `git` on nobody's configuration, without protocols that a repository could abuse.
async fn git(dir: &Path, args: &[&str]) -> Result<()> {
    let output = Command::new("git")
        .args(["-c", "protocol.file.allow=never"])
        .args(args)
        .current_dir(dir)
        .env("GIT_PROTOCOL_FROM_USER", "0")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("HOME", "/dev/null")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|e| Error::internal(format!("exec: \"git\": {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::internal(format!("{}: {}", String::from_utf8_lossy(&said).trim(), output.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_told_apart() {
        assert!(is_git("https://x/y.git#b:d") && is_git("git@x:y") && is_git("github.com/a/b"));
        assert!(!is_git("https://x/y.tar.gz") && !is_git("https://x/y.git.tar"));
        let of = |r: &str| parts(r).unwrap();
        assert_eq!(of("github.com/a/b"), ("https://github.com/a/b".into(), "master".into(), String::new()));
        assert_eq!(of("git@h:r#v1:sub"), ("git@h:r".into(), "v1".into(), "sub".into()));
        assert!(parts("git://h/r#--upload-pack=x").is_err());
    }

    #[test]
    fn downloads_have_names() {
        assert_eq!(file_name("/a/b%20c").as_deref(), Some("b c"));
        assert_eq!(file_name("/a/..%2f..%2fetc").as_deref(), Some("etc"));
        assert_eq!(file_name("/a/"), None);
        assert_eq!(attachment("attachment; filename=\"x/../y.txt\"").as_deref(), Some("y.txt"));
    }

    #[test]
    fn text_is_a_dockerfile() {
        assert_eq!(acceptable("text/plain; charset=utf-8", b""), Some("text/plain"));
        assert_eq!(acceptable("application/octet-stream", b"FROM x"), Some("text/plain"));
        assert_eq!(acceptable("application/octet-stream", b"\x1f\x8b\x08"), Some("application/octet-stream"));
        assert_eq!(acceptable("application/x-gzip", b""), Some("application/octet-stream"));
        assert_eq!(acceptable("text/html", b""), None);
    }
}
