//! Plays: the mapping of a playbook's entry, taken apart and checked.

use std::sync::Arc;

use parking_lot::RwLock;
use pileus_jinja::{Dict, Origin, Value};

use crate::Error;

use super::block::Block;
use super::checked::{checked, class};
use super::frame::Frame;
use super::keyword::{self, K, Keywords, on};
use super::role::Role;

/// A play.
#[derive(Debug)]
pub struct Play {
    /// Its keywords as written.
    pub keywords: Keywords,
    /// `vars:`, and answers to prompts.
    pub vars: Dict,
    /// Where.
    pub origin: Option<Arc<Origin>>,
    /// What surrounds its tasks.
    pub frame: Arc<Frame>,
    /// The directory of its file.
    pub directory: Arc<str>,
    /// `pre_tasks`, as values.
    pub pre_tasks: Vec<Value>,
    /// `roles`.
    pub roles: Vec<Value>,
    /// `tasks`.
    pub tasks: Vec<Value>,
    /// `post_tasks`.
    pub post_tasks: Vec<Value>,
    /// `handlers`.
    pub handlers: Vec<Value>,
    /// What was compiled: the blocks in order.
    pub blocks: RwLock<Vec<Arc<Block>>>,
    /// Handlers, compiled: the roles' and its own; includes add to them.
    pub handler_blocks: RwLock<Vec<Arc<Block>>>,
    /// The roles, those of `roles:` first; includes add to them.
    pub role_list: RwLock<Vec<Arc<Role>>>,
}

fn list(value: Value, what: &str) -> Result<Vec<Value>, Error> {
    match value {
        Value::List(l) => Ok(l.items()),
        Value::None => Ok(Vec::new()),
        other => Err(match what {
            "roles" => Error::parser("A malformed role declaration was encountered.").because(Error::parser(
                format!("ds ({}) should be a list but was a {}", other.repr(), class(&other)),
            )),
            _ => Error::parser(format!("A malformed block was encountered while loading {what}.")).because(
                Error::parser(format!("{} should be a list or None but is {}", other.repr(), class(&other))),
            ),
        }
        .at(other.origin().cloned())),
    }
}

/// Takes a play's mapping apart.
///
/// # Errors
/// Where a keyword isn't a play's, or holds what it cannot.
pub fn parse(entry: &Value, directory: &Arc<str>, vars: Option<&Dict>) -> Result<Play, Error> {
    let Some(map) = entry.as_dict() else {
        return Err(Error::parser(format!(
            "while adding play, expected a dictionary but got {}",
            class(entry)
        ))
        .at(entry.origin().cloned()));
    };
    let mut kw = Keywords::default();
    let own = Dict::new();
    for (k, v) in vars.into_iter().flat_map(Dict::items) {
        own.insert(k, v);
    }
    let (mut pre, mut roles, mut tasks, mut post, mut handlers) = (vec![], vec![], vec![], vec![], vec![]);
    if map.contains("user") && map.contains("remote_user") {
        return Err(Error::parser("both 'user' and 'remote_user' are set for this play. The use of 'user' is deprecated, and should be removed").at(entry.origin().cloned()));
    }
    for (key, v) in map.items() {
        let name = key.to_text().unwrap_or_default();
        match name.as_str() {
            "pre_tasks" => pre = list(v, "pre_tasks")?,
            "roles" => roles = list(v, "roles")?,
            "tasks" => tasks = list(v, "tasks")?,
            "post_tasks" => post = list(v, "post_tasks")?,
            "handlers" => handlers = list(v, "handlers")?,
            "user" => kw.set(K::RemoteUser, v),
            "vars" => {
                if let Value::Dict(d) = checked(K::Vars, &v, "Play", &key)? {
                    for (k, v) in d.items() {
                        own.insert(k, v);
                    }
                }
            }
            "vars_prompt" => {
                for prompt in keyword::items(&v) {
                    check_prompt(&prompt)?;
                }
                kw.set(K::VarsPrompt, Value::list(keyword::items(&v)));
            }
            _ => match keyword::find(&name, on::PLAY) {
                Some(K::Hosts) => kw.set(K::Hosts, hosts(&v, entry)?),
                Some(k) => kw.set(k, checked(k, &v, "Play", &key)?),
                None => {
                    return Err(Error::parser(format!("'{name}' is not a valid attribute for a Play"))
                        .at(key.origin().cloned()));
                }
            },
        }
    }
    if kw.get(K::Hosts).is_none() {
        return Err(
            Error::parser("the field 'hosts' is required but was not set").at(entry.origin().cloned())
        );
    }
    let frame =
        Frame { keywords: Arc::new(kw.heritable()), directory: directory.clone(), ..Frame::default() };
    Ok(Play {
        keywords: kw,
        vars: own,
        origin: map.origin().cloned(),
        frame: Arc::new(frame),
        directory: directory.clone(),
        pre_tasks: pre,
        roles,
        tasks,
        post_tasks: post,
        handlers,
        blocks: RwLock::default(),
        handler_blocks: RwLock::default(),
        role_list: RwLock::default(),
    })
}

/// Checks `hosts:`: text, or a list of texts, and not empty.
fn hosts(v: &Value, entry: &Value) -> Result<Value, Error> {
    let at = || v.origin().or(entry.origin()).cloned();
    match v {
        Value::None => Err(Error::parser("Hosts list cannot be empty. Please check your playbook").at(at())),
        Value::Str(s) if s.is_empty() => {
            Err(Error::parser("Hosts list cannot be empty. Please check your playbook").at(at()))
        }
        Value::Str(_) => Ok(v.clone()),
        Value::List(l) => {
            if l.is_empty() {
                return Err(Error::parser("Hosts list cannot be empty. Please check your playbook").at(at()));
            }
            for item in l.items() {
                match &item {
                    Value::None => {
                        return Err(Error::parser(
                            "Hosts list cannot contain values of 'None'. Please check your playbook",
                        )
                        .at(at()));
                    }
                    Value::Str(_) | Value::Int(_) => {}
                    other => {
                        return Err(Error::parser(format!(
                            "Hosts list contains an invalid host value: '{}'",
                            other.repr()
                        ))
                        .at(at()));
                    }
                }
            }
            Ok(v.clone())
        }
        _ => {
            Err(Error::parser("Hosts list must be a sequence or string. Please check your playbook.")
                .at(at()))
        }
    }
}

fn check_prompt(prompt: &Value) -> Result<(), Error> {
    const KNOWN: [&str; 9] =
        ["name", "prompt", "default", "private", "confirm", "encrypt", "salt_size", "salt", "unsafe"];
    let Some(d) = prompt.as_dict() else {
        return Err(Error::parser("Invalid vars_prompt data structure, expected a dictionary.")
            .at(prompt.origin().cloned()));
    };
    if !d.contains("name") {
        return Err(Error::parser("Invalid vars_prompt data structure, missing 'name' key")
            .at(prompt.origin().cloned()));
    }
    for key in d.keys() {
        let name = key.to_text().unwrap_or_default();
        if !KNOWN.contains(&name.as_str()) {
            return Err(Error::parser(format!(
                "Invalid vars_prompt data structure, found unsupported key '{name}'"
            ))
            .at(prompt.origin().cloned()));
        }
    }
    Ok(())
}
