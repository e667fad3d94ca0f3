//! Which addresses the daemon may fetch from on a tenant's behalf: those of the public internet, and what the
//! operator allowed. Everything else would lend the tenant the host's own place in the network: its
//! loopback, its neighbours, a metadata service, other tenants.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// IPv4 ranges that are not the public internet (the IANA special-purpose registry, and multicast).
const REFUSED_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The one IPv6 range that is the public internet.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Ranges inside it that are not: protocol assignments with Teredo, documentation, 6to4, more documentation.
const REFUSED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Whether anybody's address is the public internet's.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !REFUSED_V4.iter().any(|(net, bits)| within_v4(*net, *bits, v4)),
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => is_public(IpAddr::V4(v4)),
            None => {
                within_v6(GLOBAL_V6.0, GLOBAL_V6.1, v6)
                    && !REFUSED_V6.iter().any(|(net, bits)| within_v6(*net, *bits, v6))
            }
        },
    }
}

fn within_v4(net: Ipv4Addr, bits: u8, address: Ipv4Addr) -> bool {
    Ipv4Net::new_assert(net, bits).contains(&address)
}

fn within_v6(net: Ipv6Addr, bits: u8, address: Ipv6Addr) -> bool {
    Ipv6Net::new_assert(net, bits).contains(&address)
}

/// What may be fetched from.
#[derive(Debug, Clone)]
pub enum Guard {
    /// The public internet and these.
    Public(Vec<IpNet>),
    /// Anything: for whoever runs the program for themselves.
    Open,
}

impl Guard {
    /// Whether a connection to `address` at `port` is allowed. On public hosts the privileged ports are those
    /// of the web alone: mail servers and the like are nobody's source of images.
    pub fn allows(&self, address: IpAddr, port: u16) -> bool {
        let Guard::Public(allowed) = self else { return true };
        let plain = address.to_canonical();
        allowed.iter().any(|net| net.contains(&plain) || net.contains(&address))
            || (is_public(plain) && (port == 80 || port == 443 || port >= 1024))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_internet_is_public() {
        for refused in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "172.24.4.1",
            "192.168.0.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(refused.parse().unwrap()), "{refused}");
        }
        for public in ["1.1.1.1", "172.15.0.1", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn the_operator_may_allow_more() {
        let guard = Guard::Public(vec!["127.0.0.0/8".parse().unwrap()]);
        assert!(guard.allows("127.0.0.1".parse().unwrap(), 22));
        assert!(guard.allows("::ffff:127.0.0.1".parse().unwrap(), 80));
        assert!(!guard.allows("10.0.0.1".parse().unwrap(), 80));
        assert!(guard.allows("1.1.1.1".parse().unwrap(), 8080));
        assert!(!guard.allows("1.1.1.1".parse().unwrap(), 25));
        assert!(Guard::Open.allows("10.0.0.1".parse().unwrap(), 22));
    }
}
