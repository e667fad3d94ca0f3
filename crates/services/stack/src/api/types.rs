//! Resource types and template versions: what a template may say.

use pileus_base::{Error, Result};
use pileus_http::Reply;
use serde_json::{Map, json};

use super::Req;
use crate::{
    model::{
        Json, Version,
        constraints::ValueType,
        params::type_name,
        schema::Property,
        version::{KEY, SPELLINGS},
    },
    types::Kind,
};

fn status() -> Json {
    json!({"status": "SUPPORTED", "message": null, "version": null, "previous_status": null})
}

/// `GET /resource_types`
pub async fn index(call: Req) -> Result<Reply> {
    super::project(&call)?;
    let name = call.query.get("name").unwrap_or_default().to_owned();
    let regex = regex::Regex::new(&name)
        .map_err(|_| Error::bad_request(format!("Invalid regular expression: {name}")))?;
    let kinds = call.state.registry.kinds().filter(|k| regex.is_match(k.name()));
    let described = call.query.flag("with_description") == Some(true);
    let shown: Vec<Json> = kinds
        .map(|k| match described {
            true => json!({"resource_type": k.name(), "description": k.about()}),
            false => k.name().into(),
        })
        .collect();
    Reply::ok(&json!({"resource_types": shown}))
}

fn kind(call: &Req) -> Result<std::sync::Arc<dyn Kind>> {
    super::project(call)?;
    let name = call.param("type");
    let found = call.state.registry.kinds().find(|k| k.name() == name).cloned();
    let missing =
        || Error::not_found(format!("The Resource Type ({name}) could not be found.")).code("EntityNotFound");
    found.ok_or_else(missing)
}

/// `GET /resource_types/{type}`
pub async fn show(call: Req) -> Result<Reply> {
    let kind = kind(&call)?;
    let properties: Map<String, Json> =
        kind.schema().iter().filter(|(_, p)| p.implemented).map(|(n, p)| (n.clone(), p.to_json())).collect();
    let attributes =
        kind.attributes().iter().copied().chain([("show", "Detailed information about resource.")]);
    let attributes: Map<String, Json> =
        attributes.map(|(n, d)| (n.to_owned(), json!({"description": d}))).collect();
    Reply::ok(&json!({
        "resource_type": kind.name(),
        "description": kind.about(),
        "properties": properties,
        "attributes": attributes,
        "support_status": status(),
    }))
}

fn parameter(property: &Property) -> Json {
    let kind = match property.kind {
        ValueType::Any => "string",
        kind => type_name(kind),
    };
    let mut out = json!({"type": kind});
    if !property.description.is_empty() {
        out["description"] = property.description.as_str().into();
    }
    if !property.required {
        let none = match property.kind {
            ValueType::Map => json!({}),
            ValueType::List => json!([]),
            _ => json!(""),
        };
        out["default"] = property.default.clone().unwrap_or(none);
    }
    out
}

/// `GET /resource_types/{type}/template`: a template that makes one, every property a parameter.
pub async fn template(call: Req) -> Result<Reply> {
    let kind = kind(&call)?;
    if call.query.get("template_type").is_some_and(|t| t == "cfn") {
        return Err(crate::wire::fault::unbuilt("template_type cfn"));
    }
    let schema = kind.schema();
    let short = kind.name().rsplit("::").next().unwrap_or("Resource").to_owned();
    let parameters: Map<String, Json> = schema.iter().map(|(n, p)| (n.clone(), parameter(p))).collect();
    let properties: Map<String, Json> = schema.keys().map(|n| (n.clone(), json!({"get_param": n}))).collect();
    let outputs: Map<String, Json> = kind
        .attributes()
        .iter()
        .map(|(n, d)| ((*n).to_owned(), json!({"description": d, "value": {"get_attr": [short, n]}})))
        .collect();
    Reply::ok(&json!({
        "heat_template_version": "2016-10-14",
        "description": format!("Initial template of {short}"),
        "parameters": parameters,
        "resources": {short.clone(): {"type": kind.name(), "properties": properties}},
        "outputs": outputs,
    }))
}

/// `GET /template_versions`
pub async fn versions(call: Req) -> Result<Reply> {
    super::project(&call)?;
    let dated = |s: &str| s.starts_with(|c: char| c.is_ascii_digit());
    let shown: Vec<Json> = SPELLINGS
        .iter()
        .filter(|(s, _)| dated(s))
        .map(|(spelling, version)| {
            let aliases: Vec<String> = SPELLINGS
                .iter()
                .filter(|(s, v)| v == version && !dated(s))
                .map(|(s, _)| format!("{KEY}.{s}"))
                .collect();
            json!({"version": format!("{KEY}.{spelling}"), "type": "hot", "aliases": aliases})
        })
        .collect();
    Reply::ok(&json!({"template_versions": shown}))
}

/// Every function's name and what it does.
const FUNCTIONS: [(&str, &str); 27] = [
    ("contains", "Checks whether a value is in a list, map or text."),
    ("digest", "Applies a hash algorithm to a text."),
    ("filter", "Removes values from a list."),
    ("get_attr", "Takes an attribute of a resource."),
    ("get_file", "Takes the content of a file that came with the template."),
    ("get_param", "Takes the value of a parameter."),
    ("get_resource", "Refers to another resource."),
    ("if", "Chooses by a condition."),
    ("list_concat", "Joins lists."),
    ("list_concat_unique", "Joins lists without repeating a value."),
    ("list_join", "Joins texts with a delimiter."),
    ("make_url", "Builds a URL from its parts."),
    ("map_merge", "Joins maps."),
    ("map_replace", "Replaces keys and values of a map."),
    ("repeat", "Repeats a snippet for each of a list's values."),
    ("resource_facade", "Takes data of the resource that a nested stack stands for."),
    ("str_replace", "Replaces words in a text."),
    ("str_replace_strict", "Replaces words in a text, each of which must be there."),
    ("str_replace_vstrict", "As str_replace_strict; no value may be empty."),
    ("str_split", "Splits a text."),
    ("Fn::Select", "Takes one of several values."),
    ("Ref", "Refers to a parameter or a resource."),
    ("Fn::Join", "Joins texts with a delimiter."),
    ("Fn::Split", "Splits a text."),
    ("Fn::Base64", "Gives the text as it is."),
    ("Fn::GetAZs", "Lists availability zones."),
    ("Fn::Replace", "Replaces words in a text."),
];

/// `GET /template_versions/{version}/functions`
pub async fn functions(call: Req) -> Result<Reply> {
    super::project(&call)?;
    let asked = call.param("version");
    let spelling = asked.strip_prefix(&format!("{KEY}.")).unwrap_or(asked);
    let missing =
        |_| Error::not_found(format!("The Template version ({asked}) could not be found.")).code("NotFound");
    let version = Version::parse(spelling).map_err(missing)?;
    let known = FUNCTIONS
        .iter()
        .filter(|(n, _)| version.function(n).is_some_and(|f| f != crate::model::version::Func::Removed));
    let mut shown: Vec<Json> = known.map(|(n, d)| json!({"functions": n, "description": d})).collect();
    if call.query.flag("with_condition_func") == Some(true) && version.has_conditions() {
        for name in ["equals", "not", "and", "or"] {
            shown.push(json!({"functions": name, "description": "A condition."}));
        }
    }
    Reply::ok(&json!({"template_functions": shown}))
}
