//! `setup`: the machine's facts.

use crate::cx::Cx;
use crate::facts;
use crate::map;
use crate::result::Reply;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let (subset, filter) = (cx.list("gather_subset"), cx.list("filter"));
    let found = facts::gather(cx, &subset, &filter)?;
    Ok(map! { "ansible_facts" => found })
}
