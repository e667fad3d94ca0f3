//! The `conditions` section: named truths over parameters, found out when first asked for.

use std::{cell::RefCell, collections::HashMap};

use super::{Context, Expr, Fault, Json, Parameters, Result, Version, python};

/// The conditions of a template, over the parameters of a stack.
pub struct Conditions<'a> {
    version: Version,
    raw: Option<&'a serde_json::Map<String, Json>>,
    parameters: &'a Parameters,
    /// `None` while being found out.
    known: RefCell<HashMap<String, Option<bool>>>,
}

fn failed(message: String) -> Fault {
    Fault::invalid(message).during("Condition validation error")
}

impl<'a> Conditions<'a> {
    /// The conditions of `section`.
    ///
    /// # Errors
    /// Where the section is no map.
    pub fn new(version: Version, section: Option<&'a Json>, parameters: &'a Parameters) -> Result<Self> {
        let raw = match section {
            Some(Json::Object(map)) if version.has_conditions() => Some(map),
            Some(other) if version.has_conditions() && !other.is_null() => {
                let message = format!(
                    "Condition definitions must be a map. Found a {} instead",
                    python::type_name(other)
                );
                return Err(Fault::invalid(message).during("Conditions validation error"));
            }
            _ => None,
        };
        Ok(Self { version, raw, parameters, known: RefCell::default() })
    }

    /// Checks every definition.
    ///
    /// # Errors
    /// The first that is neither a truth value nor a function, or uses a function wrongly.
    pub fn validate(&self) -> Result<()> {
        for (name, raw) in self.raw.into_iter().flatten() {
            let parsed = self.parse(name, raw)?;
            parsed.validate(self, &[])?;
        }
        Ok(())
    }

    fn parse(&self, name: &str, raw: &Json) -> Result<Expr> {
        let parsed = Expr::parse_condition(raw, self.version, &format!("conditions.{name}"))?;
        let fits = parsed.is_call() || matches!(parsed, Expr::Literal(Json::Bool(_)));
        if !fits {
            let shown = python::repr(&parsed.to_json());
            let shown = raw.as_str().map_or(shown, str::to_owned);
            return Err(failed(format!("The definition of condition \"{name}\" is invalid: {shown}")));
        }
        Ok(parsed)
    }

    /// Whether the condition named by `condition`, or standing there as a truth value, holds. Null does.
    ///
    /// # Errors
    /// Where no condition has that name, or it leads back to itself.
    pub fn is_enabled(&self, condition: &Json) -> Result<bool> {
        let unknown = || Fault::value(format!("Invalid condition \"{}\"", python::str(condition)));
        let name = match condition {
            Json::Null => return Ok(true),
            Json::Bool(b) => return Ok(*b),
            Json::String(name) => name,
            _ => return Err(unknown()),
        };
        let raw = self.raw.and_then(|raw| raw.get(name)).ok_or_else(unknown)?;
        match self.known.borrow().get(name) {
            Some(Some(known)) => return Ok(*known),
            Some(None) => return Err(failed(format!("Circular definition for condition \"{name}\""))),
            None => {}
        }
        self.known.borrow_mut().insert(name.clone(), None);
        let value = self.parse(name, raw)?.resolve(self)?;
        let Json::Bool(value) = value else {
            let shown = python::str(&value);
            return Err(failed(format!("The definition of condition \"{name}\" is invalid: {shown}")));
        };
        self.known.borrow_mut().insert(name.clone(), Some(value));
        Ok(value)
    }

    /// Whether `snippet`, a name or a condition in place at `path`, holds.
    ///
    /// # Errors
    /// As [`Self::is_enabled`], and where its functions are misused.
    pub fn evaluate(&self, snippet: &Json, path: &str) -> Result<bool> {
        let condition = Expr::parse_condition(snippet, self.version, path)?.resolve(self)?;
        self.is_enabled(&condition)
    }
}

/// Conditions see parameters and each other, and nothing else.
impl Context for Conditions<'_> {
    fn param(&self, name: &str) -> Result<Json> {
        self.parameters.get(name)
    }
    fn resource_id(&self, _: &str) -> Option<Json> {
        None
    }
    fn attribute(&self, _: &str, _: &str) -> Option<Result<Json>> {
        None
    }
    fn attributes(&self, _: &str) -> Option<Json> {
        None
    }
    fn pending(&self, _: &str) -> bool {
        false
    }
    fn attribute_names(&self, _: &str) -> Option<Vec<String>> {
        None
    }
    fn file(&self, _: &str) -> Option<&str> {
        None
    }
    fn facade(&self, _: &str) -> Json {
        Json::Null
    }
    fn condition(&self, name: &Json) -> Result<bool> {
        self.is_enabled(name)
    }
}
