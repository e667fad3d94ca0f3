//! The catalog as a token shows it.
//!
//! Endpoints that the first start made carry `_own` and a path; they are shown under the address by which
//! the client reached identity, so that a tunnel or another host name just works. Others are shown as they
//! were given, with `%(project_id)s` and `$(project_id)s` filled in; those that need a project are left out
//! where the token has none.

use std::{collections::BTreeMap, sync::Arc};

use pileus_base::{Result, Scope};
use pileus_http::Base;
use pileus_store::Query;
use serde_json::{Value, json};

use crate::{
    Identity,
    auth::validate::Validated,
    model::catalog::{CatalogService, Endpoint},
};

/// Services with their endpoints, disabled ones left out.
pub(crate) type Listed = Arc<Vec<(CatalogService, Vec<Endpoint>)>>;

impl Identity {
    /// The catalog for the holder of a token who came by `base`.
    pub(crate) async fn catalog(&self, base: &Base, found: &Validated) -> Result<Value> {
        let listed = self.listed().await?;
        let project = found.project.as_ref().map(|(p, _)| p.id.as_str());
        let mut out = Vec::new();
        for (service, endpoints) in listed.iter() {
            let mut shown = Vec::new();
            for e in endpoints {
                // On the classic port (no prefix) the root is not where the other services are.
                let own = e.text("_own");
                let url = match (own.is_empty(), base.prefix.is_empty()) {
                    (false, false) => format!("{}{own}", base.root),
                    _ => e.text("url").to_owned(),
                };
                let Some(url) = filled(&url, project, &found.user.id) else { continue };
                shown.push(json!({"id": e.id, "interface": e.text("interface"),
                    "region_id": e.body.get("region_id"), "url": url, "region": e.body.get("region_id")}));
            }
            out.push(json!({"endpoints": shown, "id": service.id, "type": service.text("type"),
                            "name": service.text("name")}));
        }
        Ok(Value::Array(out))
    }

    async fn listed(&self) -> Result<Listed> {
        let generation = self.cache.generation();
        if let Some((at, listed)) = &*self.listed.read()
            && *at == generation
        {
            return Ok(listed.clone());
        }
        let read = |rd: &mut pileus_store::Read<'_>| {
            let enabled = |v: Option<&Value>| v != Some(&Value::Bool(false));
            let mut by_service: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
            for e in rd.list::<Endpoint>(&Scope::All, &Query::all())? {
                if enabled(e.body.get("enabled")) {
                    by_service.entry(e.text("service_id").into()).or_default().push(e.value);
                }
            }
            let services = rd.list::<CatalogService>(&Scope::All, &Query::all())?;
            let services = services.into_iter().filter(|s| enabled(s.body.get("enabled")));
            Ok(services.map(|s| (by_service.remove(&s.id).unwrap_or_default(), s.value)).collect::<Vec<_>>())
        };
        let all = self.store.read(read).await?;
        let listed: Listed = Arc::new(all.into_iter().map(|(e, s)| (s, e)).collect());
        *self.listed.write() = Some((generation, listed.clone()));
        Ok(listed)
    }
}

fn filled(url: &str, project: Option<&str>, user: &str) -> Option<String> {
    // Every pattern has a parenthesis; most URLs have none, and this runs for each endpoint of each token.
    if !url.contains('(') {
        return Some(url.to_owned());
    }
    let mut out = url.to_owned();
    for name in ["project_id", "tenant_id"] {
        for pattern in [format!("%({name})s"), format!("$({name})s")] {
            if out.contains(&pattern) {
                out = out.replace(&pattern, project?);
            }
        }
    }
    Some(out.replace("%(user_id)s", user).replace("$(user_id)s", user))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_project_is_left_out_without_one() {
        assert_eq!(filled("http://h/v1/%(tenant_id)s", Some("p"), "u").as_deref(), Some("http://h/v1/p"));
        assert_eq!(filled("http://h/v3/$(project_id)s", None, "u"), None);
        assert_eq!(filled("http://h/v2.1", None, "u").as_deref(), Some("http://h/v2.1"));
    }
}
