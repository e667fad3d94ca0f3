//! Templates in, values and Heat's messages out.

mod functions;
mod parameters;
mod templates;
mod truth;

use serde_json::{Map, json};

use super::{
    Context, Environment, Expr, Fault, Json, Parameters, Property, Result, Template,
    constraints::Unchecked,
    params::StackIdentity,
    parsed::{Parsed, Types},
    schema::{Schema, schema},
};

/// Types for tests: a server, and a value that takes anything.
pub struct TestTypes;

impl Types for TestTypes {
    fn properties(&self, kind: &str) -> Option<Schema> {
        match kind {
            "OS::Nova::Server" => Some(schema([
                ("flavor", Property::string().required().updatable()),
                ("image", Property::string()),
                ("count", Property::integer().constraint(super::Constraint::range(Some(1), Some(9)))),
                ("on", Property::boolean()),
                ("metadata", Property::map().updatable()),
                ("kept", Property::string().immutable()),
                (
                    "networks",
                    Property::list_of(Property::entries([
                        ("network", Property::string()),
                        ("fixed_ip", Property::string().constraint(super::Constraint::length(Some(7), None))),
                    ])),
                ),
            ])),
            "OS::Heat::Value" => Some(schema([("value", Property::any().required().updatable())])),
            _ => None,
        }
    }
    fn attributes(&self, kind: &str) -> Option<Vec<String>> {
        (kind == "OS::Nova::Server").then(|| vec!["addresses".to_owned(), "first_address".to_owned()])
    }
}

pub fn environment(parameters: Json) -> Environment {
    Environment { parameters: parameters.as_object().cloned().unwrap_or_default(), ..Environment::default() }
}

pub fn identity() -> StackIdentity {
    StackIdentity { name: "teststack".into(), id: "an-id".into(), project_id: "demo-id".into() }
}

/// Validates `text` with `parameters`.
pub fn check(text: &str, parameters: Json) -> Result<Parsed> {
    let template = Template::parse(text)?;
    let environment = environment(parameters);
    let parameters = template.parameters(&identity(), &environment)?;
    let files: Map<String, Json> = [("a.sh".to_owned(), json!("#!/bin/sh"))].into_iter().collect();
    template.validate(&parameters, &files, &environment, &TestTypes, &Unchecked, true)
}

/// The message that `text` is refused with.
pub fn refusal(text: &str, parameters: Json) -> String {
    check(text, parameters).expect_err("must be refused").to_string()
}

/// A stack whose server `srv` exists.
pub struct Made {
    pub parameters: Parameters,
}

impl Context for Made {
    fn param(&self, name: &str) -> Result<Json> {
        self.parameters.get(name)
    }
    fn resource_id(&self, name: &str) -> Option<Json> {
        (name == "srv").then(|| json!("srv-id"))
    }
    fn attribute(&self, resource: &str, attribute: &str) -> Option<Result<Json>> {
        (resource == "srv").then(|| match attribute {
            "addresses" => Ok(json!({"demo": [{"addr": "10.0.0.5"}]})),
            "nothing" => Ok(Json::Null),
            other => Err(Fault::attribute(resource, other)),
        })
    }
    fn attributes(&self, resource: &str) -> Option<Json> {
        (resource == "srv").then(|| json!({"show": {}}))
    }
    fn pending(&self, _: &str) -> bool {
        false
    }
    fn attribute_names(&self, _: &str) -> Option<Vec<String>> {
        Some(vec!["addresses".to_owned(), "nothing".to_owned()])
    }
    fn file(&self, key: &str) -> Option<&str> {
        (key == "a.sh").then_some("#!/bin/sh")
    }
    fn facade(&self, what: &str) -> Json {
        json!({ what: 1 })
    }
    fn condition(&self, name: &Json) -> Result<bool> {
        Err(Fault::value(name.to_string()))
    }
}

/// The value of the YAML `snippet` in a template of `version`.
pub fn eval(version: &str, snippet: &str) -> Result<Json> {
    let head = format!(
        "heat_template_version: {version}\nparameters:\n  name: {{type: string, default: bob}}\n  list: {{type: comma_delimited_list, default: 'a,b,c'}}\n  map: {{type: json, default: {{k: [1, {{x: y}}]}}}}\n  on: {{type: boolean, default: true}}\n"
    );
    let conditions = if version >= "2016-10-14" {
        "conditions:\n  yes: {equals: [{get_param: name}, bob]}\n  'no': {not: 'yes'}\n"
    } else {
        ""
    };
    let conditions = conditions.replace("  yes:", "  'yes':");
    let template = Template::parse(&format!("{head}{conditions}"))?;
    let parameters = template.parameters(&identity(), &Environment::default())?;
    let parsed = {
        let conditions = template.conditions(&parameters)?;
        let scope = super::expr::Scope { version: template.version, conditions: &conditions };
        let snippet =
            pileus_yaml::load(snippet, &pileus_yaml::Options::heat()).expect("test yaml").value.to_json();
        Expr::parse(&snippet, &scope, "x")?
    };
    let made = Made { parameters };
    parsed.validate(&made, &["x".to_owned()])?;
    parsed.resolve(&made)
}
