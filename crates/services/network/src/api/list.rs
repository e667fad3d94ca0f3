//! Lists by Neutron's rules over views: any attribute filters, sorts and is asked for by `fields`.

use pileus_base::{Error, Result};
use pileus_http::{Listing, Params, Reply};
use serde_json::{Map, Value, json};

use super::Call;

const OTHERS: [&str; 7] = ["fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse", "sort"];

/// What a client may call otherwise.
fn attribute(name: &str) -> &str {
    if name == "tenant_id" { "project_id" } else { name }
}

fn matches(view: &Value, name: &str, wanted: &str) -> bool {
    match &view[attribute(name)] {
        Value::Bool(b) => {
            wanted.eq_ignore_ascii_case(if *b { "true" } else { "false" })
                || wanted == if *b { "1" } else { "0" }
        }
        Value::String(s) => s == wanted,
        Value::Null => wanted.is_empty() || wanted == "None",
        Value::Array(all) => all.iter().any(|item| match item {
            Value::String(s) => s == wanted,
            // `fixed_ips=ip_address=10.0.0.5`
            Value::Object(_) => wanted
                .split_once('=')
                .or(wanted.split_once(':'))
                .is_some_and(|(k, v)| item[k].as_str() == Some(v)),
            other => *other == wanted,
        }),
        other => *other == wanted,
    }
}

fn tagged(view: &Value, query: &Params) -> bool {
    let own: Vec<&str> = view["tags"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let words = |name: &str| query.get(name).map(|t| t.split(',').map(str::to_owned).collect::<Vec<_>>());
    let has = |t: &String| own.contains(&t.as_str());
    words("tags").is_none_or(|t| t.iter().all(has))
        && words("tags-any").is_none_or(|t| t.iter().any(has))
        && words("not-tags").is_none_or(|t| !t.iter().all(has))
        && words("not-tags-any").is_none_or(|t| !t.iter().any(has))
}

/// Only the fields asked for.
pub fn fields(view: Value, query: &Params) -> Value {
    let asked: Vec<&str> = query.all("fields").flat_map(|f| f.split(',')).collect();
    match view {
        Value::Object(map) if !asked.is_empty() => {
            map.into_iter().filter(|(k, _)| asked.contains(&k.as_str())).collect::<Map<_, _>>().into()
        }
        other => other,
    }
}

/// The answer to a list: filtered, sorted, cut, with a link to the next page.
pub fn reply(call: &Call, name: &str, views: Vec<Value>) -> Result<Reply> {
    let query = &call.query;
    let keep = |view: &Value| {
        let known = |n: &str| view.get(attribute(n)).is_some();
        let names =
            query.iter().map(|(n, _)| n).filter(|n| !OTHERS.contains(n) && !n.contains("tags") && known(n));
        let mut names: Vec<_> = names.collect();
        names.dedup();
        names.iter().all(|n| query.all(n).any(|wanted| matches(view, n, wanted))) && tagged(view, query)
    };
    let kept: Vec<Value> = views.into_iter().filter(keep).collect();
    let listing = Listing::parse(query, &[], ("", false), usize::MAX)
        .map_err(|e| Error::bad_request(e.message()).code("HTTPBadRequest"))?;
    if let (Some(sort), Some(first)) = (listing.sort.first(), kept.first())
        && first.get(attribute(&sort.key)).is_none()
    {
        return Err(Error::bad_request(format!(
            "Bad sort_key: '{}' is an invalid attribute for sort keys",
            sort.key
        ))
        .code("HTTPBadRequest"));
    }
    let (page, more) = listing.apply(kept)?;
    let mut links = Vec::new();
    if listing.limit.is_some() {
        let at = |rel: &str, item: Option<&Value>, reverse: bool| {
            let marker = item?["id"].as_str()?.to_owned();
            let mut href = format!("{}?{}", call.base.url(&call.path), query.with("marker", &marker));
            if reverse && !query.has("page_reverse") {
                href.push_str("&page_reverse=True");
            }
            Some(json!({"rel": rel, "href": href}))
        };
        if more && !listing.reverse {
            links.extend(at("next", page.last(), false));
        }
        if listing.marker.is_some() {
            links.extend(at("previous", page.first(), true));
        }
    }
    let shown: Vec<Value> = page.into_iter().map(|v| fields(v, query)).collect();
    let mut body = json!({name: shown});
    if !links.is_empty() {
        body[format!("{name}_links")] = json!(links);
    }
    Reply::ok(&body)
}
