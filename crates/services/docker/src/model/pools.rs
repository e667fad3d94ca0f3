//! Address pools: where ranges of networks come from, and addresses of a range.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use ipnet::IpNet;

/// What the ranges of networks are cut from, where nothing else is configured.
const BASE: &str = "172.30.0.0/15";
/// The length of their prefix.
const SIZE: u8 = 24;

/// A pool that ranges of networks are cut from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool {
    /// All of it.
    pub base: IpNet,
    /// The length of each range's prefix.
    pub size: u8,
}

impl Pool {
    /// The pools where none are configured.
    pub fn defaults() -> Vec<Self> {
        BASE.parse().map(|base| vec![Self { base, size: SIZE }]).unwrap_or_default()
    }

    /// The first range of the pool that shares nothing with `taken`. What is taken is leapt over, however
    /// large the pool is.
    fn free(&self, taken: &[IpNet]) -> Option<IpNet> {
        let mut at = IpNet::new(self.base.network(), self.size)
            .ok()
            .filter(|_| self.size >= self.base.prefix_len())?;
        loop {
            let Some(other) = taken.iter().find(|t| overlap(t, &at)) else { return Some(at) };
            let last = other.broadcast().max(at.broadcast());
            let next = match last {
                IpAddr::V4(ip) => IpAddr::V4(u32::from(ip).checked_add(1)?.into()),
                IpAddr::V6(ip) => IpAddr::V6(u128::from(ip).checked_add(1)?.into()),
            };
            at = IpNet::new(next, self.size).ok()?.trunc();
            if !self.base.contains(&at.network()) {
                return None;
            }
        }
    }
}

/// Whether two ranges share addresses.
pub fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

/// The first range of the pools of a family that shares nothing with `taken`.
pub fn free(pools: &[Pool], v4: bool, taken: &[IpNet]) -> Option<IpNet> {
    pools.iter().filter(|p| p.base.addr().is_ipv4() == v4).find_map(|p| p.free(taken))
}

/// The `n`th address of a range.
pub fn nth(range: &IpNet, n: u128) -> Option<IpAddr> {
    let at = match range.network() {
        IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from(u32::from(ip).checked_add(u32::try_from(n).ok()?)?)),
        IpAddr::V6(ip) => IpAddr::V6(u128::from(ip).checked_add(n)?.into()),
    };
    range.contains(&at).then_some(at)
}

/// The first address of `range` that nobody has and that is an endpoint's to have.
pub fn address(
    subnet: &IpNet,
    range: Option<&IpNet>,
    kept: &[IpAddr],
    taken: &BTreeMap<IpAddr, String>,
) -> Option<IpAddr> {
    let range = range.unwrap_or(subnet);
    let mut n = 0;
    loop {
        let ip = nth(range, n)?;
        n += 1;
        let edge = ip == subnet.network() || (ip == subnet.broadcast() && ip.is_ipv4());
        // Point-to-point ranges have no edges.
        let edge = edge && subnet.max_prefix_len() - subnet.prefix_len() > 1;
        if !edge && !kept.contains(&ip) && !taken.contains_key(&ip) {
            return Some(ip);
        }
    }
}

/// Docker's MAC of an address.
pub fn mac(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(ip) => {
            let o = ip.octets();
            [o[12], o[13], o[14], o[15]]
        }
    };
    format!("02:42:{:02x}:{:02x}:{:02x}:{:02x}", bytes[0], bytes[1], bytes[2], bytes[3])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_avoid_what_is_taken() {
        let taken: Vec<IpNet> = vec!["172.30.0.0/24".parse().unwrap(), "172.30.1.128/25".parse().unwrap()];
        let pools = Pool::defaults();
        assert_eq!(free(&pools, true, &taken).unwrap().to_string(), "172.30.2.0/24");
        assert_eq!(free(&pools, true, &[BASE.parse().unwrap()]), None);
        assert_eq!(free(&pools, false, &[]), None);
        let more = Pool { base: "fd00:1::/48".parse().unwrap(), size: 64 };
        let taken = ["fd00:1::/63".parse().unwrap()];
        assert_eq!(free(&[pools[0], more], false, &taken).unwrap().to_string(), "fd00:1:0:2::/64");
        assert_eq!(
            free(&[Pool { size: 14, ..pools[0] }], true, &[]),
            None,
            "no range is larger than its pool"
        );
    }

    #[test]
    fn addresses_are_given_in_order() {
        let net: IpNet = "10.0.0.0/30".parse().unwrap();
        let gateway: IpAddr = "10.0.0.1".parse().unwrap();
        let mut taken = BTreeMap::new();
        let ip = address(&net, None, &[gateway], &taken).unwrap();
        assert_eq!(ip.to_string(), "10.0.0.2");
        assert_eq!(mac(ip), "02:42:0a:00:00:02");
        taken.insert(ip, String::new());
        assert_eq!(address(&net, None, &[gateway], &taken), None);
    }
}
