//! Against what Heat 27.0.1's own code answered to the same snippets and parameters, recorded.
//!
//! Lines of `truth.jsonl`: `["f", version, snippet, answer]` for functions, in the template of
//! [`super::eval`]; `["p", version, definition, value, answer]` for a parameter `p`. An answer is
//! `["ok", value]` or `["err", exception, message]`.

use serde_json::{Value as Json, json};

use super::{environment, eval, identity};
use crate::model::{Result, Template, constraints::Unchecked};

fn parameter(version: &str, definition: &Json, value: &Json) -> Result<Json> {
    let template = json!({"heat_template_version": version, "parameters": {"p": definition}});
    let environment = environment(if value.is_null() { json!({}) } else { json!({ "p": value }) });
    let parameters = Template::from_json(template)?.parameters(&identity(), &environment)?;
    parameters.validate(true, &Unchecked)?;
    parameters.get("p")
}

#[test]
fn heat_answers_the_same() {
    for line in include_str!("truth.jsonl").lines() {
        let case: Vec<Json> = serde_json::from_str(line).unwrap();
        let version = case[1].as_str().unwrap();
        let (answer, heats) = match case[0].as_str() {
            Some("f") => (eval(version, &case[2].to_string()), &case[3]),
            _ => (parameter(version, &case[2], &case[3]), &case[4]),
        };
        let answer = match answer {
            Ok(value) => json!(["ok", value]),
            Err(fault) => json!(["err", fault.name, fault.to_string()]),
        };
        assert_eq!(&answer, heats, "{line}");
    }
}
