//! The secure link: `Board` and `Server`, with a symbolic suite, over a carrier that may do anything a few times.

mod keys;
mod ledger;
mod model;
mod owner;
mod ram;
mod rotation;
mod rules;
#[path = "../../../../protocol/tests/secure_seeds/suite.rs"]
mod suite;
mod world;

pub use model::{
    ALL_HAPPENS, ARRIVES, Action, Family, NO_COUNTER_TWICE, NO_OTHER_EXCEPTIONS, NO_REPEAT_DOWN,
    NO_REPEAT_UP, NONE_LOST_DOWN, NONE_LOST_UP, SHARED, Secure, State,
};
pub use rules::Rules;
pub use world::{Fault, World};
