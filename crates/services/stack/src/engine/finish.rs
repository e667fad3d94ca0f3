//! Actions end: the stack's state and event, whoever waits for it, and a rollback where one is wanted.

use pileus_base::{Error, Kind, Result, Time};
use pileus_store::{Stored, Tx};

use super::begin;
use crate::{
    Stacks,
    store::{
        events,
        resources::{self, Item},
        runs::Run,
        stacks::{Action, Stack, Status},
    },
};

/// Ends the run of `stack`; `failed` says why it failed.
///
/// # Errors
/// Those of the store.
pub fn finish(
    stacks: &Stacks,
    tx: &mut Tx<'_>,
    mut stack: Stored<Stack>,
    failed: Option<&str>,
) -> Result<()> {
    let action = stack.action;
    (stack.status, stack.reason) = match failed {
        None => (Status::Complete, format!("Stack {} completed successfully", action.word())),
        Some(reason) => (Status::Failed, reason.to_owned()),
    };
    if failed.is_none() && action == Action::Update {
        stack.previous = None;
    }
    if failed.is_none() && action == Action::Delete {
        stack.deleted_at = Some(Time::now());
        for item in resources::all(tx, stack.id)? {
            tx.delete::<Item>(item.id)?;
        }
        if let Some(run) = stack.run.take() {
            tx.delete::<Run>(run)?;
        }
    }
    tx.put(&stack)?;
    stack.revision += 1;
    events::of_stack(tx, &stack)?;
    if let Some(parent) = &stack.parent {
        pileus_jobs::wake(tx, Item::subject(parent.resource))?;
    }
    if failed.is_some() && !stack.disable_rollback {
        match action {
            Action::Create => return begin::rollback_create(tx, stack),
            Action::Update if stack.previous.is_some() => return begin::rollback_update(stacks, tx, stack),
            _ => {}
        }
    }
    Ok(())
}

/// An error of a resource in Heat's words: `ResourceInError: resources.x: …`.
pub fn failure(item: &Item, error: &Error) -> Error {
    let (name, message) = (&item.name, error.message());
    let text = match error.code_word() {
        // A nested stack's reason: `Resource CREATE failed: Exc: resources.0: …`.
        Some("nested") => {
            let inner = message.split_once(" failed: ").map_or(message, |(_, rest)| rest);
            match inner.split_once(": resources.") {
                Some((exc, rest)) => format!("{exc}: resources.{name}.resources.{rest}"),
                None => format!("resources.{name}: {inner}"),
            }
        }
        Some(code) => format!("{code}: resources.{name}: {message}"),
        None => {
            let (exc, status) = match error.kind() {
                Kind::BadRequest | Kind::Unprocessable => ("BadRequest", 400),
                Kind::Forbidden => ("Forbidden", 403),
                Kind::OverQuota => ("Forbidden", 403),
                Kind::NotFound => ("NotFound", 404),
                Kind::Conflict => ("Conflict", 409),
                Kind::TooLarge => ("OverLimit", 413),
                Kind::Unavailable => ("ServiceUnavailable", 503),
                Kind::NotImplemented => ("HTTPNotImplemented", 501),
                _ => ("InternalServerError", 500),
            };
            format!("{exc}: resources.{name}: {message} (HTTP {status})")
        }
    };
    Error::new(error.kind(), text)
}
