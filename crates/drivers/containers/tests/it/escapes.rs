//! Known ways out of a container: each is tried, and must fail.

use std::os::unix::fs::MetadataExt as _;

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// An id that no other test has: control groups are the host's.
fn id() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("escape-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Runs `script` in a container whose configuration is Docker's in what matters here; what it says, frames
/// and all.
async fn run(script: &str, change: impl FnOnce(&mut serde_json::Value)) -> Result<String, String> {
    let state = tempfile::tempdir().unwrap();
    let (host, id) = (open(state.path()), id());
    let spec = docker_like(state.path(), &id, &["sh", "-c", script], change);
    host.ensure(&id).await.unwrap();
    let stream = host.attach(&id, ALL).await.unwrap();
    let started = host.start(&spec).await;
    let said = all(stream).await;
    if started.is_ok() {
        host.wait(&id).await.unwrap();
    }
    host.remove(&id).await.unwrap();
    started.map(|_| said).map_err(|e| e.chain().to_string())
}

const CAPS: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

fn docker_like(
    state: &Path,
    id: &str,
    args: &[&str],
    change: impl FnOnce(&mut serde_json::Value),
) -> ContainerSpec {
    let mut spec = spec(state, id, args, false);
    let mut oci = serde_json::to_value(&spec.oci).unwrap();
    oci["process"]["capabilities"] = serde_json::json!({
        "bounding": CAPS, "effective": CAPS, "permitted": CAPS, "inheritable": [], "ambient": []});
    oci["linux"]["maskedPaths"] = serde_json::json!(["/proc/version", "/proc/acpi", "/proc/tty"]);
    oci["linux"]["readonlyPaths"] = serde_json::json!(["/proc/sys", "/proc/sysrq-trigger", "/proc/bus"]);
    oci["linux"]["resources"] = serde_json::json!({"devices": [
        {"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "access": "m"},
        {"allow": true, "type": "b", "access": "m"},
        {"allow": true, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
        {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"}]});
    change(&mut oci);
    spec.oci = serde_json::from_value(oci).unwrap();
    spec
}

/// CVE-2019-5736: the program that enters containers can't be overwritten from one.
#[tokio::test(flavor = "multi_thread")]
async fn the_supervisor_can_t_be_overwritten() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let (host, id) = (open(state.path()), id());
    let mut spec = docker_like(state.path(), &id, &["sleep", "60"], |_| {});
    // The small init is the supervisor's own program, and stays in the container as process 1.
    spec.init = true;
    let pid = host.start(&spec).await.unwrap();
    let exe = format!("/proc/{pid}/exe");
    assert!(fs::read_link(&exe).unwrap().to_str().unwrap().starts_with("/memfd:pileus-supervisor"));
    let open = fs::OpenOptions::new().write(true).open(&exe);
    let written = open.and_then(|mut f| std::io::Write::write_all(&mut f, b"x"));
    assert!(written.is_err(), "even the host's root can't write it");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mut process = spec.oci.process().clone().unwrap();
    let script = "cat /proc/1/exe >/dev/null && echo read; (echo x >/proc/1/exe) 2>/dev/null && echo wrote; \
                  for f in /proc/1/fd/*; do echo $f; done; cat /proc/1/environ 2>/dev/null; echo end";
    process.set_args(Some(["sh", "-c", script].map(String::from).to_vec()));
    let (_, stream) = host.exec(&id, &ExecSpec { id: "e".into(), process, wanted: ALL }).await.unwrap();
    let said = all(stream).await;
    host.remove(&id).await.unwrap();
    assert!(!said.contains("wrote") && said.contains("end"), "{said:?}");
    // And it has given up what the program has given up.
    assert!(status.contains("CapEff:\t00000000a80425fb"), "{status}");
}

/// CVE-2024-21626: nothing of ours is open, and no working directory leads out.
#[tokio::test(flavor = "multi_thread")]
async fn no_descriptor_leads_out() {
    if !possible() {
        return;
    }
    let said = run("ls /proc/self/fd; readlink /proc/self/cwd", |_| {}).await.unwrap();
    // 3 is the directory that `ls` reads.
    let fds: Vec<_> = said.split(|c: char| !c.is_ascii_digit()).filter(|s| !s.is_empty()).collect();
    assert_eq!(fds, ["0", "1", "2", "3"], "{said:?}");
    for n in 0..24 {
        for below in ["", "/../../../tmp", "/escaped"] {
            let cwd = format!("/proc/self/fd/{n}{below}");
            let answer = run("echo in; readlink /proc/self/cwd", |oci| {
                oci["process"]["cwd"] = cwd.clone().into();
            })
            .await;
            assert!(answer.is_err(), "{cwd}: {answer:?}");
        }
    }
    let state = tempfile::tempdir().unwrap();
    let (host, id) = (open(state.path()), id());
    let spec = docker_like(state.path(), &id, &["sleep", "60"], |_| {});
    host.start(&spec).await.unwrap();
    let mut process = spec.oci.process().clone().unwrap();
    process.set_args(Some(["ls", "/proc/self/fd"].map(String::from).to_vec()));
    let exec = |id: &str, process| ExecSpec { id: id.into(), process, wanted: ALL };
    let (_, stream) = host.exec(&id, &exec("one", process.clone())).await.unwrap();
    let said = all(stream).await;
    let fds: Vec<_> = said.split(|c: char| !c.is_ascii_digit()).filter(|s| !s.is_empty()).collect();
    assert_eq!(fds, ["0", "1", "2", "3"], "{said:?}");
    for n in 3..24 {
        process.set_cwd(format!("/proc/self/fd/{n}").into());
        assert!(host.exec(&id, &exec(&format!("x{n}"), process.clone())).await.is_err(), "{n}");
    }
    host.remove(&id).await.unwrap();
}

/// CVE-2025-31133 and its like: what is masked is masked by the real null device, and `/proc/sys` is
/// read-only, whatever the image has there.
#[tokio::test(flavor = "multi_thread")]
async fn masks_are_real() {
    if !possible() {
        return;
    }
    let said = run(
        "stat -c '%n %F %t:%T' /proc/version; (echo x >/proc/sys/kernel/domainname) 2>&1; \
         cat /proc/version | wc -c; ls /proc/tty | wc -l; (echo x >/proc/tty/x) 2>&1",
        |_| {},
    )
    .await
    .unwrap();
    assert!(said.contains("/proc/version character special file 1:3"), "{said:?}");
    assert_eq!(said.matches("Read-only file system").count(), 2, "{said:?}");
    assert_eq!(said.matches("0\n").count(), 2, "{said:?}");
    // An image whose /proc is a link elsewhere isn't run.
    let state = tempfile::tempdir().unwrap();
    let (host, id) = (open(state.path()), id());
    let layer = state.path().join("layers/00000000000000aa/diff");
    fs::create_dir_all(layer.join("elsewhere")).unwrap();
    symlink("elsewhere", layer.join("proc")).unwrap();
    let error = host.start(&docker_like(state.path(), &id, &["true"], |_| {})).await.unwrap_err();
    assert!(error.message().contains("must be mounted on ordinary directory"), "{error:?}");
    host.remove(&id).await.unwrap();
}

/// CVE-2025-52881: nothing is mounted inside `/proc`, by name or through a link.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_mounted_in_proc() {
    if !possible() {
        return;
    }
    let mount = |target: &str| {
        let target = target.to_owned();
        run("echo in", move |oci| {
            let mounts = oci["mounts"].as_array_mut().unwrap();
            let options = ["rbind"];
            mounts.push(serde_json::json!({
                "destination": target, "type": "bind", "source": "/etc/hostname", "options": options}));
        })
    };
    for target in ["/proc/self/attr/exec", "/proc/sys/kernel/domainname", "/proc/1/status"] {
        let error = mount(target).await.unwrap_err();
        assert!(error.contains("inside /proc") || error.contains("mount point"), "{target}: {error}");
    }
    assert!(mount("/proc/uptime").await.unwrap().contains("in\n"));
}

/// CVE-2022-0185's and others' way: capabilities are those of the profile, in the first process and in execs.
#[tokio::test(flavor = "multi_thread")]
async fn capabilities_are_the_profile_s() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let (host, id) = (open(state.path()), id());
    let spec = docker_like(state.path(), &id, &["sleep", "60"], |_| {});
    let pid = host.start(&spec).await.unwrap();
    let mut process = spec.oci.process().clone().unwrap();
    process.set_args(Some(["sleep", "60"].map(String::from).to_vec()));
    let exec = ExecSpec { id: "e".into(), process, wanted: ALL };
    let (exec_pid, _stream) = host.exec(&id, &exec).await.unwrap();
    for pid in [pid, exec_pid] {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        for (set, is) in
            [("Inh", 0), ("Prm", 0xa804_25fb_u64), ("Eff", 0xa804_25fb), ("Bnd", 0xa804_25fb), ("Amb", 0)]
        {
            assert!(status.contains(&format!("Cap{set}:\t{is:016x}")), "{set}: {status}");
        }
    }
    host.remove(&id).await.unwrap();
}

/// A disk's node can be made, as in Docker, and not be opened; other devices can't either.
#[tokio::test(flavor = "multi_thread")]
async fn disks_can_t_be_opened() {
    if !possible() {
        return;
    }
    let disk = fs::metadata("/").unwrap().dev();
    let (major, minor) = (rustix::fs::major(disk), rustix::fs::minor(disk));
    let script = format!(
        "mknod /d b {major} {minor} && echo made; (cat </d >/dev/null) 2>&1 || echo refused; \
         mknod /m c 1 1; (cat </m) 2>&1; echo x >/dev/null && echo null"
    );
    let said = run(&script, |_| {}).await.unwrap();
    assert!(said.contains("made") && said.contains("refused") && said.contains("null"), "{said:?}");
    assert_eq!(said.matches("Operation not permitted").count(), 2, "{said:?}");
}

/// With a user namespace root is nobody on the host; its files are its own inside, and need no new owner.
#[tokio::test(flavor = "multi_thread")]
async fn root_is_nobody_on_the_host() {
    if !possible() {
        return;
    }
    let state = tempfile::tempdir().unwrap();
    let (host, id) = (open(state.path()), id());
    let (volume, bind) = (state.path().join("volume"), state.path().join("bind"));
    for dir in [&volume, &bind] {
        fs::create_dir(dir).unwrap();
    }
    fs::set_permissions(&bind, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    fs::write(volume.join("there"), "there").unwrap();
    let script = "id -u; stat -c '%u %n' /bin/busybox /volume/there /dev /proc/self/; touch /volume/new /bind/new \
                  /new && echo touched; chown 5 /volume/new; (cat /bind/secret) 2>&1; sleep 60";
    fs::write(bind.join("secret"), "secret").unwrap();
    fs::set_permissions(bind.join("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let spec = docker_like(state.path(), &id, &["sh", "-c", script], |oci| {
        let map = serde_json::json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        oci["linux"]["uidMappings"] = map.clone();
        oci["linux"]["gidMappings"] = map;
        oci["linux"]["namespaces"].as_array_mut().unwrap().push(serde_json::json!({"type": "user"}));
        let mounts = oci["mounts"].as_array_mut().unwrap();
        for (source, at, options) in
            [(&volume, "/volume", ["rbind", "idmap"]), (&bind, "/bind", ["rbind", "rw"])]
        {
            mounts.push(serde_json::json!({
                "destination": at, "type": "bind", "source": source, "options": options}));
        }
    });
    host.ensure(&id).await.unwrap();
    let mut stream = host.attach(&id, ALL).await.unwrap();
    let pid = host.start(&spec).await.unwrap();
    let mut said = String::new();
    while !said.contains("ermission denied") {
        let mut some = [0; 4096];
        let n = stream.read(&mut some).await.unwrap();
        assert!(n > 0, "{said}");
        said.push_str(&String::from_utf8_lossy(&some[..n]));
    }
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let process = spec.oci.process().clone().unwrap();
    let mut process = process;
    process.set_args(Some(
        ["sh", "-c", "id -u; echo x >/by-exec && stat -c %u /by-exec"].map(String::from).to_vec(),
    ));
    let exec = ExecSpec { id: "e".into(), process, wanted: ALL };
    let (_, exec_stream) = host.exec(&id, &exec).await.unwrap();
    let exec_said = all(exec_stream).await;
    let owner = |path: &Path| fs::metadata(path).map(|m| m.uid()).unwrap();
    let upper = state.path().join("containers").join(&id).join("upper");
    let owners = [
        owner(&volume.join("new")),
        owner(&bind.join("new")),
        owner(&upper.join("new")),
        owner(&upper.join("by-exec")),
    ];
    host.remove(&id).await.unwrap();
    assert!(status.contains("Uid:\t100000\t100000\t100000\t100000"), "{status}");
    assert!(said.contains("0 /bin/busybox\n0 /volume/there\n0 /dev\n0 /proc/self/\n"), "{said}");
    assert!(said.contains("touched"), "{said}");
    assert_eq!(owners, [5, 100_000, 0, 0]);
    assert_eq!(exec_said.matches("0\n").count(), 2, "{exec_said:?}");
}
