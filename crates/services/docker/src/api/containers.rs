//! Routes of containers.

use std::sync::Arc;

use pileus_http::Routes;

use crate::Docker;

/// Adds the routes of containers.
pub fn routes(table: Routes<Arc<Docker>>) -> Routes<Arc<Docker>> {
    table
}
