//! Names to addresses without NSS: literals, /etc/hosts, then the system's own `getent ahosts`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The addresses of a host, in the order they are to be tried; empty when the name is unknown.
pub fn addresses(host: &str) -> Vec<IpAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return vec![address];
    }
    let text = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let mut found = in_hosts(&text, host);
    if found.is_empty() && host.eq_ignore_ascii_case("localhost") {
        found = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    }
    if found.is_empty() { by_getent(host) } else { found }
}

/// The addresses that hosts(5) gives a name.
fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next().and_then(|w| w.parse().ok()) else { continue };
        if words.any(|name| name.eq_ignore_ascii_case(host)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

fn by_getent(host: &str) -> Vec<IpAddr> {
    let output = Command::new("getent")
        .args(["ahosts", "--", host])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(output) = output else { return Vec::new() };
    let mut found = Vec::new();
    for line in crate::py::text(&output.stdout).lines() {
        if let Some(address) = line.split_whitespace().next().and_then(|w| w.parse().ok())
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Connects to the first of a host's addresses that answers in time.
///
/// # Errors
/// The last address's; `EAI_NONAME`'s words for a name without any.
pub fn connect(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let deadline = Instant::now() + limit;
    let mut last = io::Error::other("[Errno -2] Name or service not known");
    for address in addresses(host) {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&SocketAddr::new(address, port), left) {
            Ok(stream) => return Ok(stream),
            Err(e) => last = e,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_literals() {
        let text = "127.0.0.1 localhost\n::1 localhost ip6 # x\n10.0.0.1\tWeb web.example\n";
        assert_eq!(in_hosts(text, "localhost").len(), 2);
        assert_eq!(in_hosts(text, "web"), ["10.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(in_hosts(text, "x").is_empty());
        assert_eq!(addresses("[::1]"), ["::1".parse::<IpAddr>().unwrap()]);
    }
}
