//! `vars_prompt`: asking for variables before a play.

use std::io::IsTerminal;

use pileus_jinja::{Dict, Str, Value};

use crate::execute::World;
use crate::{Error, display};

fn flag(d: &Dict, name: &str, default: bool) -> bool {
    crate::truth::of(d.get(name), default)
}

/// Asks for one variable.
///
/// # Errors
/// Where input ends, or encryption fails.
pub fn ask(world: &World, d: &Dict, name: &str) -> Result<Value, Error> {
    let text = |k: &str| d.get(k).filter(|v| !v.is_none()).and_then(|v| v.to_text().ok());
    let default = d.get("default").filter(|v| !v.is_none());
    let private = flag(d, "private", true);
    let shown = text("prompt").unwrap_or_else(|| name.to_owned());
    let message = match &default {
        Some(v) => format!("{shown} [{}]: ", v.to_text().unwrap_or_default()),
        None => format!("{shown}: "),
    };
    if !std::io::stdin().is_terminal() {
        // nobody can answer: the default stands, or nothing
        display::warning("Not prompting as we are not in interactive mode");
        let v = default.unwrap_or(Value::None);
        return finish(world, d, v);
    }
    let read = |m: &str| -> Result<String, Error> {
        crate::vault::prompt::ask(m, private)
            .map_err(|e| Error::new(e.to_string()))
            .map(Option::unwrap_or_default)
    };
    let mut answer = read(&message)?;
    if flag(d, "confirm", false) {
        loop {
            let second = read(&format!("confirm {message}"))?;
            if second == answer {
                break;
            }
            display::out("***** VALUES ENTERED DO NOT MATCH ****");
            answer = read(&message)?;
        }
    }
    let v = if answer.is_empty() { default.unwrap_or_else(|| Value::str("")) } else { Value::from(answer) };
    finish(world, d, v)
}

fn finish(world: &World, d: &Dict, v: Value) -> Result<Value, Error> {
    let text = |k: &str| d.get(k).filter(|v| !v.is_none()).and_then(|v| v.to_text().ok());
    let v = match text("encrypt") {
        Some(method) => {
            let scope = Dict::new();
            scope.insert("value", v);
            scope.insert("method", method);
            let mut call = "value | password_hash(method".to_owned();
            if let Some(salt) = text("salt") {
                scope.insert("salt", salt);
                call.push_str(", salt=salt");
            }
            call.push(')');
            world.engine().expression(&Str::trusted(call), &scope)?
        }
        None => v,
    };
    if flag(d, "unsafe", false) {
        return Ok(v);
    }
    Ok(match v {
        Value::Str(s) => Value::Str(s.trust()),
        other => other,
    })
}
