//! Virtual machines: a [`Hypervisor`] of a dozen verbs, and two of them: `qemu` runs real guests, `sim`
//! pretends to, by the thousand.
//!
//! A guest outlives the program that started it: every verb finds it again by what lies in its directory.

mod guest;
pub mod qemu;
pub mod sim;

use std::{future::Future, os::fd::OwnedFd, pin::Pin};

use pileus_base::{Result, ids::ServerId};
use tokio::{net::UnixStream, sync::broadcast};

pub use guest::{Bus, Disk, Facts, GuestSpec, GuestState, Machine, Nic};

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A guest's state changed by itself: look again.
pub type Events = broadcast::Receiver<ServerId>;

/// A driver of virtual machines.
pub trait Hypervisor: Send + Sync + 'static {
    /// What it is.
    fn facts(&self) -> BoxFuture<'_, Result<Facts>>;
    /// Starts a guest, or adopts it where it runs already. `taps` are its cards' descriptors, in order.
    fn ensure_started<'a>(&'a self, spec: &'a GuestSpec, taps: Vec<OwnedFd>) -> BoxFuture<'a, Result<()>>;
    /// Presses the power button, waits so long, then pulls the plug; pulls it at once for 0 ms.
    fn stop(&self, id: ServerId, grace_ms: u64) -> BoxFuture<'_, Result<()>>;
    /// Presses the reset button.
    fn reset(&self, id: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Freezes or unfreezes the processors.
    fn pause(&self, id: ServerId, paused: bool) -> BoxFuture<'_, Result<()>>;
    /// Saves the guest's memory into its directory and ends it.
    fn suspend(&self, id: ServerId) -> BoxFuture<'_, Result<()>>;
    /// Ends the guest and forgets it.
    fn remove(&self, id: ServerId) -> BoxFuture<'_, Result<()>>;
    /// How a guest is.
    fn state(&self, id: ServerId) -> BoxFuture<'_, Result<GuestState>>;
    /// Every guest with a directory.
    fn list(&self) -> BoxFuture<'_, Result<Vec<(ServerId, GuestState)>>>;
    /// What the serial console has shown: all that is kept.
    fn console_log(&self, id: ServerId) -> BoxFuture<'_, Result<Vec<u8>>>;
    /// The serial console; one client at a time.
    fn serial(&self, id: ServerId) -> BoxFuture<'_, Result<UnixStream>>;
    /// The screen, as VNC.
    fn vnc(&self, id: ServerId) -> BoxFuture<'_, Result<UnixStream>>;
    /// What happens by itself.
    fn events(&self) -> Events;
}
