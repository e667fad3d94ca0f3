//! `ansible._protomatter.*`: the filters by which ansible-core's own tests look behind values.

use super::Plain;
use crate::eval::Mode;
use crate::tests::tags;
use crate::{Args, Error, State, Value};

pub(super) const FILTERS: &[(&str, Plain)] = &[
    ("ansible._protomatter.apply_trust", apply_trust),
    ("ansible._protomatter.finalize", finalize),
    ("ansible._protomatter.origin", origin),
    ("ansible._protomatter.tag_names", tag_names),
    ("ansible._protomatter.unmask", |_, a| Ok(a.first())),
];

/// Those that take undefined values.
pub(super) const RAW: &[(&str, Plain)] = &[("ansible._protomatter.true_type", true_type)];

fn apply_trust(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(match a.first() {
        Value::Str(s) => Value::Str(s.trust()),
        other => other,
    })
}

fn finalize(state: &State<'_>, a: Args) -> Result<Value, Error> {
    state.convert(a.first(), Mode::Result, 0)
}

fn origin(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(a.first().origin().map_or(Value::None, |o| Value::from(o.to_string())))
}

fn tag_names(_: &State<'_>, a: Args) -> Result<Value, Error> {
    Ok(Value::list(tags::of(&a.first()).into_iter().map(Value::from).collect()))
}

fn true_type(state: &State<'_>, a: Args) -> Result<Value, Error> {
    let v = state.read(a.first());
    let name = v.type_name();
    Ok(Value::from(match &v {
        Value::Undefined(_) => super::select::marker(&v).unwrap_or(name).to_owned(),
        _ if tags::of(&v).is_empty() => name.to_owned(),
        _ => {
            let (first, rest) = name.split_at(1);
            format!("_AnsibleTagged{}{rest}", first.to_uppercase())
        }
    }))
}
