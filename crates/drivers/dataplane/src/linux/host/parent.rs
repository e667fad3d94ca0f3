//! What macvlans and ipvlans hang from where the host has no link for it yet: a VLAN of one of its links, or a
//! link that leads nowhere, so that the network's containers reach each other alone.
//!
//! The latter is a `dummy`. A kernel without that kind gets both ends of a wire (`veth`) instead: the second
//! end only gives the first its carrier.

use std::io;

use pileus_base::{Error, Result};

use super::{Host, blocking, check_link, failed, netlink::Netlink};

/// A parent of the form `eth0.10`: the host's link, and the VLAN's number.
///
/// # Errors
/// 400 in the reference's words.
fn vlan(name: &str) -> Result<(&str, u16)> {
    let parts: Vec<&str> = name.split('.').collect();
    let [link, number] = parts[..] else {
        return Err(Error::bad_request(format!(
            "invalid subinterface vlan name {name}, example formatting is eth0.10"
        )));
    };
    let number: i64 = number.parse().map_err(|_| {
        Error::bad_request(format!(
            "unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)"
        ))
    })?;
    match u16::try_from(number) {
        Ok(n @ 1..=4094) => Ok((link, n)),
        _ => Err(Error::bad_request(format!("vlan id must be between 1-4094, received: {number}"))),
    }
}

/// The kernel's reason, as the reference writes it.
fn why(e: &io::Error) -> String {
    match e.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "operation not supported".to_owned(),
        Some(libc::EPERM) => "operation not permitted".to_owned(),
        _ => e.to_string(),
    }
}

impl Host {
    /// The ends' names of a link that leads nowhere.
    fn own_parent(&self, network: &str) -> [String; 2] {
        let digits: String = network.chars().filter(char::is_ascii_hexdigit).take(9).collect();
        ["m", "n"].map(|kind| format!("p{}{kind}{digits}", &self.instance.as_str()[..4]))
    }

    pub(super) async fn ensure_parent(&self, network: &str, parent: Option<&str>) -> Result<String> {
        let Some(name) = parent else {
            let [name, other] = self.own_parent(network);
            return blocking(move || nowhere(&name, &other).map(|()| name)).await;
        };
        check_link(name)?;
        let name = name.to_owned();
        blocking(move || below(&name).map(|()| name)).await
    }

    pub(super) async fn remove_parent(&self, link: &str) -> Result<()> {
        check_link(link)?;
        let link = link.to_owned();
        let gone = move || Netlink::open().and_then(|mut n| n.remove(&link));
        blocking(move || gone().map_err(failed("failed to remove a network's link"))).await
    }
}

/// A link that leads nowhere, up.
fn nowhere(name: &str, other: &str) -> Result<()> {
    let failed = |e: io::Error| Error::internal(format!("failed to make {name}: {}", why(&e))).caused_by(e);
    let mut netlink = Netlink::open().map_err(failed)?;
    if netlink.index(name).map_err(failed)?.is_none() {
        match netlink.dummy(name) {
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                netlink.pair(name, other).map_err(failed)?;
            }
            made => made.map_err(failed)?,
        }
    }
    for end in [other, name] {
        if let Some(index) = netlink.index(end).map_err(failed)? {
            netlink.up(index, None).map_err(failed)?;
        }
    }
    Ok(())
}

/// The VLAN `name`, up.
fn below(name: &str) -> Result<()> {
    let (on, number) = vlan(name)?;
    let failed = failed("failed to reach the kernel's links");
    let mut netlink = Netlink::open().map_err(&failed)?;
    if netlink.index(name).map_err(&failed)?.is_none() {
        let missing = || {
            // The reference's own words.
            Error::bad_request(format!("-o parent interface does was not found on the host: {on}"))
        };
        let parent = netlink.index(on).map_err(&failed)?.ok_or_else(missing)?;
        netlink.vlan(parent, name, number).map_err(|e| {
            Error::internal(format!("failed to create {name} vlan link: {}", why(&e))).caused_by(e)
        })?;
    }
    if let Some(index) = netlink.index(name).map_err(&failed)? {
        netlink.up(index, None).map_err(|e| {
            Error::internal(format!("failed to enable {name} the macvlan parent link {}", why(&e)))
                .caused_by(e)
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_read_in_the_reference_s_words() {
        assert_eq!(vlan("eth0.10").unwrap(), ("eth0", 10));
        for (name, said) in [
            ("eth0", "invalid subinterface vlan name eth0, example formatting is eth0.10"),
            ("a.b.1", "invalid subinterface vlan name a.b.1, example formatting is eth0.10"),
            ("eth0.x", "unable to parse a valid vlan id from: x (ex. eth0.10 for vlan 10)"),
            ("eth0.4095", "vlan id must be between 1-4094, received: 4095"),
        ] {
            assert_eq!(vlan(name).unwrap_err().message(), said);
        }
    }
}
