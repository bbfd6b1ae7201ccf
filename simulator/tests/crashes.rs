//! When boards crash, hang or lose power, and when wires fail: the link comes back by itself, and what
//! is lost is what docs/PROTOCOL.md says, and no more.

use fastrand::Rng;
use pblink_protocol::app::QUEUE;
use pblink_protocol::time::Duration;
use pblink_simulator::world::{World, WorldOptions};
use pblink_simulator::{BusEnd, Fault, Wire};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Waits until everything that can still arrive has arrived, and the link works: a line that is
/// written now gets through.
fn assert_recovers(world: &mut World, what: &str) {
    let (before_out, before_in) = arrived(world);
    // A garbled configuration is noticed after five minutes.
    let mut left = 8;
    while left > 0 && (arrived(world).0 == before_out || arrived(world).1 == before_in) {
        world.run(secs(60));
        left -= 1;
    }
    let (after_out, after_in) = arrived(world);
    assert!(after_out > before_out, "{what}: no more lines to the server");
    assert!(after_in > before_in, "{what}: no more lines from the server");
    world.wind_down(secs(60));
}

fn arrived(world: &World) -> (u64, u64) {
    let (outward, inward) = world.ledgers(0);
    (outward.totals().arrived, inward.totals().arrived)
}

/// Checks the documented exceptions: a crash loses at most two ordered lines to the server, and
/// duplicates at most one line from it.
fn assert_documented(world: &mut World, crashes: u64, what: &str) {
    let (outward, inward) = world.ledgers(0);
    let (outward, inward) = (outward.totals(), inward.totals());
    assert!(outward.missing <= 2 * crashes, "{what}: {outward:?}");
    assert_eq!((outward.duplicated, outward.reordered, outward.unknown), (0, 0, 0), "{what}");
    assert_eq!((inward.missing, inward.reordered, inward.unknown), (0, 0, 0), "{what}");
    assert!(inward.duplicated <= crashes, "{what}: {inward:?}");
}

#[test]
fn a_crash_at_any_step_of_an_exchange_is_noticed_and_repaired() {
    // Far enough that lines flow both ways.
    const FIRST: u64 = 800;
    for n in 0..300 {
        let what = format!("crash {n} steps after the first lines");
        let mut world = World::new(WorldOptions { seed: 5, ..WorldOptions::default() });
        world.run(secs(6));
        let start = world.pair(0).steps();
        assert!(start > FIRST, "the link works by now: {start}");
        while world.pair(0).steps() < start + n {
            let next = Duration::from_micros(50);
            world.run(next);
        }
        let faults = [Fault::Crash, Fault::Restart, Fault::Hang(secs(30))];
        world.inject(0, faults[n as usize % faults.len()]);
        assert_recovers(&mut world, &what);
        assert!(world.pair(0).resets() >= 1, "{what}: it was not reset");
        assert_documented(&mut world, 1, &what);
    }
}

#[test]
fn crashes_and_hangs_amid_outages_lose_no_more_than_documented() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(WorldOptions { seed, ..WorldOptions::default() });
        world.run(secs(4));
        for _ in 0..rng.usize(2..6) {
            world.run(Duration::from_micros(rng.u64(1000..8_000_000)));
            match rng.u8(0..6) {
                0 => world.inject(0, Fault::Crash),
                1 => world.inject(0, Fault::Restart),
                2 => world.inject(0, Fault::Hang(Duration::from_millis(rng.u64(1..9000)))),
                3 => world.inject(0, Fault::WifiOutage(Duration::from_millis(rng.u64(50..5000)))),
                4 => world.server_outage(Duration::from_millis(rng.u64(50..5000))),
                _ => world.cut(0),
            }
        }
        let what = format!("seed {seed}");
        let crashes = u64::from(world.pair(0).crashes());
        assert_recovers(&mut world, &what);
        // A hang may end in a reset of its own.
        assert_documented(&mut world, crashes, &what);
    }
}

#[test]
fn a_network_that_comes_while_the_esp8266_hangs_is_not_missed() {
    for n in 0..60 {
        let mut world = World::new(WorldOptions { seed: 7, ..WorldOptions::default() });
        world.run(secs(6));
        world.inject(0, Fault::Restart);
        // One of them hangs just then.
        world.run(Duration::from_millis(350 + 100 * n));
        world.inject(0, Fault::Hang(Duration::from_millis(110)));
        world.run(secs(20));
        assert_eq!(world.pair(0).down(), None, "{n}");
    }
}

#[test]
fn failing_wires_are_noticed_and_repaired() {
    let wires = [Wire::Syn, Wire::Ack, Wire::Reset];
    for seed in 0..120 {
        let mut rng = Rng::with_seed(seed);
        let what = format!("seed {seed}");
        let mut world = World::new(WorldOptions { seed, ..WorldOptions::default() });
        world.run(secs(4) + Duration::from_micros(rng.u64(0..1_000_000)));
        let length = Duration::from_millis(rng.u64(1..20_000));
        let fault = match seed % 6 {
            0 => Fault::Stuck(wires[rng.usize(0..3)], rng.bool(), length),
            1 => Fault::Nak,
            2 => Fault::Deaf(length),
            3 => Fault::GarbleHeader,
            4 => Fault::BusError(BusEnd::Master),
            _ => Fault::BusError(BusEnd::Slave),
        };
        world.inject(0, fault);
        assert_recovers(&mut world, &format!("{what} {fault:?}"));
        let resets = u64::from(world.pair(0).resets()).max(1);
        assert_documented(&mut world, resets, &format!("{what} {fault:?}"));
    }
}

#[test]
fn a_slave_that_is_late_is_asked_again_without_a_reset() {
    let mut world = World::new(WorldOptions { seed: 1, ..WorldOptions::default() });
    world.run(secs(6));
    world.inject(0, Fault::Deaf(Duration::from_millis(400)));
    world.run(secs(20));
    assert_eq!(world.pair(0).resets(), 0);
    assert!(world.settle(secs(20)));
    assert!(world.totals().is_clean());
}

#[test]
fn garbled_payloads_do_not_stop_the_link() {
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(WorldOptions { seed, ..WorldOptions::default() });
        world.run(secs(5));
        for _ in 0..5 {
            world.run(Duration::from_micros(rng.u64(0..2_000_000)));
            world.inject(0, Fault::GarblePayload);
        }
        assert_recovers(&mut world, &format!("seed {seed}"));
    }
}

#[test]
fn a_power_cycle_loses_only_what_waited_in_the_boards() {
    for seed in 0..60 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(WorldOptions { seed, ..WorldOptions::default() });
        world.run(secs(4) + Duration::from_micros(rng.u64(0..3_000_000)));
        if rng.bool() {
            // Lines pile up in the STM32.
            world.inject(0, Fault::WifiOutage(secs(20)));
            world.run(secs(10));
        }
        world.inject(0, Fault::PowerCycle);
        assert_recovers(&mut world, &format!("seed {seed}"));
        let (outward, inward) = world.ledgers(0);
        let (outward, inward) = (outward.totals(), inward.totals());
        assert_eq!((outward.duplicated, outward.reordered, outward.unknown), (0, 0, 0));
        assert!(outward.missing <= QUEUE as u64 / 10, "seed {seed}: {outward:?}");
        assert_eq!((inward.reordered, inward.unknown), (0, 0), "seed {seed}");
        assert!(inward.duplicated <= 1 && inward.missing <= 1, "seed {seed}: {inward:?}");
    }
}

#[test]
fn a_hung_coprocessor_costs_one_reset() {
    let mut world = World::new(WorldOptions { seed: 3, ..WorldOptions::default() });
    world.run(secs(8));
    world.inject(0, Fault::Hang(secs(60)));
    assert_recovers(&mut world, "hang");
    assert_eq!(world.pair(0).resets(), 1);
    assert_documented(&mut world, 1, "hang");
}

#[test]
fn a_program_that_does_not_read_holds_the_link_off_and_loses_nothing() {
    let mut world = World::new(WorldOptions {
        seed: 9,
        server_writes: Some(Duration::from_millis(20)),
        server_delivery: pblink_protocol::delivery::Delivery::UNORDERED,
        ..WorldOptions::default()
    });
    world.run(secs(5));
    world.pair(0).set_reads(false);
    world.run(secs(60));
    assert_eq!(world.pair(0).resets(), 0, "not reading is no crash");
    world.pair(0).set_reads(true);
    assert!(world.settle(secs(120)));
    let (_, inward) = world.ledgers(0);
    let totals = inward.totals();
    assert_eq!((totals.missing, totals.duplicated, totals.unknown), (0, 0, 0), "{totals:?}");
}
