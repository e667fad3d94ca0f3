//! Published and exposed ports, as `docker run -p` writes them.

use serde_json::{Value, json};

use crate::result::Map;

/// A port or a range of them: `80`, `80-90`.
fn range(text: &str) -> Result<(u32, u32), String> {
    let bad = || format!("Invalid port description \"{text}\"");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().map_err(|_| bad())?, last.parse().map_err(|_| bad())?);
    if first > last || last > 65535 {
        return Err(format!("Invalid port range: \"{text}\""));
    }
    Ok((first, last))
}

/// The address before the last parts: `1.2.3.4:`, `[::1]:`; and the rest.
fn address(text: &str) -> Result<(Option<String>, &str), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, rest) =
            rest.split_once("]:").ok_or_else(|| format!("Invalid address in \"{text}\""))?;
        return Ok((Some(address.to_string()), rest));
    }
    if text.matches(':').count() < 2 {
        return Ok((None, text));
    }
    let (address, rest) = text.split_once(':').unwrap_or(("", text));
    if address.parse::<std::net::Ipv4Addr>().is_err() {
        return Err(format!(
            "Bind addresses for published ports must be IPv4 or IPv6 addresses, not hostnames. Use the dig lookup to resolve hostnames. (Found hostname: {address})"
        ));
    }
    Ok((Some(address.to_string()), rest))
}

/// `PortBindings` of the published ports.
///
/// # Errors
/// Naming what is no port.
pub fn bindings(published: &[String], default_ip: &str) -> Result<Map, String> {
    let mut out = Map::new();
    let mut add = |container: String, ip: &str, host: String| {
        let list = out.entry(container).or_insert_with(|| json!([]));
        if let Value::Array(list) = list {
            list.push(json!({"HostIp": ip, "HostPort": host}));
        }
    };
    for text in published {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = protocol.to_lowercase();
        let (ip, rest) = address(ports)?;
        let ip = ip.as_deref().unwrap_or(default_ip);
        let Some((host, container)) = rest.split_once(':') else {
            let (first, last) = range(rest)?;
            for port in first..=last {
                add(format!("{port}/{protocol}"), ip, String::new());
            }
            continue;
        };
        let (first, last) = range(container)?;
        if host.is_empty() {
            for port in first..=last {
                add(format!("{port}/{protocol}"), ip, String::new());
            }
            continue;
        }
        let (host_first, host_last) = range(host)?;
        if first == last && host_first != host_last {
            // One port inside, a free one of a range outside.
            add(format!("{first}/{protocol}"), ip, format!("{host_first}-{host_last}"));
            continue;
        }
        for (port, outside) in (first..=last).zip(host_first..=host_last) {
            add(format!("{port}/{protocol}"), ip, outside.to_string());
        }
    }
    Ok(out)
}

/// Exposed ports with their protocols.
pub fn exposed(ports: &[String]) -> Vec<String> {
    let full = |port: &String| {
        let port = port.trim();
        if port.contains('/') { port.to_string() } else { format!("{port}/tcp") }
    };
    ports.iter().map(full).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Value {
        bindings(&[text.to_string()], "0.0.0.0").map(Value::Object).unwrap_or_else(Value::from)
    }

    #[test]
    fn as_docker_run() {
        let any = |port: &str| json!([{"HostIp": "0.0.0.0", "HostPort": port}]);
        assert_eq!(one("80"), json!({"80/tcp": any("")}));
        assert_eq!(one("8080:80/UDP"), json!({"80/udp": any("8080")}));
        assert_eq!(one("1-2:3-4"), json!({"3/tcp": any("1"), "4/tcp": any("2")}));
        assert_eq!(one("9000-9010:80"), json!({"80/tcp": any("9000-9010")}));
        assert_eq!(one("127.0.0.1:1:2"), json!({"2/tcp": [{"HostIp": "127.0.0.1", "HostPort": "1"}]}));
        assert_eq!(one("[::1]:1:2"), json!({"2/tcp": [{"HostIp": "::1", "HostPort": "1"}]}));
        assert_eq!(one("127.0.0.1::2"), json!({"2/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}));
        assert!(one("host:1:2").is_string() && one("x").is_string() && one("9-1").is_string());
    }
}
