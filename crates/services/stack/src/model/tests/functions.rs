//! Every function, in the versions that know it.

use serde_json::{Value as Json, json};

use super::eval;

const NEW: &str = "2021-04-16";

fn value(snippet: &str) -> Json {
    eval(NEW, snippet).unwrap_or_else(|e| panic!("{snippet}: {e}"))
}

fn fault(snippet: &str) -> String {
    eval(NEW, snippet).expect_err(snippet).to_string()
}

#[test]
fn references() {
    assert_eq!(value("{get_param: name}"), json!("bob"));
    assert_eq!(value("{get_param: [map, k, 1, x]}"), json!("y"));
    assert_eq!(value("{get_param: [list, '-1']}"), json!("c"));
    assert_eq!(value("{get_param: [map, nowhere]}"), json!(""));
    assert_eq!(value("{get_param: 'OS::stack_name'}"), json!("teststack"));
    assert_eq!(value("{get_param: 'OS::project_id'}"), json!("demo-id"));
    assert_eq!(fault("{get_param: nope}"), "The Parameter (nope) was not provided.");
    assert_eq!(fault("{get_param: []}"), "Function \"get_param\" must have arguments");
    assert_eq!(value("{get_resource: srv}"), json!("srv-id"));
    assert_eq!(value("{get_attr: [srv, addresses, demo, 0, addr]}"), json!("10.0.0.5"));
    assert_eq!(value("{get_attr: [srv, addresses, none, 0]}"), Json::Null);
    assert_eq!(value("{get_attr: [srv]}"), json!({"show": {}}));
    assert_eq!(
        fault("{get_attr: [gone, x]}"),
        "x.get_attr: The specified reference \"gone\" (in unknown) is incorrect."
    );
    assert!(fault("{get_attr: [srv, bad]}").contains("The Referenced Attribute (srv bad) is incorrect."));
    assert_eq!(fault("{get_attr: srv}"), "x.get_attr: Argument to \"get_attr\" must be a list");
    assert_eq!(value("{get_file: a.sh}"), json!("#!/bin/sh"));
    assert_eq!(
        fault("{get_file: b.sh}"),
        "No content found in the \"files\" section for get_file path: b.sh"
    );
    assert_eq!(value("{resource_facade: metadata}"), json!({"metadata": 1}));
    assert!(
        fault("{resource_facade: x}").contains("should be one of: metadata, deletion_policy, update_policy")
    );
}

#[test]
fn texts() {
    assert_eq!(
        value(
            "{str_replace: {template: 'hi $name, $names', params: {$name: {get_param: name}, $names: [1, {a: b}]}}}"
        ),
        json!("hi bob, [1, {\"a\": \"b\"}]")
    );
    assert_eq!(value("{str_replace: {template: a b, params: {a: b, b: a}}}"), json!("b a"));
    assert_eq!(value("{str_replace: {template: x y, params: {x: true, y: null}}}"), json!("True "));
    assert_eq!(
        fault("{str_replace_strict: {template: x, params: {x: 1, longer: 2, zz: 3}}}"),
        "The following params were not found in the template: longer,zz"
    );
    assert_eq!(
        fault("{str_replace_vstrict: {template: x, params: {x: ''}}}"),
        "str_replace_vstrict has an undefined or empty value for param x, must be a defined non-empty value"
    );
    assert_eq!(fault("{str_replace: [x]}"), "x.str_replace: Arguments to \"str_replace\" must be a map");
    assert!(
        fault("{str_replace: {template: x}}")
            .starts_with("x.str_replace: '\"str_replace\" syntax should be str_replace:\\n")
    );
    assert_eq!(
        eval("2013-05-23", "{str_replace: {template: x, params: {x: [1]}}}").unwrap_err().to_string(),
        "\"str_replace\" params must be strings or numbers, param x is not valid"
    );
    assert_eq!(
        value("{list_join: [', ', [a, b], {get_param: list}, [{k: 1}]]}"),
        json!("a, b, a, b, c, {\"k\": 1}")
    );
    assert_eq!(
        eval("2014-10-16", "{list_join: ['', [a, 1]]}").unwrap_err().to_string(),
        "Items to join must be strings not 1"
    );
    assert_eq!(
        fault("{list_join: x}"),
        "x.list_join: Incorrect arguments to \"list_join\" should be: \"list_join\" : [ \" \", [ \"str1\", \"str2\"] ...]"
    );
    assert_eq!(value("{str_split: [',', 'a,b']}"), json!(["a", "b"]));
    assert_eq!(value("{str_split: [',', 'a,b', 1]}"), json!("b"));
    assert_eq!(
        fault("{str_split: [',', 'a,b', 7]}"),
        "Incorrect index to \"str_split\" should be between 0 and 1"
    );
    assert_eq!(value("{digest: [md5, hello]}"), json!("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(
        value("{digest: [SHA256, '']}"),
        json!("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    );
    assert!(fault("{digest: [rot13, x]}").starts_with("Algorithm must be one of "));
    assert_eq!(
        value(
            "{make_url: {scheme: http, username: 'a@b', password: p, host: '::1', port: 80, path: /x y, query: {k: 'a/b c', n: 1}, fragment: f}}"
        ),
        json!("http://a%40b:p@[::1]:80/x%20y?k=a/b+c&n=1#f")
    );
    assert!(fault("{make_url: {host: h, nope: 1}}").contains("Invalid arguments to \"make_url\": nope"));
    assert!(fault("{make_url: {port: 70000}}").contains("Invalid URL port 70000, must be in range 1-65535"));
}

#[test]
fn lists_and_maps() {
    assert_eq!(
        value("{repeat: {template: {'%p%': 'port %p%-%q%'}, for_each: {'%p%': [a, b], '%q%': [x, y]}}}"),
        json!([{"a": "port a-x"}, {"a": "port a-y"}, {"b": "port b-x"}, {"b": "port b-y"}])
    );
    assert_eq!(
        value(
            "{repeat: {template: '%p%%q%', for_each: {'%p%': [a, b], '%q%': [x, y]}, permutations: false}}"
        ),
        json!(["ax", "by"])
    );
    assert_eq!(
        value("{repeat: {template: '%k%', for_each: {'%k%': {one: 1, two: 2}}}}"),
        json!(["one", "two"])
    );
    assert_eq!(
        fault("{repeat: {template: '%p%%q%', for_each: {'%p%': [a], '%q%': [x, y]}, permutations: false}}"),
        "For repeat, the length of for_each values should be equal if no nested loop."
    );
    assert!(fault("{repeat: {template: x}}").contains("\"repeat\" syntax should be"));
    assert_eq!(value("{map_merge: [{a: 1, b: 2}, null, {a: 3}]}"), json!({"a": 3, "b": 2}));
    assert_eq!(
        fault("{map_merge: [{a: 1}, [x]]}"),
        "Incorrect arguments: Items to merge must be maps. ['x'] is type <class 'list'> instead of a dict"
    );
    assert_eq!(
        value("{map_replace: [{k1: v1, k2: v2}, {keys: {k1: K1}, values: {v2: V2}}]}"),
        json!({"K1": "v1", "k2": "V2"})
    );
    assert_eq!(
        fault("{map_replace: [{k1: v1, k2: v2}, {keys: {k1: k2}}]}"),
        "key replacement k2 collides with a key in the input map"
    );
    assert_eq!(value("{list_concat: [[1, 2], null, [2]]}"), json!([1, 2, 2]));
    assert_eq!(value("{list_concat_unique: [[1, 2], [2, 3]]}"), json!([1, 2, 3]));
    assert_eq!(value("{filter: [[1], [1, 2, 1]]}"), json!([2]));
    assert_eq!(value("{contains: [b, {get_param: list}]}"), json!(true));
    assert_eq!(eval("2013-05-23", "{'Fn::Select': ['1', [a, b]]}").unwrap(), json!("b"));
    assert_eq!(eval("2013-05-23", "{'Fn::Join': ['-', [a, b]]}").unwrap(), json!("a-b"));
    assert_eq!(eval("2013-05-23", "{Ref: name}").unwrap(), json!("bob"));
}

#[test]
fn if_is_decided_early_and_may_omit() {
    assert_eq!(value("{if: ['yes', 1, {str_replace: broken}]}"), json!(1));
    assert_eq!(value("{if: [{equals: [1, 2]}, 1, {get_param: name}]}"), json!("bob"));
    assert_eq!(value("{a: {if: ['no', 1]}, b: [{if: ['no', 1]}, 2]}"), json!({"b": [2]}));
    assert_eq!(value("{if: [{and: ['yes', {or: ['no', true]}]}, 1, 2]}"), json!(1));
    assert!(
        eval("2018-08-31", "{if: ['no', 1]}")
            .unwrap_err()
            .to_string()
            .contains("must be of the form: [condition_name")
    );
    assert!(fault("{if: [maybe, 1, 2]}").contains("Invalid condition \"maybe\""));
    assert!(
        fault("{if: [{get_attr: [srv, x]}, 1, 2]}")
            .contains("The function \"get_attr\" is invalid in this context")
    );
    assert!(fault("{if: [{not: null}, 1, 2]}").contains("Argument to \"not\" must be a condition"));
}

#[test]
fn versions_know_their_functions() {
    // A function that a version does not know is a plain map.
    assert_eq!(eval("2015-10-15", "{map_merge: [{a: 1}]}").unwrap(), json!({"map_merge": [{"a": 1}]}));
    assert_eq!(eval("2016-10-14", "{contains: [1, [1]]}").unwrap(), json!({"contains": [1, [1]]}));
    assert!(
        eval("2014-10-16", "{Ref: name}")
            .unwrap_err()
            .to_string()
            .contains("The function Ref is not supported")
    );
    assert_eq!(
        fault("{yaql: {expression: $.data, data: 1}}"),
        "x.yaql: The template version is invalid: The function yaql is not supported in this version of HOT."
    );
}

#[test]
fn bombs_run_out_of_budget() {
    let lists: String =
        ('a'..='h').map(|c| format!("'%{c}%': [0{}], ", ", 'x'".repeat(30).replace("0, ", ""))).collect();
    let repeat = format!("{{repeat: {{template: t, for_each: {{{}}}}}}}", lists.replace("[0, ", "["));
    assert!(fault(&repeat).contains("build more than"), "{}", fault(&repeat));

    let mut doubled = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx".to_owned();
    for _ in 0..24 {
        doubled = format!("{{str_replace: {{template: 'AA', params: {{A: {doubled}}}}}}}");
    }
    assert!(fault(&doubled).contains("build more than"));
}
