//! Environments: parameters, their defaults, and the resource registry; several files merged in order.

use serde_json::Map;

use super::{Fault, Json, Result, constraints::ValueType, params::ParamSchema, python};

const SECTIONS: [&str; 6] = [
    "parameters",
    "resource_registry",
    "parameter_defaults",
    "encrypted_param_names",
    "event_sinks",
    "parameter_merge_strategies",
];

/// What an environment says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Environment {
    /// Values of parameters.
    pub parameters: Map<String, Json>,
    /// Defaults of parameters, for nested stacks too.
    pub parameter_defaults: Map<String, Json>,
    /// Which types mean others.
    pub resource_registry: Map<String, Json>,
    /// Where events go; kept and shown, not used.
    pub event_sinks: Vec<Json>,
}

/// What a resource type means after the registry was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// A type of the engine.
    Type(String),
    /// A template by its address among the files.
    Template(String),
}

/// Reads an environment, a text or a map already read.
///
/// # Errors
/// Where it is no map, or has a section that Heat does not know or that is empty.
pub fn read(raw: &Json) -> Result<Map<String, Json>> {
    let parsed = match raw {
        Json::Null => return Ok(Map::new()),
        Json::String(text) => {
            let document = pileus_yaml::load(text, &pileus_yaml::Options::heat());
            match document.map_err(|e| Fault::value(e.to_string()))?.value.to_json() {
                Json::Null => Json::Object(Map::new()),
                other => other,
            }
        }
        other => other.clone(),
    };
    let Json::Object(map) = parsed else {
        return Err(Fault::value("The environment is not a valid YAML mapping data type."));
    };
    for (section, value) in &map {
        if !SECTIONS.contains(&section.as_str()) {
            return Err(Fault::value(format!("environment has wrong section \"{section}\"")));
        }
        if value.is_null() {
            return Err(Fault::value(format!("environment has empty section \"{section}\"")));
        }
    }
    Ok(map)
}

impl Environment {
    /// From sections as [`read`] gives them.
    ///
    /// # Errors
    /// Where a section is no map.
    pub fn from_sections(mut sections: Map<String, Json>) -> Result<Self> {
        let mut map = |name: &str| match sections.remove(name) {
            None => Ok(Map::new()),
            Some(Json::Object(map)) => Ok(map),
            Some(_) => Err(Fault::value(format!("The section \"{name}\" of the environment is not a map"))),
        };
        Ok(Self {
            parameters: map("parameters")?,
            parameter_defaults: map("parameter_defaults")?,
            resource_registry: map("resource_registry")?,
            event_sinks: match sections.remove("event_sinks") {
                Some(Json::Array(sinks)) => sinks,
                _ => Vec::new(),
            },
        })
    }

    /// The environment of a request: its own, its environment files out of `files`, and its parameters,
    /// which win. `schemas` are the template's, for merge strategies.
    ///
    /// # Errors
    /// Where one of them is wrong, or merging is.
    pub fn of_request(
        own: &Json,
        environment_files: &[String],
        files: &Map<String, Json>,
        parameters: &Map<String, Json>,
        schema: &dyn Fn(&str) -> Option<ParamSchema>,
    ) -> Result<Self> {
        let mut merged = Self::from_sections(read(own)?)?;
        let mut strategies = Map::new();
        for name in environment_files {
            let content = files.get(name).ok_or_else(|| Fault::key(name))?;
            let mut sections = read(content)?;
            let chosen = match sections.remove("parameter_merge_strategies") {
                Some(Json::Object(map)) => map,
                _ => Map::new(),
            };
            let file = Self::from_sections(sections)?;
            for (into, from) in [
                (&mut merged.parameters, file.parameters),
                (&mut merged.parameter_defaults, file.parameter_defaults),
            ] {
                merge_parameters(into, from, &chosen, &mut strategies, name, schema)?;
            }
            merged.resource_registry.extend(file.resource_registry);
            merged.event_sinks.extend(file.event_sinks);
        }
        merged.parameters.extend(parameters.clone());
        Ok(merged)
    }

    /// The environment of a nested stack: this one's registry and defaults, its own parameters.
    pub fn child(&self, parameters: Map<String, Json>) -> Self {
        Self { parameters, ..self.clone() }
    }

    /// As `stack environment show` shows it.
    pub fn to_json(&self) -> Json {
        let mut registry = self.resource_registry.clone();
        registry.entry("resources").or_insert_with(|| Json::Object(Map::new()));
        serde_json::json!({
            "parameters": self.parameters,
            "parameter_defaults": self.parameter_defaults,
            "resource_registry": registry,
            "event_sinks": self.event_sinks,
            "encrypted_param_names": [],
        })
    }

    /// What the type of a resource means.
    pub fn map_type(&self, kind: &str, resource: &str) -> Mapped {
        let mut kind = kind.to_owned();
        // A chain of mappings may go round; nobody needs ten.
        for _ in 0..10 {
            let is_template = |name: &str| name.ends_with(".yaml") || name.ends_with(".template");
            if is_template(&kind) {
                return Mapped::Template(kind);
            }
            match self.lookup(&kind, resource) {
                Some(next) if is_template(&next) => return Mapped::Template(next),
                Some(next) if next != kind => kind = next,
                _ => break,
            }
        }
        Mapped::Type(kind)
    }

    fn lookup(&self, kind: &str, resource: &str) -> Option<String> {
        let special = self.resource_registry.get("resources").and_then(Json::as_object);
        let own = special
            .into_iter()
            .flatten()
            .filter(|(name, _)| glob(name, resource))
            .filter_map(|(_, v)| v.as_object());
        own.chain([&self.resource_registry]).find_map(|map| {
            if let Some(exact) = map.get(kind).and_then(Json::as_str) {
                return Some(exact.to_owned());
            }
            map.iter().find_map(|(from, to)| {
                let (prefix, to) = (from.strip_suffix('*')?, to.as_str()?);
                let rest = kind.strip_prefix(prefix)?;
                Some(to.strip_suffix('*').map_or(to.to_owned(), |to| format!("{to}{rest}")))
            })
        })
    }
}

fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, tail)) => {
            name.len() >= head.len() + tail.len() && name.starts_with(head) && name.ends_with(tail)
        }
    }
}

fn merge_parameters(
    old: &mut Map<String, Json>,
    new: Map<String, Json>,
    chosen: &Map<String, Json>,
    known: &mut Map<String, Json>,
    file: &str,
    schema: &dyn Fn(&str) -> Option<ParamSchema>,
) -> Result<()> {
    let first = old.is_empty();
    for (key, value) in new {
        let Some(schema) = schema(&key).filter(|_| !value.is_null()) else {
            // Parameters that the template lacks are kept from the first file only, as Heat does.
            if first {
                old.insert(key, value);
            }
            continue;
        };
        let valid = |s: &&Json| matches!(s.as_str(), Some("overwrite" | "merge" | "deep_merge"));
        let by_default = chosen.get("default").filter(valid).cloned().unwrap_or_else(|| "overwrite".into());
        let strategy = chosen.get(&key).or(known.get(&key)).filter(valid).cloned().unwrap_or(by_default);
        match known.get(&key) {
            Some(earlier) if *earlier != strategy => {
                let (strategy, name) = (python::str(&strategy), "ConflictingMergeStrategyForParam");
                let message = format!(
                    "Conflicting merge strategy '{strategy}' for parameter '{key}' in file '{file}'."
                );
                return Err(Fault::new(name, message));
            }
            _ => known.insert(key.clone(), strategy.clone()),
        };
        let merged = match (strategy.as_str(), old.remove(&key)) {
            (Some("merge" | "deep_merge"), Some(before)) => {
                let deep = strategy == "deep_merge";
                merge_values(&key, before, value, schema.kind, deep)?
            }
            _ => value,
        };
        old.insert(key, merged);
    }
    Ok(())
}

fn merge_values(key: &str, old: Json, new: Json, kind: ValueType, deep: bool) -> Result<Json> {
    let parse = |value: Json| match value {
        Json::String(text) if kind == ValueType::Map && !text.is_empty() => serde_json::from_str(&text)
            .map_err(|e| Fault::value(format!("Invalid parameter in environment {e}."))),
        other => Ok(other),
    };
    match (kind, parse(old)?, parse(new)?) {
        (ValueType::Map, Json::Object(old), Json::Object(new)) => {
            Ok(Json::Object(merge_maps(old, new, deep)))
        }
        (ValueType::List, Json::Array(mut old), Json::Array(new)) => {
            old.extend(new);
            Ok(Json::Array(old))
        }
        (ValueType::List, Json::String(old), Json::String(new)) => Ok(Json::String(format!("{old},{new}"))),
        (ValueType::String, Json::String(old), Json::String(new)) => Ok(Json::String(old + &new)),
        (ValueType::Number, old, new) if old.is_number() && new.is_number() => {
            Ok(match (old.as_i64(), new.as_i64()) {
                (Some(a), Some(b)) => Json::from(a.saturating_add(b)),
                _ => Json::from(old.as_f64().unwrap_or(0.0) + new.as_f64().unwrap_or(0.0)),
            })
        }
        _ => {
            let message = format!("Invalid merge strategy 'merge' for parameter '{key}'.");
            Err(Fault::new("InvalidMergeStrategyForParam", message))
        }
    }
}

fn merge_maps(mut old: Map<String, Json>, new: Map<String, Json>, deep: bool) -> Map<String, Json> {
    for (key, value) in new {
        let merged = match (deep, old.remove(&key), value) {
            (_, before, Json::Null) => match before {
                Some(before) => before,
                None => continue,
            },
            (true, Some(Json::Object(before)), Json::Object(value)) => {
                Json::Object(merge_maps(before, value, true))
            }
            (true, Some(Json::Array(mut before)), Json::Array(value)) => {
                before.extend(value);
                Json::Array(before)
            }
            (true, Some(Json::String(before)), Json::String(value)) => Json::String(before + &value),
            (_, _, value) => value,
        };
        old.insert(key, merged);
    }
    old
}
