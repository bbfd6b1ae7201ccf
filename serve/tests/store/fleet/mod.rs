//! Three NATS servers, three gateways, and boards that write all the time through a balancer that asks one
//! gateway after the other, which pass on what comes to them, while gateways and servers are killed, halted, cut off and stopped: no line is
//! lost, doubled or out of order, and all copies are equal.
//!
//! `PBLINK_FAILOVERS` says how many faults (8), `PBLINK_SEED` which.

mod cables;
mod clock;
mod deaf;
mod gateway;
mod long;
mod scene;

use std::time::Duration;

use gateway::Fault;
use pblink_soak::ledger::Ledger;
use scene::{AGAIN, ALL, CutOff, Halt, Kill, Plan, Scene};

pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

fn failovers() -> u64 {
    number("PBLINK_FAILOVERS", 8)
}

/// Lets boards write meanwhile. `None`: there is no NATS server.
fn run(plan: &Plan<'_>) -> Option<Ledger> {
    let mut scene = Scene::start(plan, &[])?;
    scene.strike_all(plan);
    Some(scene.finish().0)
}

const PLAN: Plan<'_> = Plan {
    faults: 0,
    blows: &ALL,
    boards: (10, 10),
    pause: Duration::ZERO,
    halted: 2 * AGAIN,
    fault: Fault::None,
};

#[test]
fn faults_of_gateways_and_servers_lose_and_double_nothing() {
    let Some(ledger) = run(&Plan { faults: failovers(), ..PLAN }) else { return };
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn gateways_that_are_cut_off_from_the_store_lose_and_double_nothing() {
    let Some(ledger) = run(&Plan { faults: failovers() / 4, blows: &[CutOff], ..PLAN }) else {
        return;
    };
    assert_eq!(ledger, Ledger::default());
}

/// A gateway that stood still knows sessions of before, in which numbers of new lines are those of old ones.
const ZOMBIES: Plan<'_> = Plan { boards: (3, 3), blows: &[Halt], halted: 8000, ..PLAN };

#[test]
fn gateways_that_stood_still_while_their_boards_went_on_lose_and_double_nothing() {
    let Some(ledger) = run(&Plan { faults: failovers() / 2, ..ZOMBIES }) else { return };
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn a_gateway_that_acknowledges_before_its_record_is_in_the_stream_is_found_out() {
    let fault = Fault::Eager;
    let plan = Plan { faults: failovers() / 2, blows: &[Kill], fault, ..PLAN };
    let Some(ledger) = run(&plan) else { return };
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
    println!("found: {ledger:?}");
}

#[test]
fn a_gateway_that_goes_on_although_it_was_replaced_is_found_out() {
    let fault = Fault::Obstinate;
    // Two of three gateways: one that goes on never stands by again.
    let Some(ledger) = run(&Plan { faults: 2, fault, ..ZOMBIES }) else { return };
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
    println!("found: {ledger:?}");
}
