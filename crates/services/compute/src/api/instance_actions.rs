//! What was asked of a server, by whom, and how it went.

use pileus_base::Result;
use pileus_http::{Reply, Version};
use serde_json::{Value, json};

use super::Call;
use crate::{model::actions::Action, store::actions};

/// `updated_at` of an action.
const UPDATED_AT: Version = Version(2, 58);
/// Events for everybody, not only administrators.
const EVENTS: Version = Version(2, 51);
/// `host` and `hostId` of an event.
const EVENT_HOST: Version = Version(2, 62);

fn view(action: &Action, call: &Call) -> Value {
    let mut view = json!({
        "action": action.action,
        "instance_uuid": action.server_id,
        "message": action.message,
        "project_id": action.project_id,
        "request_id": action.request_id,
        "start_time": action.started_at.micros(),
        "user_id": action.user_id,
    });
    if call.version >= UPDATED_AT {
        view["updated_at"] = json!(action.updated_at.micros());
    }
    view
}

/// `GET …/os-instance-actions`
pub async fn index(call: Call) -> Result<Reply> {
    let id = call.state.named(&call).await?.id;
    let scope = call.scope.clone();
    let all = call.state.store.read(move |rd| actions::list(rd, &scope, id)).await?;
    let views: Vec<_> = all.iter().map(|a| view(a, &call)).collect();
    Reply::ok(&json!({"instanceActions": views}))
}

/// `GET …/os-instance-actions/{request}`
pub async fn show(call: Call) -> Result<Reply> {
    let id = call.state.named(&call).await?.id;
    let (scope, request) = (call.scope.clone(), call.param("request").to_owned());
    let action = call.state.store.read(move |rd| actions::get(rd, &scope, id, &request)).await?;
    let mut view = view(&action, &call);
    if call.version >= EVENTS || call.ctx.is_admin() {
        let events = action.events.iter().map(|e| {
            let mut event = json!({
                "event": e.event,
                "start_time": e.started_at.micros(),
                "finish_time": e.finished_at.map(|t| t.micros()),
                "result": e.result,
            });
            if call.ctx.is_admin() {
                event["traceback"] = json!(e.details);
            }
            if call.version >= EVENT_HOST {
                event["hostId"] = json!("");
                if call.ctx.is_admin() {
                    event["host"] = json!(e.host);
                }
            }
            event
        });
        view["events"] = events.collect();
    }
    Reply::ok(&json!({"instanceAction": view}))
}
