//! A server as a service: reports to the [`Manager`] that has started it, and [`Sockets`] that it was given.

mod manager;
mod sockets;

pub use manager::Manager;
pub use sockets::Sockets;
