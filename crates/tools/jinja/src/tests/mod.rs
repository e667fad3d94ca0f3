//! Jinja's and ansible-core's tests, those that need no I/O.

mod results;
pub(crate) mod tags;
mod values;
mod versions;

use std::sync::Arc;

use crate::{Args, Engine, Error, State};

type Plain = fn(&State<'_>, Args) -> Result<bool, Error>;

/// Registers all of them.
pub(crate) fn register(engine: &mut Engine) {
    for table in [results::TESTS, tags::TESTS, values::TESTS, versions::TESTS] {
        for (name, f) in table {
            engine.put_test(name, Arc::new(*f), false, false);
        }
    }
    for (name, f) in values::RAW.iter().chain(tags::RAW) {
        engine.put_test(name, Arc::new(*f), true, true);
    }
}
