//! `GET /events`: what happened since, and what happens until.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use pileus_base::{Error, Result};
use pileus_http::{Body, Reply};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use super::{super::Flags, super::wire::Filters, Call};
use crate::{Event, events::now_ns};

const FILTERS: &[&str] = &[
    "type",
    "event",
    "container",
    "image",
    "label",
    "network",
    "volume",
    "daemon",
    "scope",
    "plugin",
    "service",
    "node",
    "secret",
    "config",
];

pub async fn events(call: Call) -> Result<Reply> {
    let filters = call.filters()?;
    filters.allow(FILTERS)?;
    let since = moment(&call.text("since"))?;
    let until = moment(&call.text("until"))?;
    let (past, receiver) = call.state.events.subscribe();
    let end = until.unwrap_or(i64::MAX);
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

fn passes(filters: &Filters, e: &Event) -> bool {
    let attribute = |key: &str| e.attributes.get(key).map_or("", String::as_str);
    // `health_status: healthy` passes for `health_status`, `exec_create: sh` for `exec_create`.
    let verb = e.action.split(':').next().unwrap_or("");
    let action = filters.of("event");
    let named = |kind: &str| {
        let asked = filters.of(kind);
        if asked.is_empty() {
            return true;
        }
        let own = e.kind == kind;
        asked.iter().any(|a| {
            let is_it = own && (e.id.starts_with(a.as_str()) || attribute("name") == a);
            let of_it = !own && attribute(kind) == a;
            let image = kind == "image" && e.kind == "container" && {
                let image = attribute("image");
                image == a || image.split(':').next() == Some(a)
            };
            let image_name = own && kind == "image" && attribute("name").split(':').next() == Some(a);
            is_it || of_it || image || image_name
        })
    };
    let labels: BTreeMap<String, String> = e.attributes.clone();
    filters.passes("type", e.kind)
        && filters.passes("scope", "local")
        && (action.is_empty() || action.iter().any(|a| *a == e.action || a == verb))
        && ["container", "image", "network", "volume", "plugin", "service", "node", "secret", "config"]
            .into_iter()
            .all(named)
        && filters.labels(&labels)
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
        assert!(of(r#"{"image":["busybox"]}"#));
        assert!(!of(r#"{"network":["web"]}"#));
        assert!(!of(r#"{"type":["image"]}"#));
        assert_eq!(view(&e)["from"], "busybox:1");
    }
}
