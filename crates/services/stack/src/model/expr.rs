//! A parsed snippet of a template: literals, and calls of functions that wait for their values.
//!
//! `if` is decided while parsing, as in Heat: conditions depend on parameters alone, and the branch not
//! taken is never looked at. What is left is evaluated lazily over a [`Context`], as often as needed: at
//! validation, where resources have no ids yet, and when a resource is made.
//!
//! A template is somebody's program: [`Eval`] charges for whatever functions build, so that nested
//! `str_replace` or `repeat` cannot fill the memory.

use std::cell::Cell;

use super::{
    Conditions, Fault, Json, Result, Version, functions,
    version::{Func, removed},
};

/// Bytes and values that the functions of one evaluation may build.
const BUDGET: usize = 4 << 20;

/// A parsed snippet.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A value without functions.
    Literal(Json),
    /// A list with functions inside.
    List(Vec<Expr>),
    /// A map with functions inside.
    Map(Vec<(String, Expr)>),
    /// A function call.
    Call(Box<Call>),
    /// Nothing at all: the missing branch of an `if`. The entry that holds it vanishes.
    Omit,
}

/// A function call.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// Which function.
    pub func: Func,
    /// By which name.
    pub name: String,
    /// With what.
    pub args: Expr,
}

/// What an evaluation may ask for.
pub trait Context {
    /// The value of a parameter.
    ///
    /// # Errors
    /// Where there is none.
    fn param(&self, name: &str) -> Result<Json>;
    /// What `get_resource` gives for an enabled resource: its id, or its name before it has one. `None`
    /// where there is no such resource.
    fn resource_id(&self, name: &str) -> Option<Json>;
    /// An attribute of a resource; null while it is not known. `None` where there is no such resource.
    ///
    /// # Errors
    /// Where the resource's type has no such attribute.
    fn attribute(&self, resource: &str, attribute: &str) -> Option<Result<Json>>;
    /// All attributes of a resource, null while they are not known.
    fn attributes(&self, resource: &str) -> Option<Json>;
    /// Whether a resource is still to be made, so that values taken from it mean nothing yet.
    fn pending(&self, resource: &str) -> bool;
    /// The names of attributes of a resource's type; `None` where anything goes.
    fn attribute_names(&self, resource: &str) -> Option<Vec<String>>;
    /// The content of a file that came with the template.
    fn file(&self, key: &str) -> Option<&str>;
    /// A datum of the parent's resource: `metadata`, `deletion_policy` or `update_policy`.
    fn facade(&self, what: &str) -> Json;
    /// Whether a condition holds.
    ///
    /// # Errors
    /// Where there is no such condition.
    fn condition(&self, name: &Json) -> Result<bool>;
}

/// What parsing needs to know.
pub struct Scope<'a> {
    /// The template's version.
    pub version: Version,
    /// Its conditions.
    pub conditions: &'a Conditions<'a>,
}

impl Expr {
    /// Parses `snippet`, which stands at `path`, outside a condition.
    ///
    /// # Errors
    /// Where a function's arguments have the wrong form.
    pub fn parse(snippet: &Json, scope: &Scope<'_>, path: &str) -> Result<Expr> {
        parse(snippet, path, scope.version, false, Some(scope.conditions))
    }

    /// Parses `snippet` as (part of) a condition.
    ///
    /// # Errors
    /// Where a function is not allowed there or its arguments have the wrong form.
    pub fn parse_condition(snippet: &Json, version: Version, path: &str) -> Result<Expr> {
        parse(snippet, path, version, true, None)
    }

    /// Null.
    pub fn null() -> Expr {
        Expr::Literal(Json::Null)
    }

    /// Whether a function call stands here.
    pub fn is_call(&self) -> bool {
        matches!(self, Expr::Call(_))
    }

    /// Whether it is a map, or a function that may give one.
    pub fn may_be_map(&self) -> bool {
        matches!(self, Expr::Map(_) | Expr::Call(_) | Expr::Literal(Json::Object(_)))
    }

    /// The items, where it is a list.
    pub fn items(&self) -> Option<Vec<Expr>> {
        match self {
            Expr::List(items) => Some(items.clone()),
            Expr::Literal(Json::Array(items)) => Some(items.iter().cloned().map(Expr::Literal).collect()),
            _ => None,
        }
    }

    /// The entry `key`, where it is a map.
    pub fn entry(&self, key: &str) -> Option<Expr> {
        match self {
            Expr::Map(entries) => entries.iter().find(|(k, _)| k == key).map(|(_, v)| v.clone()),
            Expr::Literal(Json::Object(map)) => map.get(key).cloned().map(Expr::Literal),
            _ => None,
        }
    }

    /// The keys, where it is a map.
    pub fn keys(&self) -> Option<Vec<String>> {
        match self {
            Expr::Map(entries) => Some(entries.iter().map(|(k, _)| k.clone()).collect()),
            Expr::Literal(Json::Object(map)) => Some(map.keys().cloned().collect()),
            _ => None,
        }
    }

    /// The literal, where there is no function in it.
    pub fn literal(&self) -> Option<&Json> {
        match self {
            Expr::Literal(json) => Some(json),
            _ => None,
        }
    }

    /// As the template had it, functions as one-entry maps.
    pub fn to_json(&self) -> Json {
        match self {
            Expr::Literal(json) => json.clone(),
            Expr::List(items) => {
                Json::Array(items.iter().filter(|i| **i != Expr::Omit).map(Expr::to_json).collect())
            }
            Expr::Map(entries) => {
                let entries = entries.iter().filter(|(_, v)| *v != Expr::Omit);
                Json::Object(entries.map(|(k, v)| (k.clone(), v.to_json())).collect())
            }
            Expr::Call(call) => {
                Json::Object([(call.name.clone(), call.args.to_json())].into_iter().collect())
            }
            Expr::Omit => Json::Null,
        }
    }

    /// The value; null where it is left out.
    ///
    /// # Errors
    /// Where a function cannot work on its arguments.
    pub fn resolve(&self, context: &dyn Context) -> Result<Json> {
        Ok(self.resolve_nullable(context)?.unwrap_or(Json::Null))
    }

    /// The value, or `None` where it is left out.
    ///
    /// # Errors
    /// Where a function cannot work on its arguments.
    pub fn resolve_nullable(&self, context: &dyn Context) -> Result<Option<Json>> {
        Eval { context, spent: Cell::new(0) }.value(self)
    }

    /// Checks function calls without their values, as Heat's `validate`. `path` names the section.
    ///
    /// # Errors
    /// The first call that cannot be right.
    pub fn validate(&self, context: &dyn Context, path: &[String]) -> Result<()> {
        match self {
            Expr::Literal(_) | Expr::Omit => Ok(()),
            Expr::List(items) => {
                let (parent, base) = path.split_last().map_or(("", &[][..]), |(p, b)| (p.as_str(), b));
                items.iter().enumerate().try_for_each(|(i, item)| {
                    let mut path = base.to_vec();
                    path.push(format!("{parent}[{i}]"));
                    item.validate(context, &path)
                })
            }
            Expr::Map(entries) => entries.iter().try_for_each(|(key, value)| {
                let mut path = path.to_vec();
                path.push(key.clone());
                value.validate(context, &path)
            }),
            Expr::Call(call) => {
                let checked = match call.func {
                    Func::Removed => Err(removed(&call.name)),
                    _ => call.args.validate(context, &[]).and_then(|()| functions::validate(call, context)),
                };
                checked.map_err(|fault| {
                    let mut path = path.to_vec();
                    path.push(call.name.clone());
                    Fault::invalid(fault.to_string()).at(path)
                })
            }
        }
    }

    /// Calls `found` with the name of each resource that this refers to, and where.
    ///
    /// # Errors
    /// What `found` refuses.
    pub fn references(&self, path: &str, found: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
        match self {
            Expr::Literal(_) | Expr::Omit => Ok(()),
            Expr::List(items) => items
                .iter()
                .enumerate()
                .try_for_each(|(i, item)| item.references(&format!("{path}[{i}]"), found)),
            Expr::Map(entries) => {
                entries.iter().try_for_each(|(key, item)| item.references(&format!("{path}.{key}"), found))
            }
            Expr::Call(call) => {
                call.args.references(&format!("{path}.{}", call.name), found)?;
                match functions::referred(call) {
                    Some(name) => found(&name, path),
                    None => Ok(()),
                }
            }
        }
    }

    /// Calls `found` with each resource and attribute that this takes (`*` for all of them).
    pub fn attributes(&self, found: &mut dyn FnMut(&str, &str)) {
        match self {
            Expr::Literal(_) | Expr::Omit => {}
            Expr::List(items) => items.iter().for_each(|item| item.attributes(found)),
            Expr::Map(entries) => entries.iter().for_each(|(_, item)| item.attributes(found)),
            Expr::Call(call) => {
                call.args.attributes(found);
                if let (Func::GetAttr { .. }, Some(items)) = (call.func, call.args.items()) {
                    let text = |i: usize| items.get(i).and_then(Expr::literal).and_then(Json::as_str);
                    if let Some(resource) = text(0) {
                        found(resource, text(1).unwrap_or("*"));
                    }
                }
            }
        }
    }
}

fn parse(
    snippet: &Json,
    path: &str,
    version: Version,
    in_condition: bool,
    conditions: Option<&Conditions<'_>>,
) -> Result<Expr> {
    match snippet {
        Json::Object(map) => {
            let call = (map.len() == 1).then(|| map.iter().next()).flatten().and_then(|(name, args)| {
                let func =
                    if in_condition { version.condition_function(name) } else { version.function(name) };
                func.map(|func| (func, name, args))
            });
            if let Some((func, name, args)) = call {
                let path = format!("{path}.{name}");
                let parsed = match (func, conditions) {
                    (Func::If { nullable }, Some(conditions)) => {
                        let branch = functions::choose(name, args, nullable, conditions)
                            .map_err(|fault| fault.validation_at(&path))?;
                        let branch = branch.map(|b| parse(b, &path, version, in_condition, Some(conditions)));
                        return branch.unwrap_or(Ok(Expr::Omit));
                    }
                    (Func::Invalid, _) => {
                        Err(Fault::value(format!("The function \"{name}\" is invalid in this context")))
                    }
                    _ => {
                        let args = parse(args, &path, version, in_condition, conditions)?;
                        let call = Call { func, name: name.clone(), args };
                        functions::construct(&call).map(|()| Expr::Call(Box::new(call)))
                    }
                };
                return parsed.map_err(|fault| fault.validation_at(&path));
            }
            let entries: Result<Vec<_>> = map
                .iter()
                .map(|(k, v)| {
                    Ok((k.clone(), parse(v, &format!("{path}.{k}"), version, in_condition, conditions)?))
                })
                .collect();
            let entries = entries?;
            let literal = entries.iter().all(|(_, v)| matches!(v, Expr::Literal(_)));
            let expr = Expr::Map(entries);
            // Not the snippet itself: an `if` inside may have become the literal it chose.
            Ok(if literal { Expr::Literal(expr.to_json()) } else { expr })
        }
        Json::Array(items) => {
            let parsed: Result<Vec<_>> = items
                .iter()
                .enumerate()
                .map(|(i, v)| parse(v, &format!("{path}[{i}]"), version, in_condition, conditions))
                .collect();
            let parsed = parsed?;
            let literal = parsed.iter().all(|v| matches!(v, Expr::Literal(_)));
            let expr = Expr::List(parsed);
            Ok(if literal { Expr::Literal(expr.to_json()) } else { expr })
        }
        other => Ok(Expr::Literal(other.clone())),
    }
}

/// One evaluation under way.
pub(super) struct Eval<'a> {
    pub context: &'a dyn Context,
    spent: Cell<usize>,
}

impl Eval<'_> {
    /// Accounts for `amount` bytes or values about to be built.
    pub fn charge(&self, amount: usize) -> Result<()> {
        let spent = self.spent.get().saturating_add(amount);
        self.spent.set(spent);
        if spent > BUDGET {
            return Err(Fault::value(format!(
                "The functions of this template build more than {BUDGET} bytes"
            )));
        }
        Ok(())
    }

    pub fn value(&self, expr: &Expr) -> Result<Option<Json>> {
        match expr {
            Expr::Literal(json) => Ok(Some(json.clone())),
            Expr::Omit => Ok(None),
            Expr::List(items) => {
                let items: Result<Vec<_>> = items.iter().filter_map(|i| self.value(i).transpose()).collect();
                Ok(Some(Json::Array(items?)))
            }
            Expr::Map(entries) => {
                let mut map = serde_json::Map::new();
                for (key, item) in entries {
                    if let Some(value) = self.value(item)? {
                        map.insert(key.clone(), value);
                    }
                }
                Ok(Some(Json::Object(map)))
            }
            Expr::Call(call) => functions::call(call, self).map(Some),
        }
    }

    /// The value, null where it is left out.
    pub fn plain(&self, expr: &Expr) -> Result<Json> {
        Ok(self.value(expr)?.unwrap_or(Json::Null))
    }
}
