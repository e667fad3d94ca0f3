//! `GET /events`: what happened since, and what happens until.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pileus_base::{Error, Result};
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{super::Flags, super::wire::Filters, Call};
use crate::{Event, events::now_ns};

pub async fn events(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    let since = moment(&call.text("since"))?;
    let until = moment(&call.text("until"))?;
    if let (Some(s), Some(u)) = (since, until)
        && u < s
    {
        let (since, until) = (call.text("since"), call.text("until"));
        return Err(Error::bad_request(format!(
            "`since` time ({since}) cannot be after `until` time ({until})"
        )));
    }
    let (past, receiver) = call.state.events.subscribe();
    let end = until.unwrap_or(i64::MAX);
    // With an end alone, everything up to it is told.
    let since = since.or(until.map(|_| 0));
    let wanted = move |e: &Event| e.at_ns <= end && passes(&filters, e);
    let past: Vec<Event> =
        past.into_iter().filter(|e| since.is_some_and(|s| e.at_ns >= s) && wanted(e)).collect();
    let left = until.map(|u| u64::try_from(u - now_ns()).unwrap_or(0));
    let deadline = left.map(|ns| tokio::time::Instant::now() + std::time::Duration::from_nanos(ns));
    let told = stream::iter(past);
    let coming = stream::unfold((receiver, wanted), move |(mut receiver, wanted)| async move {
        loop {
            let next = match deadline {
                Some(at) => match tokio::time::timeout_at(at, receiver.recv()).await {
                    Ok(next) => next,
                    Err(_) => return None,
                },
                None => receiver.recv().await,
            };
            match next {
                Ok(event) if wanted(&event) => return Some((event, (receiver, wanted))),
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    });
    let lines = told.chain(coming).map(|e| Ok(Bytes::from(format!("{}\n", view(&e)))));
    Ok(Reply::stream(200, "application/json", Body::stream(lines, None)))
}

/// An event in Docker's shape.
fn view(e: &Event) -> Value {
    let mut out = json!({
        "Type": e.kind,
        "Action": e.action,
        "Actor": {"ID": e.id, "Attributes": e.attributes},
        "scope": "local",
        "time": e.at_ns / 1_000_000_000,
        "timeNano": e.at_ns,
    });
    if matches!(e.kind, "container" | "image") {
        out["status"] = json!(e.action);
        out["id"] = json!(e.id);
    }
    if let ("container", Some(image)) = (e.kind, e.attributes.get("image")) {
        out["from"] = json!(image);
    }
    out
}

/// As the reference chooses: types, images and most actions by equality, names and ids by their beginning.
/// Filters it doesn't know it doesn't look at.
fn passes(filters: &Filters, e: &Event) -> bool {
    let attribute = |key: &str| e.attributes.get(key).map_or("", String::as_str);
    let any = |name: &str, of: &dyn Fn(&str) -> bool| {
        let asked = filters.of(name);
        asked.is_empty() || asked.iter().any(|a| of(a))
    };
    let actions = filters.of("event");
    // `health_status` stands for `health_status: healthy`, `exec_create` for `exec_create: sh`.
    let loose = actions.iter().any(|a| matches!(a.as_str(), "health_status" | "exec_create" | "exec_start"));
    let begins = |a: &str| e.id.starts_with(a) || attribute("name").starts_with(a);
    let image = attribute(if e.kind == "image" { "name" } else { "image" });
    let is_image = |a: &str| [e.id.as_str(), image].into_iter().any(|i| i == a || without_tag(i) == a);
    any("event", &|a| e.action == a || loose && e.action.starts_with(a))
        && any("type", &|a| e.kind == a)
        && any("scope", &|a| a == "local")
        && any("image", &is_image)
        && ["container", "volume", "network", "daemon", "plugin", "service", "node", "secret", "config"]
            .into_iter()
            .all(|name| any(name, &begins))
        && filters.labels(&e.attributes)
}

/// An image's name without its tag.
fn without_tag(image: &str) -> &str {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') && !image.starts_with("sha256:") => name,
        _ => image,
    }
}

/// A moment: seconds with a fraction, or RFC 3339; in nanoseconds.
///
/// # Errors
/// 400 where it is neither.
pub(in crate::api) fn moment(text: &str) -> Result<Option<i64>> {
    if text.is_empty() || text == "0" {
        return Ok((text == "0").then_some(0));
    }
    let bad = || Error::bad_request(format!("invalid timestamp: {text}"));
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return i64::try_from(at.as_nanosecond()).map(Some).map_err(|_| bad());
    }
    let (secs, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let secs: i64 = secs.parse().map_err(|_| bad())?;
    let nanos: i64 = format!("{fraction:0<9}").get(..9).and_then(|f| f.parse().ok()).ok_or_else(bad)?;
    Ok(Some(secs.saturating_mul(1_000_000_000).saturating_add(nanos)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn moments_are_seconds_or_dates() {
        assert_eq!(moment("1.5").unwrap(), Some(1_500_000_000));
        assert_eq!(moment("1970-01-01T00:00:02Z").unwrap(), Some(2_000_000_000));
        assert_eq!(moment("").unwrap(), None);
        assert!(moment("soon").is_err());
    }

    #[test]
    fn events_pass_by_container_and_verb() {
        let e = Event {
            kind: "container",
            action: "exec_create: sh".into(),
            id: "abc".into(),
            attributes: BTreeMap::from([("name".into(), "web".into()), ("image".into(), "busybox:1".into())]),
            at_ns: 0,
        };
        let of = |text| passes(&Filters::read(text).unwrap(), &e);
        assert!(of(r#"{"container":["web"],"event":["exec_create"]}"#));
        assert!(of(r#"{"container":{"ab":true},"event":["exec_create: sh"]}"#));
        assert!(!of(r#"{"event":["exec"]}"#) && !of(r#"{"container":["eb"]}"#));
        assert!(of(r#"{"image":["busybox"]}"#) && of(r#"{"image":["busybox:1"]}"#));
        assert!(of(r#"{"label":["name=web"]}"#) && !of(r#"{"label":["name=x"]}"#));
        assert!(of(r#"{"scope":["local"],"unknown":["x"]}"#) && !of(r#"{"scope":["swarm"]}"#));
        assert!(!of(r#"{"network":["bridge"]}"#));
        assert_eq!(without_tag("127.0.0.1:5000/a"), "127.0.0.1:5000/a");
        assert!(!of(r#"{"type":["image"]}"#));
        assert_eq!(view(&e)["from"], "busybox:1");
    }
}
