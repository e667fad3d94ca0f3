//! `ping`: answers `pong`, or the given data.

use crate::cx::Cx;
use crate::map;
use crate::result::{Reply, fail};

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let data = cx.string("data");
    if data == "crash" {
        return fail("boom");
    }
    Ok(map! {"ping" => data})
}
