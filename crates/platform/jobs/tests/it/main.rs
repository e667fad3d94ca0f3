//! Jobs on a real store: order, unwinding, recovery, leases, children, the torture, and speed.

mod demo;
mod ends;
mod recovery;
mod speed;
mod torture;
mod waits;
