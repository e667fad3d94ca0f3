//! Quotas under concurrency, and a full disk.

use serde_json::json;

use crate::bench::{DATA, start};

#[tokio::test]
async fn the_quota_is_exact_under_concurrency() {
    let b = start(1 << 30, Some(35)).await;
    let mut images = Vec::new();
    for _ in 0..12 {
        images.push(b.make("p", json!({})).await);
    }
    let uploads = images.iter().map(|image| b.upload("p", image, b"good 67890"));
    let answers = futures_util::future::join_all(uploads).await;
    let taken = answers.iter().filter(|a| a.status == 204).count();
    assert_eq!(taken, 3, "{:?}", answers.iter().map(|a| a.status).collect::<Vec<_>>());
    assert!(answers.iter().filter(|a| a.status != 204).all(|a| a.status == 413));
    assert_eq!(b.charged("p").await, 30);
    assert_eq!(b.files().len(), 3);
    // another project has its own
    let other = b.make("q", json!({})).await;
    b.upload("q", &other, b"good 67890").await.is(204);
    for image in &images {
        b.send("p", "DELETE", image, json!({})).await.is(204);
    }
    assert_eq!(b.charged("p").await, 0);
    // an administrator gives an image away, and its bytes with it
    let change = json!([{"op": "replace", "path": "/owner", "value": "p"}]);
    b.patch("admin", &other, change).await.is(200);
    assert_eq!((b.charged("p").await, b.charged("q").await), (10, 0));
    b.stop().await;
}

#[tokio::test]
async fn media_types_may_have_parameters() {
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({})).await;
    let file = format!("{image}/file");
    for bad in ["application/octet-streams", "text/plain; a=application/octet-stream", ""] {
        b.ask("p", "PUT", &file, bad, b"good").await.is(415);
    }
    let media = format!("{DATA}; charset=UTF-8");
    b.ask("p", "PUT", &file, &media, b"good").await.is(204);
    b.stop().await;
}

/// On a file system of its own, of one MiB, in a mount namespace of this thread and those that it starts.
#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    use rustix::{
        mount::{MountFlags, MountPropagationFlags, mount, mount_change},
        thread::{UnshareFlags, unshare_unsafe},
    };
    // SAFETY: this thread shares no file descriptors table or address space differently afterwards; a mount
    // namespace concerns paths alone.
    if unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.is_err() {
        eprintln!("skipped: needs root, for a small file system");
        return;
    }
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let b = start(1 << 30, Some(1 << 30)).await;
        let data = b.dir.path().join("images");
        mount("tmpfs", &data, "tmpfs", MountFlags::empty(), Some(c"size=1m")).unwrap();
        let image = b.make("p", json!({})).await;
        let mut much = vec![b'x'; 3 << 20];
        much[..4].copy_from_slice(b"good");
        for way in ["file", "stage"] {
            let said = b.ask("p", "PUT", &format!("{image}/{way}"), DATA, &much).await.is(413);
            assert!(said.body.contains("Image storage media is full"), "{}", said.body);
            assert_eq!(b.get("p", &image).await.json()["status"], "queued");
            assert!(b.files().is_empty());
            assert_eq!(b.charged("p").await, 0);
        }
        b.upload("p", &image, b"good").await.is(204);
        rustix::mount::unmount(&data, rustix::mount::UnmountFlags::DETACH).unwrap();
        b.stop().await;
    });
}
