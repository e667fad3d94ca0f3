//! Data up and down.

use pileus_base::{Scope, ids::ImageId};
use pileus_image::{Image, Status};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bench::{DATA, JSON, finish, start};

#[tokio::test]
async fn data_comes_back_as_it_went() {
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({})).await;
    let file = format!("{image}/file");
    b.get("p", &file).await.is(204);
    b.ask("p", "PUT", &file, JSON, b"good").await.is(415);
    b.upload("p", &image, b"good data").await.is(204);
    let shown = b.get("p", &image).await.json();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("active"), &json!(9)));
    assert_eq!(shown["virtual_size"], 1 << 30);
    assert_eq!(shown["checksum"].as_str().unwrap().len(), 32);
    assert_eq!(shown["os_hash_value"].as_str().unwrap().len(), 128);
    let got = b.get("p", &file).await.is(200);
    assert_eq!(got.body, "good data");
    assert!(got.head.contains(&format!("content-md5: {}", shown["checksum"].as_str().unwrap())));
    b.upload("p", &image, b"good data").await.is(409);
    b.patch("p", &image, json!([{"op": "replace", "path": "/protected", "value": true}])).await.is(200);
    b.send("p", "DELETE", &image, json!({})).await.is(403);
    b.patch("p", &image, json!([{"op": "replace", "path": "/protected", "value": false}])).await.is(200);
    b.send("admin", "POST", &format!("{image}/actions/deactivate"), json!({})).await.is(204);
    b.get("p", &file).await.is(403);
    b.send("admin", "POST", &format!("{image}/actions/reactivate"), json!({})).await.is(204);
    b.send("p", "DELETE", &image, json!({})).await.is(204);
    assert!(b.files().is_empty());
    b.stop().await;
}

#[tokio::test]
async fn refused_data_leaves_nothing() {
    let b = start(10, Some(15)).await;
    let image = b.make("p", json!({})).await;
    b.upload("p", &image, b"evil").await.is(400);
    b.upload("p", &image, b"good, but far too large").await.is(413);
    assert_eq!(b.get("p", &image).await.json()["status"], "queued");
    assert!(b.files().is_empty());
    b.upload("p", &image, b"good 67890").await.is(204);
    let second = b.make("p", json!({})).await;
    b.upload("p", &second, b"good 6").await.is(413);
    b.upload("p", &second, b"good ").await.is(204);
    let formless = b.send("p", "POST", "/v2/images", json!({})).await.is(201).json();
    b.upload("p", &format!("/v2/images/{}", formless["id"].as_str().unwrap()), b"good").await.is(400);
    b.stop().await;
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_the_image_queued() {
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({})).await;
    let mut stream = b.begin("p", "PUT", &format!("{image}/file"), DATA, 1000).await;
    stream.write_all(b"good").await.unwrap();
    b.until(&image, "saving").await;
    b.upload("p", &image, b"good").await.is(409);
    drop(stream);
    b.until(&image, "queued").await;
    assert!(b.files().is_empty());
    b.upload("p", &image, b"good").await.is(204);
    b.stop().await;
}

/// What the process has in memory, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn much_data_takes_little_memory() {
    const PIECES: usize = 1024;
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({})).await;
    let mut piece = vec![b'x'; 64 << 10];
    piece[..4].copy_from_slice(b"good");
    let before = resident();
    let mut most = before;
    let mut stream = b.begin("p", "PUT", &format!("{image}/file"), DATA, PIECES * piece.len()).await;
    for n in 0..PIECES {
        stream.write_all(&piece).await.unwrap();
        if n % 64 == 0 {
            most = most.max(resident());
        }
    }
    finish(stream).await.is(204);
    let mut stream = b.begin("p", "GET", &format!("{image}/file"), JSON, 0).await;
    let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let n = stream.read(&mut buffer).await.unwrap();
        if n == 0 {
            break;
        }
        total += n;
        most = most.max(resident());
    }
    assert!(total > PIECES * piece.len(), "{total}");
    assert!(most - before < 24 << 10, "{} KiB more", most - before);
    b.stop().await;
}

#[tokio::test]
async fn the_sweep_mends_what_a_dead_daemon_left() {
    let b = start(1 << 30, None).await;
    let image = b.make("p", json!({})).await;
    let id: ImageId = image.rsplit('/').next().unwrap().parse().unwrap();
    let write = b.store.write(move |tx| {
        tx.update::<Image>(&Scope::All, id, |i| {
            i.status = Status::Saving;
            Ok(())
        })
    });
    write.await.unwrap();
    let data = b.dir.path().join("images");
    std::fs::write(data.join(format!("{id}.abc.part")), "half").unwrap();
    std::fs::write(data.join(ImageId::new().to_string()), "orphan").unwrap();
    let running = b.reconcile();
    b.until(&image, "queued").await;
    running.stop().await;
    assert!(b.files().is_empty());
    b.stop().await;
}
