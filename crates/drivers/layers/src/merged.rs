//! What a container that does not run sees: an overlay that is mounted nowhere, so it goes with its
//! descriptor and no path of the host leads into it.

use std::path::{Path, PathBuf};

use pileus_base::{Error, Result};
use rustix::{
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
        fsmount, fsopen,
    },
};

use crate::{Layers, Seen, mounted::mounted, os, root::Root};

/// What the overlay is of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View<'a> {
    /// Layers alone.
    Image,
    /// A container's, to be read.
    Read(&'a str),
    /// A container's, to be written.
    Write(&'a str),
}

impl Layers {
    /// Mounts `layers`, the lowest first, and what `view` puts above them.
    pub(crate) fn merged(&self, layers: &[String], view: View<'_>) -> Result<Root> {
        let mut lowers = Vec::new();
        if let View::Read(id) = view {
            lowers.push(self.upper(id)?);
        }
        for id in layers.iter().rev() {
            lowers.push(self.diff(id)?);
        }
        if !matches!(view, View::Image) && !layers.is_empty() {
            lowers.push(self.mount_points());
        }
        let upper = match view {
            View::Write(id) => Some((self.upper(id)?, self.container(id)?.join("work"))),
            _ => None,
        };
        // An overlay without an upper directory wants two others.
        let enough = if upper.is_some() { 1 } else { 2 };
        for n in lowers.len()..enough {
            lowers.push(self.layers_dir().join(format!(".empty{n}")));
        }
        overlay(&lowers, upper.as_ref().map(|(u, w)| (&**u, &**w)))
    }

    /// A container's tree, as it is while it runs or as it would be.
    pub(crate) fn tree(&self, layers: &[String], id: &str, seen: Option<&Seen>, write: bool) -> Result<Root> {
        match seen {
            Some(Seen::Process(pid)) => Root::of_process(*pid),
            // A place for a mount may have to be made.
            Some(Seen::Mounts(all)) if !all.is_empty() => {
                mounted(self.merged(layers, View::Write(id))?, all, &self.container(id)?)
            }
            _ if write => self.merged(layers, View::Write(id)),
            _ => self.merged(layers, View::Read(id)),
        }
    }
}

fn overlay(lowers: &[PathBuf], upper: Option<(&Path, &Path)>) -> Result<Root> {
    let doing = "mount an overlay";
    let fs = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).map_err(os(doing))?;
    fsconfig_set_string(&fs, "source", "pileus").map_err(os(doing))?;
    for (n, lower) in lowers.iter().enumerate() {
        match fsconfig_set_string(&fs, "lowerdir+", lower) {
            Err(Errno::INVAL) if n == 0 => {
                let joined = joined(lowers)?;
                fsconfig_set_string(&fs, "lowerdir", joined).map_err(os(doing))?;
                break;
            }
            other => other.map_err(os(format!("{doing} of {}", lower.display())))?,
        }
    }
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    if let Some((upper, work)) = upper {
        fsconfig_set_string(&fs, "upperdir", upper).map_err(os(doing))?;
        fsconfig_set_string(&fs, "workdir", work).map_err(os(doing))?;
    } else {
        fsconfig_set_flag(&fs, "ro").map_err(os(doing))?;
        attributes |= MountAttrFlags::MOUNT_ATTR_RDONLY;
    }
    fsconfig_create(&fs).map_err(os(doing))?;
    Ok(Root::new(fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes).map_err(os(doing))?))
}

/// As kernels before 6.5 want it.
fn joined(lowers: &[PathBuf]) -> Result<String> {
    let mut out = String::new();
    for lower in lowers {
        let text = lower.to_str().ok_or_else(|| Error::internal("a layer's path is not text"))?;
        if !out.is_empty() {
            out.push(':');
        }
        out.push_str(&text.replace('\\', "\\\\").replace(':', "\\:"));
    }
    Ok(out)
}
