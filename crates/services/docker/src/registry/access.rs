//! Who may do what: a role in the repository's project, or the engine itself in its own.

use std::sync::Arc;

use http::header;
use pileus_base::{Caller, Error, Result, ids::ProjectId};
use pileus_http::{Authenticator, Reply};
use serde_json::json;

use super::{Call, Registry};
use crate::store::registry::Repository;

/// What is done to a repository, and the role that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Action {
    /// As a token's scope names it.
    name: &'static str,
    role: &'static str,
}

/// Reading.
pub(super) const PULL: Action = Action { name: "pull", role: "reader" };
/// Writing and removing.
pub(super) const PUSH: Action = Action { name: "pull,push", role: "member" };

/// Who asks.
pub(crate) enum Who {
    /// The engine of this daemon, in its project.
    Engine,
    /// Somebody with a token.
    Caller(Arc<Caller>),
    /// Nobody known.
    Nobody,
}

impl Registry {
    /// Whom the request's token stands for.
    pub async fn who(&self, call: &Call) -> Who {
        let text = call.header(header::AUTHORIZATION.as_str()).unwrap_or_default();
        let token = match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ if call.ctx.caller.user.is_some() => return Who::Caller(call.ctx.caller.clone()),
            _ => return Who::Nobody,
        };
        if same(token, &self.docker.own_token) {
            return Who::Engine;
        }
        match self.identity.authenticate(token).await {
            Ok(caller) => Who::Caller(caller),
            Err(_) => Who::Nobody,
        }
    }

    /// Whether somebody may do this in a project.
    fn may(&self, who: &Who, project: &ProjectId, action: Action) -> bool {
        match who {
            Who::Engine => *project == self.docker.options.project,
            Who::Caller(caller) => {
                caller.project.as_ref().is_some_and(|p| p.id == *project)
                    && (caller.has_role(action.role) || caller.has_role("admin"))
            }
            Who::Nobody => false,
        }
    }
}

/// Compares secrets in a time that tells nothing of them.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
}

/// Lets a handler run where the caller may do this; else tells where a token is to be had.
pub(super) async fn guarded<F, R>(call: Call, action: Action, handler: F) -> Result<Reply>
where
    F: FnOnce(Call, Repository) -> R,
    R: Future<Output = Result<Reply>>,
{
    let name = call.param("name").to_owned();
    let at = call.state.repository(&name).await?;
    let who = call.state.who(&call).await;
    if call.state.may(&who, &at.project, action) {
        return handler(call, at).await;
    }
    let known = !matches!(who, Who::Nobody);
    challenge(&call, &format!(",scope=\"repository:{name}:{}\"", action.name), known)
}

/// 401, and where a token is to be had.
fn challenge(call: &Call, scope: &str, known: bool) -> Result<Reply> {
    let (code, message) = match known {
        true => ("DENIED", "requested access to the resource is denied"),
        false => ("UNAUTHORIZED", "authentication required"),
    };
    let more = if known { ",error=\"insufficient_scope\"" } else { "" };
    let text = format!(
        "Bearer realm=\"{}/v2/token\",service=\"{}\"{scope}{more}",
        call.base.root,
        super::tokens::SERVICE
    );
    let body = json!({ "errors": [{ "code": code, "message": message, "detail": null }] });
    Ok(Reply::json(401, &body)?.header(header::WWW_AUTHENTICATE, text))
}

/// `GET /v2/`: whether there is a registry, and a token good for it.
pub(super) async fn base(call: Call) -> Result<Reply> {
    match call.state.who(&call).await {
        Who::Nobody => challenge(&call, "", false),
        _ => Reply::ok(&json!({})),
    }
}

/// The project whose repositories a caller lists.
///
/// # Errors
/// 401 and a challenge for who has none.
pub(super) async fn project_of(call: &Call) -> Result<std::result::Result<ProjectId, Reply>> {
    Ok(match call.state.who(call).await {
        Who::Engine => Ok(call.state.docker.options.project.clone()),
        Who::Caller(caller) => match &caller.project {
            Some(project) => Ok(project.id.clone()),
            None => return Err(Error::forbidden("requested access to the resource is denied")),
        },
        Who::Nobody => Err(challenge(call, ",scope=\"registry:catalog:*\"", false)?),
    })
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn secrets_are_compared_whole() {
        assert!(same("abc", "abc"));
        assert!(!same("abc", "abd") && !same("abc", "ab"));
    }
}
