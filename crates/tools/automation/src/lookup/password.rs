//! `password`: a random password, kept in a file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};

use pileus_jinja::{Dict, Str, Value};
use rand::RngExt;

use crate::Error;
use crate::source::paths;

use super::{Cx, Found};

/// The characters of `chars`: names of classes, or the characters themselves.
fn candidates(chars: &[String]) -> String {
    let mut out = String::new();
    for c in chars {
        match c.as_str() {
            "ascii_letters" => out.push_str("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            "ascii_lowercase" => out.push_str("abcdefghijklmnopqrstuvwxyz"),
            "ascii_uppercase" => out.push_str("ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            "digits" => out.push_str("0123456789"),
            "hexdigits" => out.push_str("0123456789abcdefABCDEF"),
            "octdigits" => out.push_str("01234567"),
            "punctuation" => out.push_str("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"),
            "whitespace" => out.push_str(" \t\n\r\x0b\x0c"),
            "printable" => out.extend((0x20u8..0x7f).map(char::from)),
            other => out.push_str(&other.replace(['"', '\''], "")),
        }
    }
    out
}

fn random(chars: &str, n: usize, seed: Option<&str>) -> Result<String, Error> {
    let all: Vec<char> = chars.chars().collect();
    if all.is_empty() {
        return Err(Error::new("unable to generate a password of no characters"));
    }
    if let Some(seed) = seed {
        return Ok(pileus_jinja::python_choices(&Value::from(seed), n, &all)?.into_iter().collect());
    }
    let mut rng = rand::rng();
    Ok((0..n).map(|_| all[rng.random_range(0..all.len())]).collect())
}

/// The lookup.
pub fn password(terms: &[Value], cx: &Cx<'_>) -> Found {
    let mut out = Vec::new();
    for t in terms {
        let term = t.to_text().map_err(Error::from)?;
        let mut path = String::new();
        let mut params: Vec<(String, String)> = Vec::new();
        for w in term.split(' ') {
            match w.split_once('=') {
                Some((k, v)) if ["length", "encrypt", "chars", "ident", "seed"].contains(&k) => {
                    params.push((k.to_owned(), v.to_owned()))
                }
                Some((k, _)) if !params.is_empty() || !path.is_empty() && !k.contains('/') => {
                    return Err(Error::new(format!(
                        "Unrecognized parameter(s) given to password lookup: {k}"
                    )));
                }
                _ => {
                    if !path.is_empty() {
                        path.push(' ');
                    }
                    path.push_str(w);
                }
            }
        }
        let get =
            |n: &str| params.iter().find(|(k, _)| k == n).map(|(_, v)| v.clone()).or_else(|| cx.text(n));
        let length = super::options::int("password", "length", "integer", &params, cx)?.unwrap_or(20);
        let length = usize::try_from(length).unwrap_or(0);
        let chars = match params.iter().find(|(k, _)| k == "chars") {
            Some((_, v)) => {
                let mut list: Vec<String> =
                    v.replace(",,", ",").split(',').filter(|p| !p.is_empty()).map(str::to_owned).collect();
                if v.contains(",,") || v == "," {
                    list.push(",".into());
                }
                list
            }
            None => match cx.options.get("chars") {
                Some(v) => {
                    crate::playbook::keyword::items(&v).iter().filter_map(|v| v.to_text().ok()).collect()
                }
                None => vec!["ascii_letters".into(), "digits".into(), ".,:-_".into()],
            },
        };
        let all = candidates(&chars);
        let encrypt = get("encrypt").filter(|e| e != "None" && !e.is_empty());
        let path = paths::unfrack_from(&path, &cx.world.files.base());
        let (mut plain, mut salt, mut ident) = (None, None, None);
        let nowhere = path == "/dev/null";
        if !nowhere && let Ok(text) = fs::read_to_string(&path) {
            let text = text.trim_end_matches(['\n', '\r']).to_owned();
            let (body, id) = match text.rsplit_once(" ident=") {
                Some((b, i)) => (b.to_owned(), Some(i.to_owned())),
                None => (text, None),
            };
            ident = id;
            match body.rsplit_once(" salt=") {
                Some((p, s)) => {
                    plain = Some(p.to_owned());
                    salt = Some(s.to_owned());
                }
                None => plain = Some(body),
            }
        }
        let mut changed = plain.is_none();
        let plain = match plain {
            Some(p) => p,
            None => random(&all, length, get("seed").as_deref())?,
        };
        if encrypt.is_some() && salt.is_none() {
            let n = match encrypt.as_deref() {
                Some("bcrypt" | "blowfish") => 22,
                Some("md5_crypt" | "md5") => 8,
                _ => 16,
            };
            salt = Some(random("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./", n, None)?);
            changed = true;
        }
        if encrypt.is_some() && ident.is_none() {
            ident = get("ident");
            changed |= ident.is_some();
        }
        if changed && !nowhere {
            let mut text = plain.clone();
            if let (Some(s), true) = (&salt, encrypt.is_some()) {
                text.push_str(&format!(" salt={s}"));
            }
            if let (Some(i), true) = (&ident, encrypt.is_some()) {
                text.push_str(&format!(" ident={i}"));
            }
            text.push('\n');
            write(&path, &text)
                .map_err(|e| Error::new(format!("could not write the password file {path}: {e}")))?;
        }
        let value = match encrypt {
            Some(method) => {
                let scope = Dict::new();
                scope.insert("plain", plain);
                scope.insert("method", method);
                scope.insert("salt", salt.unwrap_or_default());
                let mut expr = "plain | password_hash(method, salt".to_owned();
                if let Some(i) = ident {
                    scope.insert("ident", i);
                    expr.push_str(", ident=ident");
                }
                expr.push(')');
                cx.world.engine().expression(&Str::trusted(expr), &scope)?
            }
            None => Value::from(plain),
        };
        out.push(value);
    }
    Ok(out)
}

fn write(path: &str, text: &str) -> std::io::Result<()> {
    if let Some(dir) = std::path::Path::new(path).parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
