//! Parameters: their definitions in a template, and their values for a stack.

use indexmap::IndexMap;
use serde_json::Map;

use super::{
    Constraint, Fault, Json, Result, Version,
    constraints::{Custom, Rule, Unchecked, ValueType, check_map, coerce, to_number},
    python,
};

/// The definition of a parameter.
#[derive(Debug, Clone)]
pub struct ParamSchema {
    /// Its type.
    pub kind: ValueType,
    /// What it is for.
    pub description: Option<String>,
    /// The template's default.
    pub default: Option<Json>,
    /// What its values must obey.
    pub constraints: Vec<Constraint>,
    /// Whether its value is never shown.
    pub hidden: bool,
    /// Its name for people.
    pub label: Option<String>,
    /// Whether an update may not change it.
    pub immutable: bool,
    /// Tags.
    pub tags: Vec<Json>,
}

/// How HOT names the types of parameters.
pub fn type_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Number | ValueType::Integer => "number",
        ValueType::List => "comma_delimited_list",
        ValueType::Map => "json",
        ValueType::Boolean => "boolean",
        ValueType::String | ValueType::Any => "string",
    }
}

impl ParamSchema {
    /// Reads the definition of the parameter `name`.
    ///
    /// # Errors
    /// Where it is not written as Heat expects.
    pub fn parse(name: &str, raw: &Json, version: Version) -> Result<Self> {
        let mut keys =
            vec!["type", "description", "default", "schema", "constraints", "hidden", "label", "immutable"];
        if version >= Version::V2018_03_02 {
            keys.push("tags");
        }
        let map = check_map(raw, &keys, &format!("parameter ({name})"))?;
        let Some(kind) = map.get("type") else {
            return Err(Fault::schema(format!("Missing parameter type for parameter: {name}")));
        };
        let tags = match map.get("tags") {
            None => Vec::new(),
            Some(Json::Array(tags)) => tags.clone(),
            Some(_) => {
                return Err(Fault::schema(format!("Tags property should be a list for parameter: {name}")));
            }
        };
        let constraints = match map.get("constraints") {
            None | Some(Json::Null) => Vec::new(),
            Some(Json::Array(items)) => {
                let modulo = version >= Version::V2017_02_24;
                items.iter().map(|c| Constraint::parse(c, modulo)).collect::<Result<_>>()?
            }
            Some(_) => {
                return Err(Fault::schema(format!(
                    "Invalid parameter constraints for parameter {name}, expected a list"
                )));
            }
        };
        let kind = match kind.as_str() {
            Some("string") => ValueType::String,
            Some("number") => ValueType::Number,
            Some("comma_delimited_list") => ValueType::List,
            Some("json") => ValueType::Map,
            Some("boolean") => ValueType::Boolean,
            _ => return Err(Fault::schema(format!("Invalid type ({})", python::str(kind)))),
        };
        let text = |key: &str| map.get(key).filter(|v| !v.is_null()).map(python::str);
        let flag = |key: &str| map.get(key).is_some_and(python::truthy);
        Ok(Self {
            kind,
            description: text("description"),
            default: map.get("default").filter(|v| !v.is_null()).cloned(),
            constraints,
            hidden: flag("hidden"),
            label: text("label"),
            immutable: flag("immutable"),
            tags,
        })
    }

    fn pseudo(description: &str, value: &str) -> Self {
        Self {
            kind: ValueType::String,
            description: Some(description.to_owned()),
            default: Some(Json::from(value)),
            constraints: Vec::new(),
            hidden: false,
            label: None,
            immutable: false,
            tags: Vec::new(),
        }
    }

    fn validate_constraints(&self, value: &Json, custom: &dyn Custom) -> Result<()> {
        self.constraints.iter().try_for_each(|c| c.check(value, self.kind, custom))
    }

    /// Whether the definition is right in itself, its default included.
    fn validate(&self) -> Result<()> {
        self.constraints.iter().try_for_each(|c| c.suits(self.kind, type_name(self.kind)))?;
        let Some(default) = &self.default else { return Ok(()) };
        let value = match (self.kind, default) {
            (ValueType::List, Json::String(text)) => split(text),
            (ValueType::List, Json::Array(items)) => {
                items.iter().map(|i| Json::String(python::str(i))).collect()
            }
            (ValueType::List, other) => {
                let found = python::type_name(other);
                return Err(Fault::schema(format!(
                    "Default must be a comma-delimited list string: '{found}' object has no attribute 'split'"
                )));
            }
            (_, other) => other.clone(),
        };
        let plain = self.constraints.iter().filter(|c| !matches!(c.rule, Rule::Custom(_)));
        for constraint in plain {
            constraint.check(&value, self.kind, &Unchecked).map_err(|fault| {
                Fault::schema(format!("Invalid default {} ({fault})", python::str(default)))
            })?;
        }
        Ok(())
    }

    /// The value that `raw`, as a user gave it, stands for.
    fn value(&self, raw: &Json) -> Result<Json> {
        match self.kind {
            ValueType::List => match raw {
                Json::Array(items) => Ok(items.iter().map(|i| Json::String(python::str(i))).collect()),
                Json::String(text) => Ok(split(text)),
                other => {
                    let found = python::type_name(other);
                    Err(Fault::value(format!(
                        "Value must be a comma-delimited list string: '{found}' object has no attribute 'split'"
                    )))
                }
            },
            ValueType::Map => match raw {
                Json::String(text) if !text.is_empty() => serde_json::from_str(text).map_err(|e| {
                    Fault::value(format!("Value must be valid JSON: {}", python::json_error(&e, text)))
                }),
                other => Ok(other.clone()),
            },
            ValueType::Number => to_number(raw),
            ValueType::Boolean => {
                let text = python::str(raw);
                python::bool_strict(&text).map(Json::Bool).ok_or_else(|| {
                    let known = "'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'";
                    Fault::value(format!("Unrecognized value '{text}', acceptable values are: {known}"))
                })
            }
            kind => coerce(raw, kind),
        }
    }
}

fn split(text: &str) -> Json {
    if text.is_empty() {
        return Json::Array(Vec::new());
    }
    text.split(',').map(Json::from).collect()
}

/// A parameter of a stack.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its definition.
    pub schema: ParamSchema,
    /// What the user gave.
    pub user_value: Option<Json>,
    /// The environment's default, before the template's.
    pub user_default: Option<Json>,
    /// Whether the engine itself provides it.
    pub pseudo: bool,
}

impl Parameter {
    /// The default in force.
    pub fn default(&self) -> Option<&Json> {
        self.user_default.as_ref().or(self.schema.default.as_ref())
    }

    /// As `template validate` describes the parameter `name`.
    pub fn to_json(&self, name: &str) -> Json {
        let schema = &self.schema;
        let kind = match schema.kind {
            ValueType::Number | ValueType::Integer => "Number",
            ValueType::List => "CommaDelimitedList",
            ValueType::Map => "Json",
            ValueType::Boolean => "Boolean",
            ValueType::String | ValueType::Any => "String",
        };
        let mut out = Map::new();
        out.insert("Type".into(), kind.into());
        out.insert("Description".into(), schema.description.as_deref().unwrap_or_default().into());
        out.insert("NoEcho".into(), if schema.hidden { "true" } else { "false" }.into());
        out.insert("Label".into(), schema.label.as_deref().unwrap_or(name).into());
        let mut put = |key: &str, value: Option<Json>| value.map(|value| out.insert(key.into(), value));
        put("Default", self.default().cloned());
        put("Value", self.user_value.clone().filter(python::truthy));
        put("Tags", (!schema.tags.is_empty()).then(|| Json::Array(schema.tags.clone())));
        for constraint in &schema.constraints {
            match &constraint.rule {
                Rule::Length { min, max } => {
                    put("MinLength", min.clone());
                    put("MaxLength", max.clone());
                }
                Rule::Range { min, max } => {
                    put("MinValue", min.clone());
                    put("MaxValue", max.clone());
                }
                Rule::Modulo { step, offset } => {
                    put("Step", Some(step.clone()));
                    put("Offset", Some(offset.clone()));
                }
                Rule::AllowedValues(values) => {
                    put("AllowedValues", Some(Json::Array(values.clone())));
                }
                Rule::AllowedPattern { pattern, .. } => {
                    put("AllowedPattern", Some(pattern.as_str().into()));
                }
                Rule::Custom(name) => {
                    put("CustomConstraint", Some(name.as_str().into()));
                }
            }
        }
        let said: Vec<&str> = schema.constraints.iter().filter_map(|c| c.description.as_deref()).collect();
        put("ConstraintDescription", (!said.is_empty()).then(|| said.join(" ").into()));
        Json::Object(out)
    }

    fn validate(&self, name: &str, with_value: bool, custom: &dyn Custom) -> Result<()> {
        let check = || {
            self.schema.validate()?;
            if !with_value {
                return Ok(());
            }
            let Some(raw) = self.user_value.as_ref().or(self.default()) else {
                return Err(Fault::param_missing(name));
            };
            let value = self.schema.value(raw);
            let given = value.map_err(|f| Fault::invalid(f.message))?;
            let checked =
                if matches!(self.schema.kind, ValueType::List | ValueType::Map) { &given } else { raw };
            self.schema.validate_constraints(checked, custom).map_err(|f| Fault::invalid(f.message))
        };
        check().map_err(|fault: Fault| match fault.name {
            "StackValidationFailed" | "InvalidSchemaError" => {
                Fault::new(fault.name, format!("Parameter '{name}' is invalid: {}", fault.message))
            }
            _ => fault,
        })
    }
}

/// Who a stack is: what its pseudo parameters say.
#[derive(Debug, Clone, Default)]
pub struct StackIdentity {
    /// The stack's name.
    pub name: String,
    /// Its id; empty before it has one.
    pub id: String,
    /// Its project.
    pub project_id: String,
}

/// The parameters of a stack.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    params: IndexMap<String, Parameter>,
    unknown: Vec<String>,
}

impl Parameters {
    /// The parameters that `section` defines, with the values and defaults of an environment.
    ///
    /// # Errors
    /// Where a definition is not written as Heat expects.
    pub fn new(
        section: Option<&Json>,
        version: Version,
        identity: &StackIdentity,
        values: &Map<String, Json>,
        defaults: &Map<String, Json>,
    ) -> Result<Self> {
        let mut params = IndexMap::new();
        let pseudos = [
            ("OS::stack_id", "Stack ID", &identity.id),
            ("OS::project_id", "Project ID", &identity.project_id),
            ("OS::stack_name", "Stack Name", &identity.name),
        ];
        for (name, description, value) in pseudos {
            let schema = ParamSchema::pseudo(description, value);
            params.insert(
                name.into(),
                Parameter { schema, user_value: None, user_default: None, pseudo: true },
            );
        }
        let section = match section {
            None | Some(Json::Null) => None,
            Some(Json::Object(map)) => Some(map),
            Some(_) => return Err(Fault::schema("Invalid parameters, expected a mapping")),
        };
        for (name, raw) in section.into_iter().flatten() {
            let parameter = Parameter {
                schema: ParamSchema::parse(name, raw, version)?,
                user_value: values.get(name).filter(|v| !v.is_null()).cloned(),
                user_default: defaults.get(name).filter(|v| !v.is_null()).cloned(),
                pseudo: false,
            };
            params.insert(name.clone(), parameter);
        }
        let defined = |name: &String| section.is_some_and(|s| s.contains_key(name));
        let unknown = values.keys().filter(|name| !defined(name)).cloned().collect();
        Ok(Self { params, unknown })
    }

    /// Checks all of them; their values too unless `with_values` is off.
    ///
    /// # Errors
    /// The first that is unknown, missing or invalid.
    pub fn validate(&self, with_values: bool, custom: &dyn Custom) -> Result<()> {
        if let Some(name) = self.unknown.first() {
            let message = format!("The Parameter ({name}) was not defined in template.");
            return Err(Fault::new("UnknownUserParameter", message));
        }
        self.params.iter().try_for_each(|(name, p)| p.validate(name, with_values, custom))
    }

    /// The value of `name`.
    ///
    /// # Errors
    /// Where there is no such parameter, or it has no value.
    pub fn get(&self, name: &str) -> Result<Json> {
        let parameter = self.params.get(name).ok_or_else(|| Fault::param_missing(name))?;
        let raw = parameter
            .user_value
            .as_ref()
            .or(parameter.default())
            .ok_or_else(|| Fault::param_missing(name))?;
        parameter.schema.value(raw)
    }

    /// Every parameter, the engine's own first.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        self.params.iter().map(|(name, p)| (name.as_str(), p))
    }

    /// Whether `name` is one.
    pub fn contains(&self, name: &str) -> bool {
        self.params.contains_key(name)
    }

    /// All values as texts, hidden ones starred; what `stack show` shows.
    pub fn shown(&self) -> Map<String, Json> {
        let text = |name: &str, p: &Parameter| {
            let value = self.get(name).ok()?;
            Some(match (p.schema.hidden, p.schema.kind, &value) {
                (true, ..) => "******".to_owned(),
                (_, ValueType::List, Json::Array(items)) => {
                    items.iter().map(python::str).collect::<Vec<_>>().join(",")
                }
                (_, ValueType::Map, value) => python::dumps(value, false),
                (_, _, value) => python::str(value),
            })
        };
        self.iter().filter_map(|(name, p)| Some((name.to_owned(), Json::String(text(name, p)?)))).collect()
    }

    /// Checks that going from `self` to `new` changes no parameter that is immutable.
    ///
    /// # Errors
    /// Names those that change.
    pub fn check_immutable(&self, new: &Parameters) -> Result<()> {
        let changed: Vec<&str> = new
            .iter()
            .filter(|(name, p)| !p.pseudo && p.schema.immutable && self.contains(name))
            .filter(|(name, _)| self.get(name).ok() != new.get(name).ok())
            .map(|(name, _)| name)
            .collect();
        if changed.is_empty() {
            return Ok(());
        }
        let message =
            format!("The following parameters are immutable and may not be updated: {}", changed.join(", "));
        Err(Fault::new("ImmutableParameterModified", message))
    }

    /// Checks the `parameter_groups` section.
    ///
    /// # Errors
    /// Where it is malformed, or groups what does not exist, or twice.
    pub fn check_groups(&self, section: Option<&Json>) -> Result<()> {
        let fail = |path: Vec<String>, message: String| {
            Err(Fault::invalid(message).during("Parameter Groups error").at(path))
        };
        let top = || vec!["parameter_groups".to_owned()];
        let groups = match section {
            None => return Ok(()),
            Some(section) if !python::truthy(section) => return Ok(()),
            Some(Json::Array(groups)) => groups,
            Some(_) => return fail(top(), "The parameter_groups should be a list.".into()),
        };
        let mut seen: Vec<String> = Vec::new();
        for group in groups {
            let label = group.get("label").map(python::str).unwrap_or_default();
            let path = || [top(), vec![label.clone()]].concat();
            let names = match group.get("parameters") {
                None | Some(Json::Null) => {
                    return fail(path(), "The parameters must be provided for each parameter group.".into());
                }
                Some(Json::Array(names)) => names,
                Some(_) => return fail(path(), "The parameters of parameter group should be a list.".into()),
            };
            for name in names {
                let name = python::str(name);
                if seen.contains(&name) {
                    let message =
                        format!("The {name} parameter must be assigned to one parameter group only.");
                    return fail(path(), message);
                }
                if !self.contains(&name) {
                    let message =
                        format!("The grouped parameter {name} does not reference a valid parameter.");
                    return fail(path(), message);
                }
                seen.push(name);
            }
        }
        Ok(())
    }
}
