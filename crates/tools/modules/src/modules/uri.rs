//! `uri`: one HTTP request and all that its answer says.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Instant;

use serde_json::Value;

use crate::cx::{Cx, FetchReply};
use crate::files::{FileArgs, write};
use crate::map;
use crate::net::url::{Url, quote_plus};
use crate::net::{get, http, wire};
use crate::py;
use crate::result::{Fail, Map, Reply, os_error};
use crate::sys::{hash, path};

/// A form with files in it is built by the module in Python; see also [`get::covers`].
pub fn covers(params: &Map) -> bool {
    get::covers(params) && params.get("body_format").and_then(Value::as_str) != Some("form-multipart")
}

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (url, method) = (cx.string("url"), cx.string("method"));
    if !method.chars().all(|c| c.is_ascii_alphabetic()) {
        return Err(Fail::msg(
            "Parameter 'method' needs to be a single word in uppercase, like GET or POST.",
        ));
    }
    if let Some(file) = cx.text("creates").filter(|f| fs::metadata(path::expand(f)).is_ok()) {
        return Ok(skipped(format!("skipped, since '{file}' exists")));
    }
    if let Some(file) = cx.text("removes").filter(|f| fs::metadata(path::expand(f)).is_err()) {
        return Ok(skipped(format!("skipped, since '{file}' does not exist")));
    }
    if !url.contains("://") {
        let text = format!("unknown url type: {}", py::repr_str(&url));
        return Err(Fail::msg(text).with("status", -1).with("url", url));
    }
    let start = Instant::now();
    let mut request = get::request(cx, &url, &method);
    request.body = body(cx, &mut request.headers)?;
    let dest = cx.text("dest");
    if cx.bool("force") {
        http::set(&mut request.headers, "Cache-Control", "no-cache".into());
    } else if let Some(dest) = &dest
        && let Ok(meta) = fs::metadata(dest)
        && !meta.is_dir()
    {
        http::set(&mut request.headers, "If-Modified-Since", get::http_date(meta.mtime()));
    }
    let reply = get::fetch(cx, &request)?;
    let elapsed = start.elapsed().as_secs();
    let mut result = told(&url, &reply);
    result.insert("elapsed".into(), elapsed.into());
    let mut changed = false;
    let wanted = cx.raw("status_code").as_array().cloned().unwrap_or_default();
    let fine = wanted.iter().any(|code| code.as_i64() == Some(reply.status));
    if let Some(dest) = dest {
        let dest = place(&dest, &reply);
        if fine && reply.status != 304 {
            keep(cx, &dest, &reply.body)?;
            FileArgs::of(cx).apply(cx, &dest, None)?;
            changed = true;
        }
        result.insert("path".into(), dest.into());
    }
    result.insert("changed".into(), changed.into());
    json_of(&mut result, &reply);
    if cx.bool("return_content") {
        result.insert("content".into(), text_of(&reply).into());
    } else if fine && is_error(&reply) && !reply.body.is_empty() {
        result.insert("body".into(), text_of(&reply).into());
    }
    if fine {
        return Ok(result);
    }
    let codes = py::repr(&Value::Array(wanted));
    let message = format!("Status code was {} and not {codes}: {}", reply.status, get::message(&reply));
    Err(result
        .into_iter()
        .filter(|(key, _)| key != "msg")
        .fold(Fail::msg(message), |f, (k, v)| f.with(&k, v)))
}

fn skipped(text: String) -> Map {
    map! { "stdout" => text, "changed" => false }
}

/// The body as the format makes it, and its type.
fn body(cx: &Cx<'_>, headers: &mut Vec<(String, String)>) -> Result<Vec<u8>, Fail> {
    if let Some(src) = cx.text("src") {
        return fs::read(&src).map_err(|e| {
            Fail::msg(format!(
                "Unable to open source file {}: {}",
                py::repr_str(&src),
                os_error(&e, Some(&src))
            ))
        });
    }
    let body = cx.raw("body");
    if body.is_null() {
        return Ok(Vec::new());
    }
    let mut kind = |value: &str| {
        if wire::header(headers, "content-type").is_none() {
            headers.push(("Content-Type".into(), value.into()));
        }
    };
    match cx.str("body_format") {
        Some("json") => {
            kind("application/json");
            Ok(match body {
                Value::String(text) => text.clone().into_bytes(),
                other => dumps(other).into_bytes(),
            })
        }
        Some("form-urlencoded") => {
            kind("application/x-www-form-urlencoded");
            Ok(match body {
                Value::String(text) => text.clone(),
                other => form(other)?,
            }
            .into_bytes())
        }
        _ => Ok(match body {
            Value::String(text) => text.clone(),
            Value::Object(_) | Value::Array(_) => py::repr(body),
            other => py::str(other),
        }
        .into_bytes()),
    }
}

/// `json.dumps`: blanks after commas and colons, only ASCII.
fn dumps(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[{}]", items.iter().map(dumps).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let pairs: Vec<_> = map
                .iter()
                .map(|(k, v)| format!("{}: {}", dumps(&Value::String(k.clone())), dumps(v)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::String(_) => {
            let mut out = String::new();
            for c in value.to_string().chars() {
                if c.is_ascii() {
                    out.push(c);
                } else {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
            }
            out
        }
        other => other.to_string(),
    }
}

/// `application/x-www-form-urlencoded` of a mapping or of pairs; a list is several values.
fn form(body: &Value) -> Result<String, Fail> {
    let failed = || {
        Fail::msg(
            "failed to parse body as form_urlencoded: not a valid non-string sequence or mapping object",
        )
    };
    let pairs: Vec<(String, Value)> = match body {
        Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
        Value::Array(items) => {
            let pair = |item: &Value| match item.as_array().map(Vec::as_slice) {
                Some([key, value]) => Some((py::str(key), value.clone())),
                _ => None,
            };
            items.iter().map(pair).collect::<Option<_>>().ok_or_else(failed)?
        }
        _ => return Err(failed()),
    };
    let mut out: Vec<String> = Vec::new();
    for (key, value) in pairs {
        let mut one =
            |value: &Value| out.push(format!("{}={}", quote_plus(&key), quote_plus(&py::str(value))));
        match &value {
            Value::Array(items) => items.iter().for_each(one),
            other => one(other),
        }
    }
    Ok(out.join("&"))
}

/// Headers, status, cookies: what the result tells besides the body.
fn told(asked: &str, reply: &FetchReply) -> Map {
    let mut result = Map::new();
    for (name, value) in get::headers(reply) {
        result.insert(name.replace('-', "_"), value);
    }
    if let Some(Value::String(location)) = result.get("location").cloned()
        && let Ok(url) = Url::parse(&reply.url)
    {
        result.insert("location".into(), url.join(&location).into());
    }
    if !is_error(reply) {
        let cookies: Map = reply.cookies.iter().map(|(k, v)| (k.clone(), v.clone().into())).collect();
        result.insert("cookies".into(), cookies.into());
        result.insert("cookies_string".into(), http::joined(&reply.cookies).into());
    }
    result.insert("redirected".into(), (reply.status != -1 && reply.url != asked).into());
    result.insert("status".into(), reply.status.into());
    result.insert("url".into(), reply.url.clone().into());
    result.insert("msg".into(), get::message(reply).into());
    result
}

/// Charset and media type of the answer.
fn media(reply: &FetchReply) -> (String, String) {
    let text = wire::header(&reply.headers, "content-type").unwrap_or_default();
    let mut parts = text.split(';');
    let kind = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let charset = parts.find_map(|p| {
        let (name, value) = p.trim().split_once('=')?;
        name.eq_ignore_ascii_case("charset").then(|| value.trim_matches('"').to_ascii_lowercase())
    });
    (kind, charset.unwrap_or_else(|| "utf-8".into()))
}

fn text_of(reply: &FetchReply) -> String {
    match media(reply).1.as_str() {
        "latin-1" | "latin1" | "iso-8859-1" | "iso8859-1" => reply.body.iter().map(|b| *b as char).collect(),
        _ => py::text(&reply.body),
    }
}

fn json_of(result: &mut Map, reply: &FetchReply) {
    let (kind, _) = media(reply);
    let Some((_, sub)) = kind.split_once('/') else { return };
    if !matches!(sub, "json" | "javascript" | "x-json" | "x-javascript") && !sub.ends_with("+json") {
        return;
    }
    if let Ok(value) = serde_json::from_str(&text_of(reply)) {
        result.insert("json".into(), value);
    }
}

/// Whether Python's urllib makes an exception of the answer.
fn is_error(reply: &FetchReply) -> bool {
    !(200..300).contains(&reply.status)
}

/// Where the body goes: below a directory by the name that the answer or the URL has.
fn place(dest: &str, reply: &FetchReply) -> String {
    if !fs::metadata(dest).is_ok_and(|m| m.is_dir()) {
        return dest.to_string();
    }
    let by_url = || {
        let name = Url::parse(&reply.url).map(|u| path::basename(u.path()).to_string()).unwrap_or_default();
        if name.is_empty() { "index.html".to_string() } else { name }
    };
    path::join(dest, &get::file_name(reply).unwrap_or_else(by_url))
}

/// Writes the body where it differs.
fn keep(cx: &Cx<'_>, dest: &str, body: &[u8]) -> Result<(), Fail> {
    if hash::sha1_file(dest).is_some_and(|sum| sum == hash::sha1(body)) {
        return Ok(());
    }
    write::replace(cx, dest, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies() {
        assert_eq!(dumps(&json!({"a": [1, "ä\n"]})), "{\"a\": [1, \"\\u00e4\\n\"]}");
        assert_eq!(form(&json!({"a": 1, "b": ["x", "y z"]})).unwrap(), "a=1&b=x&b=y+z");
        assert_eq!(form(&json!([["a", 1], ["b", "&"]])).unwrap(), "a=1&b=%26");
        assert!(form(&json!([1])).is_err());
    }

    #[test]
    fn what_is_covered() {
        let of = |v: Value| covers(v.as_object().unwrap());
        assert!(of(json!({"url": "https://a"})) && !of(json!({"url": "ftp://a"})));
        assert!(!of(json!({"url": "http://a", "body_format": "form-multipart"})));
        assert!(!of(json!({"url": "http://a", "use_gssapi": true})));
    }
}
