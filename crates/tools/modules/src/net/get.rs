//! What the modules that fetch URLs share: a request from a call's parameters, plain or through the controller,
//! and what results tell of the answer.

use std::collections::BTreeMap;

use serde_json::Value;

use super::url::{Url, unquote};
use super::{http, wire};
use crate::cx::{Cx, FetchReply, FetchRequest};
use crate::result::{Fail, Map, os_error};
use crate::sys::path;
use crate::sys::process::Exec;

/// Whether the parameters are ones that we serve: no Kerberos, no choice of OpenSSL's ciphers.
pub fn covers(params: &Map) -> bool {
    let on = |key: &str| params.get(key).and_then(Value::as_bool).unwrap_or(false);
    let given = |key: &str| params.get(key).is_some_and(|v| !v.is_null());
    let scheme = params.get("url").and_then(Value::as_str).and_then(|url| url.split_once("://"));
    !on("use_gssapi")
        && !given("ciphers")
        && scheme.is_none_or(|(s, _)| matches!(s.to_ascii_lowercase().as_str(), "http" | "https"))
}

/// The request that a call with the common parameters of `uri` and `get_url` asks for.
pub(crate) fn request(cx: &Cx<'_>, url: &str, method: &str) -> FetchRequest {
    let mut headers: Vec<(String, String)> = cx
        .raw("headers")
        .as_object()
        .map(|all| all.iter().map(|(k, v)| (k.clone(), crate::py::str(v))).collect())
        .unwrap_or_default();
    let agent = cx.text("http_agent").unwrap_or_else(|| "ansible-httpget".into());
    if wire::header(&headers, "user-agent").is_none() {
        headers.push(("User-Agent".into(), agent));
    }
    let (mut url, mut auth) = (url.to_string(), None);
    let mut force = cx.bool("force_basic_auth");
    if let Some(user) = cx.text("url_username") {
        auth = Some((user, cx.string("url_password")));
    }
    if let Ok(parsed) = Url::parse(&url) {
        if let Some(pair) = &parsed.user {
            let (user, password) = pair.split_once(':').unwrap_or((pair, ""));
            if auth.is_none() {
                auth = Some((unquote(user), unquote(password)));
            }
            url = parsed.bare();
        } else if auth.is_none()
            && cx.flag("use_netrc") == Some(true)
            && wire::header(&headers, "authorization").is_none()
            && let Some(found) =
                netrc(&std::fs::read_to_string(netrc_file(cx)).unwrap_or_default(), &parsed.host)
        {
            auth = Some(found);
            force = true;
        }
    }
    FetchRequest {
        url,
        method: method.to_ascii_uppercase(),
        headers,
        timeout_s: cx.int("timeout").map_or(10, |t| t.max(1).unsigned_abs()),
        validate_certs: cx.flag("validate_certs").unwrap_or(true),
        follow_redirects: cx.text("follow_redirects").unwrap_or_else(|| "urllib2".into()),
        auth,
        force_basic_auth: force,
        use_proxy: cx.flag("use_proxy").unwrap_or(true),
        unix_socket: cx.text("unix_socket"),
        unredirected: cx.list("unredirected_headers"),
        ..FetchRequest::default()
    }
}

/// Sends the request, follows its redirects; a gzip body is unpacked where the call's `decompress` says so.
///
/// # Errors
/// Files of certificates that can't be read; a body that can't be unpacked. A server that does not answer is a
/// reply with status -1, as in the reference.
pub(crate) fn fetch(cx: &mut Cx<'_>, request: &FetchRequest) -> Result<FetchReply, Fail> {
    let mut request = request.clone();
    for (key, into) in [("client_cert", 0), ("client_key", 1), ("ca_path", 2)] {
        let Some(file) = cx.text(key) else { continue };
        let text = std::fs::read_to_string(&file).map_err(|e| Fail::msg(os_error(&e, Some(&file))))?;
        match into {
            0 => request.client_cert = Some(text),
            1 => request.client_key = Some(text),
            _ => request.ca_path = Some(text),
        }
    }
    let environment = cx.environment.clone();
    let env = |name: &str| {
        let set = environment.iter().rev().find(|(key, _)| key == name).map(|(_, v)| v.clone());
        set.or_else(|| std::env::var(name).ok()).filter(|v| !v.is_empty())
    };
    let mut hook = cx.fetch.take();
    let outcome = http::follow(&request, &mut |one: &FetchRequest| {
        let url = Url::parse(&one.url)?;
        let mut one = one.clone();
        if one.use_proxy && one.unix_socket.is_none() {
            one.proxy = proxy(&url, &env);
        }
        match (&mut hook, url.is_tls()) {
            (_, false) => http::plain(&one),
            (Some(hook), true) => hook(&one),
            (None, true) => Err("Request failed: <urlopen error https cannot be fetched here>".into()),
        }
    });
    cx.fetch = hook;
    let mut reply = match outcome {
        Ok(reply) => reply,
        Err(reason) => {
            return Ok(FetchReply { status: -1, reason, url: request.url.clone(), ..FetchReply::default() });
        }
    };
    let gzip =
        wire::header(&reply.headers, "content-encoding").is_some_and(|v| v.eq_ignore_ascii_case("gzip"));
    if gzip && cx.flag("decompress").unwrap_or(true) && !reply.body.is_empty() {
        let program = cx.need_bin("gzip")?;
        let body = std::mem::take(&mut reply.body);
        let done = cx
            .exec_with(Exec::new(&[program.as_str(), "-dc"]).stdin(body))
            .map_err(|e| Fail::msg(os_error(&e, Some(&program))))?;
        if done.rc != 0 {
            return Err(Fail::msg(format!("failed to decompress the body: {}", done.stderr().trim())));
        }
        reply.body = done.out;
    }
    Ok(reply)
}

/// The proxy of the environment for a URL, unless `no_proxy` names its host.
fn proxy(url: &Url, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let either = |name: &str| env(name).or_else(|| env(&name.to_ascii_uppercase()));
    // HTTP_PROXY is a header of CGI's as well: only the small form counts for http.
    let found = if url.is_tls() { either("https_proxy") } else { env("http_proxy") };
    let found = found.or_else(|| either("all_proxy"))?;
    let host = url.host.to_ascii_lowercase();
    let without = either("no_proxy").unwrap_or_default();
    let excluded =
        without.split(',').map(|w| w.trim().trim_start_matches('.').to_ascii_lowercase()).any(|name| {
            !name.is_empty()
                && (name == "*"
                    || host == name
                    || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
                    || format!("{host}:{}", url.port) == name)
        });
    if excluded {
        return None;
    }
    Some(if found.contains("://") { found } else { format!("http://{found}") })
}

fn netrc_file(cx: &Cx<'_>) -> String {
    cx.env("NETRC").filter(|f| !f.is_empty()).unwrap_or_else(|| path::expand("~/.netrc"))
}

/// Login and password of a host in netrc(5), or of its `default`.
fn netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = text.lines().filter(|l| !l.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let (mut here, mut login, mut password) = (false, None, None);
    loop {
        let word = words.next();
        let ends = matches!(word, None | Some("machine" | "default" | "macdef"));
        if ends
            && here
            && let (Some(login), Some(password)) = (&login, &password)
        {
            return Some((String::clone(login), String::clone(password)));
        }
        match word? {
            "machine" => {
                here = words.next() == Some(host);
                (login, password) = (None, None);
            }
            "default" => {
                here = true;
                (login, password) = (None, None);
            }
            "login" | "user" => login = words.next().map(str::to_string),
            "password" => password = words.next().map(str::to_string),
            "account" => drop(words.next()),
            _ => {}
        }
    }
}

/// The result's `msg`: `OK (12 bytes)`, `HTTP Error 404: Not Found`, or why there was no answer.
pub fn message(reply: &FetchReply) -> String {
    match reply.status {
        -1 => reply.reason.clone(),
        200..=299 => {
            let length = wire::header(&reply.headers, "content-length").unwrap_or("unknown");
            format!("OK ({length} bytes)")
        }
        status => format!("HTTP Error {status}: {}", reply.reason),
    }
}

/// `Wed, 21 Oct 2015 07:28:00 GMT` (RFC 9110, 5.6.7) of seconds since 1970.
pub fn http_date(secs: i64) -> String {
    // SAFETY: tm is plain integers and a pointer, for which zero is valid.
    let mut tm: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers live through the call.
    unsafe { libc::gmtime_r(&secs, &mut tm) };
    // The process has the C locale: names of days and months are English.
    crate::sys::clock::format("%a, %d %b %Y %H:%M:%S GMT", &tm)
}

/// The headers by small names; those that come several times are joined.
pub fn headers(reply: &FetchReply) -> Map {
    let mut order: Vec<String> = Vec::new();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &reply.headers {
        let name = name.to_ascii_lowercase();
        match all.get_mut(&name) {
            Some(known) => known.push_str(&format!(", {value}")),
            None => {
                order.push(name.clone());
                all.insert(name, value.clone());
            }
        }
    }
    order.into_iter().filter_map(|name| Some((name.clone(), all.remove(&name)?.into()))).collect()
}

/// The name that `Content-Disposition` or the path gives a download.
pub fn file_name(reply: &FetchReply) -> Option<String> {
    let text = wire::header(&reply.headers, "content-disposition")?;
    let at = text.to_ascii_lowercase().find("filename=")?;
    let name = text[at + "filename=".len()..].split(';').next()?.trim().trim_matches('"');
    let name = path::basename(name);
    (!name.is_empty() && name != "." && name != "..").then(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_and_netrc() {
        let env = |name: &str| match name {
            "http_proxy" => Some("p:3128".to_string()),
            "no_proxy" => Some("localhost, .example".to_string()),
            _ => None,
        };
        let of = |url: &str| proxy(&Url::parse(url).unwrap(), &env);
        assert_eq!(of("http://h/").as_deref(), Some("http://p:3128"));
        assert_eq!((of("https://h/"), of("http://a.example/"), of("http://localhost/")), (None, None, None));
        let text =
            "# x\nmachine a login u password p\nmachine b\n login v\n password q\ndefault login d password e";
        let pair = |u: &str, p: &str| Some((u.to_string(), p.to_string()));
        assert_eq!(
            (netrc(text, "b"), netrc(text, "a"), netrc(text, "c")),
            (pair("v", "q"), pair("u", "p"), pair("d", "e"))
        );
        assert_eq!(netrc("machine a login u password p", "b"), None);
    }
}
