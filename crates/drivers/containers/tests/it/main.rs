//! Real containers: root and a Linux host are needed; where they are missing the tests do nothing.

#![allow(clippy::unwrap_used)]

mod escapes;

use std::{fs, os::unix::fs::symlink, path::Path, time::Instant};

use oci_spec::runtime::Spec;
use pileus_containers::{
    ContainerSpec, ContainerState, Containers, ExecSpec, LogKind, LogSpec, Stream, Wanted, linux::Linux,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const ALL: Wanted = Wanted { stdin: true, stdout: true, stderr: true };

fn possible() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    root && Path::new("/bin/busybox").exists() && fs::exists("/proc/self/ns/cgroup").unwrap_or(false)
}

fn open(state: &Path) -> Linux {
    let layer = state.join("layers/00000000000000aa/diff");
    fs::create_dir_all(layer.join("bin")).unwrap();
    fs::copy("/bin/busybox", layer.join("bin/busybox")).unwrap();
    for name in [
        "sh", "echo", "cat", "sleep", "id", "tty", "true", "ls", "hostname", "stty", "stat", "readlink",
        "mknod", "touch", "chown", "wc",
    ] {
        symlink("busybox", layer.join("bin").join(name)).unwrap();
    }
    fs::write(layer.join("bin/plain"), "no program").unwrap();
    Linux::open(state, "pileus-it").unwrap()
}

fn spec(state: &Path, id: &str, args: &[&str], tty: bool) -> ContainerSpec {
    let mut oci = serde_json::to_value(Spec::default()).unwrap();
    oci["process"]["args"] = serde_json::json!(args);
    oci["process"]["terminal"] = tty.into();
    oci["process"]["env"] = serde_json::json!(["PATH=/bin"]);
    oci["hostname"] = "box".into();
    oci["root"]["readonly"] = false.into();
    oci["linux"]["resources"] = serde_json::json!({});
    ContainerSpec {
        id: id.into(),
        oci: serde_json::from_value(oci).unwrap(),
        layers: vec!["00000000000000aa".into()],
        open_stdin: true,
        stdin_once: true,
        log: Some(LogSpec {
            path: state.join(format!("{id}.log")),
            kind: LogKind::Json,
            extra: String::new(),
            max_size_bytes: 1 << 20,
            max_files: 2,
        }),
        init: false,
    }
}

async fn all(mut stream: Box<dyn Stream>) -> String {
    let mut said = Vec::new();
    stream.read_to_end(&mut said).await.unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_says_hello_and_ends() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let host = open(state.path());
    let id = "hello";
    host.ensure(id).await.unwrap();
    let stream = host.attach(id, ALL).await.unwrap();
    let begun = Instant::now();
    let pid = host
        .start(&spec(state.path(), id, &["sh", "-c", "echo hello; hostname; exit 3"], false))
        .await
        .unwrap();
    eprintln!("started {pid} in {:?}", begun.elapsed());
    let said = all(stream).await;
    assert!(said.starts_with("\u{1}\0\0\0\0\0\0"), "{said:?}");
    assert!(said.contains("hello\n") && said.contains("box\n"), "{said:?}");
    let ended = host.wait(id).await.unwrap();
    assert!(matches!(ended, ContainerState::Exited { code: 3, oom_killed: false, .. }), "{ended:?}");
    let log = fs::read_to_string(state.path().join("hello.log")).unwrap();
    assert!(log.starts_with(r#"{"log":"hello\n","stream":"stdout","time":""#), "{log}");
    host.remove(id).await.unwrap();
    assert!(host.list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_can_be_entered_and_outlives_the_driver() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let host = open(state.path());
    let id = "long";
    let pid = host.start(&spec(state.path(), id, &["cat"], false)).await.unwrap();
    let mut process = spec(state.path(), id, &["cat"], false).oci.process().clone().unwrap();
    let exec = ExecSpec { id: "one".into(), process: process.clone(), wanted: ALL };
    let begun = Instant::now();
    let (_, mut stream) = host.exec(id, &exec).await.unwrap();
    eprintln!("exec in {:?}", begun.elapsed());
    stream.write_all(b"through").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(all(stream).await, "\u{1}\0\0\0\0\0\0\u{7}through");
    assert_eq!(host.exec_exit(id, "one").await.unwrap(), Some(0));
    process.set_args(Some(vec!["nope".into()]));
    let error = host.exec(id, &ExecSpec { id: "two".into(), process, wanted: ALL }).await.err().unwrap();
    assert_eq!(error.code_word(), Some("exit-127"));
    host.pause(id, true).await.unwrap();
    drop(host);
    let host = Linux::open(state.path(), "pileus-it").unwrap();
    assert_eq!(host.state(id).await.unwrap(), ContainerState::Running { pid, paused: true });
    host.pause(id, false).await.unwrap();
    assert_eq!(host.pids(id).await.unwrap(), [pid]);
    host.signal(id, 9).await.unwrap();
    assert!(matches!(host.wait(id).await.unwrap(), ContainerState::Exited { code: 137, .. }));
    host.remove(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exec_that_freezes_while_it_joins_holds_nobody_up() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let host = std::sync::Arc::new(open(state.path()));
    let id = "frozen";
    let pid = host.start(&spec(state.path(), id, &["cat"], false)).await.unwrap();
    let process = spec(state.path(), id, &["echo", "through"], false).oci.process().clone().unwrap();
    let begin = |name: &str| {
        let (host, process, name) = (host.clone(), process.clone(), name.to_owned());
        tokio::spawn(async move {
            let exec = ExecSpec { id: name, process, wanted: Wanted { stdin: false, ..ALL } };
            host.exec(id, &exec).await.map(|(_, stream)| stream)
        })
    };
    host.pause(id, true).await.unwrap();
    let joining = begin("one");
    // It is in the group, frozen before it has become its program.
    let tasks = host.clone();
    while tasks.pids(id).await.unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(host.state(id).await.unwrap(), ContainerState::Running { pid, paused: true });
    host.pause(id, false).await.unwrap();
    assert!(all(joining.await.unwrap().unwrap()).await.ends_with("through\n"));
    assert_eq!(host.exec_exit(id, "one").await.unwrap(), Some(0));
    host.pause(id, true).await.unwrap();
    let joining = begin("two");
    while tasks.pids(id).await.unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    host.remove(id).await.unwrap();
    drop(joining.await.unwrap());
    assert!(host.list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_for_want_of_memory_is_told_at_once() {
    let limited = ["memory/memory.limit_in_bytes", "cgroup.controllers"];
    let limited = limited.iter().any(|file| Path::new("/sys/fs/cgroup").join(file).exists());
    if !possible() || !limited {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let host = open(state.path());
    let id = "hungry";
    // A process of the container's doubles what it holds until it is killed; the first one lives on.
    let script = "(x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done); cat";
    let mut wanted = spec(state.path(), id, &["sh", "-c", script], false);
    let mut oci = serde_json::to_value(&wanted.oci).unwrap();
    oci["linux"]["resources"] = serde_json::json!({"memory": {"limit": 16 << 20, "swap": 16 << 20}});
    wanted.oci = serde_json::from_value(oci).unwrap();
    let pid = host.start(&wanted).await.unwrap();
    let told = tokio::sync::Notify::new();
    let killed = || told.notify_one();
    let watch = host.watch(id, &killed);
    tokio::pin!(watch);
    tokio::select! {
        ended = &mut watch => panic!("it has ended: {ended:?}"),
        () = told.notified() => {}
    }
    assert_eq!(host.state(id).await.unwrap(), ContainerState::Running { pid, paused: false });
    host.signal(id, 9).await.unwrap();
    let ended = watch.await.unwrap();
    assert!(matches!(ended, ContainerState::Exited { code: 137, oom_killed: true, .. }), "{ended:?}");
    host.remove(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_one_and_has_a_size() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let host = open(state.path());
    host.ensure("tty").await.unwrap();
    let mut stream = host.attach("tty", ALL).await.unwrap();
    let mut wanted = spec(state.path(), "tty", &["sh", "-c", "read x; tty; stty size"], true);
    wanted.init = true;
    host.start(&wanted).await.unwrap();
    host.resize("tty", None, 30, 100).await.unwrap();
    stream.write_all(b"\n").await.unwrap();
    let said = all(stream).await;
    assert!(said.contains("/dev/pts/0") && said.contains("30 100"), "{said:?}");
    assert!(matches!(host.wait("tty").await.unwrap(), ContainerState::Exited { code: 0, .. }));
    host.remove("tty").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_missing_is_named() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let host = open(state.path());
    for (name, code, words) in [
        ("nope", "exit-127", "exec: \"nope\": executable file not found in $PATH: unknown"),
        ("/bin/plain", "exit-126", "exec: \"/bin/plain\": permission denied: unknown"),
    ] {
        let error = host.start(&spec(state.path(), "bad", &[name], false)).await.unwrap_err();
        assert!(error.message().ends_with(words), "{error:?}");
        assert_eq!(error.code_word(), Some(code));
        assert_eq!(host.state("bad").await.unwrap(), ContainerState::Absent);
    }
    host.remove("bad").await.unwrap();
}
