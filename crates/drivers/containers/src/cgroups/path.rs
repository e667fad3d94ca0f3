//! Groups at a path of the caller's choice, as an OCI configuration's `cgroupsPath` says: an absolute one
//! begins at the hierarchies' root, a relative one at the group that we are in ourselves.

use std::path::{Component, Path, PathBuf};

use pileus_base::{Error, Result};

use super::{Group, Kind, ROOT, ensure_dir, read, v1, v2};

/// The hierarchies of cgroup v1 that a bundle's container joins where they are mounted; the last is without
/// controllers, for whoever keeps track of processes by it.
const HIERARCHIES: [&str; 13] = [
    "memory",
    "cpu",
    "cpuacct",
    "cpuset",
    "devices",
    "freezer",
    "pids",
    "blkio",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "systemd",
];

impl Group {
    /// The group at `path`, or at one named after the container where there is none.
    ///
    /// # Errors
    /// Where the path leads out of the hierarchy.
    pub fn at(path: Option<&Path>, id: &str) -> Result<Self> {
        let path = path.filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new(id));
        if path.components().any(|c| matches!(c, Component::ParentDir)) {
            return Err(Error::bad_request(format!("cgroup path {} has .. in it", path.display())));
        }
        let root = Path::new(ROOT);
        let own = read(Path::new("/proc/self/cgroup"));
        let below = |hierarchy: &str, mount: &Path| match path.strip_prefix("/") {
            Ok(inner) => mount.join(inner),
            Err(_) => mount.join(own_path(&own, hierarchy)).join(path),
        };
        if root.join("cgroup.controllers").exists() {
            return Ok(Self { kind: Kind::V2(below("", root)) });
        }
        let dirs = HIERARCHIES
            .into_iter()
            .map(|name| (name, root.join(name)))
            .filter(|(_, mount)| mount.join("cgroup.procs").exists())
            .map(|(name, mount)| (name, below(name, &mount)))
            .collect();
        Ok(Self { kind: Kind::V1(v1::Dirs::new(dirs)) })
    }

    /// A group written down by [`Group::named_dirs`].
    pub fn of_dirs(dirs: &[(String, PathBuf)]) -> Self {
        if let [(name, dir)] = dirs
            && name.is_empty()
        {
            return Self { kind: Kind::V2(dir.clone()) };
        }
        let known = |name: &str| HIERARCHIES.into_iter().find(|one| *one == name);
        let dirs = dirs.iter().filter_map(|(name, dir)| Some((known(name)?, dir.clone()))).collect();
        Self { kind: Kind::V1(v1::Dirs::new(dirs)) }
    }

    /// Its directories, each with its hierarchy's name (none on v2).
    pub fn named_dirs(&self) -> Vec<(String, PathBuf)> {
        match &self.kind {
            Kind::V1(dirs) => dirs.named().iter().map(|(n, dir)| ((*n).to_owned(), dir.clone())).collect(),
            Kind::V2(dir) => vec![(String::new(), dir.clone())],
        }
    }

    /// Makes it, with every group above it.
    ///
    /// # Errors
    /// Where a directory can't be made.
    pub fn make(&self) -> Result<()> {
        match &self.kind {
            Kind::V1(dirs) => {
                for (name, dir) in dirs.named() {
                    for above in down(dir, 1) {
                        ensure_dir(above)?;
                        if *name == "cpuset" {
                            v1::inherit_cpuset(above)?;
                        }
                    }
                }
            }
            Kind::V2(dir) => {
                v2::pass_on(Path::new(ROOT));
                for above in down(dir, 0) {
                    ensure_dir(above)?;
                    if above != dir {
                        v2::pass_on(above);
                    }
                }
            }
        }
        Ok(())
    }
}

/// `dir` and what is above it, from the top; the mount, `levels` below the hierarchies' root, left out.
fn down(dir: &Path, levels: usize) -> Vec<&Path> {
    let mount = Path::new(ROOT).components().count() + levels;
    let mut all: Vec<_> = dir.ancestors().filter(|a| a.components().count() > mount).collect();
    all.reverse();
    all
}

/// Where we are in a hierarchy, without the leading slash.
fn own_path<'a>(own: &'a str, hierarchy: &str) -> &'a str {
    let of = |line: &'a str| {
        let (_, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        names.split(',').any(|n| n.trim_start_matches("name=") == hierarchy).then_some(path)
    };
    own.lines().find_map(of).unwrap_or("/").trim_start_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_root_or_where_we_are() {
        let own = "5:memory:/a/b\n4:cpu,cpuacct:/c\n1:name=systemd:/d\n0::/e\n";
        assert_eq!(own_path(own, "memory"), "a/b");
        assert_eq!(own_path(own, "cpuacct"), "c");
        assert_eq!(own_path(own, "systemd"), "d");
        assert_eq!(own_path(own, ""), "e");
        assert!(Group::at(Some(Path::new("/a/../../b")), "x").is_err());
        let group = Group::at(Some(Path::new("/some/where")), "x").unwrap();
        assert!(group.named_dirs().iter().all(|(_, dir)| dir.ends_with("some/where")));
        assert_eq!(Group::of_dirs(&group.named_dirs()), group);
    }
}
