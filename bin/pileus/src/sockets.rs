//! The daemon's unix sockets: opened in place of a dead daemon's, for their owner or for a group too.

use std::{
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
};

use anyhow::Context;
use tokio::net::UnixListener;

/// Who may open a socket.
#[derive(Debug, Clone, Copy)]
pub enum Reach<'a> {
    /// Its owner alone: mode 0600.
    Owner,
    /// The group of that name too, where the host has it: mode 0660.
    Group(&'a str),
}

/// Listens at `path`. A left-over socket is of a dead daemon: the state directory's lock says so.
///
/// Between `bind` and `chmod` the process's umask (0077) keeps everyone else out.
pub fn listen(path: &Path, reach: Reach<'_>) -> anyhow::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).with_context(|| format!("failed to replace `{}`", path.display()));
        }
        _ => {}
    }
    let failed = || format!("failed to listen at `{}`", path.display());
    let listener = UnixListener::bind(path).with_context(failed)?;
    let mode = match reach {
        Reach::Owner => 0o600,
        Reach::Group(name) => {
            if let Some(gid) = gid(name, &std::fs::read_to_string("/etc/group").unwrap_or_default()) {
                chown(path, None, Some(gid)).with_context(failed)?;
            }
            0o660
        }
    };
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).with_context(failed)?;
    Ok(listener)
}

/// A group's number, of `/etc/group`'s lines `name:password:gid:members` (group(5)).
fn gid(name: &str, groups: &str) -> Option<u32> {
    let line = groups.lines().find(|l| l.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\npileus2:x:7:\npileus:x:994:user\n";
        assert_eq!(gid("pileus", groups), Some(994));
        assert_eq!(gid("pile", groups), None);
        assert_eq!(gid("", groups), None);
    }

    #[tokio::test]
    async fn a_left_over_socket_is_replaced_and_only_its_owner_gets_in() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(listen(&path, Reach::Owner).unwrap());
        let _again = listen(&path, Reach::Owner).unwrap();
        let mode = |p: &Path| std::fs::metadata(p).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        let _group = listen(&path, Reach::Group("no such group")).unwrap();
        assert_eq!(mode(&path), 0o660);
    }
}
