//! Joining dicts: replacing, or merging inside (`hash_behaviour`).

use pileus_jinja::{Dict, Value};

/// Puts `from` into `into`; with `deep`, dicts are joined inside instead of replaced.
pub fn into(into: &Dict, from: &Dict, deep: bool) {
    for (k, v) in from.items() {
        if deep && let (Some(Value::Dict(old)), Value::Dict(new)) = (into.get_value(&k), &v) {
            let joined = old.copy();
            self::into(&joined, new, true);
            into.insert(k, Value::Dict(joined));
            continue;
        }
        into.insert(k, v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_and_flat() {
        let make = || Dict::from_iter([(Value::str("a"), Value::dict([("x", Value::Int(1))]))]);
        let new = Dict::from_iter([(Value::str("a"), Value::dict([("y", Value::Int(2))]))]);
        let d = make();
        into(&d, &new, false);
        assert_eq!(Value::Dict(d).repr(), "{'a': {'y': 2}}");
        let d = make();
        into(&d, &new, true);
        assert_eq!(Value::Dict(d).repr(), "{'a': {'x': 1, 'y': 2}}");
    }
}
