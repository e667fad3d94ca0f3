//! `GET /allocation_candidates`: which providers have room for what is asked, with which traits.
//!
//! See <https://docs.openstack.org/api-ref/placement/#list-allocation-candidates>. Groups (`resources1`, …) want
//! providers that share, which there are none of yet: 501.

use pileus_base::{Error, Result, Scope, ids::ProviderId};
use pileus_http::{Params, Reply};
use pileus_store::{Query, Read};
use serde_json::{Map, Value, json};

use crate::{allocations, api::Call, model::Provider};

/// What is asked for.
#[derive(Default)]
struct Asked {
    amounts: Vec<(String, u64)>,
    /// All of these,
    required: Vec<String>,
    /// none of these,
    forbidden: Vec<String>,
    /// and of each of these one.
    any: Vec<Vec<String>>,
    in_tree: Option<ProviderId>,
    /// In one of the aggregates of each list; there are no aggregates, so a list lets nothing pass.
    in_aggregates: bool,
    limit: Option<usize>,
}

impl Asked {
    fn parse(query: &Params) -> Result<Self> {
        let bad = |text: String| Error::bad_request(format!("Invalid query string parameters: {text}"));
        let mut asked = Self::default();
        for (name, value) in query.iter() {
            match name {
                "resources" => asked.amounts = amounts(value)?,
                "required" | "root_required" => asked.traits(value)?,
                "in_tree" => {
                    let id = value.parse().map_err(|_| {
                        bad(format!("Expected 'in_tree' parameter to be a valid uuid, got: {value}"))
                    })?;
                    asked.in_tree = Some(id);
                }
                "member_of" => asked.in_aggregates |= !value.starts_with('!'),
                "limit" => {
                    let limit = value.parse().ok().filter(|n| *n > 0);
                    asked.limit =
                        Some(limit.ok_or_else(|| bad(format!("'{value}' does not match '^[1-9][0-9]*$'")))?);
                }
                "group_policy" if matches!(value, "none" | "isolate") => {}
                "group_policy" => return Err(bad(format!("'{value}' is not one of ['none', 'isolate']"))),
                _ if is_group(name) => {
                    return Err(Error::not_implemented(format!(
                        "The request group of '{name}' is not supported."
                    )));
                }
                _ => {
                    let text = format!("Additional properties are not allowed ('{name}' was unexpected)");
                    return Err(bad(text));
                }
            }
        }
        if asked.amounts.is_empty() {
            return Err(bad("'resources' is a required property".into()));
        }
        Ok(asked)
    }

    fn traits(&mut self, value: &str) -> Result<()> {
        let empty = || Error::bad_request("Invalid query string parameters: '' is no trait");
        if let Some(any) = value.strip_prefix("in:") {
            self.any.push(any.split(',').map(str::to_owned).collect());
            return Ok(());
        }
        for name in value.split(',') {
            match name.strip_prefix('!') {
                _ if name.is_empty() || name == "!" => return Err(empty()),
                Some(name) => self.forbidden.push(name.to_owned()),
                None => self.required.push(name.to_owned()),
            }
        }
        Ok(())
    }

    fn suits(&self, rd: &mut Read<'_>, p: &Provider, wanted: &[(&str, u64)]) -> Result<bool> {
        let has = |name: &String| p.traits.contains(name);
        let tree = self.in_tree.is_none_or(|root| p.id == root || p.parent == Some(root));
        if !tree
            || self.in_aggregates
            || self.forbidden.iter().any(has)
            || !self.any.iter().all(|group| group.iter().any(has))
        {
            return Ok(false);
        }
        allocations::fits(rd, p, wanted, &self.required)
    }
}

/// `VCPU:1,MEMORY_MB:512`
fn amounts(text: &str) -> Result<Vec<(String, u64)>> {
    let one = |part: &str| {
        let pair = part.split_once(':').and_then(|(c, n)| Some((c.to_owned(), n.parse::<u64>().ok()?)));
        pair.filter(|(_, n)| *n > 0)
            .ok_or_else(|| Error::bad_request(format!("Badly formed resources parameter: {part}")))
    };
    text.split(',').map(one).collect()
}

/// `resources1`, `required_COMPUTE`, …
fn is_group(name: &str) -> bool {
    let suffix = ["resources", "required", "member_of", "in_tree"].iter().find_map(|p| name.strip_prefix(p));
    name == "same_subtree"
        || suffix.is_some_and(|s| {
            !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
        })
}

/// The handler.
pub async fn list(call: Call) -> Result<Reply> {
    let asked = Asked::parse(&call.query)?;
    let read = call.state.store.read(move |rd| {
        let wanted: Vec<(&str, u64)> = asked.amounts.iter().map(|(c, n)| (c.as_str(), *n)).collect();
        let resources: Map<String, Value> = wanted.iter().map(|(c, n)| ((*c).to_owned(), json!(n))).collect();
        let (mut requests, mut summaries) = (Vec::new(), Map::new());
        for p in rd.list::<Provider>(&Scope::All, &Query::all())? {
            if asked.limit.is_some_and(|l| requests.len() >= l) {
                break;
            }
            if !asked.suits(rd, &p, &wanted)? {
                continue;
            }
            let id = p.id.to_string();
            requests.push(json!({
                "allocations": {id.as_str(): {"resources": resources}},
                "mappings": {"": [id.as_str()]},
            }));
            let mut all = Map::new();
            for (class, inventory) in &p.inventories {
                let used = allocations::used(rd, p.id, class)?;
                all.insert(class.clone(), json!({"capacity": inventory.capacity(), "used": used}));
            }
            summaries.insert(
                id,
                json!({
                    "resources": all, "traits": p.traits,
                    "parent_provider_uuid": p.parent, "root_provider_uuid": p.parent.unwrap_or(p.id),
                }),
            );
        }
        Ok((requests, summaries))
    });
    let (requests, summaries) = read.await?;
    Reply::ok(&json!({"allocation_requests": requests, "provider_summaries": summaries}))
}
