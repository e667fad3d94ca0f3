//! What stands in a namespace: objects, properties, tags, the resource types that it is for.

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::Reply;
use pileus_store::Query;
use serde_json::{Map, Value, json};

use super::{Call, created, fields, name};
use crate::metadefs::{self, Item, Namespace, Section};

/// The resource types that Glance's own definitions are for.
const KNOWN: [&str; 6] = [
    "OS::Cinder::Volume",
    "OS::Glance::Image",
    "OS::Nova::Aggregate",
    "OS::Nova::Flavor",
    "OS::Nova::Server",
    "OS::Trove::Instance",
];

/// What a property may be.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// One of them, as Glance shows it.
pub(super) fn view(namespace: &Namespace, section: Section, item: &Item) -> Value {
    let mut view = Value::Object(item.fields.clone());
    view["name"] = json!(item.name);
    if section != Section::Properties {
        view["created_at"] = json!(item.created_at.z());
        view["updated_at"] = json!(item.updated_at.z());
    }
    if section == Section::Objects {
        view["self"] =
            json!(format!("/v2/metadefs/namespaces/{}/objects/{}", namespace.namespace, item.name));
        view["schema"] = json!("/v2/schemas/metadefs/object");
    }
    view
}

/// All of a section: properties by their names, the others in a row.
pub(super) fn all(namespace: &Namespace, section: Section) -> Value {
    let items = namespace.section(section).iter();
    match section {
        Section::Properties => {
            Value::Object(items.map(|i| (i.name.clone(), view(namespace, section, i))).collect())
        }
        Section::Tags => items.map(|i| json!({"name": i.name})).collect(),
        _ => items.map(|i| view(namespace, section, i)).collect(),
    }
}

/// One, of what a client gave.
pub(super) fn parse(section: Section, mut given: Map<String, Value>) -> Result<Item> {
    let name = name(&given, "name")?;
    for key in ["name", "created_at", "updated_at", "self", "schema"] {
        given.remove(key);
    }
    let bad = |why: &str| Err(Error::bad_request(format!("Provided object does not match schema: {why}")));
    match section {
        Section::Tags if !given.is_empty() => return bad("Additional properties are not allowed"),
        Section::Properties => {
            if !given.get("title").is_some_and(Value::is_string) {
                return bad("'title' is a required property");
            }
            check(&Value::Object(given.clone()))?;
        }
        Section::Objects => match given.get("properties") {
            None => {}
            Some(Value::Object(all)) => all.values().try_for_each(check)?,
            Some(_) => return bad("'properties' is not of type 'object'"),
        },
        _ => {}
    }
    let now = Time::now();
    Ok(Item { name, fields: given, created_at: now, updated_at: now })
}

fn check(property: &Value) -> Result<()> {
    match property.get("type").and_then(Value::as_str) {
        Some(kind) if TYPES.contains(&kind) => Ok(()),
        _ => Err(Error::bad_request(format!(
            "Provided object does not match schema: the type of a property is one of {TYPES:?}"
        ))),
    }
}

async fn seen(call: &Call) -> Result<Namespace> {
    let (ctx, name) = (call.ctx.clone(), call.param("ns").to_owned());
    Ok(call.state.store.read(move |rd| metadefs::get(rd, &ctx, &name)).await?.value)
}

/// Changes the namespace and gives it.
async fn change(call: &Call, f: impl Fn(&mut Namespace) -> Result<()> + Send + 'static) -> Result<Namespace> {
    let name = call.param("ns").to_owned();
    let write = call.state.store.write(move |tx| tx.update::<Namespace>(&Scope::All, &name, &f));
    Ok(write.await?.value)
}

/// `GET …/objects`, `/properties`, `/tags`, `/resource_types`
pub async fn list(call: Call, section: Section) -> Result<Reply> {
    let namespace = seen(&call).await?;
    let (key, plural) = match section {
        Section::Objects => ("objects", "objects"),
        Section::Properties => ("properties", "properties"),
        Section::Tags => ("tags", "tags"),
        Section::Types => return Reply::ok(&json!({"resource_type_associations": all(&namespace, section)})),
    };
    let first = format!("/v2/metadefs/namespaces/{}/{plural}", namespace.namespace);
    Reply::ok(
        &json!({key: all(&namespace, section), "first": first, "schema": format!("/v2/schemas/metadefs/{plural}")}),
    )
}

async fn add(call: &Call, section: Section, item: Item) -> Result<Reply> {
    let made = item.clone();
    let namespace = change(call, move |n| n.add(section, item.clone())).await?;
    let at = format!("{}/{}", call.path, made.name);
    created(&view(&namespace, section, &made), &at)
}

/// `POST …/objects`, `/properties`, `/resource_types`
pub async fn create(mut call: Call, section: Section) -> Result<Reply> {
    let item = parse(section, fields(&mut call).await?)?;
    add(&call, section, item).await
}

/// `POST …/tags/{name}`
pub async fn create_tag(call: Call) -> Result<Reply> {
    let given = Map::from_iter([("name".to_owned(), json!(call.param("name")))]);
    let item = parse(Section::Tags, given)?;
    add(&call, Section::Tags, item).await
}

/// `POST …/tags`: these and no others, unless the header `X-Openstack-Append` says otherwise.
pub async fn create_tags(mut call: Call) -> Result<Reply> {
    let given = fields(&mut call).await?;
    let Some(Value::Array(tags)) = given.get("tags") else {
        return Err(Error::bad_request(
            "Provided object does not match schema 'tags': 'tags' is a required property",
        ));
    };
    let one = |tag: &Value| parse(Section::Tags, tag.as_object().cloned().unwrap_or_default());
    let items = tags.iter().map(one).collect::<Result<Vec<Item>>>()?;
    let append = call.header("x-openstack-append").is_some_and(|v| v.eq_ignore_ascii_case("true"));
    let namespace = change(&call, move |n| {
        if !append {
            n.tags.clear();
        }
        items.iter().try_for_each(|item| n.add(Section::Tags, item.clone()))
    });
    created(&json!({"tags": all(&namespace.await?, Section::Tags)}), &call.path)
}

/// `GET …/{section}/{name}`
pub async fn show(call: Call, section: Section) -> Result<Reply> {
    let namespace = seen(&call).await?;
    let at = namespace.position(section, call.param("name"))?;
    Reply::ok(&view(&namespace, section, &namespace.section(section)[at]))
}

/// `PUT …/{section}/{name}`
pub async fn update(mut call: Call, section: Section) -> Result<Reply> {
    let item = parse(section, fields(&mut call).await?)?;
    let (old, new) = (call.param("name").to_owned(), item.name.clone());
    let namespace = change(&call, move |n| {
        let at = n.position(section, &old)?;
        if item.name != old && n.position(section, &item.name).is_ok() {
            return n.add(section, item.clone());
        }
        let created_at = n.section(section)[at].created_at;
        n.section_mut(section)[at] = Item { created_at, ..item.clone() };
        Ok(())
    });
    let namespace = namespace.await?;
    let at = namespace.position(section, &new)?;
    Reply::ok(&view(&namespace, section, &namespace.section(section)[at]))
}

/// `DELETE …/{section}/{name}`
pub async fn delete(call: Call, section: Section) -> Result<Reply> {
    let name = call.param("name").to_owned();
    change(&call, move |n| {
        unprotected(n)?;
        let at = n.position(section, &name)?;
        n.section_mut(section).remove(at);
        Ok(())
    })
    .await?;
    Ok(Reply::no_content())
}

/// `DELETE …/{section}`
pub async fn clear(call: Call, section: Section) -> Result<Reply> {
    change(&call, move |n| {
        unprotected(n)?;
        n.section_mut(section).clear();
        Ok(())
    })
    .await?;
    Ok(Reply::no_content())
}

/// Nothing is removed from a protected namespace.
pub(super) fn unprotected(namespace: &Namespace) -> Result<()> {
    if namespace.protected {
        let name = &namespace.namespace;
        return Err(Error::forbidden(format!("Namespace {name} is protected and cannot be deleted.")));
    }
    Ok(())
}

/// `GET /v2/metadefs/resource_types`: those of Glance's own definitions, and those that namespaces name.
pub async fn types(call: Call) -> Result<Reply> {
    let all = call.state.store.read(|rd| rd.list::<Namespace>(&Scope::All, &Query::all())).await?;
    let seen = all.iter().filter(|n| n.visible_to(&call.ctx));
    let mut names: Vec<&str> = KNOWN.to_vec();
    names.extend(seen.flat_map(|n| n.resource_types.iter().map(|t| t.name.as_str())));
    names.sort_unstable();
    names.dedup();
    let views: Vec<Value> = names.iter().map(|n| json!({"name": n})).collect();
    Reply::ok(&json!({"resource_types": views}))
}
