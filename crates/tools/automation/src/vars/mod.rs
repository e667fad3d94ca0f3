//! The 22 levels of variables, and the magic ones.
//!
//! A task's variables are a list of dicts, strongest first, asked by name and rendered by the engine when read. The
//! lists of a play and of a role are made once; a host's inventory variables are merged once and kept until the
//! inventory changes. Nothing is copied per task but pointers.

pub mod cache;
pub mod host;
pub mod hostvars;
pub mod magic;
pub mod merge;
pub mod reserved;
pub mod scope;

pub use host::HostData;
pub use scope::Vars;

use pileus_jinja::Value;

/// Whether a value is the `omit` placeholder.
pub fn is_omit(v: &Value) -> bool {
    matches!(v, Value::Object(o) if o.type_name().contains("Omit"))
}

/// Whether there is a template in a value, at any depth.
pub fn has_template(v: &Value) -> bool {
    fn at(v: &Value, depth: usize) -> bool {
        if depth > 50 {
            return true;
        }
        match v {
            Value::Str(s) => s.is_template(),
            Value::List(l) => l.read().iter().any(|v| at(v, depth + 1)),
            Value::Tuple(t) => t.iter().any(|v| at(v, depth + 1)),
            Value::Dict(d) => d.read().iter().any(|(k, v)| at(k, depth + 1) || at(v, depth + 1)),
            Value::Object(_) | Value::Undefined(_) => true,
            _ => false,
        }
    }
    at(v, 0)
}
