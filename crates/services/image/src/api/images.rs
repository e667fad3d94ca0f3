//! Images: list, create, show, delete, tags, activation.

use pileus_base::{Error, Kind, Result, Scope, Time, ids::ImageId};
use pileus_http::{HeaderName, Listing, Reply, header};
use pileus_store::{Query, Stored};
use serde_json::{Value, json};

use super::{Call, view};
use crate::{
    images, import,
    model::{Image, Status, Visibility},
    transfers::Transfer,
};

const PAGE_MAX: usize = 1000;
const PAGE: usize = 25;

/// The image that `{id}` names, if the caller may see it.
pub(super) async fn named(call: &Call) -> Result<Stored<Image>> {
    let id: ImageId = call.id("id", |t| Error::not_found(format!("No image found with ID {t}")))?;
    let ctx = call.ctx.clone();
    let found = call.state.store.read(move |rd| images::get(rd, &ctx, id)).await;
    found.map_err(
        |e| if e.is_not_found() { Error::not_found(format!("No image found with ID {id}")) } else { e },
    )
}

/// The same, where the caller may change it.
pub(super) async fn owned(call: &Call) -> Result<Stored<Image>> {
    let image = named(call).await?;
    let own = call.ctx.caller.project.as_ref().map(|p| &p.id);
    if call.ctx.is_admin() || (own.is_some() && image.owner.as_ref() == own) {
        Ok(image)
    } else {
        Err(call.denied())
    }
}

/// Changes an image that the caller owns.
pub(super) async fn change(
    call: &Call,
    f: impl Fn(&mut Image) -> Result<()> + Send + 'static,
) -> Result<Stored<Image>> {
    let id = owned(call).await?.id;
    let write = call.state.store.write(move |tx| {
        images::update(tx, id, |image| {
            f(image)?;
            image.updated_at = Time::now();
            Ok(())
        })
    });
    write.await
}

/// `GET /v2/images`
pub async fn list(call: Call) -> Result<Reply> {
    const KEYS: [&str; 9] = [
        "name",
        "status",
        "container_format",
        "disk_format",
        "size",
        "id",
        "created_at",
        "updated_at",
        "owner",
    ];
    if call.uri.path().ends_with('/') {
        return Err(no_id());
    }
    let q = &call.query;
    let listing = Listing::parse(q, &KEYS, ("created_at", true), PAGE_MAX)?;
    let listing =
        Listing { limit: Some(if q.has("limit") { listing.limit.unwrap_or(PAGE) } else { PAGE }), ..listing };
    let filters = Filters::parse(&call)?;
    let read = call.state.store.read(|rd| {
        let transfers = rd.list::<Transfer>(&Scope::All, &Query::all())?;
        Ok((rd.list::<Image>(&Scope::All, &Query::all())?, transfers))
    });
    let (all, transfers) = read.await?;
    let kept = all.iter().filter(|i| filters.keeps(i, &call));
    // Sorted by the full time, shown by the second.
    let keyed: Vec<Value> = kept
        .map(|i| {
            let mut v = view::view(i);
            view::add_transfer(&mut v, transfers.iter().find(|t| t.image == i.id).map(|t| &t.value));
            v["created_at"] = json!(i.created_at.0);
            v["updated_at"] = json!(i.updated_at.0);
            v
        })
        .collect();
    let (mut page, more) = listing.apply(keyed)?;
    for v in &mut page {
        for key in ["created_at", "updated_at"] {
            v[key] = json!(Time(v[key].as_i64().unwrap_or(0)).z());
        }
    }
    let first = match call.uri.query() {
        Some(query) if !query.is_empty() => format!("/v2/images?{}", strip_marker(query)),
        _ => "/v2/images".to_owned(),
    };
    let mut body = json!({"images": page, "first": first, "schema": "/v2/schemas/images"});
    if let (true, Some(last)) = (more, page_last(&body)) {
        body["next"] = json!(format!("/v2/images?{}", q.with("marker", &last)));
    }
    Reply::ok(&body)
}

/// `/v2/images/` is no collection to Glance, but an image without an id.
fn no_id() -> Error {
    Error::not_found("No image found with ID ")
}

/// `DELETE /v2/images`
pub async fn delete_nothing(call: Call) -> Result<Reply> {
    match call.uri.path().ends_with('/') {
        true => Err(no_id()),
        false => {
            Err(Error::new(Kind::MethodNotAllowed, "The method specified is not allowed for this resource."))
        }
    }
}

fn page_last(body: &Value) -> Option<String> {
    Some(body["images"].as_array()?.last()?["id"].as_str()?.to_owned())
}

pub(super) fn strip_marker(query: &str) -> String {
    query.split('&').filter(|p| !p.starts_with("marker=")).collect::<Vec<_>>().join("&")
}

/// What a list's query selects by.
struct Filters {
    any: Vec<(String, Vec<String>)>,
    tags: Vec<String>,
    visibility: Option<Visibility>,
    hidden: bool,
    size: (u64, u64),
    member_status: String,
    times: Vec<(Instant, String, Time)>,
}

/// Which of an image's times.
#[derive(Clone, Copy)]
enum Instant {
    Created,
    Updated,
}

/// `gt:2026-01-01T00:00:00Z`: the operator (`eq` where there is none) and the time.
fn parse_time(name: &str, text: &str) -> Result<(String, Time)> {
    const OPERATORS: [&str; 6] = ["eq", "neq", "gt", "gte", "lt", "lte"];
    let split = text.split_once(':').filter(|(op, _)| OPERATORS.contains(op));
    let (op, time) = split.unwrap_or(("eq", text));
    let time = Time::parse(time)
        .map_err(|_| Error::bad_request(format!("Bad \"{name}\" query filter format: {text}")))?;
    Ok((op.to_owned(), time))
}

/// Compared by the second, as times are shown.
fn holds(op: &str, have: Time, want: Time) -> bool {
    let (have, want) = (have.secs(), want.secs());
    match op {
        "neq" => have != want,
        "gt" => have > want,
        "gte" => have >= want,
        "lt" => have < want,
        "lte" => have <= want,
        _ => have == want,
    }
}

impl Filters {
    fn parse(call: &Call) -> Result<Self> {
        let q = &call.query;
        let visibility = match q.get("visibility") {
            None | Some("all") => None,
            Some(word) => Some(
                Visibility::parse(word)
                    .ok_or_else(|| Error::bad_request(format!("Invalid visibility value: {word}")))?,
            ),
        };
        let number = |name: &str, default: u64| match q.get(name) {
            None => Ok(default),
            Some(t) => {
                t.parse().map_err(|_| Error::bad_request(format!("Unable to filter by {name}: not a number")))
            }
        };
        const OTHERS: [&str; 14] = [
            "limit",
            "marker",
            "sort",
            "sort_key",
            "sort_dir",
            "tag",
            "visibility",
            "os_hidden",
            "size_min",
            "size_max",
            "member_status",
            "changes-since",
            "created_at",
            "updated_at",
        ];
        let mut any = Vec::new();
        for (name, value) in q.iter().filter(|(n, _)| !OTHERS.contains(n)) {
            let values = match value.strip_prefix("in:") {
                Some(list) => list.split(',').map(|v| v.trim_matches('"').to_owned()).collect(),
                None => vec![value.strip_prefix("eq:").unwrap_or(value).to_owned()],
            };
            any.push((name.to_owned(), values));
        }
        let mut times = Vec::new();
        for (name, which) in [("created_at", Instant::Created), ("updated_at", Instant::Updated)] {
            for text in q.all(name) {
                let (op, time) = parse_time(name, text)?;
                times.push((which, op, time));
            }
        }
        let member_status = q.get("member_status").unwrap_or("accepted").to_owned();
        if !matches!(member_status.as_str(), "pending" | "accepted" | "rejected" | "all") {
            return Err(Error::bad_request(format!("Invalid status: {member_status}")));
        }
        Ok(Self {
            any,
            member_status,
            times,
            tags: q.all("tag").map(str::to_owned).collect(),
            visibility,
            hidden: q.flag("os_hidden").unwrap_or(false),
            size: (number("size_min", 0)?, number("size_max", u64::MAX)?),
        })
    }

    fn keeps(&self, image: &Image, call: &Call) -> bool {
        let own = call.ctx.caller.project.as_ref().map(|p| &p.id);
        let listed = match self.visibility {
            Some(v) => image.visibility == v && images::visible_to(image, &call.ctx),
            // Community images of others are found only by asking for them.
            None => {
                images::visible_to(image, &call.ctx)
                    && (image.visibility != Visibility::Community || image.owner.as_ref() == own)
            }
        };
        let accepted = image.owner.as_ref() == own
            || call.ctx.is_admin()
            || image.visibility != Visibility::Shared
            || image.members.iter().any(|m| {
                Some(&m.project_id) == own && (self.member_status == "all" || m.status == self.member_status)
            });
        let size = image.size.unwrap_or(0);
        let value = |name: &str| match view::view(image).get(name) {
            Some(Value::String(s)) => s.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        };
        listed
            && accepted
            && image.hidden == self.hidden
            && self.tags.iter().all(|t| image.tags.contains(t))
            && size >= self.size.0
            && size <= self.size.1
            && self.times.iter().all(|(which, op, want)| {
                let have = match which {
                    Instant::Created => image.created_at,
                    Instant::Updated => image.updated_at,
                };
                holds(op, have, *want)
            })
            && self.any.iter().all(|(name, wanted)| {
                wanted
                    .iter()
                    .any(|w| w.eq_ignore_ascii_case(&value(name)) && (name != "name" || *w == value(name)))
            })
    }
}

/// `POST /v2/images`
pub async fn create(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let fields = body
        .as_object()
        .ok_or_else(|| Error::bad_request("Provided object does not match schema 'image'"))?;
    let (ctx, fields) = (call.ctx.clone(), fields.clone());
    let image = call.state.store.write(move |tx| images::create(tx, &ctx, &fields)).await?;
    let id = image.id;
    let location = call.base.url(&format!("/v2/images/{id}"));
    Ok(Reply::json(201, &view::view(&image))?
        .header(header::LOCATION, location)
        .header(HeaderName::from_static("openstack-image-import-methods"), import::METHODS.join(","))
        .header(HeaderName::from_static("openstack-image-store-ids"), import::STORE))
}

/// `GET /v2/images/{id}`
pub async fn show(call: Call) -> Result<Reply> {
    let image = named(&call).await?;
    view::reply(&call, 200, &image).await
}

/// `DELETE /v2/images/{id}`: the row first; the data goes with it, and the sweep takes what a crash leaves.
pub async fn delete(call: Call) -> Result<Reply> {
    let id = owned(&call).await?.id;
    call.state.store.write(move |tx| images::delete(tx, id)).await?;
    call.state.clear(id).await;
    Ok(Reply::no_content())
}

/// `PUT /v2/images/{id}/tags/{tag}`
pub async fn add_tag(call: Call) -> Result<Reply> {
    let tag = call.param("tag").to_owned();
    if tag.chars().count() > 255 {
        return Err(Error::bad_request("The tag is too long."));
    }
    change(&call, move |image| {
        if !image.tags.contains(&tag) {
            image.tags.push(tag.clone());
        }
        Ok(())
    })
    .await?;
    Ok(Reply::no_content())
}

/// `DELETE /v2/images/{id}/tags/{tag}`
pub async fn remove_tag(call: Call) -> Result<Reply> {
    let tag = call.param("tag").to_owned();
    change(&call, move |image| {
        let before = image.tags.len();
        image.tags.retain(|t| *t != tag);
        if image.tags.len() < before { Ok(()) } else { Err(Error::not_found("Could not find the tag.")) }
    })
    .await?;
    Ok(Reply::no_content())
}

async fn activate(call: Call, from: Status, to: Status) -> Result<Reply> {
    change(&call, move |image| {
        if image.status != from && image.status != to {
            return Err(Error::forbidden(format!(
                "Not allowed to change an image in status '{}'",
                image.status.word()
            )));
        }
        image.status = to;
        Ok(())
    })
    .await?;
    Ok(Reply::no_content())
}

/// `POST …/actions/deactivate`
pub async fn deactivate(call: Call) -> Result<Reply> {
    activate(call, Status::Active, Status::Deactivated).await
}

/// `POST …/actions/reactivate`
pub async fn reactivate(call: Call) -> Result<Reply> {
    activate(call, Status::Deactivated, Status::Active).await
}
