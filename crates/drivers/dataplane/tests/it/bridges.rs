//! Containers' networks with real namespaces: run inside a network namespace of the test's own.

use std::{
    io::{Read, Write},
    net::{IpAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::Path,
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use pileus_base::InstanceId;
use pileus_dataplane::{
    BridgeSpec, Bridges, Dataplane, EndpointSpec, Gateway, MacvlanMode, Names, Plug, PublishedPort,
    linux::Linux,
};
use tempfile::TempDir;

use super::Echo;

fn id(of: char) -> String {
    std::iter::repeat_n(of, 64).collect()
}

fn bridge(of: char, link: &str, gateway: &str) -> BridgeSpec {
    BridgeSpec {
        network: id(of),
        link: link.into(),
        gateways: vec![gateway.parse().unwrap()],
        internal: false,
        icc: true,
        masquerade: true,
        mtu: 1500,
        gateway4: Gateway::Nat,
        gateway6: Gateway::Nat,
    }
}

fn endpoint(of: char, container: char, network: char, ip: &str, gateway: &str) -> EndpointSpec {
    EndpointSpec {
        id: id(of),
        container: id(container),
        plug: Plug::Bridge(id(network)),
        name: "eth0".into(),
        mac: format!("02:42:ac:12:00:0{of}"),
        addresses: vec![ip.parse().unwrap()],
        gateways: vec![gateway.parse().unwrap()],
        mtu: 1500,
    }
}

fn inside(netns: &Path, args: &[&str]) -> (bool, String) {
    let enter = format!("--net={}", netns.display());
    let output = Command::new("nsenter").arg(enter).arg("--").args(args).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

fn pings(netns: &Path, to: &str) -> bool {
    inside(netns, &["busybox", "ping", "-c", "1", "-W", "1", to]).0
}

/// Answers each connection to port 80 in a namespace with `hello`, until the program ends.
fn hello(netns: &Path) {
    let file = std::fs::File::open(netns).unwrap();
    let listener = std::thread::spawn(move || {
        rustix::thread::move_into_link_name_space(file.as_fd(), None).unwrap();
        TcpListener::bind("0.0.0.0:80").unwrap()
    });
    let listener = listener.join().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"hello");
        }
    });
}

fn reads(at: &str) -> String {
    let Ok(mut stream) = TcpStream::connect_timeout(&at.parse().unwrap(), Duration::from_secs(2)) else {
        return "refused".into();
    };
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

/// The rules of one instance; nothing where there are none.
fn rules(of: &InstanceId) -> String {
    let table = of.cgroup();
    let output = Command::new("nft").args(["list", "table", "inet", &table]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn port(ip: &str, host_port: u16, to: &str) -> PublishedPort {
    let (host_ip, to) = (ip.parse().unwrap(), to.parse().unwrap());
    PublishedPort { protocol: "tcp".into(), host_ip, host_port, to, port: 80 }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_meet_on_a_bridge_and_are_reached_by_ports() {
    let (dir, instance) = (TempDir::new().unwrap(), InstanceId::generate());
    let driver = Linux::open(dir.path(), instance.clone(), Arc::new(Echo)).unwrap();
    let (one, two) = (bridge('a', "tbr-a", "172.18.0.1/16"), bridge('b', "tbr-b", "172.19.0.1/16"));
    let a = endpoint('1', 'c', 'a', "172.18.0.2/16", "172.18.0.1");
    let b = endpoint('2', 'd', 'a', "172.18.0.3/16", "172.18.0.1");
    let c = endpoint('3', 'e', 'b', "172.19.0.2/16", "172.19.0.1");
    assert!(driver.ensure_endpoint(&a).await.is_err(), "there is no bridge yet");
    for spec in [&one, &two, &one] {
        driver.ensure_bridge(spec).await.unwrap();
    }
    assert!(driver.routed().await.unwrap().contains(&"172.18.0.0/16".parse().unwrap()));
    let mut paths = Vec::new();
    for spec in [&a, &b, &c] {
        let began = Instant::now();
        paths.push(driver.ensure_sandbox(&spec.container).await.unwrap());
        let made = began.elapsed();
        driver.ensure_endpoint(spec).await.unwrap();
        println!("a namespace took {made:?}, an endpoint {:?}", began.elapsed() - made);
        driver.ensure_endpoint(spec).await.unwrap();
    }
    let [pa, pb, pc] = &paths[..] else { panic!("three") };
    assert!(pings(pa, "172.18.0.3") && pings(pb, "172.18.0.2") && pings(pc, "172.19.0.1"));
    assert!(!pings(pa, "172.19.0.2"), "another bridge's containers are not reached");
    let (_, shown) = inside(pa, &["ip", "addr", "show", "eth0"]);
    assert!(shown.contains("02:42:ac:12:00:01") && !shown.contains("inet6"), "{shown}");

    hello(pa);
    let wanted = [
        port("0.0.0.0", 8088, "172.18.0.2"),
        port("::", 8088, "172.18.0.2"),
        port("0.0.0.0", 0, "172.18.0.2"),
    ];
    let began = Instant::now();
    let held = driver.publish(&a.container, &wanted).await.unwrap();
    println!("publishing took {:?}", began.elapsed());
    assert!(held[2].host_port >= 32768);
    assert_eq!(driver.publish(&a.container, &wanted).await.unwrap(), held, "a chosen port stays");
    for at in ["127.0.0.1:8088", "172.18.0.1:8088", "[::1]:8088", "172.19.0.1:8088"] {
        assert_eq!(reads(at), "hello", "{at}\n{}", rules(&instance));
    }
    assert_eq!(reads(&format!("127.0.0.1:{}", held[2].host_port)), "hello");
    // From itself, a neighbour and another bridge, by the host's address.
    for from in [pa, pb, pc] {
        let said = inside(from, &["busybox", "nc", "-w", "2", "172.18.0.1", "8088"]).1;
        assert_eq!(said, "hello", "{}", rules(&instance));
    }
    let taken = driver.publish(&b.container, &[port("127.0.0.1", 8088, "172.18.0.3")]).await.unwrap_err();
    assert!(
        taken.message().ends_with("Bind for 127.0.0.1:8088 failed: port is already allocated"),
        "{taken}"
    );
    let foreign = TcpListener::bind("127.0.0.1:8099").unwrap();
    let taken = driver.publish(&b.container, &[port("0.0.0.0", 8099, "172.18.0.3")]).await.unwrap_err();
    assert!(taken.message().ends_with("address already in use"), "{taken}");
    drop(foreign);

    // A restarted daemon that ensures one thing again loses no other.
    let before = rules(&instance);
    drop(driver);
    let driver = Linux::open(dir.path(), instance.clone(), Arc::new(Echo)).unwrap();
    driver.ensure_bridge(&one).await.unwrap();
    assert_eq!(rules(&instance), before);
    assert_eq!(driver.publish(&a.container, &held).await.unwrap(), held);
    assert_eq!(reads("127.0.0.1:8088"), "hello");
    let mut there = driver.sandboxes().await.unwrap();
    there.sort();
    assert_eq!(there, [id('c'), id('d'), id('e')]);

    for _ in 0..2 {
        for spec in [&a, &b, &c] {
            driver.remove_endpoint(spec).await.unwrap();
            driver.remove_sandbox(&spec.container).await.unwrap();
        }
        for spec in [&one, &two] {
            driver.remove_bridge(&spec.network, &spec.link).await.unwrap();
        }
    }
    assert_eq!(driver.sandboxes().await.unwrap(), [""; 0]);
    assert_eq!(rules(&instance), "");
    let links = String::from_utf8(Command::new("ip").args(["-br", "link"]).output().unwrap().stdout).unwrap();
    assert!(!links.contains("tbr-a") && !links.contains("e111"), "{links}");
    assert_eq!(std::fs::read_dir(dir.path().join("netns")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_asks_for_names() {
    let dir = TempDir::new().unwrap();
    let driver = Linux::open(dir.path(), InstanceId::generate(), Arc::new(Echo)).unwrap();
    let container = id('f');
    let path = driver.ensure_sandbox(&container).await.unwrap();
    let web: Vec<IpAddr> = vec!["172.18.0.2".parse().unwrap(), "172.18.0.3".parse().unwrap()];
    let mut names = Names { names: vec![("web".into(), web)], upstream: vec![] };
    driver.serve_names(&container, &names).await.unwrap();
    let lookup = |args: &[&str]| inside(&path, &[&["busybox", "nslookup"], args, &["127.0.0.11"]].concat()).1;
    let said = lookup(&["WEB"]);
    assert!(said.contains("172.18.0.2") && said.contains("172.18.0.3"), "{said}");
    assert!(lookup(&["172.18.0.2"]).contains("web"));
    assert!(lookup(&["-type=a", "nobody"]).contains("NXDOMAIN"), "{}", lookup(&["-type=a", "nobody"]));
    assert!(lookup(&["-type=a", "no.body"]).contains("SERVFAIL"), "{}", lookup(&["-type=a", "no.body"]));
    names.names.push(("db".into(), vec!["172.18.0.9".parse().unwrap()]));
    driver.serve_names(&container, &names).await.unwrap();
    assert!(lookup(&["db"]).contains("172.18.0.9"));
    driver.remove_sandbox(&container).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn isolated_neighbours_and_internal_networks() {
    let dir = TempDir::new().unwrap();
    let driver = Linux::open(dir.path(), InstanceId::generate(), Arc::new(Echo)).unwrap();
    let spec = BridgeSpec { icc: false, internal: true, ..bridge('9', "tbr-i", "172.20.0.1/16") };
    driver.ensure_bridge(&spec).await.unwrap();
    let a = endpoint('4', '7', '9', "172.20.0.2/16", "172.20.0.1");
    let b = endpoint('5', '8', '9', "172.20.0.3/16", "172.20.0.1");
    let mut paths = Vec::new();
    for spec in [&a, &b] {
        paths.push(driver.ensure_sandbox(&spec.container).await.unwrap());
        driver.ensure_endpoint(spec).await.unwrap();
    }
    assert!(pings(&paths[0], "172.20.0.1"));
    assert!(!pings(&paths[0], "172.20.0.3"), "neighbours are kept apart");
    for spec in [&a, &b] {
        driver.remove_sandbox(&spec.container).await.unwrap();
    }
    driver.remove_bridge(&spec.network, &spec.link).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_sits_on_a_tenant_network_by_its_rules() {
    let (dir, instance) = (TempDir::new().unwrap(), InstanceId::generate());
    let driver = Linux::open(dir.path(), instance, Arc::new(Echo)).unwrap();
    let net = super::network();
    let port = super::port(&net);
    driver.ensure_network(&net).await.unwrap();
    // The port's tap is there already: the container's wire takes its place.
    driver.ensure_port(&port).await.unwrap();
    let spec = EndpointSpec {
        plug: Plug::Port(net.id, port.id),
        mac: port.mac.to_string(),
        mtu: net.mtu,
        ..endpoint('6', '6', '6', "10.0.0.5/24", "10.0.0.1")
    };
    let path = driver.ensure_sandbox(&spec.container).await.unwrap();
    driver.ensure_endpoint(&spec).await.unwrap();
    driver.ensure_port(&port).await.unwrap();
    driver.ensure_endpoint(&spec).await.unwrap();
    assert!(pings(&path, "10.0.0.2"));
    inside(&path, &["ip", "addr", "add", "10.0.0.77/24", "dev", "eth0"]);
    let spoofed = inside(&path, &["busybox", "ping", "-c", "1", "-W", "1", "-I", "10.0.0.77", "10.0.0.2"]).0;
    assert!(!spoofed, "a foreign address is dropped");
    for _ in 0..2 {
        driver.remove_endpoint(&spec).await.unwrap();
        driver.remove_sandbox(&spec.container).await.unwrap();
    }
    driver.remove_network(net.id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_macvlan_is_plugged_in_and_out() {
    let dir = TempDir::new().unwrap();
    let driver = Linux::open(dir.path(), InstanceId::generate(), Arc::new(Echo)).unwrap();
    super::run("ip", &["link", "add", "tmv0", "type", "veth", "peer", "name", "tmv1"]);
    for end in ["tmv0", "tmv1"] {
        super::run("ip", &["link", "set", end, "up"]);
    }
    let mut all = Vec::new();
    for (of, ip) in [('7', "10.9.0.2/24"), ('8', "10.9.0.3/24")] {
        let spec = EndpointSpec {
            plug: Plug::Macvlan("tmv0".into(), MacvlanMode::Bridge),
            gateways: vec![],
            ..endpoint(of, of, of, ip, "10.9.0.1")
        };
        let spec = EndpointSpec { container: format!("{}{of}", id('0').split_at(10).0) + &id('1'), ..spec };
        let path = driver.ensure_sandbox(&spec.container).await.unwrap();
        driver.ensure_endpoint(&spec).await.unwrap();
        driver.ensure_endpoint(&spec).await.unwrap();
        all.push((path, spec));
    }
    assert!(pings(&all[0].0, "10.9.0.3"));
    for (path, spec) in &all {
        driver.remove_endpoint(spec).await.unwrap();
        assert!(!inside(path, &["ip", "link", "show", "eth0"]).0);
        driver.remove_sandbox(&spec.container).await.unwrap();
    }
    super::run("ip", &["link", "del", "tmv0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn macvlans_without_a_parent_reach_each_other_alone() {
    let dir = TempDir::new().unwrap();
    let driver = Linux::open(dir.path(), InstanceId::generate(), Arc::new(Echo)).unwrap();
    let parent = driver.ensure_parent(&id('6'), None).await.unwrap();
    assert_eq!(driver.ensure_parent(&id('6'), None).await.unwrap(), parent);
    let mut paths = Vec::new();
    for (of, ip) in [('e', "10.8.0.2/24"), ('f', "10.8.0.3/24")] {
        let spec = EndpointSpec {
            plug: Plug::Macvlan(parent.clone(), MacvlanMode::Bridge),
            gateways: vec![],
            container: format!("{}{of}", id('0').split_at(10).0) + &id('2'),
            ..endpoint(of, of, of, ip, "10.8.0.1")
        };
        let path = driver.ensure_sandbox(&spec.container).await.unwrap();
        driver.ensure_endpoint(&spec).await.unwrap();
        paths.push((path, spec.container));
    }
    assert!(pings(&paths[0].0, "10.8.0.3"));
    for (_, container) in &paths {
        driver.remove_sandbox(container).await.unwrap();
    }
    driver.remove_parent(&parent).await.unwrap();
    driver.remove_parent(&parent).await.unwrap();
    assert!(!std::fs::exists(format!("/proc/sys/net/ipv4/conf/{parent}")).unwrap());
    let refused = driver.ensure_parent(&id('6'), Some("nothing.7")).await.unwrap_err();
    assert_eq!(refused.message(), "-o parent interface does was not found on the host: nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn ipv6_and_datagrams_are_carried_too() {
    let (dir, instance) = (TempDir::new().unwrap(), InstanceId::generate());
    let driver = Linux::open(dir.path(), instance.clone(), Arc::new(Echo)).unwrap();
    let mut spec = bridge('5', "tbr-6", "172.21.0.1/16");
    spec.gateways.push("fd00:21::1/64".parse().unwrap());
    driver.ensure_bridge(&spec).await.unwrap();
    assert!(driver.routed().await.unwrap().contains(&"fd00:21::/64".parse().unwrap()));
    let mut a = endpoint('9', '5', '5', "172.21.0.2/16", "172.21.0.1");
    a.addresses.push("fd00:21::2/64".parse().unwrap());
    a.gateways.push("fd00:21::1".parse().unwrap());
    let path = driver.ensure_sandbox(&a.container).await.unwrap();
    driver.ensure_endpoint(&a).await.unwrap();
    driver.ensure_endpoint(&a).await.unwrap();
    assert!(pings(&path, "fd00:21::1"), "{}", inside(&path, &["ip", "addr"]).1);

    // Serves both: what it hears goes back in capitals.
    let file = std::fs::File::open(&path).unwrap();
    let opened = std::thread::spawn(move || {
        rustix::thread::move_into_link_name_space(file.as_fd(), None).unwrap();
        (TcpListener::bind("[::]:80").unwrap(), std::net::UdpSocket::bind("0.0.0.0:80").unwrap())
    });
    let (listener, socket) = opened.join().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.unwrap().write_all(b"hello");
        }
    });
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while let Ok((n, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&buffer[..n].to_ascii_uppercase(), from);
        }
    });
    let datagrams = PublishedPort { protocol: "udp".into(), ..port("0.0.0.0", 0, "172.21.0.2") };
    let held = driver.publish(&a.container, &[port("::", 0, "fd00:21::2"), datagrams]).await.unwrap();
    assert_eq!(reads(&format!("[::1]:{}", held[0].host_port)), "hello");
    assert_eq!(reads(&format!("[fd00:21::1]:{}", held[0].host_port)), "hello");
    let client = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
    client.send_to(b"ping", ("127.0.0.1", held[1].host_port)).unwrap();
    let mut buffer = [0; 64];
    let n = client.recv(&mut buffer).unwrap();
    assert_eq!(&buffer[..n], b"PING");
    assert_eq!(driver.publish(&a.container, &[]).await.unwrap(), []);
    assert!(!rules(&instance).contains("elements"), "{}", rules(&instance));
    driver.remove_sandbox(&a.container).await.unwrap();
    driver.remove_bridge(&spec.network, &spec.link).await.unwrap();
}
