//! Delays that a playbook asks for.

use std::time::Duration;

/// Waits as long as the playbook says: `pause`, `retries`' delay, `loop_control`'s pause, a `poll`'s
/// interval. Nothing of ours waits for a time otherwise: we wait for conditions.
#[expect(clippy::disallowed_methods, reason = "the time itself is what the playbook asks for")]
pub fn asked(time: Duration) {
    std::thread::sleep(time);
}
