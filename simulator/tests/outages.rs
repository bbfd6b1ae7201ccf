//! Whatever the network does: nothing is lost, duplicated or reordered as long as the ESP8266 lives.

use fastrand::Rng;
use pblink_protocol::time::Duration;
use pblink_simulator::world::{World, WorldOptions};
use pblink_simulator::{Fault, PairOptions, ProgramOptions};

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

/// Any mix of network faults, as the seed decides.
fn hurt(world: &mut World, rng: &mut Rng, boards: usize) {
    // Long enough for the boards to start.
    world.run(secs(3));
    for _ in 0..rng.usize(2..7) {
        world.run(Duration::from_micros(rng.u64(100_000..6_000_000)));
        let board = rng.usize(0..boards);
        match rng.u8(0..7) {
            0 => world.inject(board, Fault::WifiOutage(Duration::from_millis(rng.u64(50..9000)))),
            1 => world.server_outage(Duration::from_millis(rng.u64(50..9000))),
            2 => world.half_open(board),
            3 => world.server_does_not_read(Duration::from_millis(rng.u64(50..5000))),
            4 => world.slow_down(board, Duration::from_millis(rng.u64(50..4000))),
            _ => world.cut(board),
        }
    }
}

#[test]
fn ordered_lines_arrive_exactly_once_in_order_through_any_outage() {
    for seed in 0..1000 {
        let mut rng = Rng::with_seed(seed);
        let boards = rng.usize(1..3);
        let mut world = World::new(WorldOptions { seed, boards, ..WorldOptions::default() });
        hurt(&mut world, &mut rng, boards);
        let settled = world.settle(secs(60));
        let totals = world.totals();
        assert!(settled && totals.is_clean(), "seed {seed}: {totals:?}");
        assert!(totals.arrived > 0, "seed {seed}: nothing was written");
    }
}

/// A server that acknowledges what it has committed may be killed at any moment, among any other faults.
#[test]
fn ordered_lines_arrive_exactly_once_in_order_through_crashes_of_the_server() {
    let mut crashes = 0;
    for seed in 0..1000 {
        let mut rng = Rng::with_seed(seed);
        let boards = rng.usize(1..3);
        // A good disk, a busy one, and one that stalls for longer than the time-out.
        let commits = Duration::from_millis([5, 300, 5000][rng.usize(0..3)]);
        let mut world = World::new(WorldOptions {
            seed,
            boards,
            server_commits: Some(commits),
            ..WorldOptions::default()
        });
        for _ in 0..rng.usize(1..4) {
            hurt(&mut world, &mut rng, boards);
            world.server_crash(Duration::from_millis(rng.u64(0..3000)));
            crashes += 1;
        }
        let settled = world.settle(secs(1000));
        let totals = world.totals();
        assert!(settled && totals.is_clean(), "seed {seed}: {totals:?}");
        assert!(totals.arrived > 0, "seed {seed}: nothing was written");
    }
    assert!(crashes > 1000, "{crashes} crashes");
}

/// The server's process is stopped and continued, again and again, among other faults. Its timers go off
/// before its sockets are looked at.
#[test]
fn a_server_that_stands_still_loses_and_doubles_nothing() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(WorldOptions { seed, boards: 2, ..WorldOptions::default() });
        world.run(secs(3));
        for _ in 0..rng.usize(2..7) {
            world.run(Duration::from_micros(rng.u64(100_000..3_000_000)));
            match rng.u8(0..4) {
                0 => world.half_open(rng.usize(0..2)),
                1 => world.cut(rng.usize(0..2)),
                _ => world.server_stall(Duration::from_millis(rng.u64(100..6000))),
            }
        }
        let settled = world.settle(secs(60));
        let totals = world.totals();
        assert!(settled && totals.is_clean(), "seed {seed}: {totals:?}");
    }
}

/// A stall that the boards do not notice (their time-out is longer) is not an outage for the server
/// either, although nothing was read for longer than its own.
#[test]
fn a_stall_of_the_server_is_not_an_outage() {
    for seed in 0..100 {
        let mut rng = Rng::with_seed(seed);
        let mut world = World::new(WorldOptions {
            seed,
            server_timeout: Some(Duration::from_millis(1000)),
            ..WorldOptions::default()
        });
        world.run(secs(4));
        assert_eq!(world.connects(0), 1, "seed {seed}: it has connected");
        for _ in 0..10 {
            world.server_stall(Duration::from_millis(rng.u64(1000..1300)));
            world.run(Duration::from_millis(rng.u64(1500..4000)));
            assert_eq!(
                world.connects(0),
                1,
                "seed {seed}: the server took its own stall for an outage"
            );
        }
        assert!(world.settle(secs(10)) && world.totals().is_clean(), "seed {seed}");
    }
}

#[test]
fn a_quiet_hour_has_no_outage_and_no_reset() {
    let mut world = World::new(WorldOptions {
        boards: 1,
        pair: PairOptions {
            program: ProgramOptions { every: secs(5), ..ProgramOptions::default() },
            ..PairOptions::default()
        },
        server_writes: Some(secs(5)),
        ..WorldOptions::default()
    });
    world.run(secs(600));
    assert_eq!(world.pair(0).resets(), 0);
    assert!(world.settle(secs(10)));
    let totals = world.totals();
    assert!(totals.is_clean() && totals.written > 200, "{totals:?}");
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = || {
        let mut rng = Rng::with_seed(42);
        let mut world = World::new(WorldOptions { seed: 42, boards: 2, ..WorldOptions::default() });
        hurt(&mut world, &mut rng, 2);
        world.run(secs(20));
        (world.totals(), world.pair(0).steps(), world.pair(1).exchanges())
    };
    assert_eq!(run(), run());
}
