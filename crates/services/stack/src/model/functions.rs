//! The functions: how arguments must look when a call is parsed, and what refers to resources; the work
//! itself is here for references and values, in `texts` for texts, in `lists` for lists and maps.

use super::{
    Conditions, Context, Fault, Json, Result,
    expr::{Call, Eval},
    lists, python, texts,
    version::{Func, removed},
};

/// Checks the form of a call's arguments, as the constructors of Heat's functions do.
pub(super) fn construct(call: &Call) -> Result<()> {
    let (name, args) = (&call.name, &call.args);
    match call.func {
        Func::GetAttr { all } => {
            let falsy = args.literal().is_some_and(|a| !python::truthy(a));
            if all && falsy {
                return Err(Fault::value(format!(
                    "Arguments to \"{name}\" can be of the next forms: [resource_name] or [resource_name, attribute, (path), ...]"
                )));
            }
            match args.items() {
                None => Err(Fault::kind(format!("Argument to \"{name}\" must be a list"))),
                Some(items) if items.len() < 2 && !all => Err(Fault::value(format!(
                    "Arguments to \"{name}\" must be of the form [resource_name, attribute, (path), ...]"
                ))),
                Some(_) => Ok(()),
            }
        }
        Func::StrReplace { .. } | Func::Digest | Func::StrSplit | Func::ListJoin { .. } => {
            texts::construct(call)
        }
        Func::ResourceFacade => match args.literal().and_then(Json::as_str) {
            Some("metadata" | "deletion_policy" | "update_policy") => Ok(()),
            _ => Err(Fault::value(format!(
                "Incorrect arguments to \"{name}\" should be one of: metadata, deletion_policy, update_policy"
            ))),
        },
        Func::Repeat { .. } | Func::Filter | Func::Contains => lists::construct(call),
        Func::Equals => match args.items() {
            Some(items) if items.len() == 2 => Ok(()),
            _ => {
                Err(Fault::value(format!("Arguments to \"{name}\" must be of the form: [value_1, value_2]")))
            }
        },
        Func::Not if args.literal() == Some(&Json::Null) => {
            Err(Fault::value(format!("Argument to \"{name}\" must be a condition")))
        }
        Func::And | Func::Or => match args.items() {
            None => Err(Fault::value(format!("Arguments to \"{name}\" must be a list of conditions"))),
            Some(items) if items.len() < 2 => {
                Err(Fault::value(format!("The minimum number of condition arguments to \"{name}\" is 2.")))
            }
            Some(_) => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The branch that an `if` takes; `None` where it takes the one that is missing.
pub(super) fn choose<'j>(
    name: &str,
    args: &'j Json,
    nullable: bool,
    conditions: &Conditions<'_>,
) -> Result<Option<&'j Json>> {
    let form = || {
        Fault::value(format!(
            "Arguments to \"{name}\" must be of the form: [condition_name, value_if_true, value_if_false]"
        ))
    };
    let args = args.as_array().ok_or_else(form)?;
    let (condition, yes, no) = match args.as_slice() {
        [condition, yes, no] => (condition, yes, Some(no)),
        [condition, yes] if nullable => (condition, yes, None),
        _ => return Err(form()),
    };
    Ok(if conditions.evaluate(condition, name)? { Some(yes) } else { no })
}

/// The resource that a call names, where the name is known before values are.
pub(super) fn referred(call: &Call) -> Option<String> {
    match call.func {
        Func::GetResource => call.args.literal()?.as_str().map(str::to_owned),
        // `Ref` may mean a parameter; who asks drops those.
        Func::Ref => call.args.literal()?.as_str().map(str::to_owned),
        Func::GetAttr { .. } => call.args.items()?.first()?.literal().map(python::str),
        _ => None,
    }
}

/// Checks a call without its value.
pub(super) fn validate(call: &Call, context: &dyn Context) -> Result<()> {
    match call.func {
        Func::GetAttr { .. } => {
            let items = call.args.items().unwrap_or_default();
            let Some(resource) = items.first() else { return Ok(()) };
            let resource = python::str(&resource.resolve(context)?);
            if context.resource_id(&resource).is_none() {
                return Err(Fault::reference(&resource, "unknown"));
            }
            let Some(attribute) = items.get(1) else { return Ok(()) };
            let attribute = python::str(&attribute.resolve(context)?);
            match context.attribute_names(&resource) {
                Some(names) if attribute != "show" && !names.contains(&attribute) => {
                    Err(Fault::attribute(&resource, &attribute))
                }
                _ => Ok(()),
            }
        }
        Func::MakeUrl => texts::validate_url(call),
        Func::Repeat { .. } => match call.args.entry("for_each") {
            Some(each) if !each.may_be_map() => {
                Err(Fault::kind(format!("The \"for_each\" argument to \"{}\" must contain a map", call.name)))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The value of a call.
pub(super) fn call(call: &Call, eval: &Eval<'_>) -> Result<Json> {
    let name = call.name.as_str();
    match call.func {
        Func::GetParam => get_param(name, eval.plain(&call.args)?, eval),
        Func::GetResource | Func::Ref => {
            let resource = python::str(&eval.plain(&call.args)?);
            if let Some(id) = eval.context.resource_id(&resource) {
                return Ok(id);
            }
            match call.func {
                Func::Ref => {
                    eval.context.param(&resource).map_err(|_| Fault::reference(&resource, "unknown"))
                }
                _ => Err(Fault::reference(&resource, "unknown")),
            }
        }
        Func::GetAttr { .. } => get_attr(call, eval),
        Func::GetFile => {
            let key = eval.plain(&call.args)?;
            let Json::String(key) = key else {
                return Err(Fault::kind(format!("Argument to \"{name}\" must be a string")));
            };
            let Some(content) = eval.context.file(&key) else {
                let message = format!("No content found in the \"files\" section for {name} path: {key}");
                return Err(Fault::value(message));
            };
            eval.charge(content.len())?;
            Ok(Json::String(content.to_owned()))
        }
        Func::ResourceFacade => Ok(eval.context.facade(&python::str(&eval.plain(&call.args)?))),
        Func::ListJoin { multiple } => texts::list_join(name, call, multiple, eval),
        Func::StrReplace { json, strict, empty } => texts::str_replace(name, call, json, strict, empty, eval),
        Func::CfnReplace => texts::cfn_replace(name, call, eval),
        Func::Digest => texts::digest(name, eval.plain(&call.args)?),
        Func::StrSplit => texts::str_split(name, eval.plain(&call.args)?, eval),
        Func::Split => texts::cfn_split(name, eval.plain(&call.args)?),
        Func::MakeUrl => texts::make_url(name, eval.plain(&call.args)?),
        Func::Repeat { maps, .. } => lists::repeat(name, call, maps, eval),
        Func::MapMerge => lists::map_merge(name, eval.plain(&call.args)?, eval),
        Func::MapReplace => lists::map_replace(name, eval.plain(&call.args)?),
        Func::Filter => lists::filter(name, call, eval),
        Func::ListConcat { unique } => lists::list_concat(name, eval.plain(&call.args)?, unique, eval),
        Func::Contains => lists::contains(name, call, eval),
        Func::Select => lists::select(name, eval.plain(&call.args)?),
        Func::Base64 => eval.plain(&call.args),
        Func::GetAzs => Ok(Json::from(vec!["nova"])),
        Func::Equals => {
            let items = call.args.items().unwrap_or_default();
            let mut values = items.iter().map(|i| eval.plain(i));
            let (a, b) = (values.next().transpose()?, values.next().transpose()?);
            Ok(Json::Bool(python::equal(&a.unwrap_or(Json::Null), &b.unwrap_or(Json::Null))))
        }
        Func::Not => Ok(Json::Bool(!eval.context.condition(&eval.plain(&call.args)?)?)),
        Func::And | Func::Or => {
            let stop = call.func == Func::Or;
            for item in call.args.items().unwrap_or_default() {
                if eval.context.condition(&eval.plain(&item)?)? == stop {
                    return Ok(Json::Bool(stop));
                }
            }
            Ok(Json::Bool(!stop))
        }
        Func::If { .. } => Err(Fault::value(format!("The function \"{name}\" is invalid in this context"))),
        Func::Removed => Err(removed(name)),
        Func::Invalid => Err(Fault::value(format!("The function \"{name}\" is invalid in this context"))),
    }
}

fn get_param(name: &str, args: Json, eval: &Eval<'_>) -> Result<Json> {
    if !python::truthy(&args) {
        return Err(Fault::value(format!("Function \"{name}\" must have arguments")));
    }
    let (param, path) = match args {
        Json::String(param) => (param, Vec::new()),
        Json::Array(mut items) => match items.remove(0) {
            Json::String(param) => (param, items),
            _ => return Err(Fault::kind(format!("Parameter name in \"{name}\" must be string"))),
        },
        _ => return Err(Fault::kind(format!("Argument to \"{name}\" must be string or list"))),
    };
    let mut value = eval.context.param(&param)?;
    for key in path {
        let next = match (&value, &key) {
            (Json::Object(map), Json::String(key)) => map.get(key).cloned(),
            (Json::Array(items), key) => {
                let index = python::index(key).or_else(|| key.as_str().and_then(python::int));
                index.and_then(|i| lists::index(items, i)).cloned()
            }
            (Json::String(text), key) => {
                let index = python::index(key).or_else(|| key.as_str().and_then(python::int));
                let chars: Vec<Json> = text.chars().map(|c| Json::String(c.into())).collect();
                index.and_then(|i| lists::index(&chars, i)).cloned()
            }
            _ => None,
        };
        match next {
            Some(next) => value = next,
            None => return Ok(Json::String(String::new())),
        }
    }
    Ok(value)
}

fn get_attr(call: &Call, eval: &Eval<'_>) -> Result<Json> {
    let mut items = call.args.items().unwrap_or_default().into_iter();
    let resource = items.next().map(|r| eval.plain(&r)).transpose()?.unwrap_or(Json::Null);
    let resource = python::str(&resource);
    let unknown = || Fault::reference(&resource, "unknown");
    let Some(attribute) = items.next() else {
        return eval.context.attributes(&resource).ok_or_else(unknown);
    };
    let attribute = python::str(&eval.plain(&attribute)?);
    let value = eval.context.attribute(&resource, &attribute).ok_or_else(unknown)??;
    let path: Result<Vec<Json>> = items.map(|i| eval.plain(&i)).collect();
    Ok(select_from(value, &path?))
}

/// Follows `path` into an attribute; null where it leads nowhere.
pub(super) fn select_from(value: Json, path: &[Json]) -> Json {
    path.iter().fold(value, |value, key| {
        let next = match (&value, key) {
            (Json::Object(map), Json::String(key)) => map.get(key),
            (Json::Array(items), key) => python::index(key).and_then(|i| lists::index(items, i)),
            _ => None,
        };
        next.cloned().unwrap_or(Json::Null)
    })
}
