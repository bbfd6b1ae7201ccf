//! The faults of a run.

use fastrand::Rng;
use pblink_protocol::time::Duration;
use pblink_simulator::Fault;

use super::guest::Manner;
use super::run::{Kind, Wall, crash};
use super::world::World;

fn millis(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.u64(least..most))
}

/// The faults, as they stand in the log of a run that has failed.
const FAULTS: [&str; 22] = [
    "reset",
    "reset",
    "end",
    "silence",
    "silence",
    "slowness",
    "outage of WiFi",
    "outage of WiFi",
    "stall of the process",
    "stall of the application",
    "stall of the application",
    "kill",
    "kill",
    "stop",
    "copy",
    "silent copy",
    "slow hello",
    "flood",
    "events",
    "closed by the application",
    "a program that reads or not",
    "crash",
];

/// One fault of any kind that costs no line.
pub async fn hurt(world: &mut World, rng: &mut Rng, kind: Kind, wall: &Wall) {
    let (now, board) = (world.now, rng.usize(0..world.boards.len()));
    let timeout = Duration::from_millis(world.boards[board].pair.config().timeout_ms.into());
    let open = world.boards[board].open();
    let fault = rng.usize(0..FAULTS.len());
    let log = format!("{:.3} {} at board {board}", now.as_micros() as f64 / 1e6, FAULTS[fault]);
    world.stage.lock().faults.push(log);
    match fault {
        0 | 1 => {
            if let Some(connection) = open {
                world.net.reset(connection, now);
            }
        }
        2 => {
            if let Some(connection) = open {
                world.net.finish(connection, now);
            }
        }
        3 | 4 => {
            if let Some(connection) = open {
                world.net.silence(connection);
            }
        }
        5 => {
            if let Some(connection) = open {
                world.net.slow_down(connection, millis(rng, 50, 4000));
            }
        }
        6 | 7 => world.inject(board, Fault::WifiOutage(millis(rng, 50, 9000))),
        8 => world.stall(millis(rng, 20, 6000)).await,
        // The application, or its disk, stands still.
        9 | 10 => {
            let until = now + millis(rng, 100, 8000);
            let mut stage = world.stage.lock();
            match kind.commits {
                true => stage.stalled_until = until,
                false => stage.deaf_until = until,
            }
        }
        11 | 12 => world.kill_server(millis(rng, 0, 3000)),
        13 => world.stop_server(millis(rng, 0, 3000)),
        14 => {
            // With keys it may say what it likes. Without, it is the end of an old connection of the board: it proves with no word that
            // nothing of the board is under way.
            let name = world.boards[board].id.clone();
            let manner = if kind.keys { Manner::Forger(name) } else { Manner::Copy(name) };
            world.invite(manner, timeout.part(4), timeout.times(rng.u64(1..4)));
        }
        15 => {
            let name = world.boards[board].id.clone();
            world.invite(Manner::Silent(name), timeout, timeout.times(rng.u64(1..4)));
        }
        16 => world.invite(Manner::SlowHello, timeout.part(4), timeout.times(rng.u64(1..4))),
        17 => {
            let manner = Manner::Flood("guest".to_owned());
            world.invite(manner, millis(rng, 5, 100), millis(rng, 1000, 10_000));
        }
        18 => world.flood_events(rng.usize(100..3000)),
        19 => world.close_link(board),
        20 => {
            let reads = rng.bool();
            world.boards[board].pair.set_reads(reads);
        }
        _ if kind.keys => {
            match rng.u8(0..4) {
                // Someone sets the clock.
                0 => wall.set(wall.get() + rng.u64(20_000..3_600_000)),
                _ => crash(world, rng, board),
            }
        }
        _ => world.run(millis(rng, 1, 2000)).await,
    }
}
