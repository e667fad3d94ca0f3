//! Jinja's and ansible-core's filters, those that need no I/O. One file per subject; the names are those of the
//! reference (Jinja 3.1 "List of Builtin Filters", ansible-core 2.19 `ansible.builtin` filters).

mod calendar;
mod comment;
mod data;
mod encode;
mod group;
mod lists;
mod maps;
mod math;
mod paths;
mod protomatter;
mod pyset;
mod random;
mod regexes;
mod select;
mod sets;
mod text;
mod time;
mod urlize;
pub mod yaml;

use std::sync::Arc;

use crate::{Args, Engine, Error, State, Value};

pub(crate) use calendar::moment;
pub use random::python_choices;
pub(crate) use regexes::translate as python_regex;
pub(crate) use text::{pad_center, split_blanks};

/// A date without a zone, as Python's `datetime`.
pub(crate) fn date(d: jiff::civil::DateTime) -> Value {
    Value::object(time::Date(d, None))
}

type Plain = fn(&State<'_>, Args) -> Result<Value, Error>;

/// Registers all of them.
pub(crate) fn register(engine: &mut Engine) {
    for table in [
        comment::FILTERS,
        data::FILTERS,
        encode::FILTERS,
        lists::FILTERS,
        maps::FILTERS,
        math::FILTERS,
        paths::FILTERS,
        protomatter::FILTERS,
        random::FILTERS,
        regexes::FILTERS,
        select::FILTERS,
        sets::FILTERS,
        text::FILTERS,
        time::FILTERS,
        urlize::FILTERS,
    ] {
        for (name, f) in table {
            engine.put_filter(name, Arc::new(*f), false, false);
        }
    }
    for (name, f) in select::RAW.iter().chain(protomatter::RAW) {
        engine.put_filter(name, Arc::new(*f), true, true);
    }
}

/// Python's `str()` of the first argument.
fn text_of(v: &Value) -> Result<String, Error> {
    v.to_text()
}

/// The members of `v` where it is a list or a tuple, not text or a dict.
fn sequence(v: &Value) -> Option<Vec<Value>> {
    if v.is_sequence() { v.to_vec().ok() } else { None }
}
