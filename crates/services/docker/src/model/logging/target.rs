//! Where a log is sent: the options of the drivers `syslog`, `gelf` and `fluentd`, checked in the reference's
//! words.
//!
//! Source: Docker's documentation of these drivers.

use std::path::{Path, PathBuf};

use pileus_base::{Error, Result};
use serde_json::Value;

use super::{ATTRIBUTES, COMMON, bytes, option, options, truth};

/// Where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Datagrams to a host and port.
    Udp(String),
    /// A stream to a host and port.
    Tcp(String),
    /// The same within TLS.
    Tls(String),
    /// A socket of datagrams.
    Datagrams(PathBuf),
    /// A socket of streams.
    Stream(PathBuf),
    /// The host's own syslog.
    Here,
}

/// How lines of syslog are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As the C library does on one host: without its name.
    Unix,
    /// RFC 3164.
    Rfc3164,
    /// RFC 5424, with times to the microsecond where `micro`.
    Rfc5424 {
        /// Whether times are that fine.
        micro: bool,
    },
}

/// Certificates for TLS, as files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities that are trusted; those of the host where `None`.
    pub ca: Option<PathBuf>,
    /// Our own certificate and its key.
    pub own: Option<(PathBuf, PathBuf)>,
    /// Whether anybody is trusted.
    pub skip_verify: bool,
}

/// The driver `syslog`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Syslog {
    /// Where it goes.
    pub address: Address,
    /// For [`Address::Tls`].
    pub tls: Tls,
    /// 0 to 23.
    pub facility: u8,
    /// How it is written.
    pub format: Format,
}

/// How a datagram of `gelf` is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// By gzip, at this level.
    Gzip(u32),
    /// By zlib, at this level.
    Zlib(u32),
    /// Not.
    None,
}

/// The driver `gelf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gelf {
    /// Where it goes.
    pub address: Address,
    /// How a datagram is packed.
    pub compression: Compression,
}

/// The driver `fluentd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fluentd {
    /// Where it goes.
    pub address: Address,
    /// Whether a container starts though nobody listens.
    pub late: bool,
    /// Whether times are finer than seconds.
    pub sub_second: bool,
    /// Whether each message is to be confirmed.
    pub ack: bool,
}

/// A driver that sends a log elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `syslog`.
    Syslog(Syslog),
    /// `gelf`.
    Gelf(Gelf),
    /// `fluentd`.
    Fluentd(Fluentd),
}

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "",
    "", "", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];
const SYSLOG: [&str; 7] = [
    "syslog-address",
    "syslog-facility",
    "syslog-format",
    "syslog-tls-ca-cert",
    "syslog-tls-cert",
    "syslog-tls-key",
    "syslog-tls-skip-verify",
];
const FLUENTD: [&str; 9] = [
    "fluentd-address",
    "fluentd-async",
    "fluentd-async-connect",
    "fluentd-async-reconnect-interval",
    "fluentd-buffer-limit",
    "fluentd-max-retries",
    "fluentd-request-ack",
    "fluentd-retry-wait",
    "fluentd-sub-second-precision",
];
const SCHEMES: [&str; 5] = ["tcp://", "tcp+tls://", "udp://", "unix://", "unixgram://"];

fn bad<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::bad_request(text))
}

fn given<'a>(config: &'a Value, name: &str) -> Option<&'a str> {
    option(config, name).filter(|v| !v.is_empty())
}

/// Whether it is of one of the forms that name a transport.
fn transport(address: &str) -> Option<(&str, &str)> {
    SCHEMES.iter().any(|s| address.starts_with(s)).then(|| address.split_once("://")).flatten()
}

/// A host, and a port where there is one: `[::1]:514`, `host`.
fn host_port(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    }
}

impl Target {
    /// Reads a `LogConfig`.
    ///
    /// # Errors
    /// 400 in the reference's words.
    pub fn read(config: &Value) -> Result<Option<Self>> {
        Ok(Some(match config["Type"].as_str().unwrap_or("") {
            "syslog" => Self::Syslog(syslog(config)?),
            "gelf" => Self::Gelf(gelf(config)?),
            "fluentd" => Self::Fluentd(fluentd(config)?),
            _ => return Ok(None),
        }))
    }

    /// Where it goes.
    pub fn address(&self) -> &Address {
        match self {
            Self::Syslog(s) => &s.address,
            Self::Gelf(g) => &g.address,
            Self::Fluentd(f) => &f.address,
        }
    }
}

fn known(config: &Value, driver: &str, names: &[&str]) -> Result<()> {
    let all = |key: &str| COMMON.contains(&key) || ATTRIBUTES.contains(&key) || names.contains(&key);
    match options(config).find(|(key, _)| !all(key)) {
        Some((key, _)) => bad(format!("unknown log opt '{key}' for {driver} log driver")),
        None => Ok(()),
    }
}

fn syslog(config: &Value) -> Result<Syslog> {
    known(config, "syslog", &SYSLOG)?;
    let address = match given(config, "syslog-address") {
        None => Address::Here,
        Some(text) => {
            let Some((scheme, rest)) = transport(text) else {
                return bad(format!("syslog-address should be in form proto://address, got {text}"));
            };
            let at = || match host_port(rest) {
                (host, None) => format!("{host}:514"),
                (host, Some(port)) => format!("{host}:{port}"),
            };
            match scheme {
                "udp" => Address::Udp(at()),
                "tcp" => Address::Tcp(at()),
                "tcp+tls" => Address::Tls(at()),
                _ if !Path::new(rest).exists() => {
                    return bad(format!("stat {rest}: no such file or directory"));
                }
                "unixgram" => Address::Datagrams(rest.into()),
                _ => Address::Stream(rest.into()),
            }
        }
    };
    let facility = match given(config, "syslog-facility") {
        None => Some(3),
        Some(text) => {
            let named = FACILITIES.iter().position(|f| *f == text);
            named.or_else(|| text.parse().ok()).filter(|n| FACILITIES.get(*n).is_some_and(|f| !f.is_empty()))
        }
    };
    let Some(facility) = facility else { return bad("invalid syslog facility") };
    let format = match option(config, "syslog-format").unwrap_or("") {
        "" => Format::Unix,
        "rfc3164" => Format::Rfc3164,
        "rfc5424" => Format::Rfc5424 { micro: false },
        "rfc5424micro" => Format::Rfc5424 { micro: true },
        _ => return bad("Invalid syslog format"),
    };
    let path = |name: &str| given(config, name).map(PathBuf::from);
    let own = match (path("syslog-tls-cert"), path("syslog-tls-key")) {
        (None, None) => None,
        (cert, key) => Some((cert.unwrap_or_default(), key.unwrap_or_default())),
    };
    let tls = Tls {
        ca: path("syslog-tls-ca-cert"),
        own,
        // As the reference: any value but none.
        skip_verify: given(config, "syslog-tls-skip-verify").is_some(),
    };
    Ok(Syslog { address, tls, facility: facility as u8, format })
}

fn gelf(config: &Value) -> Result<Gelf> {
    const NAMES: [&str; 5] = [
        "gelf-address",
        "gelf-compression-level",
        "gelf-compression-type",
        "gelf-tcp-max-reconnect",
        "gelf-tcp-reconnect-delay",
    ];
    let Some(text) = given(config, "gelf-address") else {
        return bad("gelf-address is a required parameter");
    };
    let Some((scheme, rest)) = transport(text) else {
        return bad(format!("gelf-address should be in form proto://address, got {text}"));
    };
    if !matches!(scheme, "udp" | "tcp") {
        return bad("gelf: endpoint needs to be TCP or UDP");
    }
    if host_port(rest).1.is_none() {
        return bad("gelf: please provide gelf-address as proto://host:port");
    }
    let udp = scheme == "udp";
    let (mut kind, mut level) = ("gzip", 1);
    for (key, value) in options(config) {
        let unknown = || bad(format!("unknown value \"{value}\" for log opt \"{key}\" for gelf log driver"));
        match key {
            "gelf-compression-level" | "gelf-compression-type" if !udp => {
                return bad("compression is only supported on UDP");
            }
            "gelf-compression-level" => match value.parse::<i32>() {
                Ok(n @ -1..=9) => level = u32::try_from(n).unwrap_or(6),
                _ => return unknown(),
            },
            "gelf-compression-type" if matches!(value, "gzip" | "zlib" | "none") => kind = value,
            "gelf-compression-type" => return unknown(),
            "gelf-tcp-max-reconnect" | "gelf-tcp-reconnect-delay" if udp => {
                return bad(format!("\"{key}\" is only valid for TCP"));
            }
            "gelf-tcp-max-reconnect" | "gelf-tcp-reconnect-delay" if value.parse::<u32>().is_err() => {
                return bad(format!("\"{key}\" must be a positive integer"));
            }
            key if NAMES.contains(&key) || COMMON.contains(&key) || ATTRIBUTES.contains(&key) => {}
            key => return bad(format!("unknown log opt \"{key}\" for gelf log driver")),
        }
    }
    let compression = match kind {
        "gzip" => Compression::Gzip(level),
        "zlib" => Compression::Zlib(level),
        _ => Compression::None,
    };
    let at = rest.to_owned();
    Ok(Gelf { address: if udp { Address::Udp(at) } else { Address::Tcp(at) }, compression })
}

fn fluentd(config: &Value) -> Result<Fluentd> {
    known(config, "fluentd", &FLUENTD)?;
    let flag = |name: &str| match given(config, name) {
        None => Ok(false),
        Some(text) => truth(text)
            .map_or_else(|| bad(format!("strconv.ParseBool: parsing \"{text}\": invalid syntax")), Ok),
    };
    if let Some(text) = given(config, "fluentd-buffer-limit")
        && bytes(text).is_none()
    {
        return bad(format!("invalid size: '{text}'"));
    }
    if let Some(text) = given(config, "fluentd-retry-wait")
        && text.parse::<jiff::SignedDuration>().is_err()
    {
        return bad(format!("time: invalid duration \"{text}\""));
    }
    if let Some(text) = given(config, "fluentd-max-retries")
        && text.parse::<u64>().is_err()
    {
        return bad(format!("strconv.ParseUint: parsing \"{text}\": invalid syntax"));
    }
    if given(config, "fluentd-async").is_some() && given(config, "fluentd-async-connect").is_some() {
        // The reference's own words, a quote short.
        return bad("conflicting options: cannot specify both 'fluentd-async' and 'fluentd-async-connect");
    }
    Ok(Fluentd {
        address: fluentd_address(given(config, "fluentd-address").unwrap_or(""))?,
        late: flag("fluentd-async")? || flag("fluentd-async-connect")?,
        sub_second: flag("fluentd-sub-second-precision")?,
        ack: flag("fluentd-request-ack")?,
    })
}

fn fluentd_address(text: &str) -> Result<Address> {
    let rest = match transport(text) {
        Some(("unix", path)) => return Ok(Address::Stream(path.into())),
        Some(("tcp", rest)) => rest.split('/').next().unwrap_or(rest),
        Some((scheme, _)) => {
            return bad(format!("invalid fluentd-address {text}: {scheme} is not supported"));
        }
        None => text,
    };
    match host_port(rest) {
        ("", None | Some("")) => Ok(Address::Tcp("127.0.0.1:24224".into())),
        (host, None) => Ok(Address::Tcp(format!("{host}:24224"))),
        (_, Some(port)) if port.parse::<u16>().is_err() => {
            bad(format!("invalid fluentd-address {text}: strconv.Atoi: parsing \"{port}\": invalid syntax"))
        }
        (host, Some(port)) => Ok(Address::Tcp(format!("{host}:{port}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(driver: &str, options: Value) -> std::result::Result<Target, String> {
        let read = Target::read(&json!({"Type": driver, "Config": options}));
        read.map(Option::unwrap).map_err(|e| e.message().to_owned())
    }

    #[test]
    fn addresses_are_read() {
        let at = |driver, options| read(driver, options).unwrap().address().clone();
        let udp = at("syslog", json!({"syslog-address": "udp://[::1]", "tag": "x", "mode": "non-blocking"}));
        assert_eq!(udp, Address::Udp("[::1]:514".into()));
        assert_eq!(at("syslog", json!({})), Address::Here);
        assert_eq!(
            at("syslog", json!({"syslog-address": "tcp+tls://log.example:6514"})),
            Address::Tls("log.example:6514".into())
        );
        assert_eq!(at("fluentd", json!({})), Address::Tcp("127.0.0.1:24224".into()));
        assert_eq!(at("fluentd", json!({"fluentd-address": "log:1"})), Address::Tcp("log:1".into()));
        let gelf = Gelf { address: Address::Udp("log:1".into()), compression: Compression::Zlib(1) };
        assert_eq!(
            read("gelf", json!({"gelf-address": "udp://log:1", "gelf-compression-type": "zlib"})).unwrap(),
            Target::Gelf(gelf)
        );
    }

    #[test]
    fn options_are_refused_in_the_reference_s_words() {
        for (driver, options, said) in [
            ("syslog", json!({"nope": "1"}), "unknown log opt 'nope' for syslog log driver"),
            (
                "syslog",
                json!({"syslog-address": "x"}),
                "syslog-address should be in form proto://address, got x",
            ),
            ("syslog", json!({"syslog-address": "unix:///no"}), "stat /no: no such file or directory"),
            ("syslog", json!({"syslog-facility": "77"}), "invalid syslog facility"),
            ("syslog", json!({"syslog-format": "x"}), "Invalid syslog format"),
            ("gelf", json!({"nope": "1"}), "gelf-address is a required parameter"),
            (
                "gelf",
                json!({"gelf-address": "udp://h"}),
                "gelf: please provide gelf-address as proto://host:port",
            ),
            (
                "gelf",
                json!({"gelf-address": "tcp://h:1", "gelf-compression-type": "gzip"}),
                "compression is only supported on UDP",
            ),
            (
                "gelf",
                json!({"gelf-address": "udp://h:1", "gelf-compression-level": "11"}),
                "unknown value \"11\" for log opt \"gelf-compression-level\" for gelf log driver",
            ),
            (
                "gelf",
                json!({"gelf-address": "udp://h:1", "gelf-tcp-max-reconnect": "1"}),
                "\"gelf-tcp-max-reconnect\" is only valid for TCP",
            ),
            (
                "fluentd",
                json!({"fluentd-address": "foo://x"}),
                "invalid fluentd-address foo://x: strconv.Atoi: parsing \"//x\": invalid syntax",
            ),
            ("fluentd", json!({"fluentd-buffer-limit": "x"}), "invalid size: 'x'"),
            ("fluentd", json!({"fluentd-retry-wait": "x"}), "time: invalid duration \"x\""),
            ("fluentd", json!({"fluentd-async": "x"}), "strconv.ParseBool: parsing \"x\": invalid syntax"),
        ] {
            assert_eq!(read(driver, options).unwrap_err(), said);
        }
    }
}
