//! Disks as files, with the real `qemu-img` and `genisoimage`.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::process::Command;

use pileus_base::{
    Kind,
    ids::{ImageId, ServerId},
};
use pileus_disks::{Base, DiskSpec, Disks, Source, file::File};
use tempfile::TempDir;

fn qemu_img(args: &[&str]) {
    assert!(
        Command::new("qemu-img").args(args).stdout(std::process::Stdio::null()).status().unwrap().success()
    );
}

struct Bench {
    dir: TempDir,
    disks: File,
}

impl Bench {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let disks = File::open(dir.path(), None).unwrap();
        Self { dir, disks }
    }
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }
    fn image(&self, format: &str) -> Base {
        let path = self.path(&format!("image.{format}"));
        qemu_img(&["create", "-q", "-f", format, &path, "8M"]);
        Base { id: ImageId::new(), path: path.into(), format: format.into(), checksum: "c0ffee".into() }
    }
}

#[tokio::test]
async fn overlays_are_made_once_and_leave_nothing() {
    let b = Bench::new();
    for format in ["qcow2", "raw", "vmdk", "vdi"] {
        let base = b.image(format);
        let server = ServerId::new();
        let root = DiskSpec { server, name: "root".into(), source: Source::Image(base.clone()), size_gib: 1 };
        for _ in 0..2 {
            b.disks.ensure(&root).await.unwrap();
        }
        let made = b.disks.locate(server, "root").unwrap();
        let info = b.disks.inspect(&made.path, "qcow2").await.unwrap_err();
        assert!(info.message().contains("backing file"), "an overlay is no image to upload: {info}");
        let files = vec![("openstack/latest/user_data".to_owned(), b"#!/bin/sh".to_vec())];
        let config =
            DiskSpec { server, name: "config".into(), source: Source::ConfigDrive(files), size_gib: 0 };
        b.disks.ensure(&config).await.unwrap();
        let iso = std::fs::read(b.disks.locate(server, "config").unwrap().path).unwrap();
        assert!(iso.windows(8).any(|w| w == b"config-2"));
        assert_eq!(b.disks.owners().await.unwrap(), [server]);
        for _ in 0..2 {
            b.disks.remove(server).await.unwrap();
        }
        assert!(b.disks.owners().await.unwrap().is_empty());
        b.disks.prune(std::slice::from_ref(&base)).await.unwrap();
        assert_eq!(std::fs::read_dir(b.dir.path().join("bases")).unwrap().count(), 1);
        b.disks.prune(&[]).await.unwrap();
        assert_eq!(std::fs::read_dir(b.dir.path().join("bases")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn unsafe_images_are_refused() {
    let b = Bench::new();
    let good = b.image("qcow2");
    let info = b.disks.inspect(&good.path, "qcow2").await.unwrap();
    assert_eq!(info.virtual_size, 8 << 20);
    let good = good.path.display().to_string();
    let (backed, data) = (b.path("backed"), b.path("data"));
    qemu_img(&["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &good, &backed]);
    let external = b.path("external");
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", &format!("data_file={data}"), &external, "8M"]);
    let garbage = b.path("garbage");
    std::fs::write(&garbage, "hello").unwrap();
    for (path, format, why) in [
        (&backed, "qcow2", "backing file"),
        (&external, "qcow2", "external data file"),
        (&garbage, "qcow2", "not a valid"),
        (&good, "raw", "does not match"),
        (&good, "vmdk", "not a valid"),
        (&good, "floppy", "not supported"),
    ] {
        let e = b.disks.inspect(path.as_ref(), format).await.unwrap_err();
        assert_eq!(e.kind(), Kind::BadRequest);
        assert!(e.message().contains(why), "{path} as {format}: {e}");
    }
}

#[tokio::test]
async fn damaged_images_are_refused() {
    let b = Bench::new();
    let (full, damaged) = (b.path("full"), b.path("damaged"));
    let data: Vec<u8> = (0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    std::fs::write(b.path("data"), data).unwrap();
    for (format, compressed) in
        [("qcow2", false), ("qcow2", true), ("vmdk", false), ("vdi", false), ("vhdx", false)]
    {
        let mut args = vec!["convert", "-f", "raw", "-O", format];
        args.extend(compressed.then_some("-c"));
        let source = b.path("data");
        args.extend([source.as_str(), full.as_str()]);
        qemu_img(&args);
        b.disks.inspect(full.as_ref(), format).await.unwrap();
        let whole = std::fs::read(&full).unwrap();
        for left in [100, 1000, 100_000, whole.len() / 2, whole.len() - (3 << 16)] {
            std::fs::write(&damaged, &whole[..left]).unwrap();
            let e = b.disks.inspect(damaged.as_ref(), format).await;
            let e = e.expect_err(&format!("{left} bytes of a {format}"));
            assert_eq!(e.kind(), Kind::BadRequest, "{left} bytes of a {format}: {e}");
        }
    }
    let e = {
        let mut header = std::fs::read(b.image("qcow2").path).unwrap();
        header[20..24].copy_from_slice(&[0xff; 4]);
        std::fs::write(&damaged, header).unwrap();
        b.disks.inspect(damaged.as_ref(), "qcow2").await.unwrap_err()
    };
    assert!(e.message().contains("not a valid qcow2 image"), "{e}");
}
