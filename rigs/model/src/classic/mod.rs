//! The classic link: the `Endpoint`s of a server and an ESP8266, the STM32's queues behind the latter, a store, and a network
//! that breaks.
//!
//! Lines pass between STM32 and ESP8266 in one step: the exchange over the wires is tested by itself (`protocol/tests/`). Exceptions
//! 5 to 10 of `docs/PROTOCOL.md` are not here: they need a foreign end, more than a hundred lines, or bits that change.

mod model;
mod world;

pub use model::{
    Action, Classic, DOUBLED_DOWN, DOUBLED_UP, Family, LOST_DOWN, LOST_UP, ORDER_DOWN, ORDER_UP,
    STUCK, State,
};
pub use world::{Fault, Owner, Step, World};
