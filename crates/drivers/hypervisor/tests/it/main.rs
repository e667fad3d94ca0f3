//! What every hypervisor promises, on the simulator and on QEMU with a guest of one boot sector.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

use std::{path::Path, time::Duration};

use pileus_base::{InstanceId, ids::ServerId};
use pileus_hypervisor::{
    Bus, Disk, GuestSpec, GuestState, Hypervisor, Machine,
    qemu::Qemu,
    sim::{Behaviour, Sim},
};
use tempfile::TempDir;

/// mov dx,0x3f8; mov al,'O'; out dx,al; mov al,'K'; out dx,al; mov al,'\n'; out dx,al; 1: hlt; jmp 1b
const BOOT: [u8; 15] =
    [0xba, 0xf8, 0x03, 0xb0, b'O', 0xee, 0xb0, b'K', 0xee, 0xb0, b'\n', 0xee, 0xf4, 0xeb, 0xfd];

fn spec(dir: &Path) -> GuestSpec {
    let mut sector = vec![0u8; 1 << 20];
    sector[..BOOT.len()].copy_from_slice(&BOOT);
    sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    let disks = dir.join("disks");
    std::fs::create_dir_all(&disks).unwrap();
    let path = disks.join("root.raw");
    std::fs::write(&path, sector).unwrap();
    let disk = Disk {
        path,
        format: "raw".into(),
        bus: Bus::Virtio,
        cdrom: false,
        boot_index: Some(0),
        serial: "a".into(),
    };
    GuestSpec {
        id: ServerId::new(),
        name: "test".into(),
        vcpus: 1,
        ram_mib: 64,
        machine: Machine::Q35,
        disks: vec![disk],
        nics: vec![],
    }
}

/// The kernel lets only root pass a 0700 directory; guests have users of their own.
fn open_up(dir: &TempDir) {
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let all = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn lives_and_dies(driver: &dyn Hypervisor, spec: &GuestSpec) {
    let id = spec.id;
    assert_eq!(driver.state(id).await.unwrap(), GuestState::Absent);
    for _ in 0..2 {
        driver.ensure_started(spec, vec![]).await.unwrap();
        assert_eq!(driver.state(id).await.unwrap(), GuestState::Running);
    }
    driver.pause(id, true).await.unwrap();
    assert_eq!(driver.state(id).await.unwrap(), GuestState::Paused);
    driver.pause(id, false).await.unwrap();
    driver.suspend(id).await.unwrap();
    assert_eq!(driver.state(id).await.unwrap(), GuestState::Suspended);
    driver.ensure_started(spec, vec![]).await.unwrap();
    assert_eq!(driver.state(id).await.unwrap(), GuestState::Running);
    for _ in 0..2 {
        driver.stop(id, 0).await.unwrap();
        assert_eq!(driver.state(id).await.unwrap(), GuestState::Off);
    }
    assert_eq!(driver.list().await.unwrap(), [(id, GuestState::Off)]);
    for _ in 0..2 {
        driver.remove(id).await.unwrap();
        assert_eq!(driver.state(id).await.unwrap(), GuestState::Absent);
    }
}

#[tokio::test]
async fn sim_conforms_and_remembers() {
    let dir = TempDir::new().unwrap();
    let driver = Sim::open(dir.path(), Behaviour::default()).unwrap();
    let disks = TempDir::new().unwrap();
    let spec = spec(disks.path());
    lives_and_dies(&driver, &spec).await;
    driver.ensure_started(&spec, vec![]).await.unwrap();
    let again = Sim::open(dir.path(), Behaviour::default()).unwrap();
    assert_eq!(again.state(spec.id).await.unwrap(), GuestState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_conforms() {
    let dir = TempDir::new().unwrap();
    open_up(&dir);
    let driver = Qemu::open(&dir.path().join("guests"), InstanceId::generate()).await.unwrap();
    lives_and_dies(&driver, &spec(dir.path())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qemu_outlives_the_driver_and_tells_how_it_ended() {
    let dir = TempDir::new().unwrap();
    open_up(&dir);
    let (guests, instance) = (dir.path().join("guests"), InstanceId::generate());
    let driver = Qemu::open(&guests, instance.clone()).await.unwrap();
    let spec = spec(dir.path());
    driver.ensure_started(&spec, vec![]).await.unwrap();
    until("the boot sector speaks", async || driver.console_log(spec.id).await.unwrap().ends_with(b"OK\n"))
        .await;
    drop(driver);

    let driver = Qemu::open(&guests, instance).await.unwrap();
    assert_eq!(driver.state(spec.id).await.unwrap(), GuestState::Running);
    driver.ensure_started(&spec, vec![]).await.unwrap();
    let started = std::fs::read_to_string(guests.join(spec.id.to_string()).join("guest.json")).unwrap();
    let started: serde_json::Value = serde_json::from_str(&started).unwrap();
    let pid = i32::try_from(started["process"]["pid"].as_i64().unwrap()).unwrap();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.lines().any(|l| l.starts_with("Uid:\t11")), "it has a user of its own");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
    until("its end is seen", async || driver.state(spec.id).await.unwrap() != GuestState::Running).await;
    driver.remove(spec.id).await.unwrap();
    assert!(!guests.join(spec.id.to_string()).exists());
}
