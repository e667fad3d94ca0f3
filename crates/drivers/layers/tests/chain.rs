//! All layers of an image at once: the same as one by one, and nothing half made where one is broken.

#![allow(clippy::unwrap_used)]

use std::{fs, os::unix::fs::MetadataExt};

use pileus_layers::{Layers, Limits};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

fn digest(data: &[u8]) -> String {
    let hex: String = Sha256::digest(data).iter().map(|b| format!("{b:02x}")).collect();
    format!("sha256:{hex}")
}

fn file(builder: &mut Builder<Vec<u8>>, path: &str, data: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(data.len() as u64);
    builder.append_data(&mut header, path, data).unwrap();
}

/// Eight layers; the last links to the first's file and leaves out a directory that the first has.
fn image() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut first = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_mode(0o700);
    header.set_size(0);
    first.append_data(&mut header, "d", &b""[..]).unwrap();
    file(&mut first, "d/low", &vec![b'x'; 3 << 20]);
    all.push(first.into_inner().unwrap());
    for n in 1..7 {
        let mut builder = Builder::new(Vec::new());
        file(&mut builder, &format!("f{n}"), format!("layer {n}").as_bytes());
        all.push(builder.into_inner().unwrap());
    }
    let mut last = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    last.append_link(&mut header, "d/link", "d/low").unwrap();
    all.push(last.into_inner().unwrap());
    all
}

#[test]
fn layers_at_once_are_those_one_by_one() {
    let (at_once, by_one) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tars = image();
    let diffs: Vec<String> = tars.iter().map(|t| digest(t)).collect();
    let layers = Layers::open(at_once.path(), Limits::default()).unwrap();
    let all = layers.apply_all(tars.iter().map(|t| &t[..]).collect(), &diffs).unwrap();
    let other = Layers::open(by_one.path(), Limits::default()).unwrap();
    let mut below: Vec<String> = Vec::new();
    for (tar, together) in tars.iter().zip(&all) {
        let alone = other.apply(&tar[..], &below, None).unwrap();
        assert_eq!(alone, *together);
        below.push(alone.id);
    }
    let dir = at_once.path().join("layers").join(&all[7].id).join("diff/d");
    assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(dir.join("link")).unwrap().len(), 3 << 20);
    // What is there is not read again.
    let nothing: Vec<&[u8]> = tars.iter().map(|_| &b""[..]).collect();
    assert_eq!(layers.apply_all(nothing, &diffs).unwrap(), all);
}

#[test]
fn a_broken_layer_fails_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let layers = Layers::open(dir.path(), Limits::default()).unwrap();
    let mut tars = image();
    let diffs: Vec<String> = tars.iter().map(|t| digest(t)).collect();
    // The last waits for it.
    tars[3][200] ^= 1;
    assert!(layers.apply_all(tars.iter().map(|t| &t[..]).collect(), &diffs).is_err());
    for id in layers.list().unwrap() {
        layers.check(&id).unwrap();
    }
    let left: Vec<_> =
        fs::read_dir(dir.path().join("layers")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with(".tmp")), "{left:?}");
}
