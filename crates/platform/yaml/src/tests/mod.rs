//! Against PyYAML's recorded truth, and against texts made to hurt.

mod truth;

use serde_json::json;

use crate::{Error, Kind, Limits, Options, UnknownTags, Value, load, load_all, to_yaml, value::python_float};

fn read(text: &str) -> Value {
    load(text, &Options::default()).unwrap().value
}

fn refused(text: &str) -> Error {
    load(text, &Options::default()).unwrap_err()
}

#[test]
fn scalars_are_what_pyyaml_makes_of_them() {
    for (text, kind, repr) in truth::TRUTH {
        let value = read(&format!("- {text}"));
        let value = &value.as_seq().unwrap()[0];
        assert_eq!(value.type_name(), *kind, "type of {text:?}");
        match &value.kind {
            Kind::Float(f) if f.is_finite() => assert_eq!(*f, repr.parse::<f64>().unwrap(), "{text:?}"),
            Kind::Float(f) => {
                let repr = repr.replace("inf", "Infinity").replace("nan", "NaN");
                assert_eq!(python_float(*f), repr, "{text:?}");
            }
            Kind::Bool(b) => assert_eq!(b.to_string(), repr.to_lowercase(), "{text:?}"),
            Kind::Null => {}
            _ => assert_eq!(value.to_key(), *repr, "{text:?}"),
        }
    }
}

#[test]
fn merges_obey_precedence_and_lists() {
    let v = read(
        "base: &a {x: 1, y: 2}\nmore: &b {y: 3, z: 4}\none:\n  y: 9\n  <<: *a\ntwo: {<<: [*a, *b]}\nq: {'<<': 5}\n",
    );
    assert_eq!(v.get("one").unwrap().to_json(), json!({"x": 1, "y": 9}));
    assert_eq!(v.get("two").unwrap().to_json(), json!({"x": 1, "y": 2, "z": 4}));
    assert_eq!(v.get("q").unwrap().to_json(), json!({"<<": 5}));
    assert!(refused("a: {<<: 5}").problem.contains("for merging, but found scalar"));
}

#[test]
fn a_repeated_key_wins_with_a_warning() {
    let doc = load("a: 1\nb: 2\na: 3\n1: x\ntrue: y\n", &Options::default()).unwrap();
    assert_eq!(doc.value.to_json(), json!({"a": 3, "b": 2, "true": "y"}));
    assert_eq!(doc.warnings.len(), 2);
    assert_eq!(doc.warnings[0].at.line, 3);
    assert_eq!(doc.warnings[0].message, "duplicate key `a`, first at line 1; the last value is used");
}

#[test]
fn tags_are_kept_or_refused() {
    let v = read(
        "a: !vault |\n  $ANSIBLE\nb: !unsafe '{{ x }}'\nc: !!str 12\nd: !!int '7'\ne: ! 12\nf: !!float 3",
    );
    assert_eq!(v.get("a").unwrap().tag.as_deref(), Some("!vault"));
    assert_eq!(v.get("b").unwrap().tag.as_deref(), Some("!unsafe"));
    assert_eq!(v.get("c").unwrap().as_str(), Some("12"));
    assert_eq!(v.get("d").unwrap().as_int(), Some(7));
    assert_eq!(v.get("e").unwrap().as_str(), Some("12"));
    assert_eq!(v.get("f").unwrap().kind, Kind::Float(3.0));
    let options = Options { unknown_tags: UnknownTags::Refuse, ..Options::default() };
    let e = load("x: !!python/object/apply:os.system ['id']", &options).unwrap_err();
    assert_eq!(
        e.problem,
        "could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'"
    );
}

#[test]
fn every_value_knows_its_place() {
    let v = read("a:\n  - 1\n  -   b: yes\n");
    let second = &v.get("a").unwrap().as_seq().unwrap()[1];
    let b = second.get("b").unwrap();
    assert_eq!((b.span.line, b.span.column), (3, 10));
    assert_eq!((second.span.line, second.span.column), (3, 7));
}

#[test]
fn errors_read_as_pyyaml_writes_them() {
    let e = refused("a: b\n c: d\n").to_string();
    assert!(e.contains("line 2"), "{e}");
    let e = refused("a:\n- b\n- c\n 4\n e: 1\n").to_string();
    assert!(e.contains("in \"<unicode string>\", line 5, column"), "{e}");
    let e = refused("a: 1\nb: [x\n  y: ]]\n").to_string();
    assert!(e.contains("line 3"), "{e}");
    let e = refused("- a\nb: 1\n").to_string();
    assert!(e.starts_with("while parsing a block collection\n  in \"<unicode string>\", line 1, column 1\ndid not find expected '-' indicator\n"), "{e}");
    let e = refused("a: {[1]: 2}").to_string();
    assert!(e.starts_with("while constructing a mapping\n  in \"<unicode string>\", line 1, column 4\nfound unhashable key\n"), "{e}");
    assert!(refused("a: 1\n---\nb: 2").to_string().starts_with("expected a single document in the stream"));
    let e = refused("a: \0").to_string();
    assert!(e.starts_with("unacceptable character #x0000: special characters are not allowed"), "{e}");
    refused("a: *nowhere");
    refused("a: \"open");
    refused("a:\n\tb: 1\n");
}

#[test]
fn bombs_are_defused_with_line_and_limit() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for i in 1..12 {
        let refs = vec![format!("*a{}", i - 1); 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
    }
    let e = refused(&laughs);
    assert!(e.problem.contains("more than 1000000 values"), "{e}");
    assert!(e.at.unwrap().line > 4);

    for deep in [
        format!("a: {}", "[".repeat(5000)),
        format!("a: {}", "{a: ".repeat(5000)),
        "- ".repeat(50_000),
        "? ".repeat(5000),
    ] {
        assert!(refused(&deep).at.is_some());
    }
    let mut nested = String::new();
    for i in 0..200 {
        nested.push_str(&format!("{}a:\n", " ".repeat(i)));
    }
    assert_eq!(refused(&nested).problem, "nesting is deeper than 100 levels");

    let e = refused(&"a".repeat((8 << 20) + 1));
    assert_eq!(e.problem, "the text is 8388609 bytes long, the limit is 8388608");
    let few = Options { limits: Limits { aliases: 2, ..Limits::default() }, ..Options::default() };
    let e = load("[&a 1, *a, *a, *a]", &few).unwrap_err();
    assert_eq!(e.problem, "more than 2 aliases are used");
    assert!(refused("a: &a [*a]").problem.contains("recursive"));
}

#[test]
fn json_is_read_with_its_tabs() {
    let v = load("{\n\t\"a\": [1, 2.5, \"yes\"],\n\t\"b\": null}", &Options::heat()).unwrap().value;
    assert_eq!(v.to_json(), json!({"a": [1, 2.5, "yes"], "b": null}));
    // What opens like JSON and is not one is YAML still.
    let v = load("{a: yes, b: 2013-05-23}", &Options::heat()).unwrap().value;
    assert_eq!(v.to_json(), json!({"a": true, "b": "2013-05-23"}));
    load(&format!("{{\"a\": {}", "[".repeat(100_000)), &Options::heat()).unwrap_err();
}

#[test]
fn block_scalars_and_documents() {
    let v = read("a: |\n  one\n   two\n\nb: >-\n  x\n  y\nc: \"\\u00e9\\n\"\n");
    assert_eq!(v.to_json(), json!({"a": "one\n two\n", "b": "x y", "c": "é\n"}));
    assert_eq!(load_all("--- 1\n--- 2\n", &Options::default()).unwrap().len(), 2);
    assert!(read("").is_null());
    assert!(read("# nothing\n").is_null());
}

#[test]
fn what_is_written_reads_back() {
    let value = json!({
        "s": "plain", "t": "yes", "n": "0644", "d": "2013-05-23", "q": "it's: #1", "m": "#!/bin/sh\necho hi\n", "k": "a\nb",
        "e": "", "l": [1, [2, {"x": [], "y": {}}], {"a": null, "b": [true, -1.5]}], "big": 1e300, "small": 1e-7,
        "w": " lead", "tab": "a\tb", "null": null, "~": "~", "nel": "\u{85}", "deep": [{"list": ["l1\nl2\n"]}],
        "colon": "a:b", "time": "12:30", "u": "http://x/y?z", "f": 3.0, "trail": "x \ny"
    });
    let text = to_yaml(&value);
    assert_eq!(load(&text, &Options::heat()).unwrap().value.to_json(), value, "{text}");
    assert_eq!(to_yaml(&json!({"a": {"b": [1, "x"]}})), "a:\n  b:\n  - 1\n  - x\n");
}
