//! Commands with actions: `ansible-vault view …`, `ansible-config dump …`.

use std::ffi::OsString;

use super::args::{Given, Grammar, Stop};
use super::common;
use crate::Error;
use crate::config::Config;

/// Runs the action that `args` name; the exit code.
pub fn run(
    top: &Grammar,
    actions: &[(&'static str, &'static str)],
    args: &[OsString],
    grammar: fn(&str) -> Grammar,
    body: fn(&str, &Given, &'static Config) -> Result<i32, Error>,
) -> i32 {
    let config = match common::settings() {
        Ok(config) => config,
        Err(code) => return code,
    };
    // options before the action are the command's own: -v, --version, -h
    let at = args.iter().position(|a| !a.to_string_lossy().starts_with('-'));
    let (before, rest) = args.split_at(at.unwrap_or(args.len()));
    if let Err(stop) = top.parse(before) {
        return common::stopped(top, stop, config);
    }
    let Some((action, rest)) = rest.split_first() else {
        let stop = Stop::Wrong("the following arguments are required: action".into());
        return common::stopped(top, stop, config);
    };
    let action = action.to_string_lossy();
    if !actions.iter().any(|(name, _)| *name == action) {
        let names: Vec<String> = actions.iter().map(|(n, _)| format!("'{n}'")).collect();
        let why = format!("argument action: invalid choice: '{action}' (choose from {})", names.join(", "));
        return common::stopped(top, Stop::Wrong(why), config);
    }
    let grammar = grammar(&action);
    let all: Vec<OsString> =
        before.iter().filter(|a| a.to_string_lossy().starts_with("-v")).chain(rest).cloned().collect();
    match grammar.parse(&all) {
        Ok(given) => common::finish(
            common::started(&grammar.program, &given, config).and_then(|()| body(&action, &given, config)),
        ),
        Err(stop) => common::stopped(&grammar, stop, config),
    }
}
