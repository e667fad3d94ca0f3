//! `POST /servers/{id}/action`: one word names the action, its value the arguments.

use pileus_base::{Error, Result, Scope, Time};
use pileus_http::Reply;
use pileus_store::Stored;
use serde_json::{Value, json};

use super::{Call, accepted, consoles};
use crate::{
    Server,
    model::{
        servers::Lock,
        states::{PowerAction, VmState},
    },
    store,
    wire::{
        fields::{Fields, invalid},
        mv,
    },
};

/// Nova's actions that a later version builds.
const UNBUILT: [&str; 19] = [
    "addFloatingIp",
    "addFixedIp",
    "removeFixedIp",
    "changePassword",
    "confirmResize",
    "createBackup",
    "createImage",
    "evacuate",
    "forceDelete",
    "migrate",
    "os-migrateLive",
    "os-resetNetwork",
    "rescue",
    "resize",
    "restore",
    "revertResize",
    "shelve",
    "unrescue",
    "unshelve",
];

/// `POST /servers/{id}/action`
pub async fn act(mut call: Call) -> Result<Reply> {
    let body = call.value().await?;
    let one = body.as_object().filter(|m| m.len() == 1).and_then(|m| m.iter().next());
    let (name, args) = one.ok_or_else(|| Error::bad_request("Malformed request body"))?;
    let server = call.state.named(&call).await?;
    match name.as_str() {
        "os-start" => power(&call, server, PowerAction::Start).await,
        "os-stop" => power(&call, server, PowerAction::Stop).await,
        "pause" => power(&call, server, PowerAction::Pause).await,
        "unpause" => power(&call, server, PowerAction::Unpause).await,
        "suspend" => power(&call, server, PowerAction::Suspend).await,
        "resume" => power(&call, server, PowerAction::Resume).await,
        "reboot" => {
            let mut f = Fields::of(args, "reboot")?;
            let how = f.value("type").cloned().ok_or_else(|| f.missing("type"))?;
            f.finish()?;
            match how.as_str().map(str::to_ascii_uppercase).as_deref() {
                Some("SOFT") => power(&call, server, PowerAction::RebootSoft).await,
                Some("HARD") => power(&call, server, PowerAction::RebootHard).await,
                _ => Err(invalid(
                    "type",
                    &how,
                    "is not one of ['HARD', 'Hard', 'hard', 'SOFT', 'Soft', 'soft']",
                )),
            }
        }
        "os-getConsoleOutput" => console_output(&call, &server, args).await,
        "os-getVNCConsole" | "os-getSerialConsole" if call.version < mv::REMOTE_CONSOLES => {
            consoles::create_old(&call, &server, name, args)
        }
        "os-getVNCConsole" | "os-getSerialConsole" => {
            Err(Error::not_found(format!("API version {} is not supported on this method.", call.version)))
        }
        "rebuild" => super::server_rebuild::rebuild(&call, server, args).await,
        "lock" => lock(&call, server, args).await,
        "unlock" => unlock(&call, server).await,
        "os-resetState" => reset_state(&call, server, args).await,
        known if UNBUILT.contains(&known) || known.starts_with("os-") => {
            Err(Error::not_implemented(format!("The action {known} is not built yet.")))
        }
        "addSecurityGroup" | "removeSecurityGroup" => {
            Err(Error::not_implemented(format!("The action {name} is not built yet.")))
        }
        other => Err(Error::bad_request(format!("There is no such action: {other}"))),
    }
}

async fn power(call: &Call, server: Stored<Server>, action: PowerAction) -> Result<Reply> {
    let (ctx, id) = (call.ctx.clone(), server.id);
    let write = call.state.store.write(move |tx| {
        let server = store::servers::get(tx, &Scope::All, id)?;
        store::servers::power(tx, &ctx, &server, action)
    });
    write.await.map(|()| accepted())
}

async fn console_output(call: &Call, server: &Server, args: &Value) -> Result<Reply> {
    let mut f = Fields::of(args, "os-getConsoleOutput")?;
    let length = f.int("length", -1, i64::from(u32::MAX))?;
    f.finish()?;
    if server.vm_state == VmState::Building || server.host.is_none() {
        return Err(Error::conflict(format!("Instance {} is not ready", server.id)));
    }
    let lines = length.filter(|n| *n >= 0).and_then(|n| usize::try_from(n).ok());
    let log = call.state.host.console_log(server.id, lines).await?;
    // Nova drops what XML can't hold; JSON clients count on it.
    let text: String = String::from_utf8_lossy(&log)
        .chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t' | '\x1b'))
        .collect();
    Reply::ok(&json!({"output": text}))
}

async fn lock(call: &Call, server: Stored<Server>, args: &Value) -> Result<Reply> {
    let mut reason = None;
    if call.version >= mv::LOCKED_REASON && !args.is_null() {
        let mut f = Fields::of(args, "lock")?;
        reason = f.text("locked_reason", 1, 255)?.map(str::to_owned);
        f.finish()?;
    }
    let by_admin = call.ctx.is_admin();
    set_lock(call, server, Some(Lock { reason, by_admin })).await
}

async fn unlock(call: &Call, server: Stored<Server>) -> Result<Reply> {
    if server.locked.as_ref().is_some_and(|l| l.by_admin) && !call.ctx.is_admin() {
        return Err(Error::forbidden(
            "Policy doesn't allow os_compute_api:os-lock-server:unlock:unlock_override to be performed.",
        ));
    }
    set_lock(call, server, None).await
}

async fn set_lock(call: &Call, server: Stored<Server>, lock: Option<Lock>) -> Result<Reply> {
    let id = server.id;
    let write = call.state.store.write(move |tx| {
        tx.update::<Server>(&Scope::All, id, |s| {
            s.locked = lock.clone();
            s.updated_at = Time::now();
            Ok(())
        })
    });
    write.await.map(|_| accepted())
}

async fn reset_state(call: &Call, server: Stored<Server>, args: &Value) -> Result<Reply> {
    if !call.ctx.is_admin() {
        return Err(Error::forbidden(
            "Policy doesn't allow os_compute_api:os-admin-actions:reset_state to be performed.",
        ));
    }
    let mut f = Fields::of(args, "os-resetState")?;
    let state = f.text("state", 1, 255)?.unwrap_or("").to_owned();
    f.finish()?;
    let vm_state = match state.as_str() {
        "active" => VmState::Active,
        "error" => VmState::Error,
        other => return Err(invalid("state", &Value::from(other), "is not one of ['active', 'error']")),
    };
    let id = server.id;
    let write = call.state.store.write(move |tx| {
        tx.update::<Server>(&Scope::All, id, |s| {
            s.vm_state = vm_state;
            s.task_state = None;
            s.updated_at = Time::now();
            Ok(())
        })
    });
    write.await.map(|_| accepted())
}
