//! `ping`: answers `pong`, or the given data.

use crate::cx::Cx;
use crate::map;
use crate::result::Reply;

/// Runs the module.
pub fn run(cx: &mut Cx<'_>) -> Reply {
    let data = cx.string("data");
    if data == "crash" {
        // as an exception that nothing caught
        return Ok(map! {"failed" => true, "exception" => map! {"event" => map! {"msg" => "boom"}}});
    }
    Ok(map! {"ping" => data})
}
