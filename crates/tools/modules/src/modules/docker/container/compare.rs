//! Comparing what a task wants with what a container has, as `comparisons` says.

use serde_json::Value;

use super::simple::Kind;
use crate::cx::Cx;
use crate::result::Map;

/// How an option is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Equal.
    Strict,
    /// Not at all.
    Ignore,
    /// The container may have more.
    More,
}

/// The task's `comparisons`.
pub struct Comparisons {
    named: Vec<(String, How)>,
    all: Option<How>,
}

impl Comparisons {
    /// Reads the parameter.
    ///
    /// # Errors
    /// Where it names no option, or no way to compare.
    pub fn read(cx: &Cx<'_>) -> Result<Self, String> {
        let mut out = Comparisons { named: Vec::new(), all: None };
        let spec = crate::spec::spec("community.docker.docker_container");
        for (name, how) in cx.raw("comparisons").as_object().into_iter().flatten() {
            let how = match how.as_str() {
                Some("strict") => How::Strict,
                Some("ignore") => How::Ignore,
                Some("allow_more_present") if name != "*" => How::More,
                _ if name == "*" => {
                    return Err(format!(
                        "The wildcard can only be used with comparison modes 'strict' and 'ignore', not '{}'!",
                        crate::py::str(how)
                    ));
                }
                _ => return Err(format!("Unknown comparison mode '{}'!", crate::py::str(how))),
            };
            if name == "*" {
                out.all = Some(how);
                continue;
            }
            let known = spec.and_then(|s| {
                let named = |p: &&crate::spec::Param| p.name == *name || p.aliases.contains(name);
                s.params.iter().find(named)
            });
            let Some(known) = known else {
                return Err(format!("Unknown module option '{name}' in comparisons dict!"));
            };
            out.named.push((known.name.clone(), how));
        }
        Ok(out)
    }

    /// The way of an option.
    pub fn of(&self, option: &str, kind: Kind) -> How {
        if let Some((_, how)) = self.named.iter().find(|(name, _)| name == option) {
            return *how;
        }
        match (self.all, kind) {
            (Some(how), _) => how,
            (None, Kind::Value | Kind::List) if option == "stop_timeout" => How::Ignore,
            (None, Kind::Value | Kind::List) => How::Strict,
            (None, Kind::Set | Kind::Dict) => How::More,
        }
    }
}

/// Whether the container's value does for the wanted one.
pub fn same(kind: Kind, how: How, wanted: &Value, actual: &Value) -> bool {
    if how == How::Ignore {
        return true;
    }
    let more = how == How::More;
    match (kind, wanted, actual) {
        (Kind::Dict, Value::Object(wanted), actual) => {
            let none = Map::new();
            let actual = actual.as_object().unwrap_or(&none);
            let within = wanted.iter().all(|(k, v)| actual.get(k).is_some_and(|a| alike(v, a)));
            within && (more || wanted.len() == actual.len())
        }
        (Kind::Set, Value::Array(wanted), actual) => {
            let actual = actual.as_array().map_or(&[][..], Vec::as_slice);
            let covers = |w: &Value, a: &Value| match (w, a) {
                (Value::Object(w), Value::Object(a)) if more => {
                    w.iter().all(|(k, v)| a.get(k).is_some_and(|a| alike(v, a)))
                }
                _ => alike(w, a),
            };
            wanted.iter().all(|w| actual.iter().any(|a| covers(w, a)))
                && (more || actual.iter().all(|a| wanted.iter().any(|w| alike(w, a))))
        }
        (Kind::List, Value::Array(wanted), actual) => {
            let actual = actual.as_array().map_or(&[][..], Vec::as_slice);
            if !more {
                return wanted.len() == actual.len() && wanted.iter().zip(actual).all(|(w, a)| alike(w, a));
            }
            let mut rest = actual.iter();
            wanted.iter().all(|w| rest.any(|a| alike(w, a)))
        }
        _ => alike(wanted, actual),
    }
}

/// Equality of single values: what isn't set is false, and numbers are equal by value.
fn alike(wanted: &Value, actual: &Value) -> bool {
    match (wanted, actual) {
        (Value::Bool(false), Value::Null) => true,
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => wanted == actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn kinds_and_ways() {
        let (ab, ba, abc) = (json!(["a", "b"]), json!(["b", "a"]), json!(["a", "b", "c"]));
        assert!(same(Kind::Set, How::Strict, &ab, &ba) && !same(Kind::List, How::Strict, &ab, &ba));
        assert!(same(Kind::Set, How::More, &ab, &abc) && !same(Kind::Set, How::Strict, &ab, &abc));
        assert!(same(Kind::List, How::More, &ab, &abc) && !same(Kind::List, How::More, &ba, &abc));
        assert!(!same(Kind::Set, How::More, &abc, &ab) && same(Kind::Set, How::Ignore, &abc, &ab));
        let (one, two) = (json!({"a": "1"}), json!({"a": "1", "b": "2"}));
        assert!(same(Kind::Dict, How::More, &one, &two) && !same(Kind::Dict, How::Strict, &one, &two));
        assert!(same(Kind::Dict, How::Strict, &json!({}), &Value::Null));
        assert!(same(Kind::Value, How::Strict, &json!(false), &Value::Null));
        assert!(!same(Kind::Value, How::Strict, &json!("a"), &Value::Null));
    }
}
