//! Resources that are little more than their body: regions, services, endpoints, credentials, policies,
//! limits. Each keeps the object that the client gave, checked, with defaults filled in.

use pileus_base::{Error, ids::ProjectId};
use pileus_store::{Indexes, Resource};
use serde::{Deserialize, Serialize};

use super::entity::{Entity, Is, Object};

macro_rules! documents {
    ($($(#[$doc:meta])* $name:ident: $kind:literal, $one:literal, $many:literal, $path:literal,
       required $required:expr, filters $filters:expr, fields $fields:expr, defaults $defaults:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct $name {
            /// The id.
            pub id: String,
            /// Everything else.
            #[serde(flatten)]
            pub body: Object,
        }
        // Not every kind needs both.
        #[allow(dead_code)]
        impl $name {
            /// The text of `field`; empty where it is none.
            pub fn text(&self, field: &str) -> &str {
                self.body.get(field).and_then(|v| v.as_str()).unwrap_or_default()
            }
            /// Fills in what a client left out.
            pub fn fill(body: &mut Object) {
                let defaults: &[(&str, serde_json::Value)] = &$defaults;
                for (field, value) in defaults {
                    body.entry(*field).or_insert_with(|| value.clone());
                }
            }
        }
        impl Resource for $name {
            const KIND: &'static str = concat!("identity.", $kind);
            fn id(&self) -> String {
                self.id.clone()
            }
            fn project(&self) -> Option<&ProjectId> {
                None
            }
            fn indexes(&self, ix: &mut Indexes) {
                const FILTERS: &[&str] = &$filters;
                for filter in FILTERS {
                    if let Some(text) = self.body.get(*filter).and_then(|v| v.as_str()) {
                        ix.text(filter, text);
                    }
                }
            }
            fn not_found(id: &str) -> Error {
                Error::not_found(format!("Could not find {}: {id}.", $one.replace('_', " ")))
            }
        }
        impl Entity for $name {
            const ONE: &'static str = $one;
            const MANY: &'static str = $many;
            const PATH: &'static str = $path;
            const FIELDS: &'static [(&'static str, Is)] = &$fields;
            const REQUIRED: &'static [&'static str] = &$required;
            const FILTERS: &'static [&'static str] = &$filters;
        }
    )*};
}

documents! {
    /// A region; clients may choose its id.
    Region: "region", "region", "regions", "/v3/regions",
        required [], filters ["parent_region_id"],
        fields [("description", Is::TextOrNull), ("parent_region_id", Is::TextOrNull), ("id", Is::Text)],
        defaults [("description", "".into()), ("parent_region_id", serde_json::Value::Null)];
    /// A service of the catalog.
    CatalogService: "service", "service", "services", "/v3/services",
        required ["type"], filters ["name", "type"],
        fields [("type", Is::Name), ("name", Is::Text), ("description", Is::TextOrNull), ("enabled", Is::Bool)],
        defaults [("enabled", true.into()), ("name", "".into()), ("description", "".into())];
    /// A URL of a service.
    Endpoint: "endpoint", "endpoint", "endpoints", "/v3/endpoints",
        required ["interface", "service_id", "url"],
        filters ["interface", "service_id", "region_id"],
        fields [("interface", Is::Interface), ("service_id", Is::Text), ("url", Is::Url),
                ("region_id", Is::TextOrNull), ("region", Is::TextOrNull), ("enabled", Is::Bool),
                ("name", Is::TextOrNull), ("description", Is::TextOrNull)],
        defaults [("enabled", true.into()), ("region_id", serde_json::Value::Null)];
    /// A secret of a user's; its blob is encrypted at rest.
    Credential: "credential", "credential", "credentials", "/v3/credentials",
        required ["blob", "type", "user_id"], filters ["user_id", "type"],
        fields [("blob", Is::Text), ("type", Is::Name), ("user_id", Is::Text), ("project_id", Is::TextOrNull)],
        defaults [("project_id", serde_json::Value::Null)];
    /// A policy document of the old kind: kept, never read.
    Policy: "policy", "policy", "policies", "/v3/policies",
        required ["blob", "type"], filters ["type"],
        fields [("blob", Is::Text), ("type", Is::Name)],
        defaults [];
    /// A default limit of a service's resource.
    RegisteredLimit: "registered_limit", "registered_limit", "registered_limits", "/v3/registered_limits",
        required ["service_id", "resource_name", "default_limit"],
        filters ["service_id", "region_id", "resource_name"],
        fields [("service_id", Is::Text), ("resource_name", Is::Name), ("default_limit", Is::Int),
                ("region_id", Is::TextOrNull), ("description", Is::TextOrNull)],
        defaults [("region_id", serde_json::Value::Null), ("description", serde_json::Value::Null)];
    /// A project's or domain's own limit.
    Limit: "limit", "limit", "limits", "/v3/limits",
        required ["service_id", "resource_name", "resource_limit"],
        filters ["service_id", "region_id", "resource_name", "project_id", "domain_id"],
        fields [("service_id", Is::Text), ("resource_name", Is::Name), ("resource_limit", Is::Int),
                ("region_id", Is::TextOrNull), ("project_id", Is::TextOrNull),
                ("domain_id", Is::TextOrNull), ("description", Is::TextOrNull)],
        defaults [("region_id", serde_json::Value::Null), ("description", serde_json::Value::Null),
                  ("project_id", serde_json::Value::Null), ("domain_id", serde_json::Value::Null)];
}
