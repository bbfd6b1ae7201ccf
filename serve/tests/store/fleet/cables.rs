//! Gateways in networks of their own, whose cables are pulled: connections hang, and nobody is told.

use std::time::{Duration, Instant};

use pblink_soak::ledger::Ledger;
use pblink_soak::machine::{Cable, Machine};

use super::PLAN;
use super::scene::{AGAIN, Plan, Scene};

#[test]
fn gateways_whose_cables_are_pulled_lose_and_double_nothing() {
    let Some(machines) = (0..3).map(|_| Machine::new()).collect::<Option<Vec<_>>>() else { return };
    let plan = Plan { boards: (5, 5), pause: Duration::from_millis(20), ..PLAN };
    let Some(mut scene) = Scene::start_on(&plan, &[], machines) else { return };
    // Cut off from the store while boards reach it, and from everything.
    for cables in [&[Cable::Inner][..], &[Cable::Inner, Cable::Outer]] {
        scene.crowd.wait_for(scene.random.u64(AGAIN..3 * AGAIN));
        let leader = scene.fleet.leader();
        let began = Instant::now();
        scene.fleet.plug(leader, cables, false);
        scene.fleet.wait_for_another(leader);
        let leads = began.elapsed().as_secs_f64();
        scene.crowd.wait_for(AGAIN);
        let passed = began.elapsed().as_secs_f64();
        println!(
            "{cables:?}: another leads after {leads:.1} s, lines pass again after {passed:.1} s"
        );
        scene.fleet.plug(leader, cables, true);
    }
    scene.crowd.wait_for(AGAIN);
    assert_eq!(scene.finish().0, Ledger::default());
}
