//! Whole templates: the article's, and wrong ones.

use serde_json::json;

use super::{TestTypes, check, environment, identity, refusal};
use crate::model::{
    Template, Types, plan,
    schema::{self, Change},
};

fn hot(body: &str) -> String {
    format!("heat_template_version: 2021-04-16\n{body}")
}

#[test]
fn the_articles_template_is_good() {
    let text = "heat_template_version: 2015-04-30\n\ndescription: Simple template to deploy a single compute instance\n\nresources:\n  my_instance:\n    type: OS::Nova::Server\n    properties:\n      flavor: m1.tiny\n      image: cirros\n      networks:\n        - network: demo-net\n          fixed_ip: 10.0.0.5\noutputs:\n  ip:\n    description: where\n    value: { get_attr: [my_instance, first_address] }\n";
    let parsed = check(text, json!({})).unwrap();
    assert_eq!(parsed.resources["my_instance"].kind, "OS::Nova::Server");
    assert_eq!(parsed.attributes_used("my_instance"), ["first_address"]);
    assert_eq!(
        Template::parse(text).unwrap().description(),
        "Simple template to deploy a single compute instance"
    );
}

#[test]
fn versions_are_checked() {
    assert_eq!(
        refusal("heat_template_version: 2099-01-01\n", json!({})),
        "The template version is invalid: \"heat_template_version: 2099-01-01\". \"heat_template_version\" should be one of: 2013-05-23, 2014-10-16, 2015-04-30, 2015-10-15, 2016-04-08, 2016-10-14, 2017-02-24, 2017-09-01, 2018-03-02, 2018-08-31, 2021-04-16, newton, ocata, pike, queens, rocky, wallaby"
    );
    assert_eq!(refusal("a: 1\n", json!({})), "Template format version not found.");
    assert_eq!(refusal("- 1\n", json!({})), "The template is not a JSON object or YAML mapping.");
    assert_eq!(refusal("", json!({})), "Template format version not found.");
    assert!(refusal("a: [\n", json!({})).starts_with("Error parsing template [root stack] "));
    let long = format!("heat_template_version: rocky\n# {}", "x".repeat(600_000));
    assert!(refusal(&long, json!({})).contains("exceeds maximum allowed size (524288 bytes)."));
    check("heat_template_version: wallaby\n", json!({})).unwrap();
    check("{\"heat_template_version\": \"2013-05-23\",\n\t\"resources\": {}}", json!({})).unwrap();
}

#[test]
fn sections_and_keywords_are_checked() {
    let refused = |body: &str| refusal(&hot(body), json!({}));
    assert_eq!(refused("resource: {}\n"), "The template section is invalid: resource");
    assert_eq!(
        refused("resources:\n  a: {type: OS::Heat::Value, props: {}}\n"),
        "\"props\" is not a valid keyword inside a resource definition"
    );
    assert_eq!(refused("resources:\n  a: {properties: {}}\n"), "Each resource must contain a type key.");
    assert_eq!(
        refused("resources:\n  a: text\n"),
        "\"resources\" must contain a map of resource maps. Found a [<class 'str'>] instead"
    );
    assert_eq!(refused("outputs:\n  o: {description: x}\n"), "Each output must contain a value key.");
    assert_eq!(
        refused("resources:\n  a: {type: OS::Nope}\n"),
        "The Resource Type (OS::Nope) could not be found."
    );
    assert_eq!(
        refused("resources:\n  a: {type: OS::Heat::Value, properties: [1]}\n"),
        "Resource a properties type must be object"
    );
    assert_eq!(
        refused(
            "resources:\n  a: {type: OS::Heat::Value, properties: {value: 1}, deletion_policy: Forget}\n"
        ),
        "Invalid deletion policy \"Forget\""
    );
    assert_eq!(
        refused(
            "parameters:\n  a: {type: string, default: x}\nresources:\n  a: {type: OS::Heat::Value, properties: {value: 1}}\n"
        ),
        "Duplicate names {'a'}"
    );
    assert!(
        refusal(
            "heat_template_version: 2013-05-23\nresources:\n  a: {type: OS::Heat::Value, condition: x}\n",
            json!({})
        )
        .contains("\"condition\" is not a valid keyword")
    );
}

#[test]
fn references_and_cycles_are_found() {
    let refused = |body: &str| refusal(&hot(body), json!({}));
    assert_eq!(
        refused("resources:\n  a: {type: OS::Heat::Value, properties: {value: {x: [{get_resource: b}]}}}\n"),
        "The specified reference \"b\" (in a.Properties.value.x[0]) is incorrect."
    );
    assert_eq!(
        refused("resources:\n  a: {type: OS::Heat::Value, properties: {value: 1}, depends_on: zz}\n"),
        "The specified reference \"zz\" (in a) is incorrect."
    );
    assert_eq!(
        refused(
            "resources:\n  a: {type: OS::Heat::Value, properties: {value: {get_resource: b}}}\n  b: {type: OS::Heat::Value, properties: {value: {get_attr: [a, value]}}}\n"
        ),
        "Circular Dependency Found: {Value \"a\": {Value \"b\"}, Value \"b\": {Value \"a\"}}"
    );
    assert_eq!(
        refused(
            "resources:\n  s: {type: OS::Nova::Server, properties: {flavor: x}}\n  v: {type: OS::Heat::Value, properties: {value: {get_attr: [s, colour]}}}\n"
        ),
        "resources.v.properties.value.get_attr: The Referenced Attribute (s colour) is incorrect."
    );
    assert_eq!(
        refused("resources:\n  s: {type: OS::Nova::Server, properties: {flavor: {list_join: x}}}\n"),
        "resources.s.properties.flavor.list_join: Incorrect arguments to \"list_join\" should be: \"list_join\" : [ \" \", [ \"str1\", \"str2\"] ...]"
    );
}

#[test]
fn properties_are_checked_in_heats_words() {
    let refused = |properties: &str| {
        refusal(
            &hot(&format!("resources:\n  s: {{type: OS::Nova::Server, properties: {properties}}}\n")),
            json!({}),
        )
    };
    assert_eq!(refused("{}"), "Property error: resources.s.properties: Property flavor not assigned");
    assert_eq!(
        refused("{flavor: x, colour: red}"),
        "Property error: resources.s.properties: Unknown Property colour"
    );
    assert_eq!(
        refused("{flavor: x, count: many}"),
        "Property error: resources.s.properties.count: Value 'many' is not an integer"
    );
    assert_eq!(
        refused("{flavor: x, count: 10}"),
        "Property error: resources.s.properties.count: 10 is out of range (min: 1, max: 9)"
    );
    assert_eq!(
        refused("{flavor: [1]}"),
        "Property error: resources.s.properties.flavor: Value must be a string; got [1]"
    );
    assert_eq!(
        refused("{flavor: x, networks: [{network: a}, {fixed_ip: 1.1}]}"),
        "Property error: resources.s.properties.networks[1].fixed_ip: Value must be a string; got 1.1"
    );
    assert_eq!(
        refused("{flavor: x, networks: [{net: a}]}"),
        "Property error: resources.s.properties.networks[0]: Unknown Property net"
    );
    assert_eq!(
        refused("{flavor: x, networks: a}"),
        "Property error: resources.s.properties.networks: \"'a'\" is not a list"
    );
    assert_eq!(
        refused("{flavor: x, metadata: a}"),
        "Property error: resources.s.properties.metadata: \"a\" is not a map"
    );
    assert_eq!(
        refused("{flavor: x, 'on': 2}"),
        "Property error: resources.s.properties.on: \"2\" is not a valid boolean"
    );
    // What comes from resources still to be made is not held to constraints.
    check(
        &hot("resources:\n  v: {type: OS::Heat::Value, properties: {value: 1}}\n  s: {type: OS::Nova::Server, properties: {flavor: x, networks: [{fixed_ip: {get_attr: [v, value]}}]}}\n"),
        json!({}),
    )
    .unwrap();
}

#[test]
fn conditions_switch_resources_and_outputs() {
    let text = hot(
        "parameters:\n  env: {type: string, default: test}\nconditions:\n  prod: {equals: [{get_param: env}, prod]}\n  not_prod: {not: prod}\nresources:\n  a: {type: OS::Heat::Value, condition: prod, properties: {value: 1}}\n  b: {type: OS::Heat::Value, depends_on: a, properties: {value: {if: [prod, {get_resource: a}, none]}}}\noutputs:\n  o: {condition: not_prod, value: 5}\n  p: {condition: prod, value: {get_resource: a}}\n",
    );
    let parsed = check(&text, json!({})).unwrap();
    assert_eq!(parsed.resources.keys().collect::<Vec<_>>(), ["b"]);
    assert_eq!(parsed.outputs["o"].value.to_json(), json!(5));
    assert_eq!(parsed.outputs["p"].value.to_json(), json!(null));
    let parsed = check(&text, json!({"env": "prod"})).unwrap();
    assert_eq!(parsed.resources.len(), 2);

    let refused = |body: &str| refusal(&hot(body), json!({}));
    assert_eq!(
        refused(
            "conditions:\n  a: {not: b}\n  b: {not: a}\nresources:\n  r: {type: OS::Heat::Value, condition: a, properties: {value: 1}}\n"
        ),
        "Condition validation error: Circular definition for condition \"a\""
    );
    assert_eq!(
        refused("conditions:\n  a: text\n"),
        "Condition validation error: The definition of condition \"a\" is invalid: text"
    );
    assert_eq!(
        refused("resources:\n  r: {type: OS::Heat::Value, condition: zz, properties: {value: 1}}\n"),
        "resources.r.condition: Invalid condition \"zz\""
    );
    assert_eq!(
        refused("conditions: [1]\n"),
        "Conditions validation error: Condition definitions must be a map. Found a list instead"
    );
}

#[test]
fn an_omitted_property_is_as_if_not_written() {
    let text = hot("resources:\n  s: {type: OS::Nova::Server, properties: {flavor: {if: [false, x]}}}\n");
    assert_eq!(
        refusal(&text, json!({})),
        "Property error: resources.s.properties: Property flavor not assigned"
    );
}

#[test]
fn changes_ask_for_update_or_replacement() {
    let schema = TestTypes.properties("OS::Nova::Server").unwrap();
    let set = |v: serde_json::Value| schema::coerce(&schema, v.as_object().unwrap()).unwrap();
    let old = set(json!({"flavor": "a", "image": "i", "kept": "k"}));
    let change = |new: serde_json::Value| schema::change(&schema, &old, &set(new));
    assert_eq!(change(json!({"flavor": "a", "image": "i", "kept": "k"})).unwrap(), Change::None);
    assert_eq!(change(json!({"flavor": "b", "image": "i", "kept": "k"})).unwrap(), Change::Update);
    assert_eq!(change(json!({"flavor": "b", "image": "j", "kept": "k"})).unwrap(), Change::Replace);
    assert_eq!(
        change(json!({"flavor": "a", "image": "i", "kept": "x"})).unwrap_err().to_string(),
        "Update to property kept is not supported."
    );
}

#[test]
fn a_large_template_is_planned_quickly() {
    let mut body = String::from("resources:\n");
    for i in 0..1000 {
        let needs = if i > 0 { format!(", depends_on: r{}", i - 1) } else { String::new() };
        body.push_str(&format!("  r{i}: {{type: OS::Heat::Value, properties: {{value: {i}}}{needs}}}\n"));
    }
    let text = hot(&body);
    let parsed = check(&text, json!({})).unwrap();
    let template = Template::parse(&text).unwrap();
    let parameters = template.parameters(&identity(), &environment(json!({}))).unwrap();
    let plan = plan::create(&parsed.graph(&parameters, &[]).unwrap()).unwrap();
    assert_eq!(plan.steps.len(), 1000);
    assert_eq!(plan.steps[999].after, [998]);
}
