//! Functions over texts.

use md5::Md5;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

use super::{
    Fault, Json, Result,
    expr::{Call, Eval},
    lists::{clip, index},
    python,
    version::Func,
};

pub(super) fn construct(call: &Call) -> Result<()> {
    let (name, args) = (&call.name, &call.args);
    match call.func {
        Func::ListJoin { multiple } => {
            let dots = if multiple { " ..." } else { "" };
            let wrong = format!(
                "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ \" \", [ \"str1\", \"str2\"]{dots}]"
            );
            match args.items() {
                None => Err(Fault::kind(wrong)),
                Some(items) if items.len() == 2 || (multiple && items.len() > 2) => Ok(()),
                Some(_) => Err(Fault::value(wrong)),
            }
        }
        Func::StrReplace { .. } => {
            if args.keys().is_none() {
                return Err(Fault::kind(format!("Arguments to \"{name}\" must be a map")));
            }
            let (Some(params), Some(_)) = (args.entry("params"), args.entry("template")) else {
                let example = format!(
                    "{name}:\n              template: This is var1 template var2\n              params:\n                var1: a\n                var2: string"
                );
                return Err(Fault::key(format!("\"{name}\" syntax should be {example}")));
            };
            if params.may_be_map() {
                Ok(())
            } else {
                Err(Fault::kind(format!("\"{name}\" parameters must be a mapping")))
            }
        }
        Func::StrSplit if args.keys().is_some() || args.literal().is_some_and(Json::is_string) => {
            Err(Fault::kind(split_form(name)))
        }
        _ => Ok(()),
    }
}

fn split_form(name: &str) -> String {
    format!("Incorrect arguments to \"{name}\" should be: \"{name}\" : [ \",\", \"apples,pears\", <index>]")
}

pub(super) fn list_join(name: &str, call: &Call, multiple: bool, eval: &Eval<'_>) -> Result<Json> {
    let mut args = call.args.items().unwrap_or_default().into_iter();
    let delimiter = args.next().map_or(Ok(Json::Null), |d| eval.plain(&d))?;
    let mut strings = Vec::new();
    let lists: Result<Vec<Json>> = args.map(|list| eval.plain(&list)).collect();
    for list in lists? {
        match list {
            Json::Array(items) => strings.extend(items),
            Json::Null => {}
            other if multiple && !python::truthy(&other) => {}
            _ => return Err(Fault::kind(format!("\"{name}\" must operate on a list"))),
        }
    }
    let Json::String(delimiter) = delimiter else {
        return Err(Fault::kind(format!("\"{name}\" delimiter must be a string")));
    };
    let mut out = String::new();
    for (i, item) in strings.iter().enumerate() {
        let text = match item {
            Json::Null => String::new(),
            Json::String(s) => s.clone(),
            Json::Array(_) | Json::Object(_) if multiple => python::dumps(item, true),
            other => {
                let wanted = if multiple { "string, map or list" } else { "strings" };
                let shown = clip(&python::repr(other));
                return Err(Fault::kind(format!("Items to join must be {wanted} not {shown}")));
            }
        };
        eval.charge(text.len() + delimiter.len())?;
        if i > 0 {
            out.push_str(&delimiter);
        }
        out.push_str(&text);
    }
    Ok(Json::String(out))
}

pub(super) fn str_replace(
    name: &str,
    call: &Call,
    json: bool,
    strict: bool,
    empty: bool,
    eval: &Eval<'_>,
) -> Result<Json> {
    let entry = |key: &str| call.args.entry(key).map_or(Ok(Json::Null), |e| eval.plain(&e));
    let template = entry("template")?;
    let mapping = entry("params")?;
    let Json::String(template) = template else {
        return Err(Fault::kind(format!("\"{name}\" template must be a string")));
    };
    let Json::Object(mapping) = mapping else {
        return Err(Fault::kind(format!("\"{name}\" params must be a map")));
    };
    let mut pairs = Vec::new();
    for (param, value) in &mapping {
        if param.is_empty() {
            return Err(Fault::value("empty separator"));
        }
        pairs.push((param.as_str(), replacement(name, param, value, json, empty)?));
    }
    replace(&template, pairs, strict, eval)
}

fn replacement(name: &str, param: &str, value: &Json, json: bool, empty: bool) -> Result<String> {
    let nothing = match value {
        Json::Null => true,
        Json::String(s) => s.is_empty(),
        Json::Array(a) => a.is_empty(),
        Json::Object(o) => o.is_empty(),
        _ => false,
    };
    if nothing && !empty {
        return Err(Fault::value(format!(
            "{name} has an undefined or empty value for param {param}, must be a defined non-empty value"
        )));
    }
    match value {
        Json::Null => Ok(String::new()),
        Json::Array(_) | Json::Object(_) if json => Ok(python::dumps(value, true)),
        Json::Array(_) | Json::Object(_) => Err(Fault::kind(format!(
            "\"{name}\" params must be strings or numbers, param {param} is not valid"
        ))),
        scalar => Ok(python::str(scalar)),
    }
}

/// Longer placeholders first, equally long ones in order; what was put in is not searched again.
fn replace(template: &str, mut pairs: Vec<(&str, String)>, strict: bool, eval: &Eval<'_>) -> Result<Json> {
    pairs.sort_by(|a, b| b.0.chars().count().cmp(&a.0.chars().count()).then(a.0.cmp(b.0)));
    let mut seen = vec![false; pairs.len()];
    let out = replace_level(template, &pairs, &mut seen, eval)?;
    let missing: Vec<&str> =
        pairs.iter().zip(&seen).filter(|(_, seen)| !**seen).map(|((k, _), _)| *k).collect();
    if strict && !missing.is_empty() {
        let message = format!("The following params were not found in the template: {}", missing.join(","));
        return Err(Fault::value(message));
    }
    Ok(Json::String(out))
}

fn replace_level(text: &str, pairs: &[(&str, String)], seen: &mut [bool], eval: &Eval<'_>) -> Result<String> {
    // A placeholder at a time over the pieces that are still template, so depth does not grow with the pairs.
    let mut pieces: Vec<(bool, &str)> = vec![(true, text)];
    for ((key, value), seen) in pairs.iter().zip(seen) {
        // Searching costs too: many placeholders in a long text.
        eval.charge(text.len() / 64 + pieces.len() / 16)?;
        let mut next = Vec::with_capacity(pieces.len());
        for (open, piece) in pieces {
            if !open {
                next.push((open, piece));
                continue;
            }
            for (i, part) in piece.split(key).enumerate() {
                if i > 0 {
                    *seen = true;
                    eval.charge(value.len() + 1)?;
                    next.push((false, value.as_str()));
                }
                next.push((true, part));
            }
        }
        pieces = next;
    }
    eval.charge(text.len())?;
    Ok(pieces.into_iter().map(|(_, piece)| piece).collect())
}

/// `Fn::Replace: [params, template]`, of the oldest version.
pub(super) fn cfn_replace(name: &str, call: &Call, eval: &Eval<'_>) -> Result<Json> {
    let wrong = || Fault::value(format!("\"{name}\" expects [params, template]"));
    let items = call.args.items().ok_or_else(wrong)?;
    let [params, template] = items.as_slice() else { return Err(wrong()) };
    let (Json::Object(params), Json::String(template)) = (eval.plain(params)?, eval.plain(template)?) else {
        return Err(wrong());
    };
    let mut pairs = Vec::new();
    for (param, value) in params.iter().filter(|(param, _)| !param.is_empty()) {
        pairs.push((param.as_str(), replacement(name, param, value, false, true)?));
    }
    replace(&template, pairs, false, eval)
}

pub(super) fn digest(name: &str, args: Json) -> Result<Json> {
    let texts: Option<Vec<&str>> = args.as_array().and_then(|a| a.iter().map(Json::as_str).collect());
    let Some(texts) = texts else {
        return Err(Fault::kind(format!("Argument to function \"{name}\" must be a list of strings")));
    };
    let [algorithm, value] = texts.as_slice() else {
        return Err(Fault::value(format!("Function \"{name}\" usage: [\"<algorithm>\", \"<value>\"]")));
    };
    let latin1: Option<Vec<u8>> = value.chars().map(|c| u8::try_from(c as u32).ok()).collect();
    let Some(bytes) = latin1 else {
        let (at, c) = value.chars().enumerate().find(|(_, c)| *c as u32 > 255).unwrap_or((0, '?'));
        return Err(Fault::value(format!(
            "'latin-1' codec can't encode character {} in position {at}: ordinal not in range(256)",
            python::repr_str(&c.to_string())
        )));
    };
    fn hex<D: Digest>(bytes: &[u8]) -> String {
        D::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
    }
    let hex = match algorithm.to_lowercase().as_str() {
        "md5" => hex::<Md5>(&bytes),
        "sha1" => hex::<Sha1>(&bytes),
        "sha224" => hex::<Sha224>(&bytes),
        "sha256" => hex::<Sha256>(&bytes),
        "sha384" => hex::<Sha384>(&bytes),
        "sha512" => hex::<Sha512>(&bytes),
        _ => {
            let known = "{'md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'}";
            return Err(Fault::value(format!("Algorithm must be one of {known}")));
        }
    };
    Ok(Json::String(hex))
}

pub(super) fn str_split(name: &str, args: Json, eval: &Eval<'_>) -> Result<Json> {
    let Json::Array(args) = args else { return Err(Fault::value(split_form(name))) };
    let [delimiter, text, rest @ ..] = args.as_slice() else { return Err(Fault::value(split_form(name))) };
    if text.is_null() {
        return Ok(Json::Null);
    }
    let Json::String(text) = text else {
        let found = python::type_name(text);
        return Err(Fault::new("AttributeError", format!("'{found}' object has no attribute 'split'")));
    };
    let parts: Vec<Json> = match delimiter {
        Json::String(delimiter) if delimiter.is_empty() => return Err(Fault::value("empty separator")),
        Json::String(delimiter) => text.split(delimiter.as_str()).map(Json::from).collect(),
        Json::Null => text.split_whitespace().map(Json::from).collect(),
        other => {
            let found = python::type_name(other);
            return Err(Fault::kind(format!("must be str or None, not {found}")));
        }
    };
    eval.charge(text.len() + parts.len())?;
    let Some(at) = rest.first() else { return Ok(Json::Array(parts)) };
    let Some(at) = python::to_int(at) else {
        if !at.is_string() {
            let found = python::type_name(at);
            return Err(Fault::kind(format!(
                "int() argument must be a string, a bytes-like object or a real number, not '{found}'"
            )));
        }
        return Err(Fault::value(split_form(name).replacen("arguments", "index", 1)));
    };
    index(&parts, at).cloned().ok_or_else(|| {
        let max = parts.len() - 1;
        Fault::value(format!("Incorrect index to \"{name}\" should be between 0 and {max}"))
    })
}

/// `Fn::Split`, of the oldest version.
pub(super) fn cfn_split(name: &str, args: Json) -> Result<Json> {
    let parts = args.as_array().and_then(|a| match a.as_slice() {
        [Json::String(delimiter), Json::String(text)] if !delimiter.is_empty() => {
            Some(text.split(delimiter.as_str()).map(|p| Json::String(p.to_owned())).collect())
        }
        _ => None,
    });
    parts.map(Json::Array).ok_or_else(|| {
        Fault::value(format!(
            "Incorrect arguments to \"{name}\" should be: \"{name}\" : [ \",\", \"str1,str2\"]"
        ))
    })
}

const URL_KEYS: [&str; 8] = ["scheme", "username", "password", "host", "port", "path", "query", "fragment"];
/// What Python's `quote` leaves alone when nothing is safe.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
const PATH: &AsciiSet = &STRICT.remove(b'/');
const FORM: &AsciiSet = &STRICT.remove(b' ');
const HOST: &AsciiSet = &STRICT.remove(b':');

pub(super) fn validate_url(call: &Call) -> Result<()> {
    let name = &call.name;
    let Some(keys) = call.args.keys() else {
        return Err(Fault::kind(format!("The arguments to \"{name}\" must be a map")));
    };
    let unknown: Vec<String> = keys.into_iter().filter(|k| !URL_KEYS.contains(&k.as_str())).collect();
    if !unknown.is_empty() {
        return Err(Fault::value(format!("Invalid arguments to \"{name}\": {}", unknown.join(", "))));
    }
    for key in URL_KEYS {
        if let Some(value) = call.args.entry(key).filter(|v| !v.is_call()) {
            check_url_part(name, key, &value.to_json(), &call.args.to_json())?;
        }
    }
    Ok(())
}

fn check_url_part(name: &str, key: &str, value: &Json, all: &Json) -> Result<()> {
    match key {
        "query" if !value.is_object() => {
            Err(Fault::kind(format!("The \"{key}\" argument to \"{name}\" must be a map")))
        }
        "query" => Ok(()),
        "port" => {
            let port = python::to_int(value);
            let Some(port) = port else {
                let (port, args) = (python::str(value), python::repr(all));
                return Err(Fault::value(format!(
                    "Invalid URL port \"{port}\" for {name} called with {args}"
                )));
            };
            if (1..=65535).contains(&port) {
                Ok(())
            } else {
                Err(Fault::value(format!("Invalid URL port {port}, must be in range 1-65535")))
            }
        }
        _ if !value.is_string() => {
            Err(Fault::kind(format!("The \"{key}\" argument to \"{name}\" must be a string")))
        }
        _ => Ok(()),
    }
}

pub(super) fn make_url(name: &str, args: Json) -> Result<Json> {
    let Json::Object(map) = &args else {
        return Err(Fault::kind(format!("The arguments to \"{name}\" must be a map")));
    };
    for key in URL_KEYS {
        if let Some(value) = map.get(key) {
            check_url_part(name, key, value, &args)?;
        }
    }
    let part = |key: &str| map.get(key).and_then(Json::as_str).unwrap_or("");
    let quote = |text: &str, set: &'static AsciiSet| utf8_percent_encode(text, set).to_string();
    let scheme = part("scheme");
    if scheme.contains(':') {
        return Err(Fault::value("URL \"scheme\" should not contain ':'"));
    }
    let (user, password) = (quote(part("username"), STRICT), quote(part("password"), STRICT));
    let mut place = String::new();
    if !user.is_empty() || !password.is_empty() {
        place.push_str(&user);
        if !password.is_empty() {
            place.push(':');
            place.push_str(&password);
        }
        place.push('@');
    }
    let host = part("host");
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let host = quote(host, HOST);
    place.push_str(&if host.contains(':') { format!("[{host}]") } else { host });
    if let Some(port) = map.get("port").filter(|p| python::truthy(p)) {
        place.push(':');
        place.push_str(&python::str(port));
    }
    let mut path = quote(part("path"), PATH);
    let form = |value: &Json| quote(&python::str(value), FORM).replace(' ', "+").replace("%2F", "/");
    let query = map.get("query").and_then(Json::as_object).into_iter().flatten();
    let query: Vec<String> =
        query.map(|(k, v)| format!("{}={}", form(&Json::String(k.clone())), form(v))).collect();
    let mut url = String::new();
    if !place.is_empty() {
        if !path.is_empty() && !path.starts_with('/') {
            path.insert(0, '/');
        }
        url = format!("//{place}");
    }
    url.push_str(&path);
    if !scheme.is_empty() {
        url = format!("{}:{url}", scheme);
    }
    if !query.is_empty() {
        url.push_str(&format!("?{}", query.join("&")));
    }
    let fragment = quote(part("fragment"), PATH);
    if !fragment.is_empty() {
        url.push_str(&format!("#{fragment}"));
    }
    Ok(Json::String(url))
}
