//! Tables of lines per second against lost packets, cuts and latency, as snapshots: a change of behaviour is seen in a review.
//!
//! `INSTA_UPDATE=always cargo test -p pblink-simulator --test all goodput::` writes them anew.

use std::fmt::Write as _;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::time::Duration;
use pblink_simulator::world::{World, WorldOptions};
use pblink_simulator::{Cryptography, PairOptions, ProgramOptions};

/// Percent of the packets that are lost.
const LOSS: [u8; 4] = [0, 1, 5, 20];
/// Cuts of the connection in a minute.
const CUTS: [u64; 3] = [0, 2, 10];
/// The longest time that packets travel, in ms; half of it is the mean.
const LATENCY: [u64; 3] = [5, 50, 250];
/// Simulated seconds of each cell, after a start that does not count.
const SECONDS: u64 = 60;

/// The way of lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    ToServer,
    FromServer,
}

/// A link whose lines are counted.
#[derive(Clone, Copy)]
struct Case {
    keys: Option<Cryptography>,
    delivery: Delivery,
    way: Way,
}

/// Returns the lines that arrive in a second.
fn rate(case: Case, loss_percent: u8, cuts: u64, latency: u64) -> f64 {
    let quick = Duration::from_millis(10);
    let outward = case.way == Way::ToServer;
    let mut world = World::new(WorldOptions {
        seed: 1,
        pair: PairOptions {
            program: ProgramOptions {
                every: if outward { quick } else { Duration::from_secs(3600) },
                delivery: case.delivery,
                padding: 40,
                ..ProgramOptions::default()
            },
            ..PairOptions::default()
        },
        server_writes: (!outward).then_some(quick),
        server_delivery: case.delivery,
        keys: case.keys,
        latency: Duration::from_millis(latency),
        loss_percent,
        report_s: 0,
        ..WorldOptions::default()
    });
    let arrived = |world: &World| {
        let (to_server, from_server) = world.ledgers(0);
        if outward { to_server.totals().arrived } else { from_server.totals().arrived }
    };
    world.run(Duration::from_secs(10));
    let before = arrived(&world);
    let pause = Duration::from_secs(SECONDS).part(cuts + 1);
    for _ in 0..cuts {
        world.run(pause);
        world.cut(0);
    }
    world.run(pause);
    let rate = (arrived(&world) - before) as f64 / SECONDS as f64;
    let totals = world.totals();
    let wrong = (totals.duplicated, totals.unknown);
    assert_eq!(wrong, (0, 0), "{loss_percent} %, {cuts} cuts, {latency} ms: {totals:?}");
    rate
}

fn table(case: Case) -> String {
    let mut text = String::from("  loss  cuts/min");
    for latency in LATENCY {
        let _ = write!(text, "{:>12}", format!("<= {latency} ms"));
    }
    text.push('\n');
    for loss in LOSS {
        for cuts in CUTS {
            let _ = write!(text, "{loss:>4} %{cuts:>10}");
            for latency in LATENCY {
                let _ = write!(text, "{:>12.1}", rate(case, loss, cuts, latency));
            }
            text.push('\n');
        }
    }
    text
}

macro_rules! tables {
    ($($name:ident: $keys:expr, $delivery:expr, $way:expr;)*) => {
        $(#[test]
        fn $name() {
            let case = Case { keys: $keys, delivery: $delivery, way: $way };
            insta::assert_snapshot!(stringify!($name), table(case));
        })*
    };
}

tables! {
    classic_lines_to_the_server: None, Delivery::ORDERED, Way::ToServer;
    classic_lines_to_the_server_without_wait: None, Delivery::UNORDERED, Way::ToServer;
    classic_lines_to_the_board: None, Delivery::ORDERED, Way::FromServer;
    secure_lines_to_the_server: Some(Cryptography::Symbolic), Delivery::ORDERED, Way::ToServer;
}
