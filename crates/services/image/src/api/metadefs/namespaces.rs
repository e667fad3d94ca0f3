//! Namespaces.

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::{Listing, Reply};
use pileus_store::{Query, taken};
use serde_json::{Map, Value, json};

use super::{Call, created, fields, items, name};
use crate::metadefs::{self, Namespace, Section};

const PAGE_MAX: usize = 1000;
const PAGE: usize = 25;

fn view(n: &Namespace) -> Value {
    json!({
        "namespace": n.namespace,
        "display_name": n.display_name,
        "description": n.description,
        "visibility": if n.public { "public" } else { "private" },
        "protected": n.protected,
        "owner": n.owner,
        "created_at": n.created_at.z(),
        "updated_at": n.updated_at.z(),
        "resource_type_associations": items::all(n, Section::Types),
        "self": format!("/v2/metadefs/namespaces/{}", n.namespace),
        "schema": "/v2/schemas/metadefs/namespace",
    })
}

/// Sets what a client gave; what it left out has its default again, as Glance's PUT.
fn set(n: &mut Namespace, given: &Map<String, Value>) -> Result<()> {
    let bad =
        |key: &str| Error::bad_request(format!("Provided object does not match schema 'namespace': '{key}'"));
    let text = |key: &str, max: usize| match given.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(s)) if s.chars().count() <= max => Ok(Some(s.clone())),
        Some(_) => Err(bad(key)),
    };
    n.namespace = name(given, "namespace")?;
    n.display_name = text("display_name", 80)?;
    n.description = text("description", 500)?;
    n.public = match text("visibility", 80)?.as_deref() {
        None | Some("private") => false,
        Some("public") => true,
        Some(_) => return Err(bad("visibility")),
    };
    n.protected = match given.get("protected") {
        None => false,
        Some(flag) => flag.as_bool().ok_or_else(|| bad("protected"))?,
    };
    if let Some(owner) = text("owner", 255)? {
        n.owner = Some(owner.into());
    }
    n.updated_at = Time::now();
    Ok(())
}

fn exists(name: &str) -> Error {
    Error::conflict(format!("The metadata definition namespace={name} already exists."))
}

/// `GET /v2/metadefs/namespaces`
pub async fn list(call: Call) -> Result<Reply> {
    let q = &call.query;
    let listing =
        Listing::parse(q, &["namespace", "created_at", "updated_at"], ("created_at", true), PAGE_MAX)?;
    let limit = if q.has("limit") { listing.limit.unwrap_or(PAGE) } else { PAGE };
    let listing = Listing { limit: Some(limit), ..listing };
    let types: Vec<&str> = q.get("resource_types").map(|t| t.split(',').collect()).unwrap_or_default();
    let public = match q.get("visibility") {
        None => None,
        Some("public") => Some(true),
        Some("private") => Some(false),
        Some(other) => return Err(Error::bad_request(format!("Invalid visibility value: {other}"))),
    };
    let all = call.state.store.read(|rd| rd.list::<Namespace>(&Scope::All, &Query::all())).await?;
    let kept = all.iter().filter(|n| {
        n.visible_to(&call.ctx)
            && public.is_none_or(|p| p == n.public)
            && (types.is_empty() || n.resource_types.iter().any(|t| types.contains(&t.name.as_str())))
    });
    // The marker is the name; sorted by the full time, shown by the second.
    let keyed = kept.map(|n| {
        let mut v = view(n);
        v["id"] = json!(n.namespace);
        v["created_at"] = json!(n.created_at.0);
        v["updated_at"] = json!(n.updated_at.0);
        v
    });
    let (mut page, more) = listing.apply(keyed.collect())?;
    let last = page.last().and_then(|v| v["id"].as_str()).map(str::to_owned);
    for v in &mut page {
        for key in ["created_at", "updated_at"] {
            v[key] = json!(Time(v[key].as_i64().unwrap_or(0)).z());
        }
        v.as_object_mut().and_then(|v| v.shift_remove("id"));
    }
    let mut body = json!({
        "namespaces": page, "first": "/v2/metadefs/namespaces", "schema": "/v2/schemas/metadefs/namespaces",
    });
    if let (true, Some(last)) = (more, last) {
        body["next"] = json!(format!("/v2/metadefs/namespaces?{}", q.with("marker", &last)));
    }
    Reply::ok(&body)
}

/// `POST /v2/metadefs/namespaces`, with what stands in it where given.
pub async fn create(mut call: Call) -> Result<Reply> {
    let given = fields(&mut call).await?;
    let now = Time::now();
    let mut n = Namespace {
        namespace: String::new(),
        owner: call.ctx.caller.project.as_ref().map(|p| p.id.clone()),
        public: false,
        protected: false,
        display_name: None,
        description: None,
        objects: Vec::new(),
        properties: Vec::new(),
        tags: Vec::new(),
        resource_types: Vec::new(),
        created_at: now,
        updated_at: now,
    };
    set(&mut n, &given)?;
    for (key, section) in [
        ("objects", Section::Objects),
        ("tags", Section::Tags),
        ("resource_type_associations", Section::Types),
    ] {
        for item in given.get(key).and_then(Value::as_array).into_iter().flatten() {
            n.add(section, items::parse(section, item.as_object().cloned().unwrap_or_default())?)?;
        }
    }
    for (key, property) in given.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let mut property = property.as_object().cloned().unwrap_or_default();
        property.insert("name".into(), json!(key));
        n.add(Section::Properties, items::parse(Section::Properties, property)?)?;
    }
    let made = n.clone();
    let write = call.state.store.write(move |tx| {
        if tx.find::<Namespace>(&Scope::All, &made.namespace)?.is_some() {
            return Err(exists(&made.namespace));
        }
        tx.insert(&made).map_err(|e| if taken(&e).is_some() { exists(&made.namespace) } else { e })
    });
    write.await?;
    created(&view(&n), &format!("/v2/metadefs/namespaces/{}", n.namespace))
}

/// `GET /v2/metadefs/namespaces/{namespace}`, with all that stands in it.
pub async fn show(call: Call) -> Result<Reply> {
    let (ctx, name) = (call.ctx.clone(), call.param("ns").to_owned());
    let n = call.state.store.read(move |rd| metadefs::get(rd, &ctx, &name)).await?;
    let mut view = view(&n);
    for (key, section) in
        [("objects", Section::Objects), ("properties", Section::Properties), ("tags", Section::Tags)]
    {
        if !n.section(section).is_empty() {
            view[key] = items::all(&n, section);
        }
    }
    Reply::ok(&view)
}

/// `PUT /v2/metadefs/namespaces/{namespace}`; it may be renamed.
pub async fn update(mut call: Call) -> Result<Reply> {
    let given = fields(&mut call).await?;
    let name = call.param("ns").to_owned();
    let write = call.state.store.write(move |tx| {
        let mut n = tx.get::<Namespace>(&Scope::All, &name)?;
        set(&mut n, &given)?;
        if n.namespace == name {
            tx.put(&n)?;
        } else {
            if tx.find::<Namespace>(&Scope::All, &n.namespace)?.is_some() {
                return Err(exists(&n.namespace));
            }
            tx.delete::<Namespace>(&name)?;
            tx.insert(&n.value)?;
        }
        Ok(n.value)
    });
    Reply::ok(&view(&write.await?))
}

/// `DELETE /v2/metadefs/namespaces/{namespace}`
pub async fn delete(call: Call) -> Result<Reply> {
    let name = call.param("ns").to_owned();
    let write = call.state.store.write(move |tx| {
        items::unprotected(&*tx.get::<Namespace>(&Scope::All, &name)?)?;
        tx.delete::<Namespace>(&name).map(drop)
    });
    write.await?;
    Ok(Reply::no_content())
}
