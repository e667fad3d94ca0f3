//! The kernel's dataplane with a real client: a namespace that stands for a guest, plugged into the
//! bridge by a veth that bears the tap's name.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod bridges;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::Arc,
    time::Duration,
};

use pileus_base::{
    InstanceId,
    ids::{NetworkId, PortId},
};
use pileus_dataplane::{
    BoxFuture, Dataplane, Mac, Metadata, MetadataAnswer, MetadataQuery, NetworkSpec, PortSpec, SubnetSpec,
    linux::{Linux, netns_path},
    sim::Sim,
};
use tempfile::TempDir;

/// Tells who asked for what.
struct Echo;

impl Metadata for Echo {
    fn answer(&self, q: MetadataQuery) -> BoxFuture<'_, MetadataAnswer> {
        Box::pin(async move {
            let body = format!("{} {} {}", q.peer, q.method, q.path).into_bytes();
            MetadataAnswer { status: 200, media: "text/plain".into(), body }
        })
    }
}

fn network() -> NetworkSpec {
    NetworkSpec {
        id: NetworkId::new(),
        mtu: 1450,
        dns_domain: "example.test".into(),
        service_mac: "fa:16:3e:00:00:02".parse().unwrap(),
        subnets: vec![SubnetSpec {
            cidr: "10.0.0.0/24".parse().unwrap(),
            gateway: Some("10.0.0.1".parse().unwrap()),
            dhcp: true,
            service_ip: Some("10.0.0.2".parse().unwrap()),
            dns: vec![],
            host_routes: vec![],
            advertise: false,
            managed: false,
        }],
    }
}

fn port(network: &NetworkSpec) -> PortSpec {
    PortSpec {
        id: PortId::new(),
        network: network.id,
        mac: "fa:16:3e:00:00:05".parse().unwrap(),
        ips: vec!["10.0.0.5".parse().unwrap()],
        allowed_pairs: vec![(None, "10.0.0.5/32".parse().unwrap()), (None, "10.9.0.0/24".parse().unwrap())],
        port_security: true,
        hostname: Some("web".into()),
        admin_up: true,
        dhcp_options: vec![],
    }
}

async fn conforms(driver: &dyn Dataplane) {
    let (net, mut p) = (network(), port(&network()));
    p.network = net.id;
    assert!(driver.ensure_port(&p).await.is_err(), "a port needs its network");
    for _ in 0..2 {
        driver.ensure_network(&net).await.unwrap();
        assert_eq!(driver.networks().await.unwrap(), [net.id]);
    }
    for _ in 0..2 {
        driver.ensure_port(&p).await.unwrap();
        assert_eq!(driver.ports(net.id).await.unwrap(), [p.id]);
    }
    drop(driver.open_tap(net.id, p.id).await.unwrap());
    for _ in 0..2 {
        driver.remove_port(net.id, p.id).await.unwrap();
        assert!(driver.ports(net.id).await.unwrap().is_empty());
    }
    for _ in 0..2 {
        driver.remove_network(net.id).await.unwrap();
        assert!(driver.networks().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn sim_conforms() {
    conforms(&Sim::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn linux_conforms() {
    let dir = TempDir::new().unwrap();
    conforms(&Linux::open(dir.path(), InstanceId::generate(), Arc::new(Echo)).unwrap()).await;
}

/// A guest: a namespace of its own, pinned in the test's directory.
struct Guest(PathBuf);

impl Guest {
    fn new(dir: &Path) -> Self {
        let path = dir.join("guest");
        std::fs::write(&path, "").unwrap();
        run("unshare", &[&format!("--net={}", path.display()), "ip", "link", "set", "lo", "up"]);
        Self(path)
    }
    fn plug(&self, network: &Path, tap: &str, mac: Mac) {
        let (inner, outer) = (format!("--net={}", self.0.display()), format!("--net={}", network.display()));
        let fd = std::fs::File::open(&self.0).unwrap();
        let pid = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&fd));
        run(
            "nsenter",
            &[&outer, "ip", "link", "add", tap, "type", "veth", "peer", "name", "g0", "netns", &pid],
        );
        run("nsenter", &[&inner, "ip", "link", "set", "g0", "address", &mac.to_string(), "up"]);
    }
    fn run(&self, args: &[&str]) -> Output {
        let enter = format!("--net={}", self.0.display());
        Command::new("nsenter").arg(enter).arg("--").args(args).output().unwrap()
    }
    fn says(&self, args: &[&str]) -> String {
        let output = self.run(args);
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
    }
}
impl Drop for Guest {
    fn drop(&mut self) {
        run("umount", &[&self.0.display().to_string()]);
    }
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_served_and_held_to_its_address() {
    let (dir, instance) = (TempDir::new().unwrap(), InstanceId::generate());
    let driver = Linux::open(dir.path(), instance.clone(), Arc::new(Echo)).unwrap();
    let net = network();
    let port = port(&net);
    driver.ensure_network(&net).await.unwrap();
    let guest = Guest::new(dir.path());
    let tap = instance.link('t', port.id.0);
    guest.plug(&netns_path(dir.path(), net.id), &tap, port.mac);
    driver.ensure_port(&port).await.unwrap();

    let script = dir.path().join("udhcpc");
    std::fs::write(&script, "#!/bin/sh\n[ \"$1\" = bound ] && echo \"ip=$ip mask=$mask router=$router dns=$dns domain=$domain hostname=$hostname mtu=$mtu routes=$staticroutes\"\nexit 0\n").unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let script = script.display().to_string();
    let lease = guest.says(&[
        "busybox",
        "udhcpc",
        "-i",
        "g0",
        "-n",
        "-q",
        "-t",
        "5",
        "-T",
        "1",
        "-f",
        "-O",
        "staticroutes",
        "-O",
        "mtu",
        "-O",
        "hostname",
        "-s",
        &script,
    ]);
    for part in [
        "ip=10.0.0.5 mask=24 router=10.0.0.1 dns=10.0.0.2 domain=example.test hostname=web mtu=1450",
        "169.254.169.254/32 10.0.0.2",
        "0.0.0.0/0 10.0.0.1",
    ] {
        assert!(lease.contains(part), "{part} in {lease}");
    }
    guest.run(&["ip", "addr", "add", "10.0.0.5/24", "dev", "g0"]);
    guest.run(&["ip", "route", "add", "169.254.169.254/32", "via", "10.0.0.2"]);
    let wget = |url: &str| guest.says(&["busybox", "wget", "-q", "-O", "-", url]);
    assert_eq!(wget("http://169.254.169.254/latest/meta-data/"), "10.0.0.5 GET /latest/meta-data/");
    let lookup = |name: &str| guest.says(&["busybox", "nslookup", name, "10.0.0.2"]);
    assert!(lookup("web.example.test").contains("10.0.0.5"), "{}", lookup("web.example.test"));
    assert!(lookup("10.0.0.5").contains("web.example.test"));
    let ping =
        |from: &str| guest.run(&["ping", "-c", "1", "-W", "1", "-I", from, "10.0.0.2"]).status.success();
    assert!(ping("10.0.0.5"));
    guest.run(&["ip", "addr", "add", "10.0.0.77/24", "dev", "g0"]);
    assert!(!ping("10.0.0.77"), "a foreign address is dropped");

    // A restarted daemon serves the same network again, and reaches into it.
    drop(driver);
    let driver = Linux::open(dir.path(), instance, Arc::new(Echo)).unwrap();
    assert_eq!(driver.networks().await.unwrap(), [net.id]);
    driver.ensure_network(&net).await.unwrap();
    driver.ensure_port(&port).await.unwrap();
    assert_eq!(wget("http://169.254.169.254/x"), "10.0.0.5 GET /x");
    let enter = format!("--net={}", guest.0.display());
    let mut server = Command::new("nsenter")
        .args([&enter, "busybox", "nc", "-l", "-p", "22", "-e", "echo", "hello"])
        .spawn()
        .unwrap();
    let dialled = async {
        loop {
            if let Ok(stream) = driver.dial(net.id, "10.0.0.5".parse().unwrap(), 22).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut stream = tokio::time::timeout(Duration::from_secs(10), dialled).await.unwrap();
    let mut said = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut said).await.unwrap();
    assert_eq!(said, "hello\n");
    server.wait().unwrap();
    driver.remove_network(net.id).await.unwrap();
}
