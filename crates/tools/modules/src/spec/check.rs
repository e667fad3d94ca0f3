//! Checking a call's arguments: the order of the checks decides which message a caller sees first.

use serde_json::Value;

use super::convert;
use super::{Param, Rule, Spec, Type};
use crate::py;
use crate::result::Map;

/// The first thing wrong with the arguments, and the parameters as far as they were read.
#[derive(Debug)]
pub struct SpecError {
    /// The reference's message; `{module}` stands for the module's name.
    pub message: String,
    /// The parameters for `invocation`.
    pub params: Map,
}

impl Spec {
    /// Aliases resolved, defaults set, types converted, choices and rules checked.
    pub fn check(&self, args: Map, warnings: &mut Vec<String>) -> Result<Map, SpecError> {
        let mut params = args;
        let result = self.check_in(&mut params, warnings, "");
        match result {
            Ok(()) => Ok(params),
            Err(message) => {
                for param in &self.params {
                    let default = param.default.clone().unwrap_or(Value::Null);
                    params.entry(param.name.clone()).or_insert(default);
                }
                Err(SpecError { message, params })
            }
        }
    }

    fn check_in(&self, params: &mut Map, warnings: &mut Vec<String>, context: &str) -> Result<(), String> {
        for param in &self.params {
            let mut used: Option<&str> = params.contains_key(&param.name).then_some(param.name.as_str());
            for alias in &param.aliases {
                let Some(value) = params.get(alias).cloned() else { continue };
                if used.is_some_and(|u| u != param.name || params.contains_key(alias)) && used != Some(alias)
                {
                    warnings.push(format!("Both option {} and its alias {alias} are set.", param.name));
                }
                params.insert(param.name.clone(), value);
                used = Some(alias);
            }
        }
        let unknown = self.unknown(params);
        self.rules(params, context, true)?;
        for param in &self.params {
            if let Some(default) = &param.default
                && params.get(&param.name).is_none_or(Value::is_null)
            {
                params.insert(param.name.clone(), default.clone());
            }
        }
        let mut missing: Vec<&str> = self
            .params
            .iter()
            .filter(|p| p.required && !params.contains_key(&p.name))
            .map(|p| p.name.as_str())
            .collect();
        missing.sort_unstable();
        if !missing.is_empty() {
            return Err(format!("missing required arguments: {}{}", missing.join(", "), found_in(context)));
        }
        for param in &self.params {
            self.convert(param, params, context)?;
        }
        for param in &self.params {
            choices(param, params, context)?;
        }
        self.rules(params, context, false)?;
        for param in &self.params {
            params.entry(param.name.clone()).or_insert(Value::Null);
        }
        self.sub_options(params, warnings, context)?;
        if !unknown.is_empty() {
            let names: Vec<String> = unknown
                .iter()
                .map(|n| if context.is_empty() { n.clone() } else { format!("{context}.{n}") })
                .collect();
            return Err(format!(
                "Unsupported parameters for ({{module}}) module: {}. Supported parameters include: {}.",
                names.join(", "),
                self.supported()
            ));
        }
        Ok(())
    }

    fn unknown(&self, params: &Map) -> Vec<String> {
        let known =
            |name: &str| self.params.iter().any(|p| p.name == name || p.aliases.iter().any(|a| a == name));
        let mut unknown: Vec<String> = params.keys().filter(|k| !known(k)).cloned().collect();
        unknown.sort();
        unknown
    }

    fn supported(&self) -> String {
        let mut names: Vec<&str> = self.params.iter().map(|p| p.name.as_str()).collect();
        let mut aliases: Vec<&str> =
            self.params.iter().flat_map(|p| &p.aliases).map(String::as_str).collect();
        names.sort_unstable();
        aliases.sort_unstable();
        let names = names.join(", ");
        if aliases.is_empty() { names } else { format!("{names} ({})", aliases.join(", ")) }
    }

    fn convert(&self, param: &Param, params: &mut Map, context: &str) -> Result<(), String> {
        let Some(value) = params.get(&param.name) else { return Ok(()) };
        if value.is_null() && !param.required && param.default.is_none() {
            return Ok(());
        }
        let converted = convert::to_type(value, param.kind).map_err(|why| {
            format!(
                "argument '{}' is of type {}{} and we were unable to convert to {}: {why}",
                param.name,
                py::type_name(value),
                found_in(context),
                convert::name(param.kind),
            )
        })?;
        let converted = match (param.elements, converted) {
            (Some(kind), Value::Array(items)) => {
                let mut out = Vec::with_capacity(items.len());
                for item in &items {
                    out.push(convert::to_type(item, kind).map_err(|why| {
                        format!(
                            "Elements value for option '{}'{} is of type {} and we were unable to convert to {}: {why}",
                            param.name,
                            found_in(context),
                            py::type_name(item),
                            convert::name(kind),
                        )
                    })?);
                }
                Value::Array(out)
            }
            (_, other) => other,
        };
        params.insert(param.name.clone(), converted);
        Ok(())
    }

    fn rules(&self, params: &Map, context: &str, before_defaults: bool) -> Result<(), String> {
        let given = |name: &String| params.contains_key(name);
        let found = found_in(context);
        let ordered = [0, 1, 2, 3];
        for pass in ordered {
            for rule in &self.rules {
                match rule {
                    Rule::MutuallyExclusive(names)
                        if before_defaults && pass == 0 && names.iter().filter(|n| given(n)).count() > 1 =>
                    {
                        return Err(format!("parameters are mutually exclusive: {}{found}", names.join("|")));
                    }
                    Rule::RequiredTogether(names) if !before_defaults && pass == 0 => {
                        let count = names.iter().filter(|n| given(n)).count();
                        if count > 0 && count < names.len() {
                            return Err(format!(
                                "parameters are required together: {}{found}",
                                names.join(", ")
                            ));
                        }
                    }
                    Rule::RequiredOneOf(names)
                        if !before_defaults && pass == 1 && !names.iter().any(given) =>
                    {
                        return Err(format!("one of the following is required: {}{found}", names.join(", ")));
                    }
                    Rule::RequiredIf(name, value, needs, any) if !before_defaults && pass == 2 => {
                        if params.get(name) != Some(value) {
                            continue;
                        }
                        let missing: Vec<&str> =
                            needs.iter().filter(|n| !given(n)).map(String::as_str).collect();
                        let bad = if *any { missing.len() == needs.len() } else { !missing.is_empty() };
                        if bad {
                            let which = if *any { "any" } else { "all" };
                            return Err(format!(
                                "{name} is {} but {which} of the following are missing: {}{found}",
                                py::str(value),
                                missing.join(", ")
                            ));
                        }
                    }
                    Rule::RequiredBy(name, needs) if !before_defaults && pass == 3 => {
                        if params.get(name).is_none_or(Value::is_null) {
                            continue;
                        }
                        let missing: Vec<&str> = needs
                            .iter()
                            .filter(|n| params.get(*n).is_none_or(Value::is_null))
                            .map(String::as_str)
                            .collect();
                        if !missing.is_empty() {
                            return Err(format!(
                                "missing parameter(s) required by '{name}': {}{found}",
                                missing.join(", ")
                            ));
                        }
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn sub_options(&self, params: &mut Map, warnings: &mut Vec<String>, context: &str) -> Result<(), String> {
        for param in &self.params {
            let Some(options) = &param.options else { continue };
            let place =
                if context.is_empty() { param.name.clone() } else { format!("{context} -> {}", param.name) };
            match params.get_mut(&param.name) {
                Some(Value::Object(map)) => options.check_in(map, warnings, &place)?,
                Some(Value::Array(items)) => {
                    for item in items {
                        if let Value::Object(map) = item {
                            options.check_in(map, warnings, &place)?;
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn found_in(context: &str) -> String {
    if context.is_empty() { String::new() } else { format!(" found in {context}") }
}

fn choices(param: &Param, params: &mut Map, context: &str) -> Result<(), String> {
    if param.choices.is_empty() {
        return Ok(());
    }
    let Some(value) = params.get(&param.name) else { return Ok(()) };
    if value.is_null() {
        return Ok(());
    }
    if let Value::Array(items) = value {
        let bad: Vec<String> = items.iter().map(py::str).filter(|v| !param.choices.contains(v)).collect();
        if !bad.is_empty() {
            return Err(format!(
                "value of {} must be one or more of: {}. Got no match for: {}{}",
                param.name,
                param.choices.join(", "),
                bad.join(", "),
                found_in(context)
            ));
        }
        return Ok(());
    }
    let text = py::str(value);
    if param.choices.contains(&text) {
        return Ok(());
    }
    // A YAML boolean where `yes` or `no` is a choice.
    let spellings: &[&str] = match text.as_str() {
        "False" if param.kind == Type::Str => &["n", "no", "f", "false", "off", "0"],
        "True" if param.kind == Type::Str => &["y", "yes", "t", "true", "on", "1"],
        _ => &[],
    };
    let mut overlap = param.choices.iter().filter(|c| spellings.contains(&c.as_str()));
    if let (Some(choice), None) = (overlap.next(), overlap.next()) {
        params.insert(param.name.clone(), choice.clone().into());
        return Ok(());
    }
    Err(format!(
        "value of {} must be one of: {}, got: {text}{}",
        param.name,
        param.choices.join(", "),
        found_in(context)
    ))
}
