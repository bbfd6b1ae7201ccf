//! Mutants of the protocol: small changes of its code, each of which some test has to notice.
//!
//! [cargo-mutants](https://mutants.rs) names them. It would compile all tests once for each of some thousands, which takes days: here
//! nearly all of them are compiled into one program, each behind a switch, and each is judged by the tests that reach it, the shortest
//! first. The few that do not go behind a switch are compiled by themselves. A mutant that no test notices is a test that is missing, or is
//! explained in `explained.txt`.

pub mod build;
pub mod explained;
pub mod judge;
pub mod list;
pub mod programs;
pub mod weave;
