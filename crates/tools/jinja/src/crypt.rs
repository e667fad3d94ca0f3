//! Password hashes in the modular crypt format: MD5-crypt, bcrypt, SHA-256- and SHA-512-crypt, with passlib's
//! defaults and messages, as `password_hash` and `vars_prompt`'s `encrypt` give them.
//!
//! Sources: crypt(5); "Unix crypt using SHA-256 and SHA-512" (Drepper, 2008); FreeBSD's MD5 scheme (1994).

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use md5::{Digest, Md5};

/// crypt(3)'s alphabet.
const ITOA64: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How to hash.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// `md5`, `blowfish`, `sha256`, `sha512`, or passlib's names.
    pub kind: String,
    /// The salt; random where absent.
    pub salt: Option<String>,
    /// How many characters a random salt has.
    pub salt_size: Option<usize>,
    /// How often, or its logarithm (bcrypt).
    pub rounds: Option<i64>,
    /// bcrypt's variant: `2b`, `2a`, `2y`.
    pub ident: Option<String>,
}

struct Scheme {
    name: &'static str,
    salt_max: usize,
    salt_exact: bool,
    /// Least, most, default; none where it takes none.
    rounds: Option<(i64, i64, i64)>,
}

fn scheme(kind: &str) -> Option<Scheme> {
    let sha = Some((1000, 999_999_999, 0));
    Some(match kind {
        "md5" | "md5_crypt" => Scheme { name: "md5_crypt", salt_max: 8, salt_exact: false, rounds: None },
        "blowfish" | "bcrypt" => {
            Scheme { name: "bcrypt", salt_max: 22, salt_exact: true, rounds: Some((4, 31, 12)) }
        }
        "sha256" | "sha256_crypt" => Scheme {
            name: "sha256_crypt",
            salt_max: 16,
            salt_exact: false,
            rounds: sha.map(|(a, b, _)| (a, b, 535_000)),
        },
        "sha512" | "sha512_crypt" => Scheme {
            name: "sha512_crypt",
            salt_max: 16,
            salt_exact: false,
            rounds: sha.map(|(a, b, _)| (a, b, 656_000)),
        },
        _ => return None,
    })
}

/// The hash of `password`.
///
/// # Errors
/// passlib's message, where the scheme is unknown, or salt or rounds don't fit it.
pub fn hash(password: &str, wanted: &Wanted) -> Result<String, String> {
    let scheme = scheme(&wanted.kind).ok_or_else(|| {
        format!(
            "{} is not in the list of supported passlib algorithms: md5, blowfish, sha256, sha512",
            wanted.kind
        )
    })?;
    let failed = |why: String| format!("Could not hash the secret: {why}");
    let salt = salt(&scheme, wanted).map_err(failed)?;
    let rounds = rounds(&scheme, wanted.rounds).map_err(failed)?;
    Ok(match scheme.name {
        "md5_crypt" => format!("$1${salt}${}", md5_crypt(password.as_bytes(), salt.as_bytes())),
        "bcrypt" => bcrypt(password, &salt, rounds, wanted.ident.as_deref()).map_err(failed)?,
        name => sha_crypt(name == "sha512_crypt", password, &salt, rounds).map_err(failed)?,
    })
}

fn salt(scheme: &Scheme, wanted: &Wanted) -> Result<String, String> {
    let (name, most) = (scheme.name, scheme.salt_max);
    let Some(salt) = wanted.salt.as_ref().filter(|s| !s.is_empty()) else {
        let size = wanted.salt_size.unwrap_or(most);
        if size > most {
            return Err(format!("{name}: salt_size ({size}) above max_salt_size ({most})"));
        }
        let size = if scheme.salt_exact { most } else { size };
        return Ok((0..size).map(|_| char::from(ITOA64[usize::from(rand::random::<u8>() & 63)])).collect());
    };
    if !salt.bytes().all(|b| ITOA64.contains(&b)) {
        return Err(format!("invalid characters in {name} salt"));
    }
    if scheme.salt_exact && salt.len() < most {
        return Err(format!("salt too small ({name} requires exactly {most} chars)"));
    }
    if salt.len() > most {
        let how = if scheme.salt_exact { "exactly" } else { "<=" };
        return Err(format!("salt too large ({name} requires {how} {most} chars)"));
    }
    Ok(salt.clone())
}

fn rounds(scheme: &Scheme, wanted: Option<i64>) -> Result<u32, String> {
    let Some((least, most, default)) = scheme.rounds else { return Ok(0) };
    let rounds = wanted.unwrap_or(default);
    let name = scheme.name;
    if rounds < least {
        return Err(format!("{name}: min_desired_rounds ({rounds}) is too low, must be at least {least}"));
    }
    if rounds > most {
        return Err(format!("{name}: max_desired_rounds ({rounds}) is too high, must be at most {most}"));
    }
    u32::try_from(rounds).map_err(|e| e.to_string())
}

fn bcrypt(password: &str, salt: &str, cost: u32, ident: Option<&str>) -> Result<String, String> {
    use bcrypt::Version;
    let version = match ident.filter(|i| !i.is_empty()).unwrap_or("2b").trim_matches('$') {
        "2b" => Version::TwoB,
        "2a" => Version::TwoA,
        "2y" => Version::TwoY,
        other => return Err(format!("invalid ident: {other:?}")),
    };
    // The last character's low bits are not the salt's.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true);
    let bytes = GeneralPurpose::new(&BCRYPT, config).decode(salt).map_err(|e| e.to_string())?;
    let bytes: [u8; 16] = bytes.try_into().map_err(|_| "invalid salt".to_owned())?;
    let parts = bcrypt::hash_with_salt(password, cost, bytes).map_err(|e| e.to_string())?;
    Ok(parts.format_for_version(version))
}

/// Three bytes, the first the highest, as `n` characters, the lowest bits first.
fn triple(out: &mut String, bytes: [u8; 3], n: usize) {
    let mut v = u32::from(bytes[0]) << 16 | u32::from(bytes[1]) << 8 | u32::from(bytes[2]);
    for _ in 0..n {
        out.push(char::from(ITOA64[(v & 63) as usize]));
        v >>= 6;
    }
}

fn sha_crypt(long: bool, password: &str, salt: &str, rounds: u32) -> Result<String, String> {
    let params = sha_crypt::Params::new(rounds).map_err(|e| e.to_string())?;
    let (password, bytes) = (password.as_bytes(), salt.as_bytes());
    let shown = if rounds == 5000 { String::new() } else { format!("rounds={rounds}$") };
    let mut out = format!("${}${shown}{salt}$", if long { 6 } else { 5 });
    if long {
        let d = sha_crypt::sha512_crypt(password, bytes, params);
        let (mut a, mut b, mut c) = (0, 21, 42);
        for _ in 0..21 {
            triple(&mut out, [d[a], d[b], d[c]], 4);
            (a, b, c) = (b + 1, c + 1, a + 1);
        }
        triple(&mut out, [0, 0, d[63]], 2);
    } else {
        let d = sha_crypt::sha256_crypt(password, bytes, params);
        let (mut a, mut b, mut c) = (0, 10, 20);
        for _ in 0..10 {
            triple(&mut out, [d[a], d[b], d[c]], 4);
            (a, b, c) = (c + 1, a + 1, b + 1);
        }
        triple(&mut out, [0, d[31], d[30]], 3);
    }
    Ok(out)
}

fn md5_crypt(password: &[u8], salt: &[u8]) -> String {
    let inner = Md5::new().chain_update(password).chain_update(salt).chain_update(password).finalize();
    let mut first = Md5::new().chain_update(password).chain_update(b"$1$").chain_update(salt);
    let mut left = password.len();
    while left > 0 {
        first.update(&inner[..left.min(16)]);
        left -= left.min(16);
    }
    let mut bits = password.len();
    while bits > 0 {
        first.update(if bits & 1 == 1 { &[0][..] } else { &password[..1] });
        bits >>= 1;
    }
    let mut d = first.finalize();
    for i in 0..1000 {
        let mut h = Md5::new();
        h.update(if i & 1 == 1 { password } else { &d });
        if i % 3 != 0 {
            h.update(salt);
        }
        if i % 7 != 0 {
            h.update(password);
        }
        h.update(if i & 1 == 1 { &d } else { password });
        d = h.finalize();
    }
    let mut out = String::new();
    for (a, b, c) in [(0, 6, 12), (1, 7, 13), (2, 8, 14), (3, 9, 15), (4, 10, 5)] {
        triple(&mut out, [d[a], d[b], d[c]], 4);
    }
    triple(&mut out, [0, 0, d[11]], 2);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: &str, salt: &str, rounds: Option<i64>, ident: Option<&str>) -> Result<String, String> {
        let wanted = Wanted {
            kind: kind.into(),
            salt: Some(salt.into()),
            rounds,
            ident: ident.map(str::to_owned),
            ..Wanted::default()
        };
        hash("pass", &wanted)
    }

    #[test]
    fn as_the_reference_hashes() {
        assert_eq!(of("md5", "abcdefgh", None, None).unwrap(), "$1$abcdefgh$1s0bv7.OjNizlrMAOIQD7.");
        assert_eq!(
            of("sha512", "abcdefgh", Some(5000), None).unwrap(),
            "$6$abcdefgh$.Wd8gKGVv/NncIZyKrLIzwkMBRaL8yZnKz4uttpMUnlKvNdwooVmeCTgyWEOW0Smhyp/TUAtWmcz4ptHHh/u1/"
        );
        assert_eq!(
            of("blowfish", "1234567890123456789012", Some(5), Some("2a")).unwrap(),
            "$2a$05$123456789012345678901uSxGSdhHUR8AQdo7muKO3GLVNkwhOzWa"
        );
        // Drepper's first test vector
        let wanted = Wanted {
            kind: "sha256".into(),
            salt: Some("saltstring".into()),
            rounds: Some(5000),
            ..Wanted::default()
        };
        assert_eq!(
            hash("Hello world!", &wanted).unwrap(),
            "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"
        );
    }

    #[test]
    fn what_does_not_fit() {
        assert!(of("nope", "", None, None).unwrap_err().starts_with("nope is not in the list"));
        assert!(
            of("sha512", "ab:c", None, None)
                .unwrap_err()
                .ends_with("invalid characters in sha512_crypt salt")
        );
        assert!(of("sha512", "", Some(10), None).unwrap_err().contains("must be at least 1000"));
        assert!(of("md5", "123456789", None, None).unwrap_err().contains("requires <= 8 chars"));
        assert_eq!(hash("x", &Wanted { kind: "md5".into(), ..Wanted::default() }).unwrap().len(), 34);
    }
}
