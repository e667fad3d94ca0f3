//! A task's mapping taken apart: which of its keys is the action, what its arguments are, what are keywords.

use std::sync::Arc;

use pileus_jinja::{Dict, Origin, Str, Value};

use super::checked::{checked, class};
use super::keyword::{self, K, Keywords, on};
use super::names;
use super::split::parse_kv;
use crate::{Error, display};

/// A mapping of a task list, taken apart: not yet bound to what surrounds it.
#[derive(Debug)]
pub struct Raw {
    /// The action as written.
    pub written: Arc<str>,
    /// Arguments.
    pub args: Dict,
    /// Templates of further arguments; later ones win.
    pub args_templates: Vec<Value>,
    /// Keywords.
    pub keywords: Keywords,
    /// `with_NAME`.
    pub loop_with: Option<Arc<str>>,
    /// Where.
    pub origin: Option<Arc<Origin>>,
    /// `local_action`.
    pub local: bool,
}

/// Splits `text` into an action and its arguments' text.
fn split_action(text: &Str) -> (Arc<str>, Str) {
    let trimmed = text.trim();
    // a blank within a template doesn't end the word
    let (mut end, mut at) = (trimmed.len(), 0);
    while let Some(next) = trimmed[at..].find(['{', ' ', '\n', '\t']).map(|n| at + n) {
        let rest = &trimmed[next..];
        if rest.starts_with("{{") {
            at = rest.find("}}").map_or(trimmed.len(), |n| next + n + 2);
        } else if rest.starts_with('{') {
            at = next + 1;
        } else {
            end = next;
            break;
        }
    }
    let (name, rest) = trimmed.split_at(end);
    let rest = Str::new(rest.trim_start()).at(text.origin().cloned());
    (name.into(), if text.is_trusted() { rest.trust() } else { rest })
}

fn arguments(action: &str, value: &Value, place: &Value) -> Result<(Dict, Option<Value>), Error> {
    match value {
        Value::Dict(d) => Ok((d.copy(), None)),
        Value::None => Ok((Dict::new(), None)),
        Value::Str(s) => {
            let free = names::FREE_FORM.contains(&names::short(action));
            let args = parse_kv(s, names::takes_text(action)).map_err(|e| e.at(place.origin().cloned()))?;
            // other text is refused when the action runs
            if let Some(raw) = args.get("_raw_params")
                && !free
                && raw.as_str().is_some_and(pileus_jinja::value::looks_like_template)
            {
                args.remove("_raw_params");
                return Ok((args, Some(raw)));
            }
            Ok((args, None))
        }
        other => Err(Error::parser(format!("unexpected parameter type in action: {}", class(other)))
            .at(place.origin().cloned())),
    }
}

/// Takes the mapping of a task apart.
///
/// # Errors
/// Where it has no action, several, or keywords that a task cannot have.
pub fn parse(value: &Value, handler: bool) -> Result<Raw, Error> {
    let Some(map) = value.as_dict() else {
        return Err(Error::parser(format!("task/handler must be a dict, got: {}", class(value)))
            .at(value.origin().cloned()));
    };
    let bearer = if handler { on::HANDLER | on::TASK } else { on::TASK };
    let mut raw = Raw {
        written: "".into(),
        args: Dict::new(),
        args_templates: Vec::new(),
        keywords: Keywords::default(),
        loop_with: None,
        origin: map.origin().cloned(),
        local: false,
    };
    let mut found: Option<(Arc<str>, Value)> = None;
    let mut extra = None;
    let pairs = map.items();
    for (key, v) in &pairs {
        let Some(name) = key.as_str() else {
            return Err(Error::parser(format!(
                "'{}' is not a valid attribute for a Task",
                key.to_text().unwrap_or_default()
            ))
            .at(value.origin().cloned()));
        };
        match name {
            "action" | "local_action" => {
                if found.is_some() {
                    return Err(Error::parser("action and local_action are mutually exclusive")
                        .at(value.origin().cloned()));
                }
                raw.local |= name == "local_action";
                let (action, args) = match v {
                    Value::Str(s) => {
                        let (action, rest) = split_action(s);
                        (action, Value::Str(rest))
                    }
                    Value::Dict(d) => {
                        let d = d.copy();
                        let more = match d.get("args") {
                            Some(Value::Dict(more)) => {
                                d.remove("args");
                                more
                            }
                            Some(t) if t.as_str().is_some_and(pileus_jinja::value::looks_like_template) => {
                                d.remove("args");
                                raw.args_templates.push(t);
                                Dict::new()
                            }
                            _ => Dict::new(),
                        };
                        match d.remove("module") {
                            Some(Value::Str(m)) => {
                                let (action, rest) = split_action(&m);
                                // what stands beside `module` gives way to its own text, that to `args`
                                let (beside, template) = arguments(&action, &Value::Str(rest), value)?;
                                raw.args_templates.extend(template);
                                for (k, v) in beside.items().into_iter().chain(more.items()) {
                                    d.insert(k, v);
                                }
                                (action, Value::Dict(d))
                            }
                            _ => {
                                return Err(Error::parser("no module/action detected in task.")
                                    .at(value.origin().cloned()));
                            }
                        }
                    }
                    other => {
                        return Err(Error::parser(format!(
                            "unexpected parameter type in action: {}",
                            class(other)
                        ))
                        .at(value.origin().cloned()));
                    }
                };
                found = Some((action, args));
            }
            "args" => extra = Some(v.clone()),
            "static" => {}
            _ if name.starts_with("with_") => {
                let lookup = &name[5..];
                if names::lookup_known(lookup) {
                    if raw.keywords.get(K::Loop).is_some() {
                        return Err(Error::parser(format!("duplicate loop in task: {lookup}"))
                            .at(value.origin().cloned()));
                    }
                    if v.is_none() {
                        return Err(Error::parser(format!("you must specify a value when using {name}"))
                            .at(value.origin().cloned()));
                    }
                    raw.loop_with = Some(lookup.into());
                    raw.keywords.set(K::Loop, v.clone());
                } else {
                    return Err(Error::parser(format!("'{name}' is not a valid attribute for a Task"))
                        .at(key.origin().cloned()));
                }
            }
            _ => match keyword::find(name, bearer) {
                Some(K::Loop) => {
                    if raw.keywords.get(K::Loop).is_some() {
                        return Err(Error::parser(format!(
                            "duplicate loop in task: {}",
                            raw.loop_with.as_deref().unwrap_or("loop")
                        ))
                        .at(value.origin().cloned()));
                    }
                    raw.keywords.set(K::Loop, v.clone());
                }
                Some(k) => raw.keywords.set(k, checked(k, v, "Task", key)?),
                None => {
                    if let Some((first, _)) = &found {
                        if names::known(name) || !names::known(first) {
                            return Err(Error::parser(format!(
                                "conflicting action statements: {first}, {name}"
                            ))
                            .at(value.origin().cloned()));
                        }
                        return Err(Error::parser(format!("'{name}' is not a valid attribute for a Task"))
                            .at(key.origin().cloned()));
                    }
                    found = Some((name.into(), v.clone()));
                }
            },
        }
    }
    let Some((action, args)) = found else {
        return Err(Error::parser("no module/action detected in task.").at(value.origin().cloned()));
    };
    if (keyword::find(&action, on::ALL | on::HANDLER).is_some() && !names::known(&action))
        || pairs.len() > 1 && &*action == "include"
    {
        return Err(Error::parser(format!("'{action}' is not a valid attribute for a Task"))
            .at(value.origin().cloned()));
    }
    let template;
    (raw.args, template) = arguments(&action, &args, value)?;
    raw.args_templates.extend(template);
    if !names::takes_text(&action)
        && let Some(name) =
            raw.args.keys().iter().filter_map(Value::as_str).find(|k| k.starts_with("_ansible_"))
    {
        return Err(Error::new(format!(
            "Invalid parameter specified beginning with keyword '_ansible_' for action '{action}': '{name}'. \
             The prefix '_ansible_' is reserved for internal use only."
        ))
        .at(value.origin().cloned()));
    }
    if extra.as_ref().is_some_and(|e| !e.is_none()) && matches!(args, Value::Str(_)) {
        legacy(&raw.args, args.origin().cloned());
    }
    match extra {
        Some(Value::Dict(d)) => {
            for (k, v) in d.items() {
                if !raw.args.contains(k.as_str().unwrap_or_default()) {
                    raw.args.insert(k, v);
                }
            }
        }
        Some(t @ Value::Str(_)) => raw.args_templates.insert(0, t),
        Some(Value::None) | None => {}
        Some(other) => {
            return Err(Error::parser(format!(
                "the field 'args' should be a dictionary or None, and could not be converted to one from {}",
                class(&other)
            ))
            .at(value.origin().cloned()));
        }
    }
    raw.written = action;
    Ok(raw)
}

/// Says that `key=value` text beside `args` is of the past.
fn legacy(args: &Dict, origin: Option<Arc<Origin>>) {
    let keys = args.keys();
    let named: Vec<String> = keys
        .iter()
        .filter_map(Value::as_str)
        .filter(|k| *k != "_raw_params")
        .map(|k| format!("'{k}'"))
        .collect();
    if !named.is_empty() {
        const HELP: &str = "Include all task args in the task `args` mapping.";
        let place = origin.map(|o| format!("\n{}\n\n{HELP}\n", crate::source::excerpt::around(&o, false)));
        display::deprecated(
            &format!("Merging legacy k=v args ({}) into task args", named.join(", ")),
            "2.23",
            Some(place.as_deref().unwrap_or(HELP)),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_ends_at_a_blank_outside_of_templates() {
        for (text, name, rest) in [
            ("{{ prefix }}file path={{ a }} b=c", "{{ prefix }}file", "path={{ a }} b=c"),
            ("{{ name }} a=b", "{{ name }}", "a=b"),
            ("{{ p }}_{{ q }}", "{{ p }}_{{ q }}", ""),
            ("shell echo {{ a }}", "shell", "echo {{ a }}"),
            ("shell", "shell", ""),
        ] {
            let (found, arguments) = split_action(&Str::trusted(text));
            assert_eq!((&*found, &*arguments), (name, rest));
        }
    }

    fn parsed(yaml: &str) -> Result<Raw, Error> {
        let value = crate::source::parse(yaml, &"t.yml".into(), true).unwrap();
        parse(&value, false)
    }

    #[test]
    fn arguments_of_action_args_win_over_its_text_and_that_over_the_rest() {
        let raw = parsed(
            "action: {module: 'debug a=text b=text {{ more }}', args: {a: args}, b: beside, c: beside}\n\
             args: {c: last, d: last}",
        )
        .unwrap();
        assert_eq!(Value::Dict(raw.args).repr(), "{'b': 'text', 'c': 'beside', 'a': 'args', 'd': 'last'}");
        assert_eq!(raw.args_templates.len(), 1);
    }

    #[test]
    fn what_registers_is_a_name() {
        assert!(parsed("{debug: , register: it}").is_ok());
        let e = parsed("{debug: , register: 200}").unwrap_err();
        assert_eq!(e.brief(), "Invalid 'register' specified: Invalid variable name '200' of type 'int'.");
    }
}
