//! What the first start makes: the default domain, projects, users, roles, and the catalog.

use std::{collections::BTreeMap, sync::Arc};

use pileus_base::{
    Result, Scope, Time,
    ids::{ProjectId, hex_id},
};
use pileus_store::{Query, Tx};
use serde_json::{Value, json};

use crate::{
    Identity,
    model::{
        access::{Actor, Assignment, Implied, Target},
        catalog::{CatalogService, Endpoint, Region},
        entity::{Object, parse},
        projects::{Project, Role},
        users::User,
    },
    secrets,
};

/// A service of the catalog.
#[derive(Debug, Clone)]
pub struct CatalogEntry {
    /// `compute`.
    pub service_type: String,
    /// `nova`.
    pub name: String,
    /// `/compute/v2.1`.
    pub path: String,
}

/// What the daemon serves, and where.
#[derive(Debug, Clone)]
pub struct Bootstrap {
    /// `http://127.0.0.1:8700`.
    pub base_url: String,
    /// The services.
    pub services: Vec<CatalogEntry>,
}

/// What is there after a start.
#[derive(Debug, Clone, Default)]
pub struct Bootstrapped {
    /// The admin's password; only on the first start.
    pub admin_password: Option<String>,
    /// The demo user's password; only on the first start.
    pub demo_password: Option<String>,
    /// Project `admin`; empty where it was deleted since, as with the others.
    pub admin_project_id: String,
    /// User `admin`.
    pub admin_user_id: String,
    /// Project `demo`.
    pub demo_project_id: String,
    /// User `demo`.
    pub demo_user_id: String,
}

const DOMAIN: &str = "default";
/// Each implies the next.
const CHAIN: [&str; 4] = ["admin", "manager", "member", "reader"];

impl Identity {
    /// Makes on the first start what a cloud needs; on later ones only the catalog follows `base_url` and
    /// new services.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn bootstrap(self: &Arc<Self>, b: Bootstrap) -> Result<Bootstrapped> {
        let first = self.store.read(|rd| Ok(rd.find::<Project>(&Scope::All, DOMAIN)?.is_none())).await?;
        let mut out = Bootstrapped::default();
        if first {
            let (admin, demo) = (secrets::random(18), secrets::random(18));
            let (a, d) = tokio::join!(self.hasher.hash(&admin), self.hasher.hash(&demo));
            let (a, d) = (a?, d?);
            self.write(move |tx| people(tx, &a, &d)).await?;
            (out.admin_password, out.demo_password) = (Some(admin), Some(demo));
        }
        let region = self.options.region.clone();
        self.write(move |tx| catalog(tx, &b, &region)).await?;
        let find = |rd: &mut pileus_store::Read<'_>| {
            let named = |name: &str| Query::by("name", name).eq("domain_id", DOMAIN);
            let mut project = |name: &str| rd.first::<Project>(&Scope::All, named(name));
            let projects = (project("admin")?, project("demo")?);
            let mut user = |name: &str| rd.first::<User>(&Scope::All, named(name));
            Ok((projects, (user("admin")?, user("demo")?)))
        };
        let ((ap, dp), (au, du)) = self.store.read(find).await?;
        out.admin_project_id = ap.map(|p| p.id.to_string()).unwrap_or_default();
        out.demo_project_id = dp.map(|p| p.id.to_string()).unwrap_or_default();
        out.admin_user_id = au.map(|u| u.id.clone()).unwrap_or_default();
        out.demo_user_id = du.map(|u| u.id.clone()).unwrap_or_default();
        Ok(out)
    }
}

fn document<T: serde::de::DeserializeOwned>(value: Value) -> Result<T> {
    parse(value.as_object().cloned().unwrap_or_default())
}

fn people(tx: &mut Tx<'_>, admin_hash: &str, demo_hash: &str) -> Result<()> {
    if tx.find::<Project>(&Scope::All, DOMAIN)?.is_some() {
        return Ok(());
    }
    let about = "The default domain";
    let domain = json!({"id": DOMAIN, "name": "Default", "is_domain": true, "description": about});
    tx.insert::<Project>(&document(domain)?)?;
    let mut roles = BTreeMap::new();
    for name in CHAIN.into_iter().chain(["service"]) {
        let id = hex_id();
        tx.insert::<Role>(&document(json!({"id": id, "name": name}))?)?;
        roles.insert(name, id.to_string());
    }
    for pair in CHAIN.windows(2) {
        tx.insert(&Implied { prior: roles[pair[0]].clone(), implied: roles[pair[1]].clone() })?;
    }
    let mut ids = BTreeMap::new();
    for (name, hash) in [("admin", admin_hash), ("demo", demo_hash)] {
        let (project, user) = (ProjectId::new(), hex_id().to_string());
        let about = format!("Made at the first start, for {name}");
        let doc = json!({"id": project, "name": name, "domain_id": DOMAIN, "parent_id": DOMAIN,
                         "description": about});
        tx.insert::<Project>(&document(doc)?)?;
        let doc = json!({"id": user, "name": name, "domain_id": DOMAIN, "_password": hash,
                         "default_project_id": project, "_password_at": Time::now()});
        tx.insert::<User>(&document(doc)?)?;
        ids.insert(name, (project.to_string(), user));
    }
    let ((admin_project, admin), (demo_project, demo)) = (ids["admin"].clone(), ids["demo"].clone());
    for (user, target, role) in [
        (&admin, Target::Project(admin_project), "admin"),
        (&admin, Target::System, "admin"),
        (&admin, Target::Project(demo_project.clone()), "admin"),
        (&demo, Target::Project(demo_project), "member"),
    ] {
        let actor = Actor::User(user.clone());
        tx.insert(&Assignment { actor, target, role: roles[role].clone(), inherited: false })?;
    }
    Ok(())
}

fn catalog(tx: &mut Tx<'_>, b: &Bootstrap, region: &str) -> Result<()> {
    if tx.find::<Region>(&Scope::All, region)?.is_none() {
        let mut body = Object::new();
        Region::fill(&mut body);
        tx.insert(&Region { id: region.into(), body })?;
    }
    let base = b.base_url.trim_end_matches('/');
    // A service that an administrator deleted comes back with the next start: it is still served.
    for entry in &b.services {
        let query = Query::by("type", &entry.service_type);
        let service = match tx.first::<CatalogService>(&Scope::All, query)? {
            Some(service) => service.value,
            None => {
                let id = hex_id();
                let doc = json!({"id": id, "type": entry.service_type, "name": entry.name,
                                 "enabled": true, "description": ""});
                let service: CatalogService = document(doc)?;
                tx.insert(&service)?;
                for interface in ["public", "internal", "admin"] {
                    let doc = json!({"id": hex_id(), "interface": interface, "service_id": id,
                        "region_id": region, "url": format!("{base}{}", entry.path), "enabled": true,
                        "_own": entry.path});
                    tx.insert::<Endpoint>(&document(doc)?)?;
                }
                service
            }
        };
        for mut e in tx.list::<Endpoint>(&Scope::All, &Query::by("service_id", &service.id))? {
            let url = format!("{base}{}", entry.path);
            if !e.text("_own").is_empty() && e.text("url") != url {
                e.body.insert("url".into(), url.into());
                e.body.insert("_own".into(), entry.path.clone().into());
                tx.put(&e)?;
            }
        }
    }
    Ok(())
}
