//! What every layer may use: [`Error`] by kind, [`Ctx`] of a call, typed ids, [`Time`], and the names
//! of things on a host.
//!
//! Nothing here knows a product noun beyond identifiers; nothing here does I/O.

#![forbid(unsafe_code)]

mod ctx;
mod error;
pub mod ids;
mod names;
mod time;

pub use ctx::{Caller, Ctx, ProjectRef, Scope, UserRef};
pub use error::{Error, Kind, Result};
pub use names::{InstanceId, check_name};
pub use time::Time;
