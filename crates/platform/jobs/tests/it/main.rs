//! Jobs on a real store: order, unwinding, recovery, leases, children, the torture, and speed.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod demo;
mod ends;
mod recovery;
mod speed;
mod torture;
mod waits;
