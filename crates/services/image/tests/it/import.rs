//! Import: staged data and downloads, what is refused, what a killed daemon leaves.

use pileus_base::{Ctx, Scope, ids::ImageId};
use pileus_image::{
    Image,
    import::{self, ImportJob, NewImport, Task},
};
use pileus_jobs::torture::{Case, torture};
use pileus_store::Query;
use serde_json::{Value, json};

use crate::{
    bench::{Bench, DATA, start, start_local, start_with},
    site::Site,
};

fn web(uri: &str) -> Value {
    json!({"method": {"name": "web-download", "uri": uri}})
}

fn direct() -> Value {
    json!({"method": {"name": "glance-direct"}, "all_stores": true})
}

fn id(image: &str) -> ImageId {
    image.rsplit('/').next().unwrap().parse().unwrap()
}

/// The image's last task once it has ended.
async fn ended(b: &Bench, image: &str) -> Value {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let tasks = b.get("p", &format!("{image}/tasks")).await.is(200).json();
        let last = tasks["tasks"].as_array().unwrap().last().unwrap().clone();
        if last["status"] == "success" || last["status"] == "failure" {
            return last;
        }
        assert!(tokio::time::Instant::now() < deadline, "{last}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_is_staged_is_imported() {
    let b = start(1 << 30, Some(100)).await;
    let runner = b.run_jobs();
    let methods = b.get("p", "/v2/info/import").await.is(200).json();
    assert_eq!(methods["import-methods"]["value"], json!(["glance-direct", "web-download"]));
    assert_eq!(b.get("p", "/v2/info/stores").await.is(200).json()["stores"][0]["id"], "file");
    let body = json!({"name": "x", "disk_format": "raw", "container_format": "bare"});
    let made = b.send("p", "POST", "/v2/images", body).await.is(201);
    assert!(
        made.head.contains("openstack-image-import-methods: glance-direct,web-download"),
        "{}",
        made.head
    );
    let image = format!("/v2/images/{}", made.json()["id"].as_str().unwrap());
    let (stage, import) = (format!("{image}/stage"), format!("{image}/import"));
    b.send("p", "POST", &import, direct()).await.is(409);
    b.ask("q", "PUT", &stage, DATA, b"good data").await.is(404);
    b.ask("p", "PUT", &stage, "text/plain", b"good data").await.is(415);
    b.ask("p", "PUT", &stage, DATA, b"good data").await.is(204);
    let shown = b.get("p", &image).await.json();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("uploading"), &json!(9)));
    assert_eq!(b.charged("p").await, 9);
    b.get("p", &format!("{image}/file")).await.is(204);
    b.ask("p", "PUT", &stage, DATA, b"good data").await.is(409);
    b.upload("p", &image, b"good data").await.is(409);
    b.send("p", "POST", &import, web("http://1.1.1.1/")).await.is(409);
    b.send("q", "POST", &import, direct()).await.is(404);
    let asked = b.send("p", "POST", &import, direct()).await.is(202);
    b.until(&image, "active").await;
    let task = ended(&b, &image).await;
    assert_eq!((&task["status"], &task["type"]), (&json!("success"), &json!("api_image_import")));
    assert_eq!(task["input"]["import_req"]["method"]["name"], "glance-direct");
    assert!(
        asked.head.contains(&format!("x-openstack-request-id: {}", task["request_id"].as_str().unwrap()))
    );
    let shown = b.get("p", &image).await.json();
    assert_eq!((&shown["stores"], &shown["size"]), (&json!("file"), &json!(9)));
    assert_eq!(shown["virtual_size"], 1 << 30);
    assert!(shown.get("os_glance_import_task").is_none(), "{shown}");
    assert_eq!(b.get("p", &format!("{image}/file")).await.is(200).body, "good data");
    b.send("p", "POST", &import, direct()).await.is(409);

    let id = task["id"].as_str().unwrap();
    b.get("p", "/v2/tasks").await.is(403);
    let tasks = b.get("admin", "/v2/tasks?status=success").await.is(200).json();
    assert_eq!(tasks["tasks"][0]["id"], id);
    assert!(tasks["tasks"][0].get("input").is_none());
    b.get("admin", "/v2/tasks?status=x").await.is(400);
    let one = b.get("admin", &format!("/v2/tasks/{id}")).await.is(200).json();
    assert_eq!(one["result"], json!({"image_id": shown["id"]}));
    b.send("admin", "DELETE", &format!("/v2/tasks/{id}"), json!({})).await.is(405);
    b.get("admin", "/v2/tasks/x").await.is(404);

    b.send("p", "DELETE", &image, json!({})).await.is(204);
    assert!(b.files().is_empty());
    assert_eq!(b.charged("p").await, 0);
    runner.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn what_is_staged_and_bad_is_refused() {
    let b = start(1 << 30, Some(100)).await;
    let runner = b.run_jobs();
    let image = b.make("p", json!({})).await;
    let stage = format!("{image}/stage");
    b.ask("p", "PUT", &stage, DATA, &[b'x'; 101]).await.is(413);
    assert_eq!(b.get("p", &image).await.json()["status"], "queued");
    b.ask("p", "PUT", &stage, DATA, b"evil").await.is(204);
    b.send("p", "POST", &format!("{image}/import"), direct()).await.is(202);
    let task = ended(&b, &image).await;
    assert_eq!(task["status"], "failure");
    assert_eq!(task["message"], "Image content does not match disk_format");
    let shown = b.get("p", &image).await.json();
    assert_eq!((&shown["status"], &shown["size"]), (&json!("queued"), &Value::Null));
    assert_eq!(shown["os_glance_failed_import"], "file");
    assert!(b.files().is_empty());
    assert_eq!(b.charged("p").await, 0);
    // and it may be tried again
    b.ask("p", "PUT", &stage, DATA, b"good").await.is(204);
    b.send("p", "POST", &format!("{image}/import"), direct()).await.is(202);
    b.until(&image, "active").await;
    assert!(b.get("p", &image).await.json().get("os_glance_failed_import").is_none());
    for bad in [
        json!({}),
        json!({"method": {}}),
        json!({"method": {"name": "copy-image"}}),
        json!({"method": {"name": "web-download"}}),
        json!({"method": {"name": "glance-direct"}, "all_stores": "yes"}),
        json!({"method": {"name": "glance-direct"}, "all_stores": true, "stores": ["file"]}),
    ] {
        b.send("p", "POST", &format!("{image}/import"), bad).await.is(400);
    }
    runner.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn the_web_is_downloaded_from() {
    let (b, site) = (start_local().await, Site::start().await);
    let runner = b.run_jobs();
    for path in ["/good", "/moved", "/chunked"] {
        let image = b.make("p", json!({})).await;
        let import = format!("{image}/import");
        b.send("p", "POST", &import, web(&site.url(path))).await.is(202);
        let task = ended(&b, &image).await;
        assert_eq!(task["status"], "success", "{task}");
        assert_eq!(b.get("p", &format!("{image}/file")).await.is(200).body, "good data");
    }
    for (path, why) in [
        ("/evil", "does not match"),
        ("/missing", "the server answered 404"),
        ("/short", "broke off"),
        ("/packed", "compressed"),
        ("/inside", "not one that may be downloaded from"),
        ("/file", "no URL"),
        ("/loop", "too many redirects"),
    ] {
        let image = b.make("p", json!({})).await;
        b.send("p", "POST", &format!("{image}/import"), web(&site.url(path))).await.is(202);
        let task = ended(&b, &image).await;
        assert_eq!(task["status"], "failure", "{path}");
        assert!(task["message"].as_str().unwrap().contains(why), "{path}: {task}");
        let shown = b.get("p", &image).await.json();
        assert_eq!((&shown["status"], &shown["os_glance_failed_import"]), (&json!("queued"), &json!("file")));
    }
    assert_eq!(b.files().len(), 3);
    assert_eq!(b.charged("p").await, 27);

    let properties = json!({"name": "old way", "disk_format": "raw", "container_format": "bare"});
    let task = json!({"type": "import", "input": {
        "import_from": site.url("/good"), "import_from_format": "raw", "image_properties": properties,
    }});
    b.send("p", "POST", "/v2/tasks", task.clone()).await.is(403);
    let made = b.send("admin", "POST", "/v2/tasks", task).await.is(201).json();
    b.until(&format!("/v2/images/{}", made["image_id"].as_str().unwrap()), "active").await;
    runner.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn tls_is_verified() {
    let (site, certificate) = Site::start_secure().await;
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, certificate).unwrap();
    let b = start_with(|o| {
        o.web_download_allow = vec!["127.0.0.0/8".parse().unwrap()];
        o.web_download_ca = Some(ca);
    })
    .await;
    let runner = b.run_jobs();
    let port = site.address.port();
    for (uri, why) in [
        (format!("https://localhost:{port}/good"), None),
        (format!("https://127.0.0.1:{port}/good"), Some("secure connection failed")),
        (format!("https://localhost:{port}/plain"), Some("from https to http")),
    ] {
        let image = b.make("p", json!({})).await;
        b.send("p", "POST", &format!("{image}/import"), web(&uri)).await.is(202);
        let task = ended(&b, &image).await;
        match why {
            None => assert_eq!(task["status"], "success", "{task}"),
            Some(why) => assert!(task["message"].as_str().unwrap().contains(why), "{task}"),
        }
    }
    runner.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn nothing_inside_is_reached_unless_allowed() {
    let (b, site) = (start(1 << 30, None).await, Site::start().await);
    let runner = b.run_jobs();
    let image = b.make("p", json!({})).await;
    let import = format!("{image}/import");
    for uri in [
        site.url("/good"),
        "http://169.254.169.254/latest/meta-data".into(),
        "http://10.0.0.1/".into(),
        "http://[::1]/".into(),
        "http://[::ffff:127.0.0.1]/".into(),
        "http://0.0.0.0/".into(),
        "http://1.1.1.1:25/".into(),
        "http://user:word@1.1.1.1/".into(),
        "ftp://1.1.1.1/x".into(),
        "file:///etc/passwd".into(),
        "nonsense".into(),
    ] {
        let said = b.send("p", "POST", &import, web(&uri)).await.is(400);
        assert!(said.body.contains("does not pass filtering"), "{}", said.body);
    }
    assert_eq!(b.get("p", &image).await.json()["status"], "queued");
    // A name, and other ways to write an address, are looked up, and what comes of it is refused.
    for host in ["localhost", "127.1", "2130706433", "0x7f000001"] {
        let image = b.make("p", json!({})).await;
        let uri = format!("http://{host}:{}/good", site.address.port());
        b.send("p", "POST", &format!("{image}/import"), web(&uri)).await.is(202);
        let task = ended(&b, &image).await;
        assert_eq!(task["status"], "failure", "{host}");
    }
    assert!(b.files().is_empty());
    runner.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn downloads_keep_to_the_limits() {
    let site = Site::start().await;
    let b = start_with(|o| {
        o.web_download_allow = vec!["127.0.0.0/8".parse().unwrap()];
        o.project_bytes = Some(1000);
    })
    .await;
    let runner = b.run_jobs();
    let image = b.make("p", json!({})).await;
    b.send("p", "POST", &format!("{image}/import"), web(&site.url("/endless"))).await.is(202);
    let task = ended(&b, &image).await;
    assert!(task["message"].as_str().unwrap().contains("exceeds the storage quota"), "{task}");
    assert!(b.files().is_empty());
    assert_eq!(b.charged("p").await, 0);
    runner.stop().await;
    b.stop().await;
}

#[tokio::test]
async fn a_deleted_image_ends_its_import() {
    let (b, site) = (start_local().await, Site::start().await);
    let runner = b.run_jobs();
    let image = b.make("p", json!({})).await;
    b.send("p", "POST", &format!("{image}/import"), web(&site.url("/hang"))).await.is(202);
    b.until(&image, "importing").await;
    let shown = b.get("p", &image).await.json();
    assert_eq!(shown["os_glance_importing_to_stores"], "file");
    let task = shown["os_glance_import_task"].as_str().unwrap().to_owned();
    b.send("p", "POST", &format!("{image}/import"), web(&site.url("/good"))).await.is(409);
    b.send("p", "DELETE", &image, json!({})).await.is(204);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while b.get("admin", &format!("/v2/tasks/{task}")).await.is(200).json()["status"] != "failure" {
        assert!(tokio::time::Instant::now() < deadline);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(b.files().is_empty());
    runner.stop().await;
    b.stop().await;
}

struct World {
    b: Bench,
    _site: Site,
}

async fn case(from_web: bool) -> Case<ImportJob, World> {
    let site = Site::start().await;
    let b = start_with(|o| {
        o.web_download_allow = vec!["127.0.0.0/8".parse().unwrap()];
        o.project_bytes = Some(1 << 30);
    })
    .await;
    let image = b.make("p", json!({})).await;
    if !from_web {
        b.ask("p", "PUT", &format!("{image}/stage"), DATA, b"good data").await.is(204);
    }
    let uri = from_web.then(|| site.url("/good"));
    let request = uri.as_deref().map_or_else(direct, web);
    let new = NewImport { image: id(&image), request, uri, kind: "api_image_import" };
    let prepare = b.store.write(move |tx| import::prepare(tx, &Ctx::internal(), &new));
    let input = prepare.await.unwrap();
    let handler = ImportJob::new(b.images.clone());
    Case::new(b.store.clone(), World { b, _site: site }, handler, import::subject(id(&image)), input)
}

/// What the world says of its one image.
async fn state(world: &World) -> (String, String, Vec<u64>, i64) {
    let read = world.b.store.read(|rd| {
        let image = rd.list::<Image>(&Scope::All, &Query::all())?.pop().unwrap().value;
        Ok((image, rd.list::<Task>(&Scope::All, &Query::all())?.pop().unwrap().value))
    });
    let (image, task) = read.await.unwrap();
    let dir = world.b.dir.path().join("images");
    let files = world.b.files().iter().map(|f| std::fs::metadata(dir.join(f)).unwrap().len()).collect();
    (image.status.word().into(), task.status.word().into(), files, world.b.charged("p").await)
}

async fn is(world: &World, wanted: (&str, &str, &[u64], i64)) -> Result<(), String> {
    let found = state(world).await;
    let same = (found.0.as_str(), found.1.as_str(), found.2.as_slice(), found.3) == wanted;
    if same { Ok(()) } else { Err(format!("{found:?}")) }
}

#[tokio::test]
async fn an_import_is_whole_or_undone() {
    for from_web in [false, true] {
        torture(
            async || case(from_web).await,
            async |world: &World| is(world, ("queued", "failure", &[], 0)).await,
            async |world: &World| is(world, ("active", "success", &[9], 9)).await,
        )
        .await;
    }
}
