//! HTTP/1.1 answers as they come over the wire (RFC 9112): the head, and the body in each of its forms.

use std::io::{self, BufRead, Read, Write};

/// The most a head, or the line before a chunk, may have.
const HEAD_BYTES: u64 = 1 << 20;

/// Status line and headers of an answer.
#[derive(Debug)]
pub struct Head {
    /// The status code.
    pub status: u16,
    /// Its words.
    pub reason: String,
    /// Header lines, in their order.
    pub headers: Vec<(String, String)>,
}

/// The value of a header.
pub fn header<'h>(headers: &'h [(String, String)], name: &str) -> Option<&'h str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The head of the answer; those that only say that one will come (1xx) are passed over.
///
/// # Errors
/// `UnexpectedEof` where the connection ends before it; the first line, where that isn't HTTP's.
pub fn read_head(reader: &mut dyn BufRead) -> io::Result<Head> {
    loop {
        let head = read_one(reader)?;
        if head.status >= 200 || head.status == 101 {
            return Ok(head);
        }
    }
}

fn read_one(reader: &mut dyn BufRead) -> io::Result<Head> {
    let bad = |text: &str| io::Error::other(text.to_string());
    let mut reader = reader.take(HEAD_BYTES);
    let mut next = || -> io::Result<String> {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if !line.ends_with(b"\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // Latin-1, as HTTP has it.
        Ok(line.iter().map(|b| *b as char).collect::<String>().trim_end().to_string())
    };
    let first = next()?;
    let mut words = first.splitn(3, ' ');
    if !words.next().is_some_and(|v| v.starts_with("HTTP/")) {
        return Err(bad(&first));
    }
    let status = words.next().and_then(|code| code.parse().ok()).ok_or_else(|| bad(&first))?;
    let reason = words.next().unwrap_or_default().trim().to_string();
    let mut headers: Vec<(String, String)> = Vec::new();
    loop {
        let line = next()?;
        if line.is_empty() {
            return Ok(Head { status, reason, headers });
        }
        if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(&format!(" {}", line.trim()));
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().to_string(), value.trim().to_string()));
        }
    }
}

/// Copies the answer's body, of at most `limit` bytes, to `into`.
///
/// # Errors
/// Where it ends early or is larger, in the words of Python's http.client.
pub fn read_body(reader: &mut dyn BufRead, head: &Head, into: &mut dyn Write, limit: u64) -> io::Result<()> {
    if matches!(head.status, 100..=199 | 204 | 304) {
        return Ok(());
    }
    let mut whole = 0_u64;
    let mut count = |more: u64| {
        whole = whole.saturating_add(more);
        if whole > limit {
            Err(io::Error::other(format!("the body has more than {limit} bytes")))
        } else {
            Ok(())
        }
    };
    let coding = header(&head.headers, "transfer-encoding");
    if coding.is_some_and(|v| v.to_ascii_lowercase().contains("chunked")) {
        loop {
            let size = read_line(reader)?;
            let size = size.trim().split(';').next().unwrap_or_default();
            let size =
                u64::from_str_radix(size.trim(), 16).map_err(|_| io::Error::other("IncompleteRead"))?;
            if size == 0 {
                return Ok(());
            }
            count(size)?;
            if io::copy(&mut reader.take(size), into)? != size {
                return Err(io::Error::other("IncompleteRead"));
            }
            read_line(reader)?;
        }
    }
    match header(&head.headers, "content-length").and_then(|v| v.parse::<u64>().ok()) {
        Some(length) => {
            count(length)?;
            let read = io::copy(&mut reader.take(length), into)?;
            if read < length {
                let missing = length - read;
                let words = format!("IncompleteRead({read} bytes read, {missing} more expected)");
                return Err(io::Error::other(words));
            }
            Ok(())
        }
        None => count(io::copy(&mut reader.take(limit.saturating_add(1)), into)?),
    }
}

fn read_line(reader: &mut dyn BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.take(HEAD_BYTES).read_line(&mut line)?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(text: &str, limit: u64) -> io::Result<(u16, String)> {
        let mut reader = text.as_bytes();
        let head = read_head(&mut reader)?;
        let mut out = Vec::new();
        read_body(&mut reader, &head, &mut out, limit)?;
        Ok((head.status, String::from_utf8_lossy(&out).into_owned()))
    }

    #[test]
    fn bodies_of_each_kind() {
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
        let (length, all) =
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", "HTTP/1.0 404 Not Found\r\n\r\nabc");
        assert_eq!(body(chunked, 5).unwrap(), (200, "abcde".into()));
        assert_eq!(body(length, 2).unwrap(), (200, "ab".into()));
        assert_eq!(body(all, 3).unwrap(), (404, "abc".into()));
        assert_eq!(body("HTTP/1.1 204 No\r\nContent-Length: 9\r\n\r\n", 9).unwrap(), (204, String::new()));
        for (larger, limit) in [(chunked, 4), (length, 1), (all, 2)] {
            assert!(body(larger, limit).unwrap_err().to_string().contains("more than"), "{larger}");
        }
        assert!(body("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 9).is_err());
        assert!(body("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", 9).is_err());
        assert!(body("SSH-2.0-OpenSSH\r\n", 9).is_err());
    }
}
