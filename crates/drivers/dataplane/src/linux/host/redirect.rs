//! The rules in a container's own namespace that lead its questions from 127.0.0.11:53 to where they are
//! answered: port 53 stays free for a name server in the container. One batch to the kernel; what `nft` would
//! make of
//!
//! ```text
//! table ip pileus { chain names { type nat hook output priority -100;
//!     ip daddr 127.0.0.11 udp dport 53 dnat to :61053
//!     ip daddr 127.0.0.11 tcp dport 53 dnat to :61053 } }
//! ```

use std::io;

use super::{
    netlink::{Body, NESTED},
    nfnetlink::{self, NFTABLES},
};

/// Where questions are answered: above the ports that the kernel chooses from.
pub const PORT: u16 = 61053;
const NEW_TABLE: u16 = NFTABLES << 8;
/// `NLM_F_EXCL`
const EXCL: u16 = 0x200;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;
/// `NFPROTO_IPV4`
const IPV4: u8 = 2;
const TABLE: &str = "pileus";
const CHAIN: &str = "names";
/// `NFT_REG_1`
const REGISTER: u32 = 1;
/// `NF_INET_LOCAL_OUT`
const OUTPUT: u32 = 3;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
/// `NFT_META_L4PROTO`
const L4PROTO: u32 = 16;

/// A number as netfilter has them.
fn word(body: Body, kind: u16, value: u32) -> Body {
    body.attr(kind, &value.to_be_bytes())
}

fn words(all: &[(u16, u32)]) -> Body {
    all.iter().fold(Body::default(), |body, (kind, value)| word(body, *kind, *value))
}

/// NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }
fn expression(list: Body, name: &str, data: Body) -> Body {
    list.nest(1 | NESTED, Body::default().text(1, name).nest(2 | NESTED, data))
}

/// NFTA_DATA_VALUE
fn value(bytes: &[u8]) -> Body {
    Body::default().attr(1, bytes)
}

/// Bytes of a header are these.
fn header(list: Body, base: u32, offset: u32, is: &[u8]) -> Body {
    let load = words(&[(1, REGISTER), (2, base), (3, offset), (4, is.len() as u32)]);
    let list = expression(list, "payload", load);
    expression(list, "cmp", words(&[(1, REGISTER), (2, 0)]).nest(3 | NESTED, value(is)))
}

fn rule(protocol: u8) -> Body {
    let list = header(Body::default(), NETWORK_HEADER, 16, &[127, 0, 0, 11]);
    let list = expression(list, "meta", words(&[(1, REGISTER), (2, L4PROTO)]));
    let list = expression(list, "cmp", words(&[(1, REGISTER), (2, 0)]).nest(3 | NESTED, value(&[protocol])));
    let list = header(list, TRANSPORT_HEADER, 2, &53u16.to_be_bytes());
    let port = word(Body::default(), 1, REGISTER).nest(2 | NESTED, value(&PORT.to_be_bytes()));
    let list = expression(list, "immediate", port);
    // A destination's, of IPv4, the port alone.
    let list = expression(list, "nat", words(&[(1, 1), (2, u32::from(IPV4)), (5, REGISTER)]));
    nfnetlink::generic(IPV4, 0).text(1, TABLE).text(2, CHAIN).nest(4 | NESTED, list)
}

/// Loads the rules into this thread's namespace; done twice without complaint.
pub fn load() -> io::Result<()> {
    let table = || nfnetlink::generic(IPV4, 0).text(1, TABLE);
    // NAT on the way out: priority -100.
    let hook = words(&[(1, OUTPUT), (2, (-100i32).cast_unsigned())]);
    let chain = table().text(3, CHAIN).nest(4 | NESTED, hook).text(7, "nat");
    let rules = [libc::IPPROTO_UDP as u8, libc::IPPROTO_TCP as u8].map(rule);
    let mut batch =
        vec![(NEW_TABLE, nfnetlink::CREATE | EXCL, table()), (NEW_CHAIN, nfnetlink::CREATE, chain)];
    // NLM_F_APPEND
    batch.extend(rules.map(|rule| (NEW_RULE, nfnetlink::CREATE | 0x800, rule)));
    match nfnetlink::transact(&nfnetlink::open()?, &batch) {
        // A former daemon's, and the same.
        Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        done => done,
    }
}
