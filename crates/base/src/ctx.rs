//! Who calls, and what of the store the call may see.

use std::{sync::Arc, time::Instant};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Result,
    ids::{DomainId, ProjectId, RequestId, UserId},
};

/// What a read may see. Enforcement of a rule returns one; every read of the store takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Everything: administrators and the daemon itself.
    All,
    /// What belongs to one project.
    Project(ProjectId),
}

impl Scope {
    /// Whether a thing of `project` is visible.
    pub fn covers(&self, project: Option<&ProjectId>) -> bool {
        match self {
            Scope::All => true,
            Scope::Project(p) => project == Some(p),
        }
    }
}

/// A user as a token names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRef {
    /// The user's id.
    pub id: UserId,
    /// The user's name.
    pub name: Arc<str>,
    /// The domain that owns the user.
    pub domain_id: DomainId,
    /// Its name.
    pub domain_name: Arc<str>,
}

/// A project as a token names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProjectRef {
    /// The project's id.
    pub id: ProjectId,
    /// Its name.
    pub name: Arc<str>,
    /// The domain that owns the project.
    pub domain_id: DomainId,
    /// Its name.
    pub domain_name: Arc<str>,
}

/// An authenticated caller: the user, the roles, and the scope they are held on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// The user; `None` for the daemon itself and for anonymous calls.
    pub user: Option<UserRef>,
    /// The project the token is scoped to.
    pub project: Option<ProjectRef>,
    /// The domain the token is scoped to.
    pub domain_id: Option<DomainId>,
    /// Whether the token is scoped to the whole system.
    pub system: bool,
    /// Names of the effective roles, implied ones included, lower case.
    pub roles: Vec<Arc<str>>,
    /// The daemon itself.
    pub internal: bool,
}

impl Caller {
    /// Whether one of the roles is `role`.
    pub fn has_role(&self, role: &str) -> bool {
        self.internal || self.roles.iter().any(|r| &**r == role)
    }
}

/// The context of one call; the first argument of every operation.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// Who calls.
    pub caller: Arc<Caller>,
    /// The request's id, in the answer and in every log line.
    pub request_id: RequestId,
    /// When the caller stops waiting.
    pub deadline: Option<Instant>,
}

impl Ctx {
    /// A call by `caller`.
    pub fn new(caller: Arc<Caller>, request_id: RequestId) -> Self {
        Self { caller, request_id, deadline: None }
    }

    /// A call by the daemon itself, on nobody's behalf.
    pub fn internal() -> Self {
        Self::new(Arc::new(Caller { internal: true, ..Caller::default() }), RequestId::new())
    }

    /// The project that the caller's token is scoped to.
    ///
    /// # Errors
    /// 403 where the token has no project.
    pub fn project_id(&self) -> Result<&ProjectId> {
        let project = self.caller.project.as_ref();
        project.map(|p| &p.id).ok_or_else(|| Error::forbidden("The request needs a project-scoped token."))
    }

    /// The calling user's id, or `None` for the daemon.
    pub fn user_id(&self) -> Option<&UserId> {
        self.caller.user.as_ref().map(|u| &u.id)
    }

    /// Whether the caller has the admin role.
    pub fn is_admin(&self) -> bool {
        self.caller.has_role("admin")
    }
}
