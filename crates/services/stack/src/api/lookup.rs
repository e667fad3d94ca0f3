//! From a stack's name or id to its full path: 302, for every method, as Heat does.

use pileus_base::Result;
use pileus_http::Reply;
use serde_json::json;

use super::Req;
use crate::{store::stacks, wire::views};

/// Leads to the stack, keeping what stood behind its name.
pub async fn stack(call: Req) -> Result<Reply> {
    let scope = super::scope(&call)?;
    let name = call.param("name").to_owned();
    let found = call.state.store.read(move |rd| stacks::find(rd, &scope, &name)).await?;
    // `/v1/P/stacks/NAME/rest` keeps `rest`.
    let rest: Vec<&str> = call.path.split('/').skip(5).collect();
    let mut location = views::stack_url(&call.base, &found);
    for part in rest {
        location.push('/');
        location.push_str(part);
    }
    if let Some(query) = call.uri.query() {
        location.push('?');
        location.push_str(query);
    }
    let body = json!({"code": 302, "title": "Found", "explanation": "The resource was found at", "location": location});
    Ok(Reply::json(302, &body)?.location(location))
}
