//! `docker cp` while a process of the container swaps a directory and a link that leads to the host
//! (CVE-2018-15664): whatever the moment, nothing outside is read or written.

#![allow(clippy::unwrap_used)]

use std::{
    fs,
    os::unix::fs::symlink,
    process::{Child, Command},
    sync::atomic::{AtomicBool, Ordering},
};

use pileus_layers::{Layers, Limits, Seen};
use rustix::fs::{CWD, RenameFlags, renameat_with};

const TURNS: usize = 200;

/// A process whose root is a directory, ended with this.
struct Jailed(Child);

impl Jailed {
    fn new(root: &std::path::Path) -> Self {
        fs::create_dir(root.join("bin")).unwrap();
        fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        let mut command = Command::new("chroot");
        let child = command.arg(root).args(["/bin/busybox", "sleep", "600"]).spawn().unwrap();
        let link = format!("/proc/{}/root", child.id());
        let jailed = Self(child);
        while fs::read_link(&link).unwrap() != root {
            std::thread::yield_now();
        }
        jailed
    }
}

impl Drop for Jailed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn tar_of(name: &str) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    builder.append_data(&mut header, name, &b"x"[..]).unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn a_link_that_is_swapped_in_leads_nowhere() {
    if !rustix::process::getuid().is_root() || !fs::exists("/bin/busybox").unwrap() {
        return;
    }
    let (state, inside, outside) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let root = inside.path().canonicalize().unwrap();
    let layers = Layers::open(state.path(), Limits::default()).unwrap();
    let jailed = Jailed::new(&root);
    let seen = Seen::Process(jailed.0.id());
    let seen = Some(&seen);
    fs::write(outside.path().join("f"), "secret").unwrap();
    let (dir, link) = (root.join("d"), root.join("l"));
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("f"), "inside").unwrap();
    // Upwards as far as it takes, and then down the host's path.
    symlink(format!("/../../../../..{}", outside.path().display()), &link).unwrap();
    let over = AtomicBool::new(false);
    let (mut read, mut written) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for turn in 0..TURNS {
            for path in ["/d/f", "/d", "/d/."] {
                if let Ok((_, write)) = layers.copy_out("c", &[], seen, path) {
                    let mut tar = Vec::new();
                    // What has been swapped meanwhile may be an error.
                    let _ = write(&mut tar);
                    let tells = |text: &[u8]| tar.windows(text.len()).any(|w| w == text);
                    assert!(!tells(b"secret"), "{path}");
                    read += usize::from(tells(b"inside"));
                }
            }
            let name = format!("n{turn}");
            written += usize::from(layers.copy_in("c", &[], seen, "/d", &tar_of(&name)[..], false).is_ok());
            let _ = layers.copy_in("c", &[], seen, "/", &tar_of(&format!("d/m{turn}"))[..], false);
        }
        over.store(true, Ordering::Relaxed);
    });
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["f"]);
    assert!(read > 0 && written > 0, "it was in time now and then: {read} {written}");
}
