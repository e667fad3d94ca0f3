//! Users and groups by name or number, from a container's own `passwd` and `group` files.

use pileus_base::{Error, Result};
use serde_json::{Value, json};

/// Who a process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Further groups; the group itself is among them.
    pub additional: Vec<u32>,
    /// The home directory.
    pub home: String,
}

impl Identity {
    pub(super) fn json(&self) -> Value {
        json!({ "uid": self.uid, "gid": self.gid, "additionalGids": self.additional })
    }
}

/// The user of `""`, `user`, `uid`, `user:group`, `uid:gid` or a mixture.
///
/// # Errors
/// 400 where a name isn't in the files.
pub fn resolve(wanted: &str, passwd: &[u8], group: &[u8]) -> Result<Identity> {
    let (user, group_name) = wanted.split_once(':').unwrap_or((wanted, ""));
    let user = if user.is_empty() { "0" } else { user };
    let passwd = String::from_utf8_lossy(passwd);
    let entries: Vec<Vec<&str>> =
        passwd.lines().map(|l| l.split(':').collect()).filter(|f: &Vec<_>| f.len() >= 4).collect();
    let number = numeric(user)?;
    // A name that is all digits is a name first.
    let entry = entries
        .iter()
        .find(|f| f[0] == user)
        .or_else(|| number.and_then(|n| entries.iter().find(|f| f[2].parse() == Ok(n))));
    let (uid, gid, name, home) = match (entry, number) {
        (Some(f), _) => (
            f[2].parse().unwrap_or(0),
            f[3].parse().unwrap_or(0),
            f[0],
            f.get(5).copied().filter(|h| !h.is_empty()).unwrap_or("/"),
        ),
        (None, Some(n)) => (n, 0, "", if n == 0 { "/root" } else { "/" }),
        (None, None) => {
            return Err(Error::bad_request(format!(
                "unable to find user {user}: no matching entries in passwd file"
            )));
        }
    };
    let mut gid = gid;
    let mut additional = Vec::new();
    if group_name.is_empty() {
        let member = |f: &Vec<&str>| !name.is_empty() && f[3].split(',').any(|m| m == name);
        additional = groups(&String::from_utf8_lossy(group))
            .iter()
            .filter(|f| member(f))
            .filter_map(|f| f[2].parse().ok())
            .collect();
    } else {
        gid = self::group(group_name, group)?;
    }
    additional.retain(|g| *g != gid);
    additional.insert(0, gid);
    Ok(Identity { uid, gid, additional, home: home.to_owned() })
}

/// A group by name or number.
///
/// # Errors
/// 400 where a name isn't in the file.
pub(super) fn group(wanted: &str, file: &[u8]) -> Result<u32> {
    let text = String::from_utf8_lossy(file);
    if let Some(found) = groups(&text).iter().find(|f| f[0] == wanted).and_then(|f| f[2].parse().ok()) {
        return Ok(found);
    }
    numeric(wanted)?.ok_or_else(|| {
        Error::bad_request(format!("unable to find group {wanted}: no matching entries in group file"))
    })
}

fn groups(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|l| l.split(':').collect()).filter(|f: &Vec<_>| f.len() >= 4).collect()
}

fn numeric(text: &str) -> Result<Option<u32>> {
    match text.parse::<i64>() {
        Ok(n) if (0..=i64::from(i32::MAX)).contains(&n) => Ok(Some(n as u32)),
        Ok(_) => Err(Error::bad_request("uids and gids must be in range 0-2147483647")),
        Err(_) => Ok(None),
    }
}
