//! Keywords' values, as far as they can be told right from wrong before rendering.

use pileus_jinja::{Dict, Str, Value};

use super::keyword::{self, K};
use super::names;
use crate::Error;

/// Python's name of a value's class as the reference's tagged values show it.
pub fn class(v: &Value) -> String {
    match v {
        Value::Dict(_) => "<class 'ansible.module_utils._internal._datatag._AnsibleTaggedDict'>".into(),
        Value::List(_) => "<class 'ansible.module_utils._internal._datatag._AnsibleTaggedList'>".into(),
        Value::Str(_) => "<class 'ansible.module_utils._internal._datatag._AnsibleTaggedStr'>".into(),
        Value::Int(_) => "<class 'ansible.module_utils._internal._datatag._AnsibleTaggedInt'>".into(),
        Value::Float(_) => "<class 'ansible.module_utils._internal._datatag._AnsibleTaggedFloat'>".into(),
        other => format!("<class '{}'>", other.type_name()),
    }
}

/// A keyword's value as its kind wants it, where that can be told before rendering.
pub fn checked(k: K, v: &Value, class_name: &str, key: &Value) -> Result<Value, Error> {
    match k {
        K::Vars => match v {
            Value::Dict(d) => {
                for name in d.keys() {
                    let name = name.as_str().unwrap_or_default().to_owned();
                    if !names::identifier(&name) {
                        return Err(Error::parser(format!("Invalid variable name in 'vars' specified for {class_name}: '{name}' is not a valid variable name.")).at(v.origin().cloned()));
                    }
                }
                Ok(v.clone())
            }
            Value::None => Ok(Value::Dict(Dict::new())),
            _ => Err(Error::parser(format!("Vars in a {class_name} must be specified as a dictionary.")).at(v.origin().cloned()).at(key.origin().cloned())),
        },
        K::Register => match names::variable(v) {
            Ok(()) => Ok(v.clone()),
            Err(e) => Err(Error::parser("Invalid 'register' specified.").at(v.origin().cloned()).because(e)),
        },
        K::When | K::ChangedWhen | K::FailedWhen | K::Until => Ok(match v {
            Value::List(_) => v.clone(),
            Value::None if k == K::Until || k == K::When => Value::list(Vec::new()),
            other => Value::list(vec![other.clone()]),
        }),
        K::Tags => {
            let mut out = Vec::new();
            for item in keyword::items(v) {
                match &item {
                    Value::Str(s) if s.contains(',') => {
                        for part in s.split(',') {
                            let part = Str::new(part.trim()).at(s.origin().cloned());
                            out.push(Value::Str(if s.is_trusted() { part.trust() } else { part }));
                        }
                    }
                    Value::Dict(_) => return Err(Error::parser("tags must be specified as a list").at(v.origin().cloned()).at(key.origin().cloned())),
                    other => out.push(other.clone()),
                }
            }
            Ok(Value::list(out))
        }
        K::LoopControl => match v {
            Value::Dict(d) => {
                const KNOWN: [&str; 7] = ["loop_var", "index_var", "label", "pause", "extended", "extended_allitems", "break_when"];
                for name in d.keys() {
                    let text = name.to_text().unwrap_or_default();
                    if !KNOWN.contains(&text.as_str()) {
                        return Err(Error::parser(format!("'{text}' is not a valid attribute for a LoopControl")).at(name.origin().cloned()).at(v.origin().cloned()));
                    }
                }
                Ok(v.clone())
            }
            _ => Err(Error::parser(
                "the `loop_control` value must be specified as a dictionary and cannot be a variable itself (though it can contain variables)",
            )
            .at(v.origin().cloned())
            .at(key.origin().cloned())),
        },
        _ => Ok(v.clone()),
    }
}
