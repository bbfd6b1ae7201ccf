//! Boards with keys that write for as long as wanted, while the gateway that leads is killed again and again.
//!
//! `PBLINK_MINUTES` says for how long, with 200 boards and a kill each 20 seconds. Without it there are 30 boards and two kills.

use std::time::{Duration, Instant};

use pblink_soak::ledger::Ledger;

use super::gateway::Fault;
use super::scene::{AGAIN, Kill, Plan, Scene};
use super::{PLAN, number};

/// Time between two kills in the long form, about: each is at a random instant of a time of its own.
const EACH: Duration = Duration::from_secs(20);

/// The form of the test.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// This many kills.
    Short(u64),
    /// Kills for this long.
    Long(Duration),
}

fn form(kills: u64) -> Form {
    match number("PBLINK_MINUTES", 0) {
        0 => Form::Short(kills),
        minutes => Form::Long(Duration::from_secs(60 * minutes)),
    }
}

/// Lets boards with keys write and kills gateways. `None`: there is no NATS server.
fn run(form: Form, fault: Fault) -> Option<Ledger> {
    let (boards, pause) = match form {
        Form::Short(_) => (30, Duration::from_millis(100)),
        Form::Long(_) => (200, Duration::from_millis(500)),
    };
    let plan = Plan { boards: (0, boards), pause, blows: &[Kill], fault, ..PLAN };
    println!("{form:?}");
    let mut scene = Scene::start(&plan, &[])?;
    scene.crowd.wait_for(10 * boards);
    let before = scene.memory();
    println!("{boards} boards with keys write; memory in MB: {before:?}");
    let began = Instant::now();
    let mut times = Vec::new();
    match form {
        Form::Short(kills) => {
            for _ in 0..kills {
                scene.crowd.wait_for(scene.random.u64(20..1000));
                times.push(kill(&mut scene));
            }
        }
        Form::Long(time) => {
            for turn in 0.. {
                let at = EACH * turn + EACH.mul_f64(scene.random.f64());
                if at > time {
                    break;
                }
                scene.pass_until(began + at);
                times.push(kill(&mut scene));
                println!("  memory in MB: {:?}", scene.memory());
            }
            scene.pass_until(began + time);
        }
    }
    let after = scene.memory();
    times.sort_by(f64::total_cmp);
    println!(
        "{} kills in {} s; lines passed again after {:.1} s (least), {:.1} (median), {:.1} (most)",
        times.len(),
        began.elapsed().as_secs(),
        times[0],
        times[times.len() / 2],
        times[times.len() - 1],
    );
    println!("memory in MB: {before:?} at the beginning, {after:?} at the end");
    let seed = scene.seed;
    let (ledger, _) = scene.finish();
    println!("PBLINK_SEED={seed}: {ledger:?}");
    Some(ledger)
}

/// Kills the gateway that leads, starts it again, and returns the seconds until lines pass.
fn kill(scene: &mut Scene) -> f64 {
    scene.fleet.leader();
    let began = Instant::now();
    scene.strike(Kill);
    // Lines that were on their way from the one before do not count.
    scene.fleet.leader();
    let leads = began.elapsed().as_secs_f64();
    scene.crowd.wait_for(AGAIN);
    let time = began.elapsed().as_secs_f64();
    println!("killed: another leads after {leads:.1} s, lines pass again after {time:.1} s");
    time
}

#[test]
fn boards_with_keys_lose_and_double_nothing_while_gateways_are_killed() {
    let Some(ledger) = run(form(2), Fault::None) else { return };
    assert_eq!(ledger, Ledger::default());
}

#[test]
fn boards_with_keys_find_out_a_gateway_that_acknowledges_too_early() {
    // In the long form with as many boards, and no longer than it needs.
    let form = match form(2) {
        Form::Long(_) => Form::Long(3 * EACH),
        short => short,
    };
    let Some(ledger) = run(form, Fault::Eager) else { return };
    assert_ne!(ledger, Ledger::default(), "the fault was not found");
}
