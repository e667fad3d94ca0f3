use serde_json::json;

use crate::Map;

fn check(module: &str, args: serde_json::Value) -> Result<Map, String> {
    let serde_json::Value::Object(args) = args else { panic!("an object") };
    super::lookup(module).expect("a spec").check(args, &mut Vec::new()).map_err(|e| e.message)
}

#[test]
fn messages_are_the_reference_s() {
    assert_eq!(
        check("file", json!({"path": "/x", "state": "bad", "foo": 1})).unwrap_err(),
        "value of state must be one of: absent, directory, file, hard, link, touch, got: bad"
    );
    assert_eq!(check("file", json!({"foo": 1})).unwrap_err(), "missing required arguments: path");
    assert_eq!(
        check("stat", json!({"path": "/x", "foo": 1})).unwrap_err(),
        "Unsupported parameters for ({module}) module: foo. Supported parameters include: checksum_algorithm, follow, get_attributes, get_checksum, get_mime, path (attr, attributes, checksum, checksum_algo, dest, mime, mime-type, mime_type, name)."
    );
    assert_eq!(
        check("wait_for", json!({"timeout": "abc"})).unwrap_err(),
        "argument 'timeout' is of type str and we were unable to convert to int: \"'abc'\" cannot be converted to an int"
    );
}

#[test]
fn aliases_defaults_and_conversions() {
    let params = check("file", json!({"dest": "/x", "recurse": "yes"})).unwrap();
    assert_eq!(params["path"], "/x");
    assert_eq!(params["recurse"], true);
    assert_eq!(params["follow"], true);
    assert_eq!(params["mode"], serde_json::Value::Null);
    let params = check("apt", json!({"name": "a,b", "upgrade": true})).unwrap_err();
    assert_eq!(params, "parameters are mutually exclusive: deb|package|upgrade");
    let params = check("apt", json!({"upgrade": true})).unwrap();
    assert_eq!(params["upgrade"], "yes");
}

#[test]
fn every_spec_reads() {
    for name in crate::names() {
        if let Some(spec) = super::spec(name) {
            assert!(spec.params.iter().all(|p| !p.name.is_empty() && !p.name.contains(['<', ' '])), "{name}");
        }
    }
}
