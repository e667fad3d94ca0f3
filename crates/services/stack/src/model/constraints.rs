//! What a value may be: of parameters and of properties alike.

use regex::bytes::{Regex, RegexBuilder};

use super::{Fault, Json, Result, python};

/// The type of a parameter or property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ValueType {
    String,
    Integer,
    Number,
    Boolean,
    Map,
    List,
    Any,
}

/// A constraint, with the words that its author prefers for a value that breaks it.
#[derive(Debug, Clone)]
pub struct Constraint {
    /// Said instead of Heat's own message.
    pub description: Option<String>,
    /// What is asked.
    pub rule: Rule,
}

/// What a constraint asks.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Rule {
    /// A number between two others.
    Range { min: Option<Json>, max: Option<Json> },
    /// A length between two numbers.
    Length { min: Option<Json>, max: Option<Json> },
    /// A multiple of `step`, plus `offset`.
    Modulo { step: Json, offset: Json },
    /// One of these.
    AllowedValues(Vec<Json>),
    /// A text that matches wholly.
    AllowedPattern { pattern: String, regex: Regex },
    /// What a service must know: `neutron.network`, `nova.flavor`.
    Custom(String),
}

/// Answers custom constraints; the service's part.
pub trait Custom {
    /// Whether `value` is what `name` (`neutron.network`) asks for.
    ///
    /// # Errors
    /// The message to show.
    fn check(&self, name: &str, value: &Json) -> Result<(), String>;
}

/// Takes every value for right.
pub struct Unchecked;

impl Custom for Unchecked {
    fn check(&self, _: &str, _: &Json) -> Result<(), String> {
        Ok(())
    }
}

impl Constraint {
    /// `rule` without a description.
    pub fn new(rule: Rule) -> Self {
        Self { description: None, rule }
    }
    /// One of `values`.
    pub fn one_of(values: &[&str]) -> Self {
        Self::new(Rule::AllowedValues(values.iter().map(|v| Json::from(*v)).collect()))
    }
    /// A number between `min` and `max`.
    pub fn range(min: Option<i64>, max: Option<i64>) -> Self {
        Self::new(Rule::Range { min: min.map(Json::from), max: max.map(Json::from) })
    }
    /// A length between `min` and `max`.
    pub fn length(min: Option<i64>, max: Option<i64>) -> Self {
        Self::new(Rule::Length { min: min.map(Json::from), max: max.map(Json::from) })
    }
    /// Something that a service knows.
    pub fn custom(name: &str) -> Self {
        Self::new(Rule::Custom(name.to_owned()))
    }
    /// A text that matches `pattern` wholly.
    ///
    /// # Errors
    /// Where the pattern is none.
    pub fn pattern(pattern: &str) -> Result<Self> {
        let build =
            |text: &str, unicode| RegexBuilder::new(text).unicode(unicode).size_limit(1 << 20).build();
        // `\Z` is Python's end of text.
        let text = format!(r"\A(?:{})", pattern.replace(r"\Z", r"\z"));
        let regex = build(&text, true).or_else(|_| build(&text, false));
        let regex = regex.map_err(|_| Fault::schema(format!("Invalid regular expression: {pattern}")))?;
        Ok(Self::new(Rule::AllowedPattern { pattern: pattern.to_owned(), regex }))
    }

    /// Reads the constraint of a parameter.
    ///
    /// # Errors
    /// Where it is not written as Heat expects.
    pub fn parse(raw: &Json, modulo: bool) -> Result<Self> {
        let keys = [
            "description",
            "length",
            "range",
            "modulo",
            "allowed_values",
            "allowed_pattern",
            "custom_constraint",
        ];
        let map = check_map(raw, &keys, "parameter constraints")?;
        let pair = |name: &str, [a, b]: [&str; 2]| -> Result<(Option<Json>, Option<Json>)> {
            let inner = check_map(&map[name], &[a, b], &format!("{name} constraint"))?;
            let number = |key: &str| inner.get(key).filter(|v| !v.is_null()).map(to_number).transpose();
            Ok((number(a)?, number(b)?))
        };
        let rule = if modulo && map.contains_key("modulo") {
            let (step, offset) = pair("modulo", ["step", "offset"])?;
            let (Some(step), Some(offset)) = (step, offset) else {
                let message = "A modulo constraint must have a step value and an offset value specified.";
                return Err(Fault::schema(message));
            };
            check_modulo(&step, &offset)?;
            Rule::Modulo { step, offset }
        } else if map.contains_key("range") {
            let (min, max) = pair("range", ["min", "max"])?;
            if min.is_none() && max.is_none() {
                let message = "A range constraint must have a min value and/or a max value specified.";
                return Err(Fault::schema(message));
            }
            Rule::Range { min, max }
        } else if map.contains_key("length") {
            let (min, max) = pair("length", ["min", "max"])?;
            if min.is_none() && max.is_none() {
                let message = "A length constraint must have a min value and/or a max value specified.";
                return Err(Fault::schema(message));
            }
            if [&min, &max].into_iter().flatten().any(Json::is_f64) {
                return Err(Fault::schema("min/max length must be integral"));
            }
            Rule::Length { min, max }
        } else if let Some(values) = map.get("allowed_values") {
            match values {
                Json::Array(values) => Rule::AllowedValues(values.clone()),
                _ => return Err(Fault::schema("AllowedValues must be a list")),
            }
        } else if let Some(pattern) = map.get("allowed_pattern") {
            match pattern {
                Json::String(pattern) => Self::pattern(pattern)?.rule,
                _ => return Err(Fault::schema("AllowedPattern must be a string")),
            }
        } else if let Some(name) = map.get("custom_constraint") {
            Rule::Custom(python::str(name))
        } else {
            return Err(Fault::schema("No constraint expressed"));
        };
        let description = map.get("description").filter(|d| !d.is_null()).map(python::str);
        Ok(Self { description, rule })
    }

    /// As a parameter's definition writes it; for `template validate`.
    pub fn to_json(&self) -> Json {
        let mut out = serde_json::Map::new();
        if let Some(description) = &self.description {
            out.insert("description".into(), Json::from(description.as_str()));
        }
        let two = |a: (&str, &Option<Json>), b: (&str, &Option<Json>)| {
            let pairs = [a, b].into_iter().filter_map(|(k, v)| v.clone().map(|v| (k.to_owned(), v)));
            Json::Object(pairs.collect())
        };
        let (key, value) = match &self.rule {
            Rule::Range { min, max } => ("range", two(("min", min), ("max", max))),
            Rule::Length { min, max } => ("length", two(("min", min), ("max", max))),
            Rule::Modulo { step, offset } => ("modulo", serde_json::json!({"step": step, "offset": offset})),
            Rule::AllowedValues(values) => ("allowed_values", Json::Array(values.clone())),
            Rule::AllowedPattern { pattern, .. } => ("allowed_pattern", Json::from(pattern.as_str())),
            Rule::Custom(name) => ("custom_constraint", Json::from(name.as_str())),
        };
        out.insert(key.into(), value);
        Json::Object(out)
    }

    /// Whether the constraint makes sense for a type.
    ///
    /// # Errors
    /// Where it does not; `type_name` is how the type is called.
    pub fn suits(&self, kind: ValueType, type_name: &str) -> Result<()> {
        use ValueType::{Boolean, Integer, List, Map, Number, String};
        let (name, types): (&str, &[ValueType]) = match &self.rule {
            Rule::Range { .. } => ("Range", &[Integer, Number]),
            Rule::Modulo { .. } => ("Modulo", &[Integer, Number]),
            Rule::Length { .. } => ("Length", &[String, List, Map]),
            Rule::AllowedValues(_) => ("AllowedValues", &[String, Integer, Number, Boolean, List]),
            Rule::AllowedPattern { .. } => ("AllowedPattern", &[String]),
            Rule::Custom(_) => ("CustomConstraint", &[String, Integer, Number, Boolean, List]),
        };
        if types.contains(&kind) {
            return Ok(());
        }
        Err(Fault::schema(format!("{name} constraint invalid for {type_name}")))
    }

    /// Checks `value`, of type `kind`.
    ///
    /// # Errors
    /// Where it breaks the constraint.
    pub fn check(&self, value: &Json, kind: ValueType, custom: &dyn Custom) -> Result<()> {
        match self.holds(value, kind, custom)? {
            None => Ok(()),
            Some(message) => Err(Fault::value(self.description.clone().unwrap_or(message))),
        }
    }

    /// The message for a value that breaks it.
    fn holds(&self, value: &Json, kind: ValueType, custom: &dyn Custom) -> Result<Option<String>> {
        let limit = |v: &Option<Json>| v.as_ref().map_or("None".to_owned(), python::str);
        let outside = |value: f64, min: &Option<Json>, max: &Option<Json>| {
            min.as_ref().and_then(Json::as_f64).is_some_and(|min| value < min)
                || max.as_ref().and_then(Json::as_f64).is_some_and(|max| value > max)
        };
        Ok(match &self.rule {
            Rule::Range { min, max } => {
                let number = to_number(value)?.as_f64().unwrap_or(f64::NAN);
                outside(number, min, max).then(|| {
                    format!(
                        "{} is out of range (min: {}, max: {})",
                        python::str(value),
                        limit(min),
                        limit(max)
                    )
                })
            }
            Rule::Length { min, max } => {
                let length = match value {
                    Json::String(s) => s.chars().count(),
                    Json::Array(a) => a.len(),
                    Json::Object(o) => o.len(),
                    other => {
                        let found = python::type_name(other);
                        return Err(Fault::kind(format!("object of type '{found}' has no len()")));
                    }
                };
                outside(length as f64, min, max).then(|| {
                    format!("length ({length}) is out of range (min: {}, max: {})", limit(min), limit(max))
                })
            }
            Rule::Modulo { step, offset } => {
                let number = to_number(value)?.as_f64().unwrap_or(f64::NAN);
                let (s, o) = (step.as_f64().unwrap_or(1.0), offset.as_f64().unwrap_or(0.0));
                // Python's remainder has the divisor's sign.
                let rest = number - s * (number / s).floor();
                (rest != o).then(|| {
                    let (step, offset) = (python::str(step), python::str(offset));
                    format!("{} is not a multiple of {step} with an offset of {offset}", python::str(value))
                })
            }
            Rule::AllowedValues(allowed) => {
                let ok = match value {
                    Json::Array(items) => items.iter().all(|i| allowed.iter().any(|a| python::equal(a, i))),
                    _ => {
                        let allowed: Result<Vec<Json>> = allowed.iter().map(|a| coerce(a, kind)).collect();
                        let (allowed, value) = (allowed?, coerce(value, kind)?);
                        allowed.iter().any(|a| python::equal(a, &value))
                    }
                };
                (!ok).then(|| {
                    let allowed: Vec<_> = allowed.iter().map(|a| python::dumps(a, false)).collect();
                    format!(
                        "{} is not an allowed value [{}]",
                        python::dumps(value, false),
                        allowed.join(", ")
                    )
                })
            }
            Rule::AllowedPattern { pattern, regex } => {
                let text = python::str(value);
                let whole = regex.find(text.as_bytes()).is_some_and(|m| m.end() == text.len());
                (!whole).then(|| format!("\"{text}\" does not match pattern \"{pattern}\""))
            }
            Rule::Custom(name) => custom.check(name, value).err(),
        })
    }
}

fn check_modulo(step: &Json, offset: &Json) -> Result<()> {
    let (step, offset) = (step.as_f64().unwrap_or(0.0), offset.as_f64().unwrap_or(0.0));
    let message = if step.fract() != 0.0 || offset.fract() != 0.0 {
        "step/offset must be integer"
    } else if step == 0.0 {
        "step cannot be 0."
    } else if offset.abs() >= step.abs() {
        "offset must be smaller (by absolute value) than step."
    } else if step * offset < 0.0 {
        "step and offset must be both positive or both negative."
    } else {
        return Ok(());
    };
    Err(Fault::schema(message))
}

/// Checks that `raw` is a map of nothing but `keys`.
pub(super) fn check_map<'j>(
    raw: &'j Json,
    keys: &[&str],
    entity: &str,
) -> Result<&'j serde_json::Map<String, Json>> {
    let Json::Object(map) = raw else {
        return Err(Fault::schema(format!("Invalid {entity}, expected a mapping")));
    };
    match map.keys().find(|k| !keys.contains(&k.as_str())) {
        Some(key) => Err(Fault::schema(format!("Invalid key '{key}' for {entity}"))),
        None => Ok(map),
    }
}

/// A number, or a text that reads as one.
pub(super) fn to_number(value: &Json) -> Result<Json> {
    match value {
        Json::Number(_) | Json::Bool(_) => Ok(match value {
            Json::Bool(b) => Json::from(i64::from(*b)),
            number => number.clone(),
        }),
        Json::String(text) => {
            if let Some(int) = python::int(text) {
                return Ok(Json::from(int));
            }
            let float =
                text.trim().replace('_', "").parse::<f64>().ok().and_then(serde_json::Number::from_f64);
            let wrong =
                || Fault::value(format!("could not convert string to float: {}", python::repr_str(text)));
            float.map(Json::Number).ok_or_else(wrong)
        }
        other => Err(Fault::kind(format!(
            "int() argument must be a string, a bytes-like object or a real number, not '{}'",
            python::type_name(other)
        ))),
    }
}

/// Heat's `to_schema_type`.
pub(super) fn coerce(value: &Json, kind: ValueType) -> Result<Json> {
    let wrong = |name: &str| {
        Fault::value(format!("Value \"{}\" is invalid for data type \"{name}\".", python::str(value)))
    };
    match kind {
        ValueType::Integer => match to_number(value) {
            Ok(n) if !n.is_f64() => Ok(n),
            Err(fault) if fault.name == "TypeError" => Err(fault),
            _ => Err(wrong("Integer")),
        },
        ValueType::Number => {
            to_number(value).map_err(|fault| if fault.name == "TypeError" { fault } else { wrong("number") })
        }
        ValueType::String => Ok(Json::String(python::str(value))),
        ValueType::Boolean => {
            python::bool_strict(&python::str(value)).map(Json::Bool).ok_or_else(|| wrong("boolean"))
        }
        _ => Ok(value.clone()),
    }
}
