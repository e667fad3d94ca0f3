//! The recorded expressions, each with the reference's own answer (ansible-core 2.19).

use std::sync::Arc;

use pileus_jinja::{Args, Dict, Engine, List, Str, Value};
use serde_json::Value as Json;

fn trusted(v: &Value) -> Value {
    match v {
        Value::Str(s) => Value::Str(s.clone().trust()),
        Value::List(l) => Value::List(l.items().iter().map(trusted).collect::<List>()),
        Value::Dict(d) => Value::Dict(d.items().iter().map(|(k, v)| (k.clone(), trusted(v))).collect()),
        other => other.clone(),
    }
}

/// Those that ask the machine (files, environment, programs) or a library that the recording lacked: the
/// automation engine registers the lookups and file tests, and has tests of its own for them.
fn needs_the_machine(expression: &str) -> bool {
    ["lookup(", "query('sequence", "is directory", "is exists", "password_hash"]
        .iter()
        .any(|w| expression.contains(w))
}

#[test]
fn recorded_expressions_give_the_reference_s_answers() {
    let truth: Json = serde_json::from_str(include_str!("data/truth.json")).unwrap();
    let vars: Json = serde_json::from_str(include_str!("data/ctx.json")).unwrap();
    let engine = Engine::new();
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for case in truth.as_array().unwrap() {
        let field = |i: usize| case[i].as_str().unwrap();
        let expression = field(0);
        if needs_the_machine(expression) {
            continue;
        }
        compared += 1;
        let whole = ["{{", "{%", "#jinja2:"].iter().any(|w| expression.contains(w));
        let text = if whole { expression.to_owned() } else { format!("{{{{ {expression} }}}}") };
        let Value::Dict(scope) = trusted(&Value::from(&vars)) else { panic!("the variables are a mapping") };
        let ours = match engine.render(&Str::trusted(text), &scope) {
            Ok(v) => ("OK", v.type_name().to_owned(), v.repr()),
            Err(e) => ("ERR", String::new(), e.to_string()),
        };
        let same = match field(1) {
            // the recording cut long messages
            "ERR" => ours.0 == "ERR" && ours.2.starts_with(field(3)),
            _ => ours.0 == "OK" && ours.1 == field(2) && ours.2 == field(3),
        };
        if !same {
            wrong.push(format!(
                "{expression}\n  ours {ours:?}\n  reference {:?} {:?} {:?}",
                field(1),
                field(2),
                field(3)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(compared, 184);
}

fn render(text: &str, vars: &[(&str, Value)]) -> Result<Value, pileus_jinja::Error> {
    let scope: Dict = vars.iter().map(|(k, v)| (Value::from(*k), v.clone())).collect();
    Engine::new().render(&Str::trusted(text), &scope)
}

#[test]
fn variables_that_name_each_other_are_an_error() {
    let vars = [("a", Value::Str(Str::trusted("{{ b }}"))), ("b", Value::Str(Str::trusted("{{ a }}")))];
    let e = render("{{ a }}", &vars).unwrap_err();
    assert!(e.to_string().starts_with("Recursive loop detected in template"), "{e}");
}

#[test]
fn what_a_variable_s_template_gives_is_no_template() {
    let vars = [("a", Value::Str(Str::trusted("{{ b }}"))), ("b", Value::from("{{ 1/0 }}"))];
    assert_eq!(render("{{ a }}", &vars).unwrap(), Value::from("{{ 1/0 }}"));
}

#[test]
fn a_template_that_never_ends_is_stopped() {
    let mut engine = Engine::new();
    engine.set_limits(pileus_jinja::Limits { steps: 10_000, ..pileus_jinja::Limits::default() });
    let e = engine
        .render(&Str::trusted("{% for i in range(1000000000) %}{% endfor %}"), &Dict::new())
        .unwrap_err();
    assert!(e.to_string().contains("too many steps"), "{e}");
}

#[test]
fn changes_stay_in_the_template() {
    let list = Value::list(vec![1.into()]);
    let out = render("{{ l.append(2) }}{{ l }}", &[("l", list.clone())]).unwrap();
    assert_eq!(out, Value::list(vec![1.into(), 2.into()]));
    assert_eq!(list, Value::list(vec![1.into()]));
}

#[test]
fn others_add_filters() {
    let mut engine = Engine::new();
    engine.add_filter("x.y.twice", Arc::new(|_, a: Args| pileus_jinja::value::mul(&a.first(), &2.into())));
    let v = engine.render(&Str::trusted("{{ 3 | x.y.twice }}"), &Dict::new()).unwrap();
    assert_eq!(v, Value::from(6));
}
