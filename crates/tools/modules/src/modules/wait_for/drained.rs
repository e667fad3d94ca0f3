//! TCP connections of a port that are still in use, from `/proc/net/tcp` and `tcp6` (proc_net_tcp(5)).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kernel's number of a state (`include/net/tcp_states.h`).
pub fn state(name: &str) -> Option<u8> {
    Some(match name {
        "ESTABLISHED" => 1,
        "SYN_SENT" => 2,
        "SYN_RECV" => 3,
        "FIN_WAIT1" => 4,
        "FIN_WAIT2" => 5,
        "TIME_WAIT" => 6,
        _ => return None,
    })
}

/// How many connections of the port are in one of the states, those with excluded hosts apart.
///
/// # Errors
/// The file that can't be read.
pub fn active(
    own: &[IpAddr],
    port: u16,
    excluded: &[IpAddr],
    states: &[u8],
) -> Result<usize, (&'static str, io::Error)> {
    let mut count = 0;
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match std::fs::read_to_string(file) {
            Ok(text) => count += counted(&text, own, port, excluded, states),
            Err(e) if e.kind() == io::ErrorKind::NotFound && file.ends_with('6') => {}
            Err(e) => return Err((file, e)),
        }
    }
    Ok(count)
}

fn counted(text: &str, own: &[IpAddr], port: u16, excluded: &[IpAddr], states: &[u8]) -> usize {
    let any = own.iter().any(IpAddr::is_unspecified);
    let fits = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next().and_then(end)?;
        let remote = words.next().and_then(end)?;
        let state = u8::from_str_radix(words.next()?, 16).ok()?;
        let ours = any || local.0.is_unspecified() || own.contains(&local.0);
        Some(local.1 == port && ours && states.contains(&state) && !excluded.contains(&remote.0))
    };
    text.lines().skip(1).filter(|line| fits(line).unwrap_or(false)).count()
}

/// `0100007F:0016`: words of an address in the machine's order, a port in hexadecimal. A mapped IPv4 is an IPv4.
fn end(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let words: Option<Vec<u32>> = (0..address.len() / 8)
        .map(|at| u32::from_str_radix(address.get(at * 8..at * 8 + 8)?, 16).ok())
        .collect();
    let words = words?;
    let address = match words[..] {
        [word] => IpAddr::from(Ipv4Addr::from(word.to_ne_bytes())),
        [a, b, c, d] => {
            let mut bytes = [0u8; 16];
            for (at, word) in [a, b, c, d].into_iter().enumerate() {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word.to_ne_bytes());
            }
            IpAddr::from(Ipv6Addr::from(bytes)).to_canonical()
        }
        _ => return None,
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let text = "  sl  local_address rem_address   st\n   0: 0100007F:0016 0200007F:1234 01 0\n   \
                    1: 0100007F:0016 00000000:0000 0A 0\n   2: 0000000000000000FFFF00000100007F:0016 \
                    0000000000000000FFFF00000300007F:1 06 0\n";
        let ip = |s: &str| s.parse::<IpAddr>().unwrap();
        let count =
            |excluded: &[IpAddr], states: &[u8]| counted(text, &[ip("127.0.0.1")], 22, excluded, states);
        if cfg!(target_endian = "little") {
            assert_eq!(
                (count(&[], &[1, 6]), count(&[ip("127.0.0.2")], &[1, 6]), count(&[], &[6])),
                (2, 1, 1)
            );
            assert_eq!(counted(text, &[ip("10.0.0.1")], 22, &[], &[1, 6]), 0);
        }
    }
}
