//! The properties of a resource type: what they are, whether given ones are right, what they come to.
//!
//! A resource type states its [`Schema`] once; templates' properties are validated and resolved against it
//! with Heat's coercions (`"5"` is an integer, `True` a text) and Heat's messages.

use indexmap::IndexMap;
use serde_json::Map;

use super::{
    Constraint, Context, Expr, Fault, Json, Result,
    constraints::{Custom, Unchecked, ValueType, to_number},
    python,
};

pub use super::constraints::ValueType as PropertyType;

/// The properties of a resource type, by name.
pub type Schema = IndexMap<String, Property>;

/// What a property is.
#[derive(Debug, Clone)]
pub struct Property {
    /// Its type.
    pub kind: ValueType,
    /// What it is for.
    pub description: String,
    /// Whether it must be given.
    pub required: bool,
    /// Its value where it is not.
    pub default: Option<Json>,
    /// What its values must obey.
    pub constraints: Vec<Constraint>,
    /// Whether it can change without replacing the resource.
    pub update_allowed: bool,
    /// Whether it may not change at all.
    pub immutable: bool,
    /// Whether we do anything with it.
    pub implemented: bool,
    /// Of what a list or a map is made.
    pub nested: Nested,
}

/// What is inside a property.
#[derive(Debug, Clone)]
pub enum Nested {
    /// Anything.
    Free,
    /// Each item of the list is this.
    Items(Box<Property>),
    /// The map has these entries.
    Entries(Schema),
}

impl Property {
    /// An optional property of type `kind`.
    pub fn new(kind: ValueType) -> Self {
        Self {
            kind,
            description: String::new(),
            required: false,
            default: None,
            constraints: Vec::new(),
            update_allowed: false,
            immutable: false,
            implemented: true,
            nested: Nested::Free,
        }
    }
    /// A text.
    pub fn string() -> Self {
        Self::new(ValueType::String)
    }
    /// A whole number.
    pub fn integer() -> Self {
        Self::new(ValueType::Integer)
    }
    /// A number.
    pub fn number() -> Self {
        Self::new(ValueType::Number)
    }
    /// A truth value.
    pub fn boolean() -> Self {
        Self::new(ValueType::Boolean)
    }
    /// Anything.
    pub fn any() -> Self {
        Self::new(ValueType::Any)
    }
    /// A map with any entries.
    pub fn map() -> Self {
        Self::new(ValueType::Map)
    }
    /// A map with these entries.
    pub fn entries<const N: usize>(entries: [(&str, Property); N]) -> Self {
        Self { nested: Nested::Entries(schema(entries)), ..Self::map() }
    }
    /// A list of anything.
    pub fn list() -> Self {
        Self::new(ValueType::List)
    }
    /// A list of these.
    pub fn list_of(item: Property) -> Self {
        Self { nested: Nested::Items(Box::new(item)), ..Self::list() }
    }
    /// It must be given.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// It can change in place.
    pub fn updatable(mut self) -> Self {
        self.update_allowed = true;
        self
    }
    /// It may not change.
    pub fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }
    /// Its value where none is given.
    pub fn default(mut self, value: impl Into<Json>) -> Self {
        self.default = Some(value.into());
        self
    }
    /// With one more constraint.
    pub fn constraint(mut self, constraint: Constraint) -> Self {
        self.constraints.push(constraint);
        self
    }
    /// What it is for.
    pub fn describe(mut self, text: &str) -> Self {
        text.clone_into(&mut self.description);
        self
    }
    /// Known, and not served.
    pub fn unimplemented(mut self) -> Self {
        self.implemented = false;
        self
    }

    /// As `resource type show` shows it.
    pub fn to_json(&self) -> Json {
        let kind = match self.kind {
            ValueType::String => "string",
            ValueType::Integer => "integer",
            ValueType::Number => "number",
            ValueType::Boolean => "boolean",
            ValueType::Map => "map",
            ValueType::List => "list",
            ValueType::Any => "any",
        };
        let mut out = Map::new();
        out.insert("type".into(), kind.into());
        if !self.description.is_empty() {
            out.insert("description".into(), self.description.as_str().into());
        }
        if let Some(default) = &self.default {
            out.insert("default".into(), default.clone());
        }
        out.insert("required".into(), self.required.into());
        if !self.constraints.is_empty() {
            let constraints = self.constraints.iter().map(Constraint::to_json).collect();
            out.insert("constraints".into(), Json::Array(constraints));
        }
        out.insert("update_allowed".into(), self.update_allowed.into());
        out.insert("immutable".into(), self.immutable.into());
        let nested: Option<Map<String, Json>> = match &self.nested {
            Nested::Free => None,
            Nested::Items(item) => Some([("*".to_owned(), item.to_json())].into_iter().collect()),
            Nested::Entries(entries) => Some(entries.iter().map(|(k, p)| (k.clone(), p.to_json())).collect()),
        };
        if let Some(nested) = nested {
            out.insert("schema".into(), Json::Object(nested));
        }
        Json::Object(out)
    }

    /// `value` in the property's type; checked against constraints where `custom` is given.
    fn value(&self, value: &Json, custom: Option<&dyn Custom>) -> Result<Json> {
        let fallback = |zero: Json| self.default.clone().filter(python::truthy).unwrap_or(zero);
        let given = |zero: Json| if value.is_null() { fallback(zero) } else { value.clone() };
        let value = match self.kind {
            ValueType::String => match given(Json::from("")) {
                Json::String(s) => Json::String(s),
                scalar @ Json::Bool(_) => Json::String(python::str(&scalar)),
                Json::Number(n) if !n.is_f64() => Json::String(n.to_string()),
                other => {
                    return Err(Fault::value(format!(
                        "Value must be a string; got {}",
                        python::repr(&other)
                    )));
                }
            },
            ValueType::Integer => match given(Json::from(0)) {
                Json::Bool(b) => Json::from(i64::from(b)),
                Json::Number(n) if n.is_f64() => Json::from(n.as_f64().unwrap_or(0.0).trunc() as i64),
                n @ Json::Number(_) => n,
                Json::String(s) => match python::int(&s) {
                    Some(i) => Json::from(i),
                    None => return Err(Fault::value(format!("Value '{s}' is not an integer"))),
                },
                other => return to_number(&other),
            },
            ValueType::Number => to_number(&given(Json::from(0)))?,
            ValueType::Boolean => match given(Json::Bool(false)) {
                Json::Bool(b) => Json::Bool(b),
                Json::String(s) => match s.to_lowercase().as_str() {
                    "true" => Json::Bool(true),
                    "false" => Json::Bool(false),
                    other => return Err(Fault::value(format!("\"{other}\" is not a valid boolean"))),
                },
                other => {
                    return Err(Fault::kind(format!("\"{}\" is not a valid boolean", python::str(&other))));
                }
            },
            ValueType::Map => {
                let map = if value.is_null() {
                    self.default.clone().unwrap_or(Json::Object(Map::new()))
                } else {
                    value.clone()
                };
                match (map, &self.nested) {
                    (Json::Object(map), Nested::Entries(entries)) => {
                        Json::Object(inner(entries, &map, custom)?)
                    }
                    (Json::Object(map), _) => Json::Object(map),
                    (other, _) => {
                        return Err(Fault::kind(format!("\"{}\" is not a map", python::str(&other))));
                    }
                }
            }
            ValueType::List => match (given(Json::Array(Vec::new())), &self.nested) {
                (Json::Array(items), Nested::Items(item)) => {
                    let each = items
                        .iter()
                        .enumerate()
                        .map(|(i, v)| item.value(v, custom).map_err(|fault| within(&i.to_string(), fault)));
                    Json::Array(each.collect::<Result<_>>()?)
                }
                (Json::Array(items), _) => Json::Array(items),
                (other, _) => {
                    let shown = python::repr(&other);
                    return Err(Fault::kind(format!("\"{shown}\" is not a list")));
                }
            },
            ValueType::Any => value.clone(),
        };
        if let Some(custom) = custom {
            for constraint in &self.constraints {
                constraint.check(&value, self.kind, custom).map_err(|f| Fault::invalid(f.message))?;
            }
        }
        Ok(value)
    }
}

/// A [`Schema`] from pairs.
pub fn schema<const N: usize>(entries: [(&str, Property); N]) -> Schema {
    entries.into_iter().map(|(name, property)| (name.to_owned(), property)).collect()
}

/// `fault` as one of the property `key`.
fn within(key: &str, fault: Fault) -> Fault {
    let mut path = vec![key.to_owned()];
    path.extend(fault.path.iter().cloned());
    Fault::invalid(fault.message).at(path)
}

/// The entries of a map property, all of its schema's, null where not given.
fn inner(
    entries: &Schema,
    given: &Map<String, Json>,
    custom: Option<&dyn Custom>,
) -> Result<Map<String, Json>> {
    if custom.is_some()
        && let Some(key) = given.keys().find(|k| !entries.contains_key(*k))
    {
        return Err(Fault::invalid(format!("Unknown Property {key}")));
    }
    let mut out = Map::new();
    for (key, property) in entries {
        out.insert(key.clone(), one(key, property, given.get(key), custom)?);
    }
    Ok(out)
}

fn one(key: &str, property: &Property, given: Option<&Json>, custom: Option<&dyn Custom>) -> Result<Json> {
    if let (Some(_), Some(_), false) = (given, custom, property.implemented) {
        return Err(Fault::invalid(format!("Property {key} not implemented yet")));
    }
    match given {
        Some(value) => property.value(value, custom).map_err(|fault| within(key, fault)),
        None if property.default.is_some() => {
            property.value(&Json::Null, custom).map_err(|fault| within(key, fault))
        }
        None if property.required => Err(Fault::value(format!("Property {key} not assigned"))),
        None => Ok(Json::Null),
    }
}

/// Resolves `properties` against `schema`: every property of the schema, null where not given.
///
/// # Errors
/// Where a function fails or a value has the wrong type; paths begin with the property's name.
pub fn resolve(schema: &Schema, properties: &Expr, context: &dyn Context) -> Result<Map<String, Json>> {
    walk(schema, properties, context, None)
}

/// Checks `properties` against `schema`. Values that come from resources still to be made are not held to
/// constraints.
///
/// # Errors
/// `Property error: properties.x: …`
pub fn validate(
    schema: &Schema,
    properties: &Expr,
    context: &dyn Context,
    custom: &dyn Custom,
) -> Result<()> {
    walk(schema, properties, context, Some(custom)).map(drop).map_err(property_error)
}

/// Checks that `properties` are all of `schema`, whatever their values.
///
/// # Errors
/// `Property error: properties: Unknown Property x`
pub fn validate_names(schema: &Schema, properties: &Expr) -> Result<()> {
    known(schema, properties).map_err(property_error)
}

fn property_error(fault: Fault) -> Fault {
    let mut path = vec!["properties".to_owned()];
    path.extend(fault.path);
    Fault::invalid(fault.message).during("Property error").at(path)
}

fn known(schema: &Schema, properties: &Expr) -> Result<()> {
    match properties.keys().unwrap_or_default().iter().find(|k| !schema.contains_key(*k)) {
        Some(key) => Err(Fault::invalid(format!("Unknown Property {key}"))),
        None => Ok(()),
    }
}

fn walk(
    schema: &Schema,
    properties: &Expr,
    context: &dyn Context,
    custom: Option<&dyn Custom>,
) -> Result<Map<String, Json>> {
    let resolved;
    let properties = if properties.is_call() {
        resolved = Expr::Literal(properties.resolve(context)?);
        &resolved
    } else {
        properties
    };
    known(schema, properties)?;
    let mut out = Map::new();
    for (key, property) in schema {
        let given = properties.entry(key);
        let mut custom = custom;
        let value = match given {
            Some(expr) => {
                let mut pending = false;
                let mut look = |resource: &str, _: &str| {
                    pending |= context.pending(resource);
                    Ok(())
                };
                expr.references("", &mut look)?;
                if pending {
                    custom = None;
                }
                let value = expr.resolve_nullable(context);
                value.map_err(|fault| Fault::invalid(fault.to_string()).at([key.as_str()]))?
            }
            None => None,
        };
        out.insert(key.clone(), one(key, property, value.as_ref(), custom)?);
    }
    Ok(out)
}

/// What a change of properties asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Nothing.
    None,
    /// Change the resource.
    Update,
    /// Make another in its place.
    Replace,
}

/// The names of properties that differ between two resolved sets.
pub fn differing<'a>(schema: &'a Schema, old: &Map<String, Json>, new: &Map<String, Json>) -> Vec<&'a str> {
    let value = |set: &Map<String, Json>, key: &str| set.get(key).cloned().unwrap_or(Json::Null);
    schema
        .keys()
        .filter(|key| !python::equal(&value(old, key), &value(new, key)))
        .map(String::as_str)
        .collect()
}

/// What going from `old` to `new` asks for.
///
/// # Errors
/// Where a property changes that may not.
pub fn change(schema: &Schema, old: &Map<String, Json>, new: &Map<String, Json>) -> Result<Change> {
    let names = differing(schema, old, new);
    if let Some(name) = names.iter().find(|n| schema[**n].immutable) {
        return Err(Fault::new("NotSupported", format!("Update to property {name} is not supported.")));
    }
    Ok(match names.as_slice() {
        [] => Change::None,
        names if names.iter().all(|n| schema[*n].update_allowed) => Change::Update,
        _ => Change::Replace,
    })
}

/// Resolved properties without checks, from plain JSON: for resources that others make (groups, nested stacks).
///
/// # Errors
/// Where a value has the wrong type.
pub fn coerce(schema: &Schema, given: &Map<String, Json>) -> Result<Map<String, Json>> {
    inner(schema, given, Some(&Unchecked))
}
