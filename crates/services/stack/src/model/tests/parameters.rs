//! Parameters: types, constraints, defaults, groups; environments.

use serde_json::{Map, Value as Json, json};

use super::{TestTypes, check, environment, identity, refusal};
use crate::model::{Environment, Template, constraints::Unchecked, environment::Mapped};

fn one(definition: &str, value: Json) -> Result<Json, String> {
    let text = format!("heat_template_version: 2018-08-31\nparameters:\n  p: {definition}\n");
    let values = if value.is_null() { json!({}) } else { json!({ "p": value }) };
    check(&text, values.clone()).map_err(|f| f.to_string())?;
    let template = Template::parse(&text).map_err(|f| f.to_string())?;
    template.parameters(&identity(), &environment(values)).and_then(|p| p.get("p")).map_err(|f| f.to_string())
}

#[test]
fn values_become_their_type() {
    assert_eq!(one("{type: string}", json!(5)), Ok(json!("5")));
    assert_eq!(one("{type: number}", json!("5")), Ok(json!(5)));
    assert_eq!(one("{type: number}", json!("1.5")), Ok(json!(1.5)));
    assert_eq!(one("{type: boolean}", json!("Yes")), Ok(json!(true)));
    assert_eq!(one("{type: comma_delimited_list}", json!("a,b")), Ok(json!(["a", "b"])));
    assert_eq!(one("{type: comma_delimited_list}", json!([1, "b"])), Ok(json!(["1", "b"])));
    assert_eq!(one("{type: json}", json!("{\"a\": 1}")), Ok(json!({"a": 1})));
    assert_eq!(one("{type: string, default: x}", Json::Null), Ok(json!("x")));
}

#[test]
fn wrong_values_are_named() {
    let wrong = |d: &str, v: Json| one(d, v).unwrap_err();
    assert_eq!(wrong("{type: string}", Json::Null), "The Parameter (p) was not provided.");
    assert_eq!(
        wrong("{type: number}", json!("abc")),
        "Parameter 'p' is invalid: could not convert string to float: 'abc'"
    );
    assert!(
        wrong("{type: boolean}", json!("maybe"))
            .starts_with("Parameter 'p' is invalid: Unrecognized value 'maybe', acceptable values are: '0'")
    );
    assert!(
        wrong("{type: json}", json!("{")).starts_with("Parameter 'p' is invalid: Value must be valid JSON:")
    );
    assert_eq!(
        wrong("{type: string, constraints: [{allowed_values: [a, b]}]}", json!("c")),
        "Parameter 'p' is invalid: \"c\" is not an allowed value [\"a\", \"b\"]"
    );
    assert_eq!(
        wrong("{type: string, constraints: [{length: {min: 2, max: 3}}]}", json!("toolong")),
        "Parameter 'p' is invalid: length (7) is out of range (min: 2, max: 3)"
    );
    assert_eq!(
        wrong("{type: number, constraints: [{range: {min: 2}}]}", json!(1)),
        "Parameter 'p' is invalid: 1 is out of range (min: 2, max: None)"
    );
    assert_eq!(
        wrong("{type: number, constraints: [{modulo: {step: 3, offset: 1}}]}", json!(3)),
        "Parameter 'p' is invalid: 3 is not a multiple of 3 with an offset of 1"
    );
    assert_eq!(
        wrong("{type: string, constraints: [{allowed_pattern: '[a-z]+'}]}", json!("a1")),
        "Parameter 'p' is invalid: \"a1\" does not match pattern \"[a-z]+\""
    );
    assert_eq!(
        wrong("{type: string, constraints: [{allowed_pattern: 'x', description: only x}]}", json!("y")),
        "Parameter 'p' is invalid: only x"
    );
}

#[test]
fn definitions_are_checked() {
    let wrong = |d: &str| one(d, json!("x")).unwrap_err();
    assert_eq!(wrong("{type: text}"), "Invalid type (text)");
    assert_eq!(wrong("{default: x}"), "Missing parameter type for parameter: p");
    assert_eq!(wrong("{type: string, foo: 1}"), "Invalid key 'foo' for parameter (p)");
    assert_eq!(wrong("x"), "Invalid parameter (p), expected a mapping");
    assert_eq!(
        wrong("{type: string, constraints: [{range: {min: 1}}]}"),
        "Parameter 'p' is invalid: Range constraint invalid for string"
    );
    assert_eq!(
        wrong("{type: string, constraints: {}}"),
        "Invalid parameter constraints for parameter p, expected a list"
    );
    assert_eq!(wrong("{type: string, constraints: [{description: d}]}"), "No constraint expressed");
    assert_eq!(
        wrong("{type: string, default: z, constraints: [{allowed_values: [a]}]}"),
        "Parameter 'p' is invalid: Invalid default z (\"z\" is not an allowed value [\"a\"])"
    );
    assert_eq!(
        refusal("heat_template_version: 2018-08-31\n", json!({"q": 1})),
        "The Parameter (q) was not defined in template."
    );
}

#[test]
fn groups_and_immutables() {
    let text = "heat_template_version: 2018-08-31\nparameter_groups:\n- label: g\n  parameters: [p, p]\nparameters:\n  p: {type: string, default: x, immutable: true}\n";
    assert_eq!(
        refusal(text, json!({})),
        "Parameter Groups error: parameter_groups.g: The p parameter must be assigned to one parameter group only."
    );
    let template = Template::parse(text).unwrap();
    let with = |v: &str| template.parameters(&identity(), &environment(json!({"p": v}))).unwrap();
    assert_eq!(
        with("a").check_immutable(&with("b")).unwrap_err().to_string(),
        "The following parameters are immutable and may not be updated: p"
    );
    with("a").check_immutable(&with("a")).unwrap();
}

#[test]
fn environments_merge_and_map() {
    let files: Map<String, Json> = json!({
        "one.yaml": "parameters: {a: 1, l: 'x'}\nresource_registry:\n  My::Server: server.yaml\n  'OS::Old::*': 'OS::New::*'\n",
        "two.yaml": "parameters: {a: 2, l: 'y'}\nparameter_merge_strategies: {l: merge}\n",
        "bad.yaml": "params: {}\n",
        "empty.yaml": "parameters:\n",
    })
    .as_object()
    .unwrap()
    .clone();
    let text = "heat_template_version: 2018-08-31\nparameters:\n  a: {type: number}\n  l: {type: comma_delimited_list}\n";
    let schemas = Template::parse(text).unwrap().param_schemas().unwrap();
    let schema = |name: &str| schemas.get(name).cloned();
    let read = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        Environment::of_request(&Json::Null, &names, &files, &Map::new(), &schema)
    };
    let env = read(&["one.yaml"]).unwrap();
    assert_eq!(env.parameters["a"], json!(1));
    assert_eq!(env.map_type("My::Server", "r"), Mapped::Template("server.yaml".into()));
    assert_eq!(env.map_type("OS::Old::Net", "r"), Mapped::Type("OS::New::Net".into()));
    assert_eq!(env.map_type("OS::Nova::Server", "r"), Mapped::Type("OS::Nova::Server".into()));
    // Heat refuses one parameter merged by one file and overwritten by another.
    assert_eq!(
        read(&["one.yaml", "two.yaml"]).unwrap_err().to_string(),
        "Conflicting merge strategy 'merge' for parameter 'l' in file 'two.yaml'."
    );
    assert_eq!(read(&["bad.yaml"]).unwrap_err().to_string(), "environment has wrong section \"params\"");
    assert_eq!(
        read(&["empty.yaml"]).unwrap_err().to_string(),
        "environment has empty section \"parameters\""
    );
    let own = json!({"resource_registry": {"resources": {"db*": {"My::Server": "db.yaml"}}}});
    let env = Environment::of_request(&own, &["one.yaml".into()], &files, &Map::new(), &schema).unwrap();
    assert_eq!(env.map_type("My::Server", "db1"), Mapped::Template("db.yaml".into()));
    assert_eq!(env.map_type("My::Server", "web"), Mapped::Template("server.yaml".into()));
}

#[test]
fn template_validate_describes_parameters_without_values() {
    let text = "heat_template_version: 2018-08-31\nparameters:\n  p: {type: number, hidden: true, constraints: [{range: {min: 1}, description: one or more}]}\nresources:\n  s: {type: OS::Nova::Server, properties: {count: {get_param: p}}}\n";
    let template = Template::parse(text).unwrap();
    let parameters = template.parameters(&identity(), &Environment::default()).unwrap();
    let validate = |template: &Template| {
        template.validate(&parameters, &Map::new(), &Environment::default(), &TestTypes, &Unchecked, false)
    };
    validate(&template).unwrap();
    let (name, p) = parameters.iter().find(|(_, p)| !p.pseudo).unwrap();
    let described = json!({
        "Type": "Number", "Description": "", "NoEcho": "true", "Label": "p", "MinValue": 1,
        "ConstraintDescription": "one or more"
    });
    assert_eq!(p.to_json(name), described);
    let wrong = Template::parse(&text.replace("count", "zz")).unwrap();
    assert_eq!(
        validate(&wrong).unwrap_err().to_string(),
        "Property error: resources.s.properties: Unknown Property zz"
    );
}
