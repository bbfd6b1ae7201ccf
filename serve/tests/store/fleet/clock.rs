//! Gateways whose wall clocks are set while boards write.

use std::time::Duration;

use pblink_soak::ledger::Ledger;
use pblink_soak::wall::Walls;

use super::PLAN;
use super::scene::{AGAIN, Kill, Plan, Scene};

/// Steps of the clock of the gateway that leads.
const STEPS: [&str; 4] = ["+1h", "-1h", "+10y", "+0"];

const YEAR: u64 = 365 * 24 * 3_600_000;

const NAMES: [&str; 3] = ["0", "1", "2"];

#[test]
fn wall_clocks_that_are_set_lose_and_double_nothing() {
    let Some(walls) = Walls::new(&NAMES) else { return };
    let plan = Plan { boards: (5, 5), pause: Duration::from_millis(20), ..PLAN };
    let Some(mut scene) = Scene::start(&plan, &walls.variables()) else { return };
    scene.crowd.wait_for(AGAIN);
    let leader = scene.fleet.leader();
    for step in STEPS {
        walls.set(NAMES[leader], step);
        scene.crowd.wait_for(3 * AGAIN);
    }
    assert_eq!(scene.fleet.led(), 1, "a clock that was set has cost a leader its place");
    // The next ones lead with a clock that is wrong from their start, and are followed by one whose clock is right.
    NAMES.iter().for_each(|name| walls.set(name, "+10y"));
    scene.strike(Kill);
    scene.crowd.wait_for(3 * AGAIN);
    NAMES.iter().for_each(|name| walls.set(name, "-1h"));
    scene.strike(Kill);
    scene.crowd.wait_for(3 * AGAIN);
    let (ledger, lines) = scene.finish();
    assert_eq!(ledger, Ledger::default());
    // Times are what the clocks said.
    let times = || lines.iter().map(|line| line.at_ms);
    let span = times().max().unwrap() - times().min().unwrap();
    assert!(span > 9 * YEAR, "no clock was set");
}
