//! Models of both links: all orders of a few faults, over the machines that ship.

pub mod classic;
pub mod report;
#[path = "../../../protocol/tests/common/rng.rs"]
mod rng;
pub mod secure;
