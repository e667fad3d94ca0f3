//! Routes of system.

use std::sync::Arc;

use pileus_http::Routes;

use crate::Docker;

/// Adds the routes of system.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
}
