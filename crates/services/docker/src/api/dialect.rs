//! What an engine says depends on its age: this engine speaks as the newest does, and to clients of API 1.41 and
//! older as the reference of that time (20.10) did, where that has other words, or a 500 for what is a mistake of
//! the client's.

use http::Uri;
use percent_encoding::percent_decode_str;
use pileus_base::{Error, Kind};

/// The last minor version of the old words.
pub const OLD: u32 = 41;

/// The version of the API that was asked, as its minor number; the newest where none was said.
pub fn minor(uri: &Uri) -> u32 {
    let version = uri.path().strip_prefix("/v1.").and_then(|p| p.split('/').next());
    version.and_then(|v| v.parse().ok()).unwrap_or(51)
}

/// How an old word becomes of a new one.
enum Change {
    /// Another beginning.
    Begin(&'static str, &'static str),
    /// The same words as a failure of the engine's (500).
    Fault(&'static str),
    /// Another beginning, and a failure of the engine's.
    BeginFault(&'static str, &'static str),
}
use Change::{Begin, BeginFault, Fault};

/// In order; the first that fits is taken.
const CHANGES: &[Change] = &[
    Begin("config cannot be empty", "Config cannot be empty"),
    Begin("no command specified", "No command specified"),
    Begin("invalid signal: ", "Invalid signal: "),
    Begin("cannot kill container: ", "Cannot kill container: "),
    Begin("invalid restart policy: maximum retry count cannot", "maximum retry count cannot"),
    Begin("unrecognized filter value", "Unrecognised filter value"),
    Begin("limit ", "Limit "),
    BeginFault("invalid isolation: ", "Invalid isolation: "),
    Fault("invalid volume specification: "),
    Fault("invalid mode: "),
    Fault("invalid --security-opt "),
    Fault("invalid filter: 'type'"),
    Begin("invalid filter '", "Invalid filter '"),
    Begin("failed to prune build cache: invalid filter", "failed to prune build cache: Invalid filter"),
    Fault("Cannot locate specified Dockerfile"),
    Fault("specifying \""),
    Fault("extraction point is not a directory"),
    Fault("mounted volume is marked read-only"),
    Fault("container rootfs is marked read-only"),
    Fault("failed to parse value as time or duration"),
    Fault("more than one until filter specified"),
    Fault("invalid tag format"),
    Fault("invalid version "),
];

/// An error as the client of `uri`'s version knows it.
pub fn words(uri: &Uri, error: Error) -> Error {
    if minor(uri) > OLD {
        return error;
    }
    let path = uri.path();
    let text = error.message().to_owned();
    let under = |part: &str| path.contains(part);
    let fault = |text: String| Error::internal(text);
    if let Some(rest) = text.strip_prefix("invalid JSON: ") {
        // Exec, volumes and networks had learnt by then that it is the client's mistake.
        let newer = under("/exec") || under("/volumes/") || under("/networks/");
        return match rest {
            _ if newer => Error::bad_request(rest),
            "got EOF while reading request body" => fault("EOF".into()),
            rest => fault(rest.to_owned()),
        };
    }
    if let Some(found) = special(uri, &text, error.kind()) {
        return found;
    }
    for change in CHANGES {
        let (from, to, fails) = match change {
            Begin(from, to) => (*from, *to, false),
            BeginFault(from, to) => (*from, *to, true),
            Fault(from) => (*from, *from, true),
        };
        if let Some(rest) = text.strip_prefix(from) {
            let text = format!("{to}{rest}");
            return if fails { fault(text) } else { Error::new(error.kind(), text) };
        }
    }
    if text.ends_with(" is not paused") || (text.starts_with("ps: ") && error.kind() == Kind::BadRequest) {
        return fault(text.lines().next().unwrap_or_default().to_owned());
    }
    let named = under("/tag") || under("/commit") || path.ends_with("/build");
    if named && error.kind() == Kind::BadRequest && text.starts_with("invalid reference format") {
        return fault(text);
    }
    error
}

/// Words that take more than another beginning.
fn special(uri: &Uri, text: &str, kind: Kind) -> Option<Error> {
    let path = uri.path();
    // What doesn't run, itself or as why something else failed.
    if let Some(found) = text.strip_suffix(" is not running") {
        let (before, id) = found.rsplit_once("container ")?;
        let before = before.replacen("cannot kill", "Cannot kill", 1);
        return Some(Error::new(kind, format!("{before}Container {id} is not running")));
    }
    if let Some(value) = between(text, "invalid limit \"", "\"") {
        return Some(Error::internal(format!("strconv.Atoi: parsing \"{value}\": invalid syntax")));
    }
    if text.starts_with("strconv.") && !path.ends_with("/resize") {
        return Some(Error::internal(text));
    }
    if let Some(keys) = between(text, "Invalid detach keys ", "")
        && path.ends_with("/exec")
    {
        return Some(Error::internal(format!("Invalid escape keys {keys}")));
    }
    if let Some(name) = between(text, "unknown or invalid runtime name: ", "") {
        return Some(Error::bad_request(format!("Unknown runtime specified {name}")));
    }
    if let Some(name) = between(text, "logger: no log driver named '", "' is registered") {
        let words = format!("error looking up logging plugin {name}: plugin \"{name}\" not found");
        return Some(Error::bad_request(words));
    }
    if let Some(name) = between(text, "could not find plugin ", "") {
        let name = name.split(' ').next().unwrap_or(name);
        return Some(Error::not_found(format!("plugin \"{name}\" not found")));
    }
    if let Some(rest) = between(text, "invalid restart policy: unknown policy '", "") {
        let name = rest.split('\'').next().unwrap_or(rest);
        return Some(Error::bad_request(format!("invalid restart policy '{name}'")));
    }
    if text == "invalid filter" {
        let why = filter_reason(uri);
        let asked_early = path.ends_with("/prune");
        return Some(if asked_early { Error::bad_request(why) } else { Error::internal(why) });
    }
    if let Some(value) = between(text, "invalid filter 'exited=", "'") {
        return Some(Error::internal(format!("strconv.Atoi: parsing \"{value}\": invalid syntax")));
    }
    for name in ["publish", "expose"] {
        if let Some(value) = between(text, &format!("invalid filter '{name}="), "'") {
            return Some(Error::internal(format!(
                "error while looking up for {name} {value}: strconv.ParseUint: parsing \"{value}\": invalid syntax"
            )));
        }
    }
    if let Some(value) = between(text, "invalid timestamp: ", "")
        .or_else(|| between(text, "invalid value for \"since\": ", ""))
    {
        return Some(Error::internal(format!("strconv.ParseInt: parsing \"{value}\": invalid syntax")));
    }
    if kind == Kind::NotFound && path.ends_with("/containers/json") {
        let name = between(text, "No such container: ", "")?;
        return Some(Error::internal(format!("no such container {name}")));
    }
    if path.ends_with("/json")
        && path.contains("/images/")
        && matches!(kind, Kind::NotFound | Kind::BadRequest)
    {
        let name = path.split("/images/").nth(1)?.strip_suffix("/json")?;
        let name = percent_decode_str(name).decode_utf8_lossy();
        return Some(Error::new(kind, format!("no such image: {name}: {text}")));
    }
    None
}

/// What is between a beginning and an end.
fn between<'a>(text: &'a str, from: &str, to: &str) -> Option<&'a str> {
    text.strip_prefix(from)?.strip_suffix(to)
}

/// Why the parameter `filters` can't be read, in the words of Go's decoder.
fn filter_reason(uri: &Uri) -> String {
    let pair = |p: &str| p.strip_prefix("filters=").map(|v| v.replace('+', " "));
    let text = uri.query().unwrap_or_default().split('&').find_map(pair).unwrap_or_default();
    let text = percent_decode_str(&text).decode_utf8_lossy().into_owned();
    let kind = |value: &serde_json::Value| match value {
        serde_json::Value::Array(_) => "array",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::Bool(_) => "bool",
        _ => "object",
    };
    match serde_json::from_str::<serde_json::Value>(&text) {
        Err(e) => crate::model::json::reason(text.as_bytes(), &e),
        Ok(serde_json::Value::Object(all)) => {
            let odd = all.values().find(|v| !v.is_object() && !v.is_array());
            format!(
                "json: cannot unmarshal {} into Go value of type map[string]bool",
                odd.map_or("object", kind)
            )
        }
        Ok(other) => {
            format!(
                "json: cannot unmarshal {} into Go value of type map[string]map[string]bool",
                kind(&other)
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn old(path: &str, e: Error) -> (Kind, String) {
        let uri: Uri = format!("/v1.41{path}").parse().unwrap();
        let e = words(&uri, e);
        (e.kind(), e.message().to_owned())
    }

    #[test]
    fn old_clients_get_old_words() {
        let not_running = || Error::conflict("container abc is not running");
        assert_eq!(
            old("/containers/a/top", not_running()),
            (Kind::Conflict, "Container abc is not running".into())
        );
        let uri: Uri = "/v1.42/containers/a/top".parse().unwrap();
        assert_eq!(words(&uri, not_running()).message(), "container abc is not running");
        assert_eq!(minor(&uri), 42);
        let json = |path| old(path, Error::bad_request("invalid JSON: got EOF while reading request body"));
        assert_eq!(json("/containers/create"), (Kind::Internal, "EOF".into()));
        assert_eq!(json("/networks/create").0, Kind::BadRequest);
        let secopt = old("/containers/create", Error::bad_request("invalid --security-opt 2: \"a=b\""));
        assert_eq!(secopt, (Kind::Internal, "invalid --security-opt 2: \"a=b\"".into()));
        let filters =
            |q: &str| old(&format!("/containers/json?filters={q}"), Error::bad_request("invalid filter")).1;
        assert_eq!(filters("x"), "invalid character 'x' looking for beginning of value");
        assert_eq!(
            filters("%7B%22label%22%3A%22x%22%7D"),
            "json: cannot unmarshal string into Go value of type map[string]bool"
        );
        assert_eq!(
            filters("[]"),
            "json: cannot unmarshal array into Go value of type map[string]map[string]bool"
        );
        let image = old("/images/a%2Fb/json", Error::not_found("No such image: a/b:latest"));
        assert_eq!(image.1, "no such image: a/b: No such image: a/b:latest");
    }
}
