//! Docker's token scheme: a user's name and password, or an application credential's id and secret, for a
//! token of the cloud's identity in the project of the repository that is asked for. A token counts as long
//! as identity accepts it: what is revoked there is revoked here.

use base64::Engine as _;
use http::header;
use pileus_base::{Error, Kind, Result};
use pileus_http::{Params, Reply};
use serde_json::{Value, json};

use super::Call;

/// What this registry is called in challenges.
pub(super) const SERVICE: &str = "pileus";

/// `GET /v2/token`, with Basic credentials.
pub(super) async fn get(call: Call) -> Result<Reply> {
    let pair = call
        .header(header::AUTHORIZATION.as_str())
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("basic"))
        .and_then(|(_, pair)| base64::engine::general_purpose::STANDARD.decode(pair.trim()).ok())
        .and_then(|pair| String::from_utf8(pair).ok());
    let Some((user, password)) = pair.as_deref().and_then(|p| p.split_once(':')) else {
        return Err(Error::unauthorized("authentication required"));
    };
    let scopes: Vec<&str> = call.query.all("scope").flat_map(|s| s.split(' ')).collect();
    give(&call, user, password, &scopes).await
}

/// `POST /v2/token`, the OAuth 2 form: `grant_type=password`.
pub(super) async fn post(mut call: Call) -> Result<Reply> {
    let body = call.bytes().await?;
    let text = std::str::from_utf8(&body).map_err(|_| Error::bad_request("the form is no text"))?;
    let form = Params::parse(Some(text))?;
    let field = |name: &str| form.get(name).unwrap_or_default();
    if field("grant_type") != "password" {
        return Err(Error::bad_request("only grant_type=password is served").code("UNSUPPORTED"));
    }
    let scopes: Vec<&str> = field("scope").split(' ').collect();
    give(&call, field("username"), field("password"), &scopes).await
}

async fn give(call: &Call, user: &str, password: &str, scopes: &[&str]) -> Result<Reply> {
    // repository:NAME:ACTIONS; what is to be written to comes first, as it is pulled from too.
    let mut names: Vec<(&str, &str)> = scopes
        .iter()
        .filter_map(|s| s.strip_prefix("repository:"))
        .filter_map(|s| s.rsplit_once(':'))
        .collect();
    names.sort_by_key(|(_, actions)| !actions.contains("push"));
    let project = match names.first() {
        Some((name, _)) => Some(call.state.repository(name).await?.project.to_string()),
        None => None,
    };
    let token = match log_in(call, &by_password(user, password), project.as_deref()).await {
        // An application credential is named by its id; it is bound to its project already.
        Err(e) if e.kind() == Kind::Unauthorized => log_in(call, &by_credential(user, password), None).await,
        given => given,
    };
    let (token, ends_s) = token.map_err(|e| match e.kind() {
        Kind::Internal | Kind::Unavailable => e,
        _ => Error::unauthorized("incorrect username or password"),
    })?;
    Reply::ok(&json!({
        "token": token,
        "access_token": token,
        "expires_in": ends_s,
        "issued_at": jiff::Timestamp::now().to_string(),
    }))
}

fn by_password(user: &str, password: &str) -> Value {
    json!({
        "methods": ["password"],
        "password": { "user": { "name": user, "domain": { "id": "default" }, "password": password } },
    })
}

fn by_credential(id: &str, secret: &str) -> Value {
    json!({ "methods": ["application_credential"], "application_credential": { "id": id, "secret": secret } })
}

/// A token in a project; where the user has no role there, one that opens nothing, as the scheme has it.
async fn log_in(call: &Call, identity: &Value, project: Option<&str>) -> Result<(String, i64)> {
    let identities = &call.state.identity;
    let Some(project) = project else { return identities.log_in(&json!({ "identity": identity })).await };
    let bare = identities.log_in(&json!({ "identity": identity, "scope": "unscoped" })).await?;
    let by_token = json!({ "methods": ["token"], "token": { "id": bare.0 } });
    let scoped = json!({ "identity": by_token, "scope": { "project": { "id": project } } });
    match identities.log_in(&scoped).await {
        Err(e) if e.kind() == Kind::Unauthorized => Ok(bare),
        given => given,
    }
}
