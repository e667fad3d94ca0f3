//! A server's tags, since 2.26.

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, no_such_path};
use crate::{
    Server,
    store::servers::check_unlocked,
    wire::{fields::invalid, mv},
};

/// Most tags of one server.
const TAGS_MAX: usize = 50;

/// A list of tags: 1 to 60 characters each, no comma, no slash, none twice.
pub(super) fn parse(value: &Value) -> Result<Vec<String>> {
    let list = value.as_array().ok_or_else(|| invalid("tags", value, "is not of type 'array'"))?;
    if list.len() > TAGS_MAX {
        return Err(invalid("tags", value, "is too long"));
    }
    let mut tags: Vec<String> = Vec::new();
    for tag in list {
        let text = tag.as_str().ok_or_else(|| invalid("tags", tag, "is not of type 'string'"))?;
        check(text)?;
        if tags.iter().any(|t| t == text) {
            return Err(invalid("tags", value, "has non-unique elements"));
        }
        tags.push(text.to_owned());
    }
    Ok(tags)
}

fn check(tag: &str) -> Result<()> {
    let value = Value::from(tag);
    match tag.chars().count() {
        0 => Err(invalid("tag", &value, "is too short")),
        61.. => Err(invalid("tag", &value, "is too long")),
        _ if tag.contains(['/', ',']) => Err(invalid("tag", &value, "does not match '^[^,/]*$'")),
        _ => Ok(()),
    }
}

async fn tags(call: &Call) -> Result<Vec<String>> {
    if call.version < mv::TAGS {
        return Err(no_such_path());
    }
    Ok(call.state.named(call).await?.value.tags)
}

async fn change(
    call: &Call,
    f: impl Fn(&mut Vec<String>) -> Result<()> + Send + 'static,
) -> Result<Vec<String>> {
    if call.version < mv::TAGS {
        return Err(no_such_path());
    }
    let server = call.state.named(call).await?;
    check_unlocked(&call.ctx, &server)?;
    let id = server.id;
    let write = call.state.store.write(move |tx| {
        tx.update::<Server>(&Scope::All, id, |s| {
            f(&mut s.tags)?;
            s.updated_at = Time::now();
            if s.tags.len() > TAGS_MAX {
                return Err(Error::bad_request(format!(
                    "The number of tags exceeded the per-server limit {TAGS_MAX}"
                )));
            }
            Ok(())
        })
    });
    Ok(write.await?.value.tags)
}

/// `GET …/tags`
pub async fn index(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"tags": tags(&call).await?}))
}

/// `PUT …/tags`
pub async fn replace(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let new = parse(&body["tags"])?;
    let all = change(&call, move |own| {
        own.clone_from(&new);
        Ok(())
    });
    Reply::ok(&json!({"tags": all.await?}))
}

/// `DELETE …/tags`
pub async fn clear(call: Call) -> Result<Reply> {
    let cleared = change(&call, |own| {
        own.clear();
        Ok(())
    });
    cleared.await.map(|_| Reply::no_content())
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!("Server {} has no tag '{}'", call.param("id"), call.param("tag")))
}

/// `GET …/tags/{tag}`
pub async fn show(call: Call) -> Result<Reply> {
    let has = tags(&call).await?.iter().any(|t| t == call.param("tag"));
    if has { Ok(Reply::no_content()) } else { Err(unknown(&call)) }
}

/// `PUT …/tags/{tag}`: 201 where new, 204 where there already.
pub async fn add(call: Call) -> Result<Reply> {
    let tag = call.param("tag").to_owned();
    check(&tag)?;
    if tags(&call).await?.contains(&tag) {
        return Ok(Reply::no_content());
    }
    let location = call.base.url(&format!("/v2.1/servers/{}/tags/{tag}", call.param("id")));
    change(&call, move |own| {
        if !own.contains(&tag) {
            own.push(tag.clone());
        }
        Ok(())
    })
    .await?;
    Ok(Reply::empty(201).location(location))
}

/// `DELETE …/tags/{tag}`
pub async fn delete(call: Call) -> Result<Reply> {
    let (tag, gone) = (call.param("tag").to_owned(), unknown(&call));
    let done = change(&call, move |own| {
        let before = own.len();
        own.retain(|t| *t != tag);
        if own.len() < before { Ok(()) } else { Err(gone.clone()) }
    });
    done.await.map(|_| Reply::no_content())
}
