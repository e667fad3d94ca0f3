//! Lines as `syslog`, `gelf` and `fluentd` want them.
//!
//! Sources: RFC 3164, RFC 5424, RFC 5425 (lengths in front, within TLS); Graylog's GELF 1.1; the Fluentd Forward
//! Protocol Specification v1, its message mode, in MessagePack.

use std::{collections::BTreeMap, io::Write as _};

use base64::Engine as _;
use flate2::{Compression as Level, write::GzEncoder, write::ZlibEncoder};
use jiff::{Timestamp, tz::TimeZone};
use pileus_base::Result;
use rand::RngExt as _;
use serde_json::Value;

use super::{Address, Compression, Fluentd, Format, Gelf, Origin, Syslog, Target};

/// The longest piece of a GELF message in one datagram, as the reference's library has it.
const CHUNK: usize = 1420;
/// And how many there are at most.
const CHUNKS: usize = 128;

/// This host's name.
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What is sent for one record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Datagrams, or pieces of a stream.
    pub parts: Vec<Vec<u8>>,
    /// What the other side is to answer with, somewhere in its answer.
    pub confirm: Option<String>,
}

/// A line of which more is to come.
#[derive(Debug, Clone)]
struct Partial {
    id: String,
    ordinal: u32,
}

/// Writes a container's lines.
pub struct Writer {
    target: Target,
    tag: String,
    id: String,
    name: String,
    host: String,
    zone: TimeZone,
    /// What each line bears besides.
    fields: BTreeMap<String, String>,
    /// By stream.
    partial: [Option<Partial>; 2],
}

impl Writer {
    /// For a `LogConfig`; `None` where the log stays here.
    ///
    /// # Errors
    /// In the reference's words.
    pub fn new(config: &Value, origin: &Origin<'_>) -> Result<Option<Self>> {
        let Some(target) = Target::read(config)? else { return Ok(None) };
        let tag = origin.tag(config)?;
        let mut fields = origin.attributes(config)?;
        fields.remove("tag");
        if let Target::Gelf(_) = target {
            let more = [
                ("command", origin.command.join(" ")),
                ("container_id", origin.id.to_owned()),
                ("container_name", origin.name.to_owned()),
                ("created", crate::events::rfc3339(origin.created_ns)),
                ("image_id", origin.image_id.to_owned()),
                ("image_name", origin.image.to_owned()),
                ("tag", tag.clone()),
            ];
            fields.extend(more.map(|(k, v)| (k.to_owned(), v)));
        }
        Ok(Some(Self {
            target,
            tag,
            id: origin.id.to_owned(),
            name: origin.name.to_owned(),
            host: host(),
            zone: TimeZone::system(),
            fields,
            partial: [None, None],
        }))
    }

    /// Where it goes.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// A record of the stream `stream` (1 or 2), with its line's end where that has come.
    pub fn write(&mut self, stream: u8, at_ns: i64, text: &[u8]) -> Message {
        let line = text.strip_suffix(b"\n");
        let partial = self.part(stream, line.is_some());
        let line = line.unwrap_or(text);
        match &self.target {
            Target::Syslog(of) => {
                Message { parts: vec![self.syslog(of, stream, at_ns, line)], confirm: None }
            }
            Target::Gelf(of) => Message { parts: self.gelf(of, stream, at_ns, line), confirm: None },
            Target::Fluentd(of) => self.fluentd(of, stream, at_ns, line, partial),
        }
    }

    /// Which part of a line this is, and whether it is its last; `None` for a whole one.
    fn part(&mut self, stream: u8, whole: bool) -> Option<(Partial, bool)> {
        let at = usize::from(stream == 2);
        let before = self.partial[at].take();
        if before.is_none() && whole {
            return None;
        }
        let now = before.map_or_else(
            || Partial { id: crate::new_id(), ordinal: 1 },
            |p| Partial { ordinal: p.ordinal + 1, ..p },
        );
        if !whole {
            self.partial[at] = Some(now.clone());
        }
        Some((now, whole))
    }

    fn syslog(&self, of: &Syslog, stream: u8, at_ns: i64, line: &[u8]) -> Vec<u8> {
        let priority = of.facility * 8 + if stream == 2 { 3 } else { 6 };
        let at =
            Timestamp::from_nanosecond(at_ns.into()).unwrap_or_default().to_zoned_datetime(self.zone.clone());
        let (tag, pid, host) = (&self.tag, std::process::id(), &self.host);
        let head = match of.format {
            Format::Unix => format!("<{priority}>{} {tag}[{pid}]: ", at.strftime("%b %e %H:%M:%S")),
            Format::Rfc3164 => format!("<{priority}>{} {host} {tag}[{pid}]: ", at.strftime("%b %e %H:%M:%S")),
            Format::Rfc5424 { micro } => {
                let time = if micro { "%Y-%m-%dT%H:%M:%S.%6f" } else { "%Y-%m-%dT%H:%M:%S" };
                let zone =
                    if at.offset().is_zero() { "Z".to_owned() } else { at.strftime("%:z").to_string() };
                format!("<{priority}>1 {}{zone} {host} {tag} {pid} {tag} - ", at.strftime(time))
            }
        };
        let mut out = head.into_bytes();
        out.extend_from_slice(line);
        out.push(b'\n');
        if let (Address::Tls(_), Format::Rfc5424 { .. }) = (&of.address, of.format) {
            out = [format!("{} ", out.len()).into_bytes(), out].concat();
        }
        out
    }

    fn gelf(&self, of: &Gelf, stream: u8, at_ns: i64, line: &[u8]) -> Vec<Vec<u8>> {
        let level = if stream == 2 { 3 } else { 6 };
        let seconds = at_ns.div_euclid(1_000_000) as f64 / 1000.0;
        let mut text = format!(
            "{{\"version\":\"1.1\",\"host\":{},\"short_message\":{},\"timestamp\":{seconds},\"level\":{level}",
            json(&self.host),
            json(&String::from_utf8_lossy(line))
        );
        for (key, value) in &self.fields {
            text += &format!(",{}:{}", json(&format!("_{key}")), json(value));
        }
        text.push('}');
        if !matches!(of.address, Address::Udp(_)) {
            // A stream's messages end with a zero.
            text.push('\0');
            return vec![text.into_bytes()];
        }
        chunks(packed(text.into_bytes(), of.compression))
    }

    fn fluentd(
        &self,
        of: &Fluentd,
        stream: u8,
        at_ns: i64,
        line: &[u8],
        partial: Option<(Partial, bool)>,
    ) -> Message {
        let mut record: Vec<(&str, Vec<u8>)> = vec![
            ("container_id", self.id.clone().into_bytes()),
            ("container_name", format!("/{}", self.name).into_bytes()),
            ("source", if stream == 2 { b"stderr".to_vec() } else { b"stdout".to_vec() }),
            ("log", line.to_vec()),
        ];
        record.extend(self.fields.iter().map(|(k, v)| (k.as_str(), v.clone().into_bytes())));
        if let Some((part, last)) = partial {
            record.push(("partial_message", b"true".to_vec()));
            record.push(("partial_id", part.id.into_bytes()));
            record.push(("partial_ordinal", part.ordinal.to_string().into_bytes()));
            record.push(("partial_last", last.to_string().into_bytes()));
        }
        let mut out = vec![0x94];
        pack_text(&mut out, self.tag.as_bytes());
        let (seconds, nanos) =
            (at_ns.div_euclid(1_000_000_000) as u32, at_ns.rem_euclid(1_000_000_000) as u32);
        if of.sub_second {
            // An extension of eight bytes, of the type 0: EventTime.
            out.extend([0xd7, 0x00]);
            out.extend(seconds.to_be_bytes());
            out.extend(nanos.to_be_bytes());
        } else {
            out.push(0xce);
            out.extend(seconds.to_be_bytes());
        }
        out.push(0xde);
        out.extend((record.len() as u16).to_be_bytes());
        for (key, value) in &record {
            pack_text(&mut out, key.as_bytes());
            pack_text(&mut out, value);
        }
        let confirm = of.ack.then(|| {
            let id: [u8; 16] = rand::rng().random();
            base64::engine::general_purpose::STANDARD.encode(id)
        });
        match &confirm {
            None => out.push(0x80),
            Some(id) => {
                out.push(0x81);
                pack_text(&mut out, b"chunk");
                pack_text(&mut out, id.as_bytes());
            }
        }
        Message { parts: vec![out], confirm }
    }
}

/// MessagePack's texts.
fn pack_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        n @ 0..32 => out.push(0xa0 | n as u8),
        n @ 32..0x100 => out.extend([0xd9, n as u8]),
        n @ 0x100..0x1_0000 => {
            out.push(0xda);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0xdb);
            out.extend((n as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// JSON as Go writes it, which escapes what HTML would take for its own.
fn json(text: &str) -> String {
    let plain = Value::from(text).to_string();
    plain.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn packed(text: Vec<u8>, how: Compression) -> Vec<u8> {
    // Into memory nothing fails.
    let done = match how {
        Compression::None => return text,
        Compression::Gzip(level) => {
            let mut out = GzEncoder::new(Vec::new(), Level::new(level));
            out.write_all(&text).and_then(|()| out.finish())
        }
        Compression::Zlib(level) => {
            let mut out = ZlibEncoder::new(Vec::new(), Level::new(level));
            out.write_all(&text).and_then(|()| out.finish())
        }
    };
    done.unwrap_or(text)
}

/// A message in datagrams: more than one bear their number. One that doesn't fit in all of them is dropped, as
/// GELF has it.
fn chunks(text: Vec<u8>) -> Vec<Vec<u8>> {
    const HEAD: usize = 12;
    if text.len() <= CHUNK {
        return vec![text];
    }
    let all: Vec<&[u8]> = text.chunks(CHUNK - HEAD).collect();
    if all.len() > CHUNKS {
        tracing::debug!(bytes = text.len(), "a line is too long for GELF");
        return Vec::new();
    }
    let id: [u8; 8] = rand::rng().random();
    let count = all.len() as u8;
    let one = |(n, part): (usize, &&[u8])| [&[0x1e, 0x0f], &id[..], &[n as u8, count], part].concat();
    all.iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn writer(driver: &str, options: Value) -> Writer {
        let config = json!({"Type": driver, "Config": options});
        let made = crate::model::logging::origin::sample(|origin| Writer::new(&config, origin));
        let mut writer = made.unwrap().unwrap();
        writer.host = "vm".into();
        writer.zone = TimeZone::UTC;
        writer
    }

    const AT: i64 = 1_795_699_935_849_123_456;

    #[test]
    fn syslog_has_four_forms() {
        let pid = std::process::id();
        let of = |options: Value, stream| {
            let message = writer("syslog", options).write(stream, AT, b"hi\n");
            String::from_utf8(message.parts.concat()).unwrap()
        };
        assert_eq!(of(json!({}), 1), format!("<30>Nov 26 13:32:15 0123456789ab[{pid}]: hi\n"));
        let local3 = json!({"syslog-facility": "local3", "syslog-format": "rfc3164", "tag": "{{.Name}}"});
        assert_eq!(of(local3, 2), format!("<155>Nov 26 13:32:15 vm lg[{pid}]: hi\n"));
        let seven = json!({"syslog-facility": "7", "syslog-format": "rfc5424micro", "tag": "t"});
        assert_eq!(of(seven, 1), format!("<62>1 2026-11-26T13:32:15.849123Z vm t {pid} t - hi\n"));
        let tls = json!({"syslog-address": "tcp+tls://h:1", "syslog-format": "rfc5424", "tag": "t"});
        let line = format!("<30>1 2026-11-26T13:32:15Z vm t {pid} t - hi\n");
        assert_eq!(of(tls, 1), format!("{} {line}", line.len()));
    }

    #[test]
    fn gelf_is_the_reference_s() {
        let options = json!({"gelf-address": "tcp://h:1", "labels": "a.b"});
        let sent = writer("gelf", options).write(2, AT, b"two\n").parts.concat();
        let told = r#"{"version":"1.1","host":"vm","short_message":"two","timestamp":1795699935.849,"level":3,"_a.b":"c","_command":"sh echo \u003e\u00262","_container_id":"0123456789abcdef","_container_name":"lg","_created":"1970-01-01T00:00:01.5Z","_image_id":"sha256:fedcba9876543210","_image_name":"busybox","_tag":"0123456789ab"}"#;
        assert_eq!(String::from_utf8(sent).unwrap(), format!("{told}\0"));
        let plain = json!({"gelf-address": "udp://h:1", "gelf-compression-type": "none"});
        let long = writer("gelf", plain).write(1, AT, &[b'x'; 3000]).parts;
        assert_eq!(long.len(), 3);
        assert_eq!((&long[1][..2], long[1][10], long[1][11]), (&[0x1e, 0x0f][..], 1, 3));
        let gz = writer("gelf", json!({"gelf-address": "udp://h:1"})).write(1, AT, b"x").parts;
        assert_eq!(&gz[0][..2], [0x1f, 0x8b]);
    }

    #[test]
    fn fluentd_is_told_of_parts() {
        let mut writer = writer("fluentd", json!({"labels": "a.b"}));
        let whole = writer.write(1, AT, b"one\n").parts.concat();
        assert!(whole.starts_with(
            b"\x94\xac0123456789ab\xce\x6b\x08\x34\xdf\xde\x00\x05\xaccontainer_id\xb00123456789abcdef"
        ));
        assert!(whole.ends_with(b"\xa3log\xa3one\xa3a.b\xa1c\x80"));
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let first = text(writer.write(1, AT, b"be").parts.concat());
        assert!(
            first.contains("partial_ordinal\u{fffd}1") && first.contains("partial_last\u{fffd}false"),
            "{first}"
        );
        let last = text(writer.write(1, AT, b"gin\n").parts.concat());
        assert!(
            last.contains("partial_ordinal\u{fffd}2") && last.contains("partial_last\u{fffd}true"),
            "{last}"
        );
        let asked = json!({"fluentd-request-ack": "true", "fluentd-sub-second-precision": "true"});
        let sent = super::tests::writer("fluentd", asked).write(2, AT, b"x\n");
        let id = sent.confirm.unwrap();
        assert!(text(sent.parts.concat()).ends_with(&format!("chunk\u{fffd}{id}")));
    }
}
