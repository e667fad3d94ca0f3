//! Lists of stacks: filters, sorting, pages.

use pileus_base::{Result, Scope};
use pileus_http::{Params, Reply, Sort};
use pileus_store::Query;
use serde_json::{Map, json};

use super::{Req, stacks};
use crate::{model::Json, store::stacks::Stack, wire::views};

/// `GET /stacks`
pub async fn index(call: Req) -> Result<Reply> {
    list(call, false).await
}

/// `GET /stacks/detail`
pub async fn detail(call: Req) -> Result<Reply> {
    list(call, true).await
}

/// Whether a stack is what the query's filters ask for.
fn wanted(query: &Params, stack: &Stack) -> bool {
    let is = |key: &str, value: &str| {
        let mut given = query.all(key).filter(|v| !v.is_empty()).peekable();
        given.peek().is_none() || given.any(|v| v == value)
    };
    let tags = |key: &str| -> Option<Vec<String>> {
        query.get(key).map(|v| v.split(',').map(str::to_owned).collect())
    };
    let has = |t: &String| stack.tags.contains(t);
    is("name", &stack.name)
        && is("stack_name", &stack.name)
        && is("id", &stack.id.to_string())
        && is("status", stack.status.word())
        && is("action", stack.action.word())
        && is("stack_status", &stack.state())
        && is("username", stack.owner.name().unwrap_or_default())
        && is("owner_id", &stack.parent.as_ref().map(|p| p.stack.to_string()).unwrap_or_default())
        && tags("tags").is_none_or(|t| t.iter().all(has))
        && tags("tags_any").is_none_or(|t| t.iter().any(has))
        && tags("not_tags").is_none_or(|t| !t.iter().all(has))
        && tags("not_tags_any").is_none_or(|t| !t.iter().any(has))
}

/// Heat's sort keys, as keys of the view.
fn sort(query: &Params) -> Vec<Sort> {
    let descending = query.get("sort_dir").is_some_and(|d| d == "desc");
    let keys = query.all("sort_keys").chain(query.all("sort_key"));
    let key = |k: &str| {
        Some(match k {
            "name" | "stack_name" => "stack_name",
            "status" | "stack_status" => "stack_status",
            "created_at" | "creation_time" => "_at",
            "updated_at" | "updated_time" => "updated_time",
            "id" => "id",
            _ => return None,
        })
    };
    let found: Vec<Sort> = keys
        .flat_map(|k| k.split(','))
        .filter_map(key)
        .map(|k| Sort { key: k.to_owned(), descending })
        .collect();
    let first = query.get("sort_dir").is_none_or(|d| d != "asc");
    if found.is_empty() { vec![Sort { key: "_at".into(), descending: first }] } else { found }
}

async fn list(call: Req, whole: bool) -> Result<Reply> {
    let own = super::scope(&call)?;
    let flag = |name: &str| call.query.flag(name) == Some(true);
    let everywhere = flag("global_tenant") && call.ctx.is_admin();
    let scope = if everywhere { Scope::All } else { own };
    let (nested, deleted) = (flag("show_nested"), flag("show_deleted"));
    let (stacks, base, query) = (call.state.clone(), call.base.clone(), call.query.clone());
    let views = call.state.store.read(move |rd| {
        let lives: &[&str] = if deleted { &["live", "deleted"] } else { &["live"] };
        let mut out = Vec::new();
        for stack in rd.list::<Stack>(&scope, &Query::all().any("life", lives))? {
            let below = query.has("owner_id") || nested;
            if stack.parent.is_some() && !below || !wanted(&query, &stack) {
                continue;
            }
            let mut view = match whole {
                true => crate::types::heat::object(&stacks::view(&stacks, rd, &base, &stack, false)?),
                false => views::stack_brief(&base, &stack),
            };
            if everywhere {
                view.insert("project".into(), json!(stack.project_id));
            }
            view.insert("_at".into(), stack.created_at.0.into());
            out.push(Json::Object(view));
        }
        Ok(out)
    });
    let views = views.await?;
    let count = views.len();
    let listing = super::page(&call.query, sort(&call.query))?;
    let (mut page, _) = listing.apply(views)?;
    for view in &mut page {
        if let Json::Object(view) = view {
            view.shift_remove("_at");
        }
    }
    let mut out = Map::new();
    let next = page.last().filter(|_| listing.limit.is_some_and(|l| l == page.len()));
    if let Some(id) = next.and_then(|s| s["id"].as_str()) {
        let query = call.query.with("marker", id);
        let href = format!("{}{}?{query}", call.base.url(""), call.path);
        out.insert("links".into(), json!([{"rel": "next", "href": href}]));
    }
    out.insert("stacks".into(), page.into());
    if flag("with_count") {
        out.insert("count".into(), count.into());
    }
    Reply::ok(&out)
}
