//! The engine's two streams in one (Docker Engine API, "Stream format"): frames of a type, three zeros, a length and
//! bytes.

/// Standard output and standard error apart.
pub fn parted(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some((kind, data, rest)) = frame(bytes) {
        if kind == 2 { &mut err } else { &mut out }.extend_from_slice(data);
        bytes = rest;
    }
    (out, err)
}

/// Both in the order they came.
pub fn joined(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let Some((_, data, rest)) = frame(bytes) {
        out.extend_from_slice(data);
        bytes = rest;
    }
    out
}

/// The first frame and what comes after it; a broken last one is cut.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<8>()?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let (data, rest) = rest.split_at(length.min(rest.len()));
    Some((head[0], data, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames() {
        let bytes = b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x01e\x01\0\0\0\0\0\0\x09!";
        assert_eq!(parted(bytes), (b"hi!".to_vec(), b"e".to_vec()));
        assert_eq!(joined(bytes), b"hie!".to_vec());
        assert_eq!(joined(b"\x01\0"), b"".to_vec());
    }
}
