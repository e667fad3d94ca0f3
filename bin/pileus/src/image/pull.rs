//! `pileus image pull`: from the web or a file into the cloud, as a public image, as one stream.
//!
//! The last piece is held back until the whole content's checksum is known: where that is wrong the upload is
//! broken off, and the image removed before it ever had data.

use std::{io::Read, path::Path};

use anyhow::{Context, bail};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use pileus_image::web::{Guard, Url, Web};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    bar::Bar,
    cloud::{Cloud, Pieces, pieces, whole},
};
use crate::{cli::PullArgs, control::block_on, daemon::told};

/// Enough of the content to tell its format: an ISO says so at 32 KiB.
const HEAD: usize = 0x8006;
/// Bytes read from a file at once.
const PIECE: usize = 256 * 1024;

/// Content to upload.
struct Content {
    name: String,
    length: Option<u64>,
    data: Pieces,
}

/// `pileus image pull`
pub fn run(state_dir: &Path, args: &PullArgs) -> anyhow::Result<()> {
    let wanted = args.sha256.as_deref().map(checksum).transpose()?;
    block_on(async {
        // Before anything is fetched: whether there is a cloud to bring it to.
        let cloud = Cloud::open(state_dir).await?;
        let mut content = open(&args.source).await?;
        let head = peek(&mut content.data).await?;
        let format = match &args.disk_format {
            Some(format) => format.clone(),
            None => sniff(&head)?.to_owned(),
        };
        let name = args.name.clone().unwrap_or(content.name);
        let asked = json!({
            "name": name, "disk_format": format, "container_format": "bare", "visibility": "public",
        });
        let made = cloud.ask("POST", "/image/v2/images", "application/json", whole(&asked)).await?;
        let made: Value = serde_json::from_slice(made.body())?;
        let id = made["id"].as_str().context("the cloud gave no id")?;
        let first = futures_util::stream::iter([Ok(head)]);
        let data = verified(Box::pin(first.chain(content.data)), wanted, Bar::new(content.length));
        let path = format!("/image/v2/images/{id}");
        let failed = data.failed.clone();
        let body = pieces(data.pieces);
        let sent = cloud.ask("PUT", &format!("{path}/file"), "application/octet-stream", body).await;
        if let Err(e) = sent {
            // The reason, rather than that the upload broke off because of it.
            let why = failed.lock().take().map_or(e, |why| anyhow::anyhow!(why));
            let undone = cloud.ask("DELETE", &path, "application/json", whole(&Value::Null)).await;
            return Err(undone.err().map_or(why, |e| anyhow::anyhow!("{e:#}; the image {id} is left")));
        }
        println!("{id}");
        Ok(())
    })
}

/// 64 hex digits, `sha256:` before them or not.
fn checksum(text: &str) -> anyhow::Result<String> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
    if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        bail!("`{text}` is no SHA-256: that is 64 hex digits");
    }
    Ok(hex)
}

async fn open(source: &str) -> anyhow::Result<Content> {
    if source.starts_with("http://") || source.starts_with("https://") {
        let url = Url::parse(source).map_err(told)?;
        let download = Web::new(Guard::Open, None).get(&url).await.map_err(told)?;
        let length = download.length;
        let data = download.into_stream().map(|p| p.map_err(|e| std::io::Error::other(e.chain())));
        return Ok(Content { name: stem(url.file_name()), length, data: Box::pin(data) });
    }
    let path = Path::new(source);
    let file = std::fs::File::open(path).with_context(|| format!("failed to open `{source}`"))?;
    let about = file.metadata()?;
    if !about.is_file() {
        bail!("`{source}` is no file");
    }
    let data = futures_util::stream::try_unfold(file, |mut file| async move {
        let mut piece = vec![0; PIECE];
        let n = file.read(&mut piece)?;
        piece.truncate(n);
        Ok((n > 0).then(|| (Bytes::from(piece), file)))
    });
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Content { name: stem(&name), length: Some(about.len()), data: Box::pin(data) })
}

/// A file's name without its ending.
fn stem(name: &str) -> String {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
        _ if name.is_empty() => "image".to_owned(),
        _ => name.to_owned(),
    }
}

/// The content's beginning; the stream goes on after it.
async fn peek(data: &mut Pieces) -> anyhow::Result<Bytes> {
    let mut head = BytesMut::new();
    while head.len() < HEAD {
        match data.next().await.transpose()? {
            Some(piece) => head.extend_from_slice(&piece),
            None => break,
        }
    }
    if head.is_empty() {
        bail!("there is nothing in it");
    }
    Ok(head.freeze())
}

/// The disk format that content of this beginning has.
fn sniff(head: &[u8]) -> anyhow::Result<&'static str> {
    let at = |from: usize, magic: &[u8]| head.get(from..from + magic.len()) == Some(magic);
    let packed =
        [("gzip", &b"\x1f\x8b"[..]), ("xz", b"\xfd7zXZ\0"), ("zstd", b"\x28\xb5\x2f\xfd"), ("bzip2", b"BZh")];
    if let Some((how, _)) = packed.iter().find(|(_, magic)| at(0, magic)) {
        bail!("it is compressed with {how}: unpack it first, or say --disk-format where it is meant so");
    }
    let formats = [
        ("qcow2", 0, &b"QFI\xfb"[..]),
        ("vmdk", 0, b"KDMV"),
        ("vhdx", 0, b"vhdxfile"),
        ("vhd", 0, b"conectix"),
        ("vdi", 0x40, b"\x7f\x10\xda\xbe"),
        ("iso", 0x8001, b"CD001"),
    ];
    Ok(formats.iter().find(|(_, from, magic)| at(*from, magic)).map_or("raw", |(name, ..)| name))
}

type Failure = std::sync::Arc<parking_lot::Mutex<Option<String>>>;

struct Verified {
    pieces: Pieces,
    /// Why the stream failed, if it did.
    failed: Failure,
}

/// The pieces, counted and hashed; the last comes only where the checksum is as wanted.
fn verified(
    data: impl Stream<Item = std::io::Result<Bytes>> + Send + Unpin + 'static,
    wanted: Option<String>,
    bar: Bar,
) -> Verified {
    let failed = Failure::default();
    let note = failed.clone();
    let state = (data, Some((Sha256::new(), bar)), None::<Bytes>);
    let pieces = futures_util::stream::unfold(state, move |(mut data, mut sum, mut held)| {
        let (wanted, note) = (wanted.clone(), note.clone());
        async move {
            loop {
                let (mut hash, mut bar) = sum.take()?;
                match data.next().await {
                    Some(Ok(piece)) => {
                        hash.update(&piece);
                        bar.add(piece.len());
                        sum = Some((hash, bar));
                        if let Some(before) = held.replace(piece) {
                            return Some((Ok(before), (data, sum, held)));
                        }
                    }
                    Some(Err(e)) => {
                        *note.lock() = Some(e.to_string());
                        return Some((Err(e), (data, None, None)));
                    }
                    None => {
                        let found: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
                        if let Some(wanted) = wanted.filter(|w| *w != found) {
                            let why = format!("the content's SHA-256 is {found}, not {wanted}");
                            *note.lock() = Some(why.clone());
                            return Some((Err(std::io::Error::other(why)), (data, None, None)));
                        }
                        return held.take().map(|last| (Ok(last), (data, None, None)));
                    }
                }
            }
        }
    });
    Verified { pieces: Box::pin(pieces), failed }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that can't go on fails")]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_content() {
        let mut iso = vec![0; HEAD];
        iso[0x8001..].copy_from_slice(b"CD001");
        for (head, format) in [
            (&b"QFI\xfb\0\0\0\x03"[..], "qcow2"),
            (b"KDMV", "vmdk"),
            (b"", "raw"),
            (b"\0\0", "raw"),
            (&iso, "iso"),
        ] {
            assert_eq!(sniff(head).unwrap(), format);
        }
        assert!(sniff(b"\x1f\x8b\x08").unwrap_err().to_string().contains("gzip"));
        assert_eq!((stem("a.b.qcow2"), stem(".x"), stem("")), ("a.b".into(), ".x".into(), "image".into()));
        assert!(checksum("abc").is_err());
    }

    #[tokio::test]
    async fn the_last_piece_waits_for_the_checksum() {
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        for (wanted, good) in [(None, true), (Some(hello), true), (Some(&hello[1..]), false)] {
            let data = futures_util::stream::iter([Ok(Bytes::from("hel")), Ok(Bytes::from("lo"))]);
            let v = verified(data, wanted.map(str::to_owned), Bar::new(None));
            let got: Vec<_> = v.pieces.collect().await;
            let bytes: Vec<u8> = got.iter().flatten().flat_map(|b| b.to_vec()).collect();
            assert_eq!(bytes, if good { &b"hello"[..] } else { b"hel" });
            assert_eq!(v.failed.lock().is_none(), good);
        }
    }
}
