//! Boards with keys: nothing is lost, doubled or reordered, whatever fails, as long as the STM32 has its power.
//!
//! `PBLINK_SEEDS=FROM..TO` runs these seeds instead of the usual ones, and `PBLINK_HOURS=N` the long run for this many simulated
//! hours (`just hours N`); a failure names its seed.

use std::ops::Range;

use fastrand::Rng;
use pblink_protocol::app::happening::RestartCause;
use pblink_protocol::time::{Duration, Instant};
use pblink_simulator::world::{World, WorldOptions};
use pblink_simulator::{BusEnd, Cryptography, Fault, Wire};

const fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn millis(rng: &mut Rng, most: u64) -> Duration {
    Duration::from_millis(rng.u64(50..most))
}

/// Returns the seeds that are asked for, or the usual ones.
fn seeds(usual: u64) -> Range<u64> {
    let Ok(text) = std::env::var("PBLINK_SEEDS") else { return 0..usual };
    let (from, to) = text.split_once("..").expect("PBLINK_SEEDS=FROM..TO");
    from.parse().expect("a number")..to.parse().expect("a number")
}

fn world(seed: u64, boards: usize, commits: Duration) -> World {
    World::new(WorldOptions {
        seed,
        boards,
        server_commits: Some(commits),
        keys: Some(Cryptography::Symbolic),
        ..WorldOptions::default()
    })
}

/// Stops the programs, and checks that everything has arrived once and in order within `limit`. Returns the time that it took.
fn assert_clean(world: &mut World, limit: Duration, what: &str) -> Duration {
    let began = world.now();
    let settled = world.settle(limit);
    let totals = world.totals();
    assert!(settled && totals.is_clean(), "{what}: {totals:?}");
    assert!(totals.arrived > 0, "{what}: nothing was written");
    assert_eq!(world.undetermined(), 0, "{what}");
    world.now().since(began)
}

/// One fault of any kind that is not a loss of power: outages as in `outages.rs`, crashes as in `crashes.rs`, and kills of the
/// server.
fn hurt(world: &mut World, rng: &mut Rng, board: usize) {
    match rng.u8(0..15) {
        0 => world.inject(board, Fault::WifiOutage(millis(rng, 9000))),
        1 => world.server_outage(millis(rng, 9000)),
        2 => world.half_open(board),
        3 => world.server_does_not_read(millis(rng, 5000)),
        4 => world.slow_down(board, millis(rng, 4000)),
        5 => world.server_stall(millis(rng, 6000)),
        6 | 7 => world.server_crash(Duration::from_millis(rng.u64(0..3000))),
        8 | 9 => world.inject(board, Fault::Crash),
        10 => world.inject(board, Fault::Restart),
        11 => world.inject(board, Fault::Hang(millis(rng, 9000))),
        12 => world.inject(board, Fault::HostRestart),
        _ => world.cut(board),
    }
}

/// The time within which everything has arrived after the last fault: 52 s at most in 1000 runs. Two handshakes may be 60 s
/// apart.
const LATE: Duration = secs(120);

/// Runs a quarter of the seeds. The test harness runs several at a time.
fn outages_crashes_and_kills(quarter: u64) {
    let (mut faults, mut late, mut simulated) = (0, Duration::ZERO, Duration::ZERO);
    for seed in seeds(1000).filter(|seed| seed % 4 == quarter) {
        let mut rng = Rng::with_seed(seed);
        let boards = rng.usize(1..3);
        // A good disk, a busy one, and one that stalls for longer than the time-out.
        let commits = Duration::from_millis([5, 300, 5000][rng.usize(0..3)]);
        let mut world = world(seed, boards, commits);
        world.run(secs(3));
        for _ in 0..rng.usize(3..12) {
            world.run(Duration::from_micros(rng.u64(100_000..6_000_000)));
            let board = rng.usize(0..boards);
            hurt(&mut world, &mut rng, board);
            faults += 1;
        }
        let what = format!("PBLINK_SEEDS={seed}..{}", seed + 1);
        late = late.max(assert_clean(&mut world, LATE, &what));
        simulated = simulated + world.now().since(Instant::ZERO);
    }
    println!(
        "{faults} faults in {simulated}; all had arrived {late} after the last one at the latest"
    );
}

#[test]
fn lines_arrive_once_in_order_through_outages_crashes_and_kills_first_quarter() {
    outages_crashes_and_kills(0);
}

#[test]
fn lines_arrive_once_in_order_through_outages_crashes_and_kills_second_quarter() {
    outages_crashes_and_kills(1);
}

#[test]
fn lines_arrive_once_in_order_through_outages_crashes_and_kills_third_quarter() {
    outages_crashes_and_kills(2);
}

#[test]
fn lines_arrive_once_in_order_through_outages_crashes_and_kills_last_quarter() {
    outages_crashes_and_kills(3);
}

/// The ESP8266 is killed at random every few seconds, for hours: it is up for half of the time.
#[test]
fn an_esp8266_that_is_killed_every_few_seconds_costs_no_line() {
    let hours =
        std::env::var("PBLINK_HOURS").map_or(0.25, |hours| hours.parse().expect("a number"));
    let end = Instant::ZERO + Duration::from_millis((hours * 3_600_000.0) as u64);
    let mut rng = Rng::with_seed(11);
    let mut world = world(11, 1, Duration::from_millis(20));
    while world.now() < end {
        world.run(Duration::from_micros(rng.u64(1_000_000..20_000_000)));
        world.inject(0, [Fault::Crash, Fault::Restart, Fault::Hang(secs(60))][rng.usize(0..3)]);
    }
    let crashes = world.pair(0).crashes();
    assert_clean(&mut world, LATE, "the long run");
    let totals = world.totals();
    println!(
        "{hours} h, {crashes} kills, {} lines, {} resets",
        totals.arrived,
        world.pair(0).resets()
    );
    assert!(f64::from(crashes) > hours * 300.0 && totals.arrived as f64 > hours * 3000.0);
}

/// With the cryptography of the wire, by both of its implementations.
#[test]
fn the_true_cryptography_carries_lines_through_crashes_and_kills() {
    let mut world = World::new(WorldOptions {
        seed: 3,
        keys: Some(Cryptography::Real),
        ..WorldOptions::default()
    });
    for round in 0..4 {
        world.run(secs(10));
        match round {
            0 => world.inject(0, Fault::Crash),
            1 => world.server_crash(secs(1)),
            2 => world.inject(0, Fault::HostRestart),
            _ => world.cut(0),
        }
    }
    assert_clean(&mut world, LATE, "real");
}

/// A fault that the classic link cannot see: it has no checksum on I2C.
#[test]
fn garbled_bits_and_failing_wires_change_no_line() {
    let wires = [Wire::Syn, Wire::Ack, Wire::Reset];
    for seed in seeds(120) {
        let mut rng = Rng::with_seed(seed);
        let mut world = world(seed, 1, Duration::from_millis(20));
        world.run(secs(5));
        for _ in 0..5 {
            world.run(Duration::from_micros(rng.u64(0..2_000_000)));
            let length = Duration::from_millis(rng.u64(1..20_000));
            world.inject(
                0,
                match rng.u8(0..9) {
                    0 => Fault::Stuck(wires[rng.usize(0..3)], rng.bool(), length),
                    1 => Fault::Nak,
                    2 => Fault::Deaf(length),
                    3 => Fault::GarbleHeader,
                    4 => Fault::BusError([BusEnd::Master, BusEnd::Slave][rng.usize(0..2)]),
                    _ => Fault::GarblePayload,
                },
            );
        }
        // A garbled configuration is noticed after five minutes.
        assert_clean(&mut world, secs(600), &format!("seed {seed}"));
    }
}

/// The exceptions that are left: the board's own lines go with its power, and the server says which of its lines it knows
/// nothing of.
#[test]
fn a_power_cut_costs_what_waits_in_the_board_and_the_server_says_what_it_does_not_know() {
    let (mut lost, mut undetermined) = (0, 0);
    for seed in seeds(100) {
        let mut rng = Rng::with_seed(seed);
        let mut world = world(seed, 1, Duration::from_millis(300));
        world.run(secs(4) + Duration::from_micros(rng.u64(0..3_000_000)));
        if rng.bool() {
            // Lines pile up at both ends.
            world.inject(0, Fault::WifiOutage(secs(20)));
            world.run(secs(10));
        }
        world.inject(0, Fault::PowerCycle);
        world.run(secs(40));
        world.wind_down(LATE);
        let (outward, inward) = world.ledgers(0);
        let (outward, inward) = (outward.totals(), inward.totals());
        let broken = [outward, inward].map(|it| (it.duplicated, it.reordered, it.unknown));
        assert_eq!(broken, [(0, 0, 0); 2], "seed {seed}: {outward:?} {inward:?}");
        assert!(inward.missing <= world.undetermined(), "seed {seed}: {inward:?}");
        assert!(outward.arrived > 40 && inward.arrived > 40, "seed {seed}: nothing after the cut");
        lost += outward.missing;
        undetermined += world.undetermined();
    }
    assert!(lost > 0 && undetermined > 0, "{lost} lost, {undetermined} undetermined");
}

#[test]
fn a_board_tells_why_it_has_started() {
    let mut world = world(7, 1, Duration::from_millis(5));
    world.run(secs(10));
    for fault in [Fault::HostRestart, Fault::PowerCycle] {
        world.inject(0, fault);
        world.run(secs(20));
    }
    let expected = [RestartCause::PowerOn, RestartCause::Software, RestartCause::PowerOn];
    assert_eq!(world.restarts(0), expected);
}

#[test]
fn a_quiet_hour_has_no_outage_and_no_reset() {
    let mut world = world(1, 1, Duration::from_millis(5));
    world.run(secs(600));
    assert_eq!((world.connects(0), world.pair(0).resets()), (1, 0));
    assert_clean(&mut world, secs(10), "a quiet hour");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = || {
        let mut rng = Rng::with_seed(42);
        let mut world = world(42, 2, Duration::from_millis(300));
        for _ in 0..5 {
            world.run(secs(4));
            let board = rng.usize(0..2);
            hurt(&mut world, &mut rng, board);
        }
        world.run(secs(20));
        (world.totals(), world.pair(0).steps(), world.pair(1).exchanges())
    };
    assert_eq!(run(), run());
}
