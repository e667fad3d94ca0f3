//! Tags of networks, subnets, ports and security groups.

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, attrs::invalid};
use crate::{
    model::Standard,
    store::{networks, ports, security_groups, subnets},
};

fn unknown(call: &Call) -> Error {
    Error::not_found(format!("{} {} could not be found.", call.param("kind"), call.param("id")))
        .code("HTTPNotFound")
}

/// Runs `f` on the tags of what the path names; with its answer the tags as they are then.
async fn with(
    call: &Call,
    f: impl Fn(&mut Vec<String>) -> Result<bool> + Send + 'static,
) -> Result<Vec<String>> {
    let (kind, text, ctx, gone) =
        (call.param("kind").to_owned(), call.param("id").to_owned(), call.ctx.clone(), unknown(call));
    let write = call.state.store.write(move |tx| {
        let changed = |s: &mut Standard| f(&mut s.tags).map(|_| ());
        let id = pileus_base::ids::parse_uuid(&text).map_err(|_| gone.clone())?;
        Ok(match kind.as_str() {
            "networks" => {
                networks::update(tx, &ctx, pileus_base::ids::NetworkId(id), |n| changed(&mut n.standard))?
                    .value
                    .standard
                    .tags
            }
            "subnets" => {
                subnets::update(tx, &ctx, pileus_base::ids::SubnetId(id), |s| changed(&mut s.standard))?
                    .value
                    .standard
                    .tags
            }
            "ports" => {
                ports::update(tx, &ctx, pileus_base::ids::PortId(id), |_, p| changed(&mut p.standard))?
                    .value
                    .standard
                    .tags
            }
            "security-groups" => {
                security_groups::update(tx, &ctx, pileus_base::ids::SecurityGroupId(id), |g| {
                    changed(&mut g.standard)
                })?
                .value
                .standard
                .tags
            }
            _ => return Err(gone.clone()),
        })
    });
    write.await
}

/// The tags, unchanged.
async fn read(call: &Call) -> Result<Vec<String>> {
    let (kind, text, ctx, gone) =
        (call.param("kind").to_owned(), call.param("id").to_owned(), call.ctx.clone(), unknown(call));
    let read = call.state.store.read(move |rd| {
        let id = pileus_base::ids::parse_uuid(&text).map_err(|_| gone.clone())?;
        Ok(match kind.as_str() {
            "networks" => networks::get(rd, &ctx, pileus_base::ids::NetworkId(id))?.value.standard.tags,
            "subnets" => subnets::get(rd, &ctx, pileus_base::ids::SubnetId(id))?.value.standard.tags,
            "ports" => ports::seen(rd, &ctx, pileus_base::ids::PortId(id))?.value.standard.tags,
            "security-groups" => {
                security_groups::get(rd, &ctx, pileus_base::ids::SecurityGroupId(id))?.value.standard.tags
            }
            _ => return Err(gone.clone()),
        })
    });
    read.await
}

fn check(tag: &str) -> Result<String> {
    if tag.is_empty() || tag.chars().count() > 255 {
        return Err(invalid("tags", format!("'{tag}' is not a valid tag: 1 to 255 characters")));
    }
    Ok(tag.to_owned())
}

/// `GET …/tags`
pub async fn index(call: Call) -> Result<Reply> {
    Reply::ok(&json!({"tags": read(&call).await?}))
}

/// `PUT …/tags`
pub async fn replace(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let list = body["tags"].as_array().ok_or_else(|| invalid("tags", "a list is expected"))?;
    let mut tags = Vec::new();
    for tag in list {
        let tag = check(tag.as_str().unwrap_or(""))?;
        if !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    let all = with(&call, move |own| {
        own.clone_from(&tags);
        Ok(true)
    });
    let all: Value = json!({"tags": all.await?});
    Reply::ok(&all)
}

/// `DELETE …/tags`
pub async fn clear(call: Call) -> Result<Reply> {
    with(&call, |own| {
        own.clear();
        Ok(true)
    })
    .await?;
    Ok(Reply::no_content())
}

fn no_tag(call: &Call) -> Error {
    Error::not_found(format!("Tag {} could not be found.", call.param("tag"))).code("TagNotFound")
}

/// `GET …/tags/{tag}`
pub async fn show(call: Call) -> Result<Reply> {
    let has = read(&call).await?.iter().any(|t| t == call.param("tag"));
    if has { Ok(Reply::no_content()) } else { Err(no_tag(&call)) }
}

/// `PUT …/tags/{tag}`
pub async fn add(call: Call) -> Result<Reply> {
    let tag = check(call.param("tag"))?;
    with(&call, move |own| {
        if !own.contains(&tag) {
            own.push(tag.clone());
        }
        Ok(true)
    })
    .await?;
    Ok(Reply::empty(201))
}

/// `DELETE …/tags/{tag}`
pub async fn remove(call: Call) -> Result<Reply> {
    let (tag, gone) = (call.param("tag").to_owned(), no_tag(&call));
    with(&call, move |own| {
        let before = own.len();
        own.retain(|t| *t != tag);
        if own.len() < before { Ok(true) } else { Err(gone.clone()) }
    })
    .await?;
    Ok(Reply::no_content())
}
