//! From a token to what it stands for: decrypt, look up, check for revocation; then a cache.
//!
//! An entry of the cache holds for one generation of identity's data. Every write raises the generation
//! after its commit, and an entry carries the generation read before its own look-up, so none outlives a
//! revocation.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::RwLock;
use pileus_base::{Caller, Error, ProjectRef, Result, Scope, Time, UserRef, ids::DomainId};
use pileus_http::{Authenticator, BoxFuture};
use pileus_store::Read;

use super::token::{Bound, Payload};
use crate::{
    Identity, grants,
    model::{
        access::{AppCred, Revocation, Target, Trust},
        projects::{Project, Role},
        users::User,
    },
};

/// Tokens kept; past it the cache starts anew.
const CACHE_MAX: usize = 4_096;

/// Everything that a valid token stands for.
#[derive(Debug)]
pub struct Validated {
    /// The token's contents.
    pub payload: Payload,
    /// As services see it.
    pub caller: Arc<Caller>,
    /// The user: the trustor under an impersonating trust.
    pub user: User,
    /// The user's domain.
    pub user_domain: Project,
    /// The project and its domain, where scoped to one.
    pub project: Option<(Project, Project)>,
    /// The domain, where scoped to one.
    pub domain: Option<Project>,
    /// The roles.
    pub roles: Vec<Role>,
    /// The trust.
    pub trust: Option<Trust>,
    /// The application credential.
    pub app_cred: Option<AppCred>,
}

/// The refusal, the same for every reason.
pub(crate) fn unauthorized() -> Error {
    Error::unauthorized("The request you have made requires authentication.")
}

#[derive(Default)]
pub(crate) struct Cache {
    generation: AtomicU64,
    held: RwLock<HashMap<String, (u64, Arc<Validated>)>>,
}

impl Cache {
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
    pub fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.held.write().clear();
    }
    fn get(&self, token: &str, now: Time) -> Option<Arc<Validated>> {
        let held = self.held.read();
        let (generation, found) = held.get(token)?;
        (*generation == self.generation() && found.ends() > now).then(|| found.clone())
    }
    fn put(&self, token: &str, generation: u64, found: &Arc<Validated>) {
        let mut held = self.held.write();
        if held.len() >= CACHE_MAX {
            held.clear();
        }
        held.insert(token.to_owned(), (generation, found.clone()));
    }
}

impl Validated {
    /// When it stops being valid without anything being done.
    fn ends(&self) -> Time {
        let parse = |t: &Option<String>| t.as_deref().and_then(|t| Time::parse(t).ok());
        let trust = self.trust.as_ref().and_then(|t| parse(&t.expires_at));
        let cred = self.app_cred.as_ref().and_then(|c| parse(&c.expires_at));
        [trust, cred].into_iter().flatten().fold(self.payload.expires, Time::min)
    }
    /// Whether it may not make credentials and trusts: made by a restricted credential.
    pub fn restricted(&self) -> bool {
        self.app_cred.as_ref().is_some_and(|c| !c.unrestricted)
    }
}

impl Identity {
    /// What `token` stands for.
    ///
    /// # Errors
    /// 401 where it is unknown, expired or revoked.
    pub async fn validate(&self, token: &str) -> Result<Arc<Validated>> {
        let now = Time::now();
        if let Some(found) = self.cache.get(token, now) {
            return Ok(found);
        }
        let payload = Payload::open(&self.keys, token).ok_or_else(unauthorized)?;
        if payload.expires <= now {
            return Err(unauthorized());
        }
        let generation = self.cache.generation();
        let found = self.store.read(move |rd| resolve(rd, payload.clone(), now)).await?;
        let found = Arc::new(found);
        self.cache.put(token, generation, &found);
        Ok(found)
    }
}

impl Authenticator for Identity {
    fn authenticate<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Arc<Caller>>> {
        Box::pin(async move {
            let found = self.validate(token).await?;
            // Access rules narrow a credential to single requests. Nothing here sees the request, so such
            // a token opens nothing rather than everything.
            if found.app_cred.as_ref().is_some_and(|c| !c.access_rules.is_empty()) {
                return Err(unauthorized());
            }
            Ok(found.caller.clone())
        })
    }
}

/// Reads what a token's contents stand for, and checks that it still holds.
pub(crate) fn resolve(rd: &mut Read<'_>, payload: Payload, now: Time) -> Result<Validated> {
    for audit_id in payload.audit_ids.iter().take(1) {
        if rd.find::<Revocation>(&Scope::All, audit_id)?.is_some() {
            return Err(unauthorized());
        }
    }
    let issued = payload.issued;
    let actor = live_user(rd, &payload.user, issued)?;
    let trust = match &payload.trust {
        None => None,
        Some(id) => {
            let trust = rd.find::<Trust>(&Scope::All, id)?.ok_or_else(unauthorized)?.value;
            if trust.expired(now) || trust.trustee_user_id != actor.0.id {
                return Err(unauthorized());
            }
            Some(trust)
        }
    };
    let lender = match &trust {
        Some(trust) => Some(live_user(rd, &trust.trustor_user_id, Time(i64::MAX))?),
        None => None,
    };
    let app_cred = match &payload.app_cred {
        None => None,
        Some(id) => {
            let cred = rd.find::<AppCred>(&Scope::All, id)?.ok_or_else(unauthorized)?.value;
            if cred.expired(now) || cred.user_id != actor.0.id {
                return Err(unauthorized());
            }
            Some(cred)
        }
    };
    let holder = lender.as_ref().map_or(&actor.0.id, |(u, _)| &u.id).clone();
    let (mut project, mut domain) = (None, None);
    let target = match &payload.bound {
        Bound::Unscoped => None,
        Bound::System => Some(Target::System),
        Bound::Project(id) => {
            let found = live_project(rd, id, issued)?;
            let owner = live_project(rd, found.domain_id.as_deref().unwrap_or(id), issued)?;
            project = Some((found, owner));
            Some(Target::Project(id.clone()))
        }
        Bound::Domain(id) => {
            domain = Some(live_project(rd, id, issued)?);
            Some(Target::Domain(id.clone()))
        }
    };
    let mut roles = match &target {
        Some(target) => grants::effective(rd, &holder, target)?,
        None => Vec::new(),
    };
    let narrowed = trust.as_ref().map(|t| &t.roles).or(app_cred.as_ref().map(|c| &c.roles));
    if let Some(ids) = narrowed {
        // All that was lent must still be held; what it implies comes with it.
        if !ids.iter().all(|id| roles.iter().any(|r| r.id == *id)) {
            return Err(unauthorized());
        }
        let lent = grants::expand(rd, ids.iter().cloned().collect())?;
        roles.retain(|r| lent.iter().any(|l| l.id == r.id));
    }
    if target.is_some() && roles.is_empty() {
        return Err(unauthorized());
    }
    let impersonate = trust.as_ref().is_some_and(|t| t.impersonation);
    let (user, user_domain) = if impersonate { lender.unwrap_or(actor) } else { actor };
    let caller = Arc::new(caller_of(&user, &user_domain, &project, &domain, &payload.bound, &roles));
    Ok(Validated { payload, caller, user, user_domain, project, domain, roles, trust, app_cred })
}

fn caller_of(
    user: &User,
    user_domain: &Project,
    project: &Option<(Project, Project)>,
    domain: &Option<Project>,
    bound: &Bound,
    roles: &[Role],
) -> Caller {
    Caller {
        user: Some(UserRef {
            id: user.id.as_str().into(),
            name: user.name.as_str().into(),
            domain_id: user.domain_id.as_str().into(),
            domain_name: user_domain.name.as_str().into(),
        }),
        project: project.as_ref().map(|(p, d)| ProjectRef {
            id: p.id.clone(),
            name: p.name.as_str().into(),
            domain_id: d.id.as_str().into(),
            domain_name: d.name.as_str().into(),
        }),
        domain_id: domain.as_ref().map(|d| DomainId::from(d.id.as_str())),
        system: *bound == Bound::System,
        roles: roles.iter().map(|r| r.name.to_lowercase().as_str().into()).collect(),
        internal: false,
    }
}

fn live_user(rd: &mut Read<'_>, id: &str, issued: Time) -> Result<(User, Project)> {
    let user = rd.find::<User>(&Scope::All, id)?.ok_or_else(unauthorized)?.value;
    let domain = live_project(rd, &user.domain_id, issued)?;
    if !user.enabled || issued <= user.revoked_before {
        return Err(unauthorized());
    }
    Ok((user, domain))
}

fn live_project(rd: &mut Read<'_>, id: &str, issued: Time) -> Result<Project> {
    let project = rd.find::<Project>(&Scope::All, id)?.ok_or_else(unauthorized)?.value;
    if !project.enabled || issued <= project.revoked_before {
        return Err(unauthorized());
    }
    Ok(project)
}
