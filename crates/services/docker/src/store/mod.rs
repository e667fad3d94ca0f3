//! What the engine keeps: a document a container, image, network and volume.

mod containers;
mod images;
mod networks;
mod pulls;
pub mod registry;
mod volumes;

pub use containers::{Container, Endpoint, State, Status};
pub use images::Image;
pub use networks::{Network, Subnet};
pub use pulls::Pull;
pub use volumes::Volume;
