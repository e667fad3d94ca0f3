//! What a container changed: its upper directory against its layers.

use pileus_base::Result;
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};

use crate::{
    Change, Layers,
    attrs::is_opaque,
    merged::View,
    os,
    pack::{is_noise, names},
    root::Root,
    shown,
    unpack::is_whiteout,
};

const MODIFIED: u8 = 0;
const ADDED: u8 = 1;
const DELETED: u8 = 2;

impl Layers {
    /// What a container changed, sorted by path.
    ///
    /// # Errors
    /// If there is no such container.
    pub fn changes(&self, id: &str, layers: &[String]) -> Result<Vec<Change>> {
        let upper = Root::open(&self.upper(id)?)?;
        let lower = self.merged(layers, View::Image)?;
        let mut out = Vec::new();
        compare(&upper, Some(&lower), b"", &mut out)?;
        out.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(out)
    }
}

fn compare(upper: &Root, lower: Option<&Root>, at: &[u8], out: &mut Vec<Change>) -> Result<()> {
    let mut tell = |path: &[u8], kind| out.push(Change { path: format!("/{}", shown(path)), kind });
    let here = names(upper)?;
    if let Some(lower) = lower.filter(|_| is_opaque(upper, b".")) {
        for name in names(lower)?.iter().filter(|name| !here.contains(name)) {
            tell(&[at, name].concat(), DELETED);
        }
    }
    for name in here {
        let path = [at, &name].concat();
        if is_noise(upper, &name, &path) {
            continue;
        }
        let Ok(stat) = fs::statat(upper, &name[..], AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let before = lower.and_then(|l| fs::statat(l, &name[..], AtFlags::SYMLINK_NOFOLLOW).ok());
        if is_whiteout(&stat) {
            if before.is_some() {
                out.push(Change { path: format!("/{}", shown(&path)), kind: DELETED });
            }
            continue;
        }
        let mut differs = before.as_ref().is_none_or(|before| differ(before, &stat));
        let spot = out.len();
        if is_dir(&stat) {
            let below = before.as_ref().filter(|before| is_dir(before)).and(lower);
            let below = below.map(|lower| open(lower, &name)).transpose()?;
            compare(&open(upper, &name)?, below.as_ref(), &[&path[..], b"/"].concat(), out)?;
            differs |= out.len() > spot;
        }
        if differs {
            let kind = if before.is_some() { MODIFIED } else { ADDED };
            out.push(Change { path: format!("/{}", shown(&path)), kind });
        }
    }
    Ok(())
}

fn open(dir: &Root, name: &[u8]) -> Result<Root> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    fs::openat(dir, name, flags, Mode::empty()).map(Root::new).map_err(os(format!("open {}", shown(name))))
}

fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// As the reference compares: a directory's size and time tell nothing.
fn differ(a: &Stat, b: &Stat) -> bool {
    a.st_mode != b.st_mode
        || a.st_uid != b.st_uid
        || a.st_gid != b.st_gid
        || a.st_rdev != b.st_rdev
        || !is_dir(a)
            && (a.st_size != b.st_size || (a.st_mtime, a.st_mtime_nsec) != (b.st_mtime, b.st_mtime_nsec))
}
