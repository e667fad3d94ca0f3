//! Rules: who may call what.
//!
//! A [`Rule`] bears OpenStack's own name for an operation and its default check. Every route names one;
//! enforcing it yields the [`Scope`] that the store asks for, so that what a caller may not see is never
//! read. Who holds which role is identity's affair; here are only names.
//!
//! The default roles are OpenStack's (`admin` implies `member` implies `reader`; the token already
//! carries implied roles). See <https://docs.openstack.org/keystone/latest/admin/service-api-protection.html>.

#![forbid(unsafe_code)]

use pileus_base::{Ctx, Scope};

/// The default check of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// Needs no token at all: version documents, logging in.
    Anyone,
    /// Any valid token; the handler decides the rest by what is asked of whom.
    Authenticated,
    /// `reader` in the token's project, or an administrator.
    Reader,
    /// `member` in the token's project, or an administrator.
    Member,
    /// The `admin` role, on whatever scope.
    Admin,
    /// `reader` on the system, or an administrator.
    SystemReader,
}

/// An operation's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// OpenStack's name for it: `os_compute_api:servers:create`.
    pub name: &'static str,
    /// Who passes.
    pub check: Check,
}

impl Rule {
    /// A rule that needs no token.
    pub const fn anyone(name: &'static str) -> Self {
        Self { name, check: Check::Anyone }
    }
    /// A rule that any token passes.
    pub const fn authenticated(name: &'static str) -> Self {
        Self { name, check: Check::Authenticated }
    }
    /// A rule for readers of a project.
    pub const fn reader(name: &'static str) -> Self {
        Self { name, check: Check::Reader }
    }
    /// A rule for members of a project.
    pub const fn member(name: &'static str) -> Self {
        Self { name, check: Check::Member }
    }
    /// A rule for administrators.
    pub const fn admin(name: &'static str) -> Self {
        Self { name, check: Check::Admin }
    }
    /// A rule for readers of the whole system.
    pub const fn system_reader(name: &'static str) -> Self {
        Self { name, check: Check::SystemReader }
    }

    /// What the caller may see under this rule; `None` where it may not call at all.
    pub fn enforce(&self, ctx: &Ctx) -> Option<Scope> {
        let caller = &ctx.caller;
        if caller.internal {
            return Some(Scope::All);
        }
        let project = || caller.project.as_ref().map(|p| Scope::Project(p.id.clone()));
        let admin = caller.has_role("admin");
        let passes = match self.check {
            Check::Anyone | Check::Authenticated => true,
            Check::Reader => admin || (caller.has_role("reader") && caller.project.is_some()),
            Check::Member => admin || (caller.has_role("member") && caller.project.is_some()),
            Check::Admin => admin,
            Check::SystemReader => admin || (caller.system && caller.has_role("reader")),
        };
        let nothing = || Scope::Project("".into());
        let whole = admin || (caller.system && self.check == Check::SystemReader);
        passes.then(|| if whole { Scope::All } else { project().unwrap_or_else(nothing) })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pileus_base::{Caller, ProjectRef, ids::RequestId};

    use super::*;

    fn ctx(roles: &[&str], project: Option<&str>) -> Ctx {
        let project = project.map(|p| ProjectRef {
            id: p.into(),
            name: p.into(),
            domain_id: "default".into(),
            domain_name: "Default".into(),
        });
        let roles = roles.iter().map(|r| Arc::from(*r)).collect();
        Ctx::new(Arc::new(Caller { roles, project, ..Caller::default() }), RequestId::new())
    }

    #[test]
    fn a_scope_is_never_wider_than_the_role() {
        let p = Some(Scope::Project("p".into()));
        assert_eq!(Rule::reader("r").enforce(&ctx(&["reader"], Some("p"))), p);
        assert_eq!(Rule::member("m").enforce(&ctx(&["reader"], Some("p"))), None);
        assert_eq!(Rule::member("m").enforce(&ctx(&["member", "reader"], Some("p"))), p);
        assert_eq!(Rule::member("m").enforce(&ctx(&["member"], None)), None);
        assert_eq!(Rule::admin("a").enforce(&ctx(&["member"], Some("p"))), None);
        assert_eq!(Rule::admin("a").enforce(&ctx(&["admin"], Some("p"))), Some(Scope::All));
        let unscoped = Rule::authenticated("t").enforce(&ctx(&[], None)).unwrap();
        assert!(!unscoped.covers(Some(&"p".into())) && !unscoped.covers(None));
    }
}
