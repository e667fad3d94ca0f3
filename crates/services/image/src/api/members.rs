//! Projects that an image is shared with.

use pileus_base::{Error, Kind, Result, Time, ids::ProjectId};
use pileus_http::Reply;
use serde_json::{Value, json};

use super::{Call, images};
use crate::model::{Image, Member, Visibility};

fn view(image: &Image, member: &Member) -> Value {
    json!({
        "image_id": image.id, "member_id": member.project_id, "status": member.status, "schema": "/v2/schemas/member",
        "created_at": member.created_at.z(), "updated_at": member.updated_at.z(),
    })
}

fn unknown(call: &Call) -> Error {
    Error::not_found(format!("Member {} of image {} not found", call.param("member"), call.param("id")))
}

/// Owners see all members, a member itself alone.
fn sees(call: &Call, image: &Image, member: &Member) -> bool {
    let own = call.ctx.caller.project.as_ref().map(|p| &p.id);
    call.ctx.is_admin() || image.owner.as_ref() == own || Some(&member.project_id) == own
}

/// `GET …/members`
pub async fn list(call: Call) -> Result<Reply> {
    let image = images::named(&call).await?;
    if image.visibility != Visibility::Shared {
        return Err(Error::forbidden("Only shared images have members."));
    }
    let views: Vec<_> =
        image.members.iter().filter(|m| sees(&call, &image, m)).map(|m| view(&image, m)).collect();
    Reply::ok(&json!({"members": views, "schema": "/v2/schemas/members"}))
}

/// `POST …/members`
pub async fn add(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let member: ProjectId = body["member"]
        .as_str()
        .filter(|m| !m.is_empty())
        .ok_or_else(|| {
            Error::bad_request("Expected a member in the request body: {\"member\": \"image_id\"}")
        })?
        .into();
    let new = member.clone();
    let image = images::change(&call, move |image| {
        if image.visibility != Visibility::Shared {
            return Err(Error::forbidden(format!(
                "Only shared images have members. Image {} is {}.",
                image.id,
                image.visibility.word()
            )));
        }
        if image.members.iter().any(|m| m.project_id == new) {
            return Err(Error::conflict(format!("Member {new} is duplicated for image {}", image.id)));
        }
        if image.members.len() >= 128 {
            return Err(Error::new(
                Kind::TooLarge,
                "The limit has been exceeded on the number of allowed image members.",
            ));
        }
        let now = Time::now();
        image.members.push(Member {
            project_id: new.clone(),
            status: "pending".into(),
            created_at: now,
            updated_at: now,
        });
        Ok(())
    });
    let image = image.await?;
    let made = image.members.iter().find(|m| m.project_id == member).ok_or_else(|| unknown(&call))?;
    Reply::ok(&view(&image, made))
}

/// `GET …/members/{member}`
pub async fn show(call: Call) -> Result<Reply> {
    let image = images::named(&call).await?;
    let found = image.members.iter().find(|m| m.project_id.as_str() == call.param("member"));
    let found = found.filter(|m| sees(&call, &image, m)).ok_or_else(|| unknown(&call))?;
    Reply::ok(&view(&image, found))
}

/// `PUT …/members/{member}`: the member itself accepts or rejects.
pub async fn update(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let status = body["status"].as_str().unwrap_or("").to_owned();
    if !matches!(status.as_str(), "pending" | "accepted" | "rejected") {
        return Err(Error::bad_request(format!("Invalid status: {status}")));
    }
    let image = images::named(&call).await?;
    let member: ProjectId = call.param("member").into();
    let own = call.ctx.caller.project.as_ref().map(|p| &p.id);
    if !image.members.iter().any(|m| m.project_id == member) {
        return Err(unknown(&call));
    }
    if own != Some(&member) && !call.ctx.is_admin() {
        return Err(call.denied());
    }
    let (id, who) = (image.id, member.clone());
    let write = call.state.store.write(move |tx| {
        tx.update::<Image>(&pileus_base::Scope::All, id, |image| {
            for m in image.members.iter_mut().filter(|m| m.project_id == who) {
                m.status.clone_from(&status);
                m.updated_at = Time::now();
            }
            Ok(())
        })
    });
    let image = write.await?;
    let made = image.members.iter().find(|m| m.project_id == member).ok_or_else(|| unknown(&call))?;
    Reply::ok(&view(&image, made))
}

/// `DELETE …/members/{member}`
pub async fn remove(call: Call) -> Result<Reply> {
    let (member, gone) = (call.param("member").to_owned(), unknown(&call));
    images::change(&call, move |image| {
        let before = image.members.len();
        image.members.retain(|m| m.project_id.as_str() != member);
        if image.members.len() < before { Ok(()) } else { Err(gone.clone()) }
    })
    .await?;
    Ok(Reply::no_content())
}

/// `/v2/schemas/member`
pub fn schema() -> Value {
    json!({"name": "member", "properties": {
        "image_id": {"type": "string"}, "member_id": {"type": "string"}, "schema": {"type": "string"},
        "status": {"type": "string", "enum": ["pending", "accepted", "rejected"]},
        "created_at": {"type": "string"}, "updated_at": {"type": "string"},
    }})
}

/// `/v2/schemas/members`
pub fn list_schema() -> Value {
    json!({
        "name": "members", "links": [{"rel": "describedby", "href": "{schema}"}],
        "properties": {"schema": {"type": "string"}, "members": {"type": "array", "items": schema()}},
    })
}
