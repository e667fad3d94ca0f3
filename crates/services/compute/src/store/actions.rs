//! Instance actions: begun with the request, ended with the job.

use pileus_base::{Ctx, Result, Scope, Time, ids::ServerId};
use pileus_store::{Direction, Query, Read, Stored, Tx};

use crate::model::{
    actions::{Action, Event, key},
    servers::Server,
};

/// Records that `action` was asked for. `event` is Nova's name of the step that does it.
pub fn begin(tx: &mut Tx<'_>, ctx: &Ctx, server: &Server, action: &str, event: &str) -> Result<()> {
    let now = Time::now();
    let request_id = ctx.request_id.to_string();
    if tx.find::<Action>(&Scope::All, key(server.id, &request_id))?.is_some() {
        return Ok(());
    }
    tx.insert(&Action {
        server_id: server.id,
        project_id: server.project_id.clone(),
        user_id: ctx.user_id().cloned(),
        request_id,
        action: action.into(),
        message: None,
        started_at: now,
        updated_at: now,
        events: vec![Event {
            event: event.into(),
            started_at: now,
            finished_at: None,
            result: None,
            details: None,
            host: server.host.clone(),
        }],
    })
}

/// Records how the action of `request_id` ended. One that is gone with its server is no matter.
pub fn end(tx: &mut Tx<'_>, server: ServerId, request_id: &str, failure: Option<&str>) -> Result<()> {
    let now = Time::now();
    let Some(mut action) = tx.find::<Action>(&Scope::All, key(server, request_id))? else { return Ok(()) };
    action.updated_at = now;
    action.message = failure.map(|_| "Error".into());
    for event in action.value.events.iter_mut().filter(|e| e.finished_at.is_none()) {
        event.finished_at = Some(now);
        event.result = Some(if failure.is_some() { "Error" } else { "Success" }.into());
        event.details = failure.map(str::to_owned);
    }
    tx.put(&action)
}

/// A server's actions, newest first.
pub fn list(rd: &mut Read<'_>, scope: &Scope, server: ServerId) -> Result<Vec<Stored<Action>>> {
    rd.list(scope, &Query::by("server_id", server).sort_by("started_at", Direction::Desc))
}

/// One action.
pub fn get(rd: &mut Read<'_>, scope: &Scope, server: ServerId, request_id: &str) -> Result<Stored<Action>> {
    rd.get(scope, key(server, request_id))
}

/// Forgets a server's actions.
pub fn forget(tx: &mut Tx<'_>, server: ServerId) -> Result<()> {
    for action in list(tx, &Scope::All, server)? {
        tx.delete::<Action>(key(server, &action.request_id))?;
    }
    Ok(())
}
