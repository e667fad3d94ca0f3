//! Layers and containers' files in a temporary directory. Most of it needs root, and says so by failing.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    io::Read,
    os::unix::fs::{FileTypeExt, MetadataExt, symlink},
    path::PathBuf,
};

use pileus_base::Kind;
use pileus_layers::{AppliedLayer, Layers, Limits, Seen, TreeMount};
use tar::{Builder, EntryType, Header};

struct Fixture {
    dir: tempfile::TempDir,
    layers: Layers,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let layers = Layers::open(dir.path(), Limits::default()).unwrap();
        Self { dir, layers }
    }
    fn apply(&self, tar: &[u8], below: &[&AppliedLayer]) -> AppliedLayer {
        let below: Vec<_> = below.iter().map(|l| l.id.clone()).collect();
        self.layers.apply(tar, &below, None).unwrap()
    }
    fn diff(&self, layer: &AppliedLayer) -> PathBuf {
        self.dir.path().join("layers").join(&layer.id).join("diff")
    }
    fn container(&self, id: &str) -> PathBuf {
        let dir = self.dir.path().join("containers").join(id);
        fs::create_dir_all(dir.join("upper")).unwrap();
        fs::create_dir_all(dir.join("work")).unwrap();
        dir.join("upper")
    }
    fn out(&self, layers: &[String], path: &str) -> Vec<(String, String)> {
        let write = self.layers.copy_out("c", layers, None, path).unwrap().1;
        let mut tar = Vec::new();
        write(&mut tar).unwrap();
        entries(&tar)
    }
}

fn entries(tar: &[u8]) -> Vec<(String, String)> {
    let mut archive = tar::Archive::new(tar);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (String::from_utf8(entry.path_bytes().into_owned()).unwrap(), text)
    };
    archive.entries().unwrap().map(read).collect()
}

/// A tar of `(kind, path, data or link)`.
fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, path, data) in entries {
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(if kind.is_dir() { 0o755 } else { 0o4755 });
        header.set_uid(7);
        header.set_gid(8);
        header.set_mtime(1000);
        let is_link = matches!(kind, EntryType::Link | EntryType::Symlink);
        header.set_size(if is_link { 0 } else { data.len() as u64 });
        if path.contains("..") {
            header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            if is_link {
                header.set_link_name_literal(data).unwrap();
            }
            header.set_cksum();
            builder.append(&header, data.as_bytes()).unwrap();
        } else if is_link {
            builder.append_link(&mut header, path, data).unwrap();
        } else {
            builder.append_data(&mut header, path, data.as_bytes()).unwrap();
        }
    }
    builder.into_inner().unwrap()
}

use EntryType::{Directory as D, Link as H, Regular as F, Symlink as S};

#[test]
fn a_layer_is_unpacked_with_all_that_it_says() {
    let f = Fixture::new();
    let long = format!("a/{}/{}", "d".repeat(90), "f".repeat(90));
    let layer = f.apply(
        &tar(&[
            (D, "a", ""),
            (F, "a/f", "hello"),
            (H, "a/h", "a/f"),
            (S, "s", "/etc/passwd"),
            (F, &long, "x"),
        ]),
        &[],
    );
    let diff = f.diff(&layer);
    assert_eq!(fs::read_to_string(diff.join(&long)).unwrap(), "x");
    let (file, hard) = (fs::metadata(diff.join("a/f")).unwrap(), fs::metadata(diff.join("a/h")).unwrap());
    assert_eq!(file.ino(), hard.ino());
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.mtime()), (0o4755, 7, 8, 1000));
    assert_eq!(fs::metadata(diff.join("a")).unwrap().mtime(), 1000);
    assert_eq!(fs::read_link(diff.join("s")).unwrap(), PathBuf::from("/etc/passwd"));
    assert_eq!(layer.size_bytes, 6);
    assert_eq!(f.layers.list().unwrap(), std::slice::from_ref(&layer.id));
    f.layers.remove(&layer.id).unwrap();
    f.layers.remove(&layer.id).unwrap();
    assert!(f.layers.list().unwrap().is_empty());
}

#[test]
fn compression_is_found_out_and_digests_are_checked() {
    let f = Fixture::new();
    let plain = tar(&[(F, "f", "hello")]);
    let layer = f.apply(&plain, &[]);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, &plain).unwrap();
    assert_eq!(f.apply(&gz.finish().unwrap(), &[]), layer);
    assert_eq!(f.apply(&zstd::encode_all(&plain[..], 1).unwrap(), &[]), layer);
    // What is here is not read again.
    assert_eq!(f.layers.apply(&b"rubbish"[..], &[], Some(&layer.diff_id)).unwrap(), layer);
    let other = format!("sha256:{}", "0".repeat(64));
    let e = f.layers.apply(&plain[..], &[], Some(&other)).unwrap_err();
    assert_eq!(
        (e.kind(), e.message()),
        (Kind::BadRequest, &*format!("layer verification failed for digest {other}"))
    );
    assert_eq!(f.layers.apply(&b"rubbish"[..], &[], None).unwrap_err().kind(), Kind::BadRequest);
    let left = fs::read_dir(f.dir.path().join("layers")).unwrap();
    assert_eq!(
        left.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(".tmp")).count(),
        0
    );
}

#[test]
fn nothing_leaves_the_tree() {
    let f = Fixture::new();
    let outside = f.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "s").unwrap();
    let out = outside.to_str().unwrap();
    for bad in [
        tar(&[(F, "../../evil", "x")]),
        tar(&[(H, "h", "/../../outside/secret")]),
        tar(&[(S, "l", out), (H, "h", "l/secret")]),
        tar(&[(S, "l", out), (F, "l/evil", "x")]),
        tar(&[(S, "l", "../../../outside"), (F, "l/evil", "x")]),
    ] {
        let e = f.layers.apply(&bad[..], &[], None).unwrap_err();
        assert_eq!(e.kind(), Kind::BadRequest, "{e:?}");
    }
    // A file in a link's place replaces the link.
    let layer = f.apply(&tar(&[(S, "l", &format!("{out}/secret")), (F, "l", "mine")]), &[]);
    assert_eq!(fs::read_to_string(f.diff(&layer).join("l")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "s");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn whiteouts_and_links_to_layers_below() {
    let f = Fixture::new();
    let base = f.apply(&tar(&[(D, "d", ""), (F, "d/old", "1"), (F, "gone", "2"), (F, "kept", "3")]), &[]);
    let top = f.apply(
        &tar(&[
            (D, "d", ""),
            (F, "d/.wh..wh..opq", ""),
            (F, "d/new", "n"),
            (F, ".wh.gone", ""),
            (H, "h", "kept"),
        ]),
        &[&base],
    );
    let diff = f.diff(&top);
    let gone = fs::metadata(diff.join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert_eq!(fs::read_to_string(diff.join("h")).unwrap(), "3");
    f.container("c");
    let layers = [base.id.clone(), top.id.clone()];
    let mut names: Vec<_> = f.out(&layers, "/").into_iter().map(|(name, _)| name).collect();
    // The places for mounts are there too, as in Docker's own.
    assert!(names.iter().any(|name| name == "./.dockerenv"));
    names.retain(|name| {
        !["./.dockerenv", "./dev", "./etc", "./proc", "./sys"].iter().any(|p| name.starts_with(p))
    });
    assert_eq!(names, ["./", "./d/", "./d/new", "./h", "./kept"]);
    assert_eq!(f.layers.read_small(None, &layers, "/d/new").unwrap().unwrap(), b"n");
    assert_eq!(f.layers.read_small(None, &layers, "/d/old").unwrap(), None);
    assert_eq!(f.layers.read_small(None, &layers[..1], "/gone").unwrap().unwrap(), b"2");
}

#[test]
fn a_commit_is_exported_with_its_digest() {
    let f = Fixture::new();
    let base = f.apply(&tar(&[(D, "etc", ""), (F, "etc/a", "1"), (F, "b", "2")]), &[]);
    let layers = [base.id.clone()];
    let upper = f.container("c");
    f.layers
        .copy_in(
            "c",
            &layers,
            None,
            "/etc",
            &tar(&[(F, "new", "n"), (F, "a", "changed"), (H, "n2", "new")])[..],
            false,
        )
        .unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, upper.join("b"), rustix::fs::FileType::CharacterDevice, 0.into(), 0)
        .unwrap();
    fs::create_dir_all(upper.join("dev")).unwrap();
    fs::write(upper.join("etc/hosts"), "").unwrap();
    fs::write(upper.join("x"), "y").unwrap();
    rustix::fs::setxattr(upper.join("x"), "user.k", b"v\n1", rustix::fs::XattrFlags::empty()).unwrap();
    let changes: Vec<_> =
        f.layers.changes("c", &layers).unwrap().into_iter().map(|c| (c.path, c.kind)).collect();
    let wanted = [("/b", 2), ("/etc", 0), ("/etc/a", 0), ("/etc/n2", 1), ("/etc/new", 1), ("/x", 1)];
    assert_eq!(changes, wanted.map(|(p, k)| (p.to_owned(), k)));
    assert_eq!(f.layers.size("c").unwrap(), 9);
    let layer = f.layers.commit("c", &layers).unwrap();
    let mut exported = Vec::new();
    f.layers.export(&layer.id, &mut exported).unwrap();
    let names: Vec<_> = entries(&exported).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, [".wh.b", "etc/", "etc/a", "etc/n2", "etc/new", "x"]);
    let again = f.layers.apply(&exported[..], &layers, None).unwrap();
    assert_eq!(again, layer);
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(f.diff(&layer).join("x"), "user.k", &mut value[..]).unwrap(), 3);
}

#[test]
fn files_go_in_and_out_but_not_astray() {
    let f = Fixture::new();
    let base =
        f.apply(&tar(&[(D, "etc", ""), (F, "etc/a", "1"), (S, "ln", "/etc"), (S, "host", "/../..")]), &[]);
    let layers = [base.id.clone()];
    let upper = f.container("c");
    let stat = f.layers.stat_path("c", &layers, None, "/etc/a").unwrap();
    assert_eq!((&*stat.name, stat.size, stat.mode), ("a", 1, 1 << 23 | 0o755));
    assert_eq!(f.layers.stat_path("c", &layers, None, "ln").unwrap().link_target, "/etc");
    // After what the image has come the places for mounts, as in Docker's own.
    assert_eq!(f.out(&layers, "/etc")[..2], [("etc/".into(), String::new()), ("etc/a".into(), "1".into())]);
    assert_eq!(f.out(&layers, "/ln/.")[1].0, "./a");
    let e = f.layers.stat_path("c", &layers, None, "/no").unwrap_err();
    assert_eq!(e.message(), "Could not find the file /no in container c");
    let put =
        |path, entries: &[_], strict| f.layers.copy_in("c", &layers, None, path, &tar(entries)[..], strict);
    put("/ln", &[(F, "b", "2")], true).unwrap();
    assert_eq!(fs::read_to_string(upper.join("etc/b")).unwrap(), "2");
    assert!(put("/no", &[(F, "b", "2")], true).unwrap_err().is_not_found());
    assert_eq!(put("/etc/a", &[(F, "b", "2")], true).unwrap_err().kind(), Kind::BadRequest);
    assert!(put("/", &[(F, "etc", "2")], true).unwrap_err().message().contains("cannot overwrite directory"));
    // A link that a container made leads within the container.
    symlink(f.dir.path(), upper.join("evil")).unwrap();
    assert!(put("/evil", &[(F, "b", "2")], false).is_err());
    assert!(put("/", &[(F, "evil/b", "2")], false).is_err());
    put("/host", &[(F, "top", "t")], false).unwrap();
    assert_eq!(fs::read_to_string(upper.join("top")).unwrap(), "t");
    let volume = tempfile::tempdir().unwrap();
    f.layers.seed_volume(&layers, "/etc", volume.path()).unwrap();
    assert_eq!(fs::read_to_string(volume.path().join("a")).unwrap(), "1");
    assert_eq!(fs::metadata(volume.path()).unwrap().uid(), 7);
}

#[test]
fn a_process_that_runs_is_looked_into() {
    let f = Fixture::new();
    f.container("c");
    let seen = Seen::Process(std::process::id());
    let pid = Some(&seen);
    let path = f.dir.path().join("in");
    fs::create_dir(&path).unwrap();
    let path = path.to_str().unwrap();
    f.layers.copy_in("c", &[], pid, path, &tar(&[(F, "a", "1")])[..], true).unwrap();
    let (stat, write) = f.layers.copy_out("c", &[], pid, &format!("{path}/a")).unwrap();
    let mut tar = Vec::new();
    write(&mut tar).unwrap();
    assert_eq!(stat.size, 1);
    assert_eq!(entries(&tar), [("a".to_owned(), "1".to_owned())]);
}

#[test]
fn limits_hold_and_containers_of_no_layers_are_exported() {
    let f = Fixture::new();
    let few = Layers::open(f.dir.path(), Limits { bytes: 1 << 20, entries: 1 }).unwrap();
    let many = tar(&[(F, "a", "1"), (F, "b", "2")]);
    assert!(few.apply(&many[..], &[], None).unwrap_err().message().contains("too many entries"));
    let big = tar(&[(F, "a", &"x".repeat(2 << 20))]);
    assert!(few.apply(&big[..], &[], None).unwrap_err().message().contains("too large"));
    let cut = &big[..1 << 20];
    assert_eq!(f.layers.apply(cut, &[], None).unwrap_err().kind(), Kind::BadRequest);
    fs::write(f.container("c").join("x"), "y").unwrap();
    let mut out = Vec::new();
    f.layers.export_container("c", &[]).unwrap()(&mut out).unwrap();
    assert_eq!(entries(&out), [("x".to_owned(), "y".to_owned())]);
}

#[test]
fn a_stopped_container_is_seen_with_its_mounts() {
    let f = Fixture::new();
    let upper = f.container("c");
    let volume = tempfile::tempdir().unwrap();
    fs::create_dir(volume.path().join("sub")).unwrap();
    std::os::unix::fs::symlink("/etc", volume.path().join("out")).unwrap();
    let seen = |subpath: &str, read_only| {
        Seen::Mounts(vec![TreeMount {
            source: volume.path().into(),
            subpath: subpath.into(),
            destination: "/vol/here".into(),
            read_only,
        }])
    };
    let put = |path: &str, seen: &Seen| {
        f.layers.copy_in("c", &[], Some(seen), path, &tar(&[(F, "a", "1")])[..], false)
    };
    put("/vol/here", &seen("", false)).unwrap();
    assert_eq!(fs::read_to_string(volume.path().join("a")).unwrap(), "1");
    assert!(!upper.join("vol/here/a").exists() && upper.join("vol/here").is_dir());
    put("/vol/here", &seen("sub", false)).unwrap();
    assert!(volume.path().join("sub/a").exists());
    assert!(put("/vol/here", &seen("", true)).is_err());
    assert!(put("/vol/here", &seen("out", false)).is_err());
    put("/vol", &seen("", true)).unwrap();
    assert!(upper.join("vol/a").exists());
    let (stat, write) = f.layers.copy_out("c", &[], Some(&seen("", false)), "/vol/here/a").unwrap();
    let mut tar = Vec::new();
    write(&mut tar).unwrap();
    assert_eq!((stat.size, entries(&tar)), (1, vec![("a".to_owned(), "1".to_owned())]));
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(f.dir.path().to_str().unwrap()));
}
