//! All tests of the simulator in one program: linking one for each file took minutes.
//!
//! One part of them: `cargo test -p pblink-simulator --test all secure::`.

mod campaign;
mod crashes;
mod goodput;
mod live;
mod minimise;
mod outages;
mod scenes;
mod secure;
mod served;
mod socket;
