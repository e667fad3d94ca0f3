//! A template: read, checked section by section, and parsed for a stack's parameters.

use indexmap::IndexMap;
use serde_json::Map;

use super::{
    Conditions, Context, Environment, Expr, Fault, Json, Parameters, Parsed, Result, Version,
    constraints::Custom,
    expr::Scope,
    params::{ParamSchema, StackIdentity},
    parsed::{Types, Unmade},
    python,
    schema::{self, Schema},
    version,
};

/// The largest template, in characters, as Heat's `max_template_size`.
pub const MAX_SIZE: usize = 524_288;

/// A template as its author wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// Its version.
    pub version: Version,
    /// Its sections.
    pub raw: Map<String, Json>,
}

/// What becomes of a resource when its stack lets go of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeletionPolicy {
    /// It is removed.
    #[default]
    Delete,
    /// It stays.
    Retain,
    /// A snapshot of it stays.
    Snapshot,
}

/// A resource of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Its type as written.
    pub kind: String,
    /// Its properties.
    pub properties: Expr,
    /// Its metadata.
    pub metadata: Expr,
    /// Whom it names in `depends_on`.
    pub depends_on: Vec<String>,
    /// What becomes of it in the end.
    pub deletion_policy: DeletionPolicy,
    /// How it is updated.
    pub update_policy: Expr,
    /// What it is for.
    pub description: String,
    /// The id of something that exists already.
    pub external_id: Option<Expr>,
}

/// An output of a template.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// What it is for.
    pub description: Option<String>,
    /// Its value; null where its condition does not hold.
    pub value: Expr,
}

impl Template {
    /// Reads a template from text.
    ///
    /// # Errors
    /// Where it is too large, no YAML or JSON, no map, or in no version that we know.
    pub fn parse(text: &str) -> Result<Self> {
        let size = text.chars().count();
        if size > MAX_SIZE {
            let name = "RequestLimitExceeded";
            let message = format!(
                "Request limit exceeded: Template size ({size} bytes) exceeds maximum allowed size ({MAX_SIZE} bytes)."
            );
            return Err(Fault::new(name, message));
        }
        let read = pileus_yaml::load(text, &pileus_yaml::Options::heat())
            .map_err(|e| Fault::value(format!("Error parsing template [root stack] {e}")))?;
        let json = if read.value.is_null() { Json::Object(Map::new()) } else { read.value.to_json() };
        Self::from_json(json)
    }

    /// Takes a template that was read already.
    ///
    /// # Errors
    /// Where it is no map, or in no version that we know.
    pub fn from_json(json: Json) -> Result<Self> {
        let Json::Object(raw) = json else {
            return Err(Fault::value("The template is not a JSON object or YAML mapping."));
        };
        let known = [version::KEY, "HeatTemplateFormatVersion", "AWSTemplateFormatVersion"];
        if !known.iter().any(|key| raw.contains_key(*key)) {
            return Err(version::not_found());
        }
        Ok(Self { version: Version::of(&raw)?, raw })
    }

    /// What the template says it is for.
    pub fn description(&self) -> String {
        self.section("description").map_or_else(|| "No description".to_owned(), python::str)
    }

    fn section(&self, name: &str) -> Option<&Json> {
        self.raw.get(name).filter(|v| python::truthy(v))
    }

    /// The definitions of its parameters.
    ///
    /// # Errors
    /// Where one is not written as Heat expects.
    pub fn param_schemas(&self) -> Result<IndexMap<String, ParamSchema>> {
        let section = self.section("parameters").and_then(Json::as_object);
        let each = section.into_iter().flatten();
        each.map(|(name, raw)| Ok((name.clone(), ParamSchema::parse(name, raw, self.version)?))).collect()
    }

    /// Its parameters with the values of `environment`.
    ///
    /// # Errors
    /// Where a definition is not written as Heat expects.
    pub fn parameters(&self, identity: &StackIdentity, environment: &Environment) -> Result<Parameters> {
        let (values, defaults) = (&environment.parameters, &environment.parameter_defaults);
        Parameters::new(self.section("parameters"), self.version, identity, values, defaults)
    }

    /// Its conditions over `parameters`.
    ///
    /// # Errors
    /// Where the section is no map.
    pub fn conditions<'a>(&'a self, parameters: &'a Parameters) -> Result<Conditions<'a>> {
        Conditions::new(self.version, self.raw.get("conditions"), parameters)
    }

    /// Checks that sections, and the keywords inside resources and outputs, are known.
    ///
    /// # Errors
    /// The first that is not.
    pub fn validate_sections(&self) -> Result<()> {
        let sections =
            [version::KEY, "description", "parameter_groups", "parameters", "resources", "outputs"];
        let known = |k: &str| sections.contains(&k) || (k == "conditions" && self.version.has_conditions());
        if let Some(section) = self.raw.keys().find(|k| !known(k)) {
            let message = format!("The template section is invalid: {section}");
            return Err(Fault::new("InvalidTemplateSection", message));
        }
        let mut resource = vec![
            "type",
            "properties",
            "metadata",
            "depends_on",
            "deletion_policy",
            "update_policy",
            "description",
        ];
        let mut output = vec!["description", "value"];
        if self.version.has_conditions() {
            resource.extend(["external_id", "condition"]);
            output.push("condition");
        }
        self.validate_section("resources", "type", &resource)?;
        self.validate_section("outputs", "value", &output)
    }

    fn validate_section(&self, section: &str, must: &str, allowed: &[&str]) -> Result<()> {
        let Some(data) = self.section(section) else { return Ok(()) };
        let one = &section[..section.len() - 1];
        let map_of_maps = |found: &Json| {
            let found = python::type_name(found);
            Fault::invalid(format!(
                "\"{section}\" must contain a map of {one} maps. Found a [<class '{found}'>] instead"
            ))
        };
        let Json::Object(data) = data else { return Err(map_of_maps(data)) };
        let mut names: Vec<&String> = data.keys().collect();
        names.sort();
        for name in names {
            let missing = || Fault::invalid(format!("Each {one} must contain a {must} key."));
            let entry = &data[name];
            if !python::truthy(entry) {
                return Err(missing());
            }
            let Json::Object(entry) = entry else { return Err(map_of_maps(entry)) };
            if let Some(key) = entry.keys().find(|k| !allowed.contains(&k.as_str())) {
                return Err(Fault::invalid(format!(
                    "\"{key}\" is not a valid keyword inside a {one} definition"
                )));
            }
            if !entry.contains_key(must) {
                return Err(missing());
            }
        }
        Ok(())
    }

    /// Parses resources and outputs for `parameters`.
    ///
    /// # Errors
    /// Where a section, a keyword, a condition or the form of a function is wrong.
    pub fn parse_for(&self, parameters: &Parameters) -> Result<Parsed> {
        self.validate_sections()?;
        let conditions = self.conditions(parameters)?;
        let scope = Scope { version: self.version, conditions: &conditions };
        let mut parsed =
            Parsed { resources: IndexMap::new(), all_names: Vec::new(), outputs: IndexMap::new() };
        let each = |name: &str| self.section(name).and_then(Json::as_object).into_iter().flatten();
        for (name, raw) in each("resources") {
            parsed.all_names.push(name.clone());
            if name.contains('/') {
                return Err(Fault::invalid("Resource name may not contain \"/\""));
            }
            let definition = self
                .definition(name, raw, &scope)
                .map_err(|fault| if fault.is_python() { Fault::invalid(fault.message) } else { fault })?;
            if let Some(definition) = definition {
                parsed.resources.insert(name.clone(), definition);
            }
        }
        for (name, raw) in each("outputs") {
            let description = raw.get("description").filter(|d| !d.is_null()).map(python::str);
            let enabled = match raw.get("condition") {
                None => true,
                Some(condition) => enabled(&conditions, condition, &["outputs", name, "condition"])?,
            };
            let value = match raw.get("value") {
                Some(value) if enabled => Expr::parse(value, &scope, &format!("outputs.{name}.value"))?,
                _ => Expr::null(),
            };
            parsed.outputs.insert(name.clone(), Output { description, value });
        }
        Ok(parsed)
    }

    fn definition(&self, name: &str, raw: &Json, scope: &Scope<'_>) -> Result<Option<Definition>> {
        let wrong = |key: &str, kind: &str| Fault::kind(format!("Resource {name} {key} type must be {kind}"));
        let parse = |key: &str| -> Result<Option<Expr>> {
            let value = raw.get(key);
            value.map(|v| Expr::parse(v, scope, &format!("resources.{name}.{key}"))).transpose()
        };
        let object = |key: &str| match parse(key)? {
            Some(expr) if expr.may_be_map() => Ok(expr),
            Some(_) => Err(wrong(key, "object")),
            None => Ok(Expr::Literal(Json::Object(Map::new()))),
        };
        let kind = match raw.get("type") {
            Some(Json::String(kind)) if kind.is_empty() => {
                return Err(Fault::invalid(format!("Resource \"{name}\" has no type")));
            }
            Some(Json::String(kind)) => kind.clone(),
            _ => return Err(wrong("type", "string")),
        };
        let (properties, metadata) = (object("properties")?, object("metadata")?);
        let depends_on = match raw.get("depends_on") {
            None => Vec::new(),
            Some(Json::String(one)) => vec![one.clone()],
            Some(Json::Array(many)) => {
                let names: Option<Vec<_>> = many.iter().map(|d| d.as_str().map(str::to_owned)).collect();
                names.ok_or_else(|| {
                    Fault::invalid(format!("Resource {name} depends_on must be a list of strings"))
                })?
            }
            Some(_) => return Err(wrong("depends_on", "list or string")),
        };
        let mut deletion_policy = match parse("deletion_policy")? {
            None => DeletionPolicy::Delete,
            Some(expr @ (Expr::Call(_) | Expr::Literal(Json::String(_)))) => {
                // Only what parameters can say is known this early.
                let value = expr.resolve(scope.conditions)?;
                match (&value, self.version.deletion_policy(&value)) {
                    (Json::Null, _) | (_, Some("Delete")) => DeletionPolicy::Delete,
                    (_, Some("Retain")) => DeletionPolicy::Retain,
                    (_, Some(_)) => DeletionPolicy::Snapshot,
                    _ => {
                        let shown = python::str(&value);
                        return Err(Fault::invalid(format!("Invalid deletion policy \"{shown}\"")));
                    }
                }
            }
            Some(_) => return Err(wrong("deletion_policy", "string")),
        };
        let update_policy = object("update_policy")?;
        let description = match raw.get("description") {
            None | Some(Json::Null) => String::new(),
            Some(Json::String(text)) => text.clone(),
            Some(_) => return Err(wrong("description", "string")),
        };
        let external_id = match parse("external_id")? {
            None | Some(Expr::Literal(Json::Null)) => None,
            Some(expr @ (Expr::Call(_) | Expr::Literal(Json::String(_)))) => Some(expr),
            Some(_) => return Err(wrong("external_id", "string")),
        };
        if external_id.is_some() {
            deletion_policy = DeletionPolicy::Retain;
        }
        if let Some(condition) = raw.get("condition") {
            let fits = matches!(condition, Json::String(_) | Json::Bool(_) | Json::Object(_));
            if !fits {
                return Err(wrong("condition", "string_or_boolean"));
            }
            if !enabled(scope.conditions, condition, &["resources", name, "condition"])? {
                return Ok(None);
            }
        }
        let name = name.to_owned();
        Ok(Some(Definition {
            name,
            kind,
            properties,
            metadata,
            depends_on,
            deletion_policy,
            update_policy,
            description,
            external_id,
        }))
    }

    /// Checks everything that can be known before anything exists, as `stack create` does first. Without
    /// `values`, as `template validate` has it, nothing is asked of parameters without a value and of
    /// properties but to be known.
    ///
    /// # Errors
    /// The first thing wrong.
    pub fn validate(
        &self,
        parameters: &Parameters,
        files: &Map<String, Json>,
        environment: &Environment,
        types: &dyn Types,
        custom: &dyn Custom,
        values: bool,
    ) -> Result<Parsed> {
        self.validate_sections()?;
        parameters.validate(values, custom)?;
        parameters.check_groups(self.raw.get("parameter_groups"))?;
        self.conditions(parameters)?.validate()?;
        let parsed = self.parse_for(parameters)?;
        let twice: Vec<_> =
            parsed.resources.keys().filter(|n| parameters.contains(n)).map(|n| python::repr_str(n)).collect();
        if !twice.is_empty() {
            return Err(Fault::invalid(format!("Duplicate names {{{}}}", twice.join(", "))));
        }
        let context = Unmade { parsed: &parsed, parameters, files, environment, types };
        let graph = parsed.graph(parameters, &[])?;
        for definition in parsed.resources.values() {
            if types.properties(&context.kind(definition)).is_none() {
                let kind = &definition.kind;
                return Err(Fault::invalid(format!("The Resource Type ({kind}) could not be found.")));
            }
        }
        for name in graph.order(|name| parsed.label(name))? {
            let definition = &parsed.resources[name];
            if definition.external_id.is_none() {
                let schema = types.properties(&context.kind(definition)).unwrap_or_default();
                definition.validate(&schema, &context, values.then_some(custom))?;
            }
        }
        for (name, output) in &parsed.outputs {
            let path = ["outputs", name.as_str(), "value"].map(str::to_owned);
            output.value.validate(&context, &path)?;
        }
        Ok(parsed)
    }
}

fn enabled(conditions: &Conditions<'_>, condition: &Json, path: &[&str]) -> Result<bool> {
    conditions.evaluate(condition, &path.join(".")).map_err(|fault| {
        if fault.is_python() { Fault::invalid(fault.message).at(path.iter().copied()) } else { fault }
    })
}

impl Definition {
    /// Checks functions and properties; without `custom`, only that properties are known.
    ///
    /// # Errors
    /// `Property error: resources.x.properties.y: …`
    pub fn validate(
        &self,
        schema: &Schema,
        context: &dyn Context,
        custom: Option<&dyn Custom>,
    ) -> Result<()> {
        let check = || {
            let sections = [
                ("properties", &self.properties),
                ("metadata", &self.metadata),
                ("update_policy", &self.update_policy),
            ];
            sections.iter().try_for_each(|(name, expr)| expr.validate(context, &[(*name).to_owned()]))?;
            match custom {
                Some(custom) => schema::validate(schema, &self.properties, context, custom),
                None => schema::validate_names(schema, &self.properties),
            }
        };
        check().map_err(|mut fault| {
            fault.path.splice(0..0, ["resources".to_owned(), self.name.clone()]);
            fault
        })
    }

    /// As it would stand in a template with all conditions decided; equal renderings ask for no update.
    pub fn to_json(&self) -> Json {
        let mut out = Map::new();
        out.insert("type".into(), self.kind.as_str().into());
        for (key, expr) in [
            ("properties", &self.properties),
            ("metadata", &self.metadata),
            ("update_policy", &self.update_policy),
        ] {
            let value = expr.to_json();
            if python::truthy(&value) {
                out.insert(key.into(), value);
            }
        }
        if !self.depends_on.is_empty() {
            out.insert("depends_on".into(), Json::from(self.depends_on.clone()));
        }
        if self.deletion_policy != DeletionPolicy::Delete {
            out.insert("deletion_policy".into(), format!("{:?}", self.deletion_policy).into());
        }
        if let Some(id) = &self.external_id {
            out.insert("external_id".into(), id.to_json());
        }
        Json::Object(out)
    }
}
