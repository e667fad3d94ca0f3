//! Text in other encodings than UTF-8, by the names that Python gives them.

use crate::Error;

/// `text` in the encoding `name`; nothing is UTF-8.
///
/// # Errors
/// Where there is no encoding of that name, or it has no such character.
pub fn encode(text: &str, name: &str) -> Result<Vec<u8>, Error> {
    let plain: String = name.to_lowercase().chars().map(|c| if c == '_' { '-' } else { c }).collect();
    let unable =
        |c: char| Error::new(format!("'{name}' codec can't encode character '\\u{:04x}'", u32::from(c)));
    let below = |limit: u32| -> Result<Vec<u8>, Error> {
        text.chars()
            .map(|c| {
                u8::try_from(u32::from(c)).ok().filter(|b| u32::from(*b) < limit).ok_or_else(|| unable(c))
            })
            .collect()
    };
    let wide = |big: bool, mark: bool| -> Vec<u8> {
        let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
        units.flat_map(|u: u16| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
    };
    match plain.as_str() {
        "" | "utf-8" | "utf8" => Ok(text.as_bytes().to_vec()),
        "utf-8-sig" => Ok(["\u{feff}", text].concat().into_bytes()),
        "ascii" | "us-ascii" => below(0x80),
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" | "l1" => below(0x100),
        "utf-16" => Ok(wide(false, true)),
        "utf-16-le" | "utf-16le" => Ok(wide(false, false)),
        "utf-16-be" | "utf-16be" => Ok(wide(true, false)),
        _ => {
            // Python's short names of code pages
            let label = match plain.strip_prefix("cp") {
                Some(n) if n.starts_with("125") => format!("windows-{n}"),
                _ => plain,
            };
            let Some(encoding) = encoding_rs::Encoding::for_label(label.as_bytes()) else {
                return Err(Error::new(format!("unknown encoding: {name}")));
            };
            let (bytes, _, lost) = encoding.encode(text);
            if lost {
                return Err(Error::new(format!("'{name}' codec can't encode the text")));
            }
            Ok(bytes.into_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::encode;

    #[test]
    fn encodings_by_python_s_names() {
        for (name, bytes) in [
            ("", "€".as_bytes()),
            ("UTF_8", "€".as_bytes()),
            ("windows-1252", b"\x80"),
            ("cp1252", b"\x80"),
            ("iso8859-15", b"\xa4"),
            ("utf-16", b"\xff\xfe\xac\x20"),
            ("utf-16-be", b"\x20\xac"),
        ] {
            assert_eq!(encode("€", name).unwrap(), bytes, "{name}");
        }
        assert_eq!(encode("é", "latin-1").unwrap(), b"\xe9");
        assert!(encode("€", "latin-1").unwrap_err().brief().contains("can't encode character '\\u20ac'"));
        assert!(encode("é", "ascii").is_err() && encode("日", "koi8-r").is_err());
        assert_eq!(encode("x", "nonsense").unwrap_err().brief(), "unknown encoding: nonsense");
    }
}
