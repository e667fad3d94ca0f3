//! Plays whose strategy is a plugin in Python: the installed ansible-core runs such a play, and that is said.
//!
//! What earlier plays set (facts, registered results) isn't known there; the play has a recap of its own.

use std::ffi::OsString;
use std::process::Command;
use std::sync::Arc;

use crate::execute::strategy::Ended;
use crate::execute::{World, fields};
use crate::playbook::{K, Play, names};
use crate::vars::Vars;
use crate::{Error, config, display};

const SCRIPT: &str = include_str!("handover.py");

/// The strategy of a play, where it isn't one of the engine's.
///
/// # Errors
/// Where the keyword cannot be rendered.
pub fn strategy(world: &Arc<World>, play: &Play) -> Result<Option<String>, Error> {
    let scope = Vars::in_frame(world, play, &play.frame);
    let given = match play.keywords.get(K::Strategy) {
        Some(v) => fields::keyword(world, K::Strategy, v, &scope)?.and_then(|v| v.to_text().ok()),
        None => None,
    };
    let name =
        given.unwrap_or_else(|| config::current().text("DEFAULT_STRATEGY").unwrap_or("linear").to_owned());
    let native = matches!(names::short(&name), "linear" | "debug" | "free" | "host_pinned");
    let there =
        name.split('.').count() > 2 || super::places::file(super::places::Kind::Strategy, &name).is_some();
    Ok((!native && there).then_some(name))
}

/// Runs the play number `index` (`None`: all that the command says) of `command` with `args` by ansible-core.
///
/// # Errors
/// Where ansible-core cannot be started.
pub fn run(strategy: &str, command: &str, args: &[OsString], index: Option<usize>) -> Result<i32, Error> {
    display::warning(&format!(
        "The strategy plugin '{strategy}' is written in Python: the installed ansible-core runs this play."
    ));
    let index = index.and_then(|i| i64::try_from(i).ok()).unwrap_or(-1);
    let status = Command::new("python3")
        .args(["-c", SCRIPT, &index.to_string(), command])
        .args(args)
        .status()
        .map_err(|e| {
            Error::new(format!("The strategy plugin '{strategy}' needs an installed ansible-core: {e}"))
        })?;
    Ok(status.code().unwrap_or(250))
}

/// How a play ended that ended with this exit code there.
pub fn ended(code: i32) -> Ended {
    match code {
        0 => Ended::OK,
        2 => Ended::FAILED,
        4 => Ended::UNREACHABLE,
        _ => Ended::ERROR,
    }
}
