//! Variables over variables: later ones win; with `hash_behaviour = merge` dicts are merged at every depth.

use pileus_jinja::{Dict, Value};

/// Whether dicts are merged.
pub fn deep() -> bool {
    crate::config::current().text("DEFAULT_HASH_BEHAVIOUR") == Some("merge")
}

/// Sets one variable.
pub fn set(into: &Dict, key: Value, value: Value) {
    let value = match (into.get_value(&key), &value) {
        (Some(Value::Dict(old)), Value::Dict(new)) if deep() => {
            let merged = old.copy();
            update(&merged, new);
            Value::Dict(merged)
        }
        _ => value,
    };
    into.write().insert(key, value);
}

/// Sets every variable of `from`.
pub fn update(into: &Dict, from: &Dict) {
    for (k, v) in from.items() {
        set(into, k, v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_wins() {
        let a = Dict::new();
        a.insert("x", Value::Int(1));
        let b = Dict::new();
        b.insert("x", Value::Int(2));
        b.insert("y", Value::Int(3));
        update(&a, &b);
        assert_eq!(a.get("x"), Some(Value::Int(2)));
        assert_eq!(a.len(), 2);
    }
}
