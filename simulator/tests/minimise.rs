//! The minimiser: small scenes out of long random runs that fail.

use pblink_protocol::time::Duration;
use pblink_simulator::Flaw;
use pblink_simulator::scene::{Chances, Demand, Link, Minimised, Scene};

/// A failure that needs two faults, among others that have nothing to do with it.
const TWO: &str = include_str!("minimise/two-faults.toml");

fn random(seed: u32, minutes: u64, link: Link) -> Scene {
    let length = Duration::from_secs(minutes * 60);
    Scene::random("by-chance", &Chances { seed, length, link })
}

/// Minimises the first of these seeds that fails with `flaw`, and checks that what is left fails by itself, as a file, again and
/// again, and only with the flaw.
fn minimised(scene: &Scene, flaw: Flaw, demand: Demand) -> Minimised {
    let small = scene.minimise(Some(flaw), |_| true).expect("it fails");
    let text = small.scene.to_toml("A test.");
    println!("{} faults, {} runs\n{text}", scene.faults(), small.runs);
    assert!(small.complete);
    assert_eq!(small.failure.demand, demand);
    let file = Scene::parse("by-chance.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    for _again in 0..2 {
        assert_eq!(file.run_with(flaw).failure.as_ref(), Some(&small.failure), "{text}");
    }
    assert_eq!(file.run().failure, None, "it is the flaw that fails\n{text}");
    small
}

#[test]
fn a_server_that_forgets_is_shown_with_one_cut_of_a_connection() {
    let scene = random(1, 6, Link::Classic);
    assert!(scene.faults() > 10, "{}", scene.faults());
    let small = minimised(&scene, Flaw::Forgets, Demand::ToServerDuplicated);
    assert!(small.scene.faults() <= 2, "{}", small.scene.faults());
    assert!(small.scene.length() <= Duration::from_secs(30), "{}", small.scene.length());
}

#[test]
fn two_faults_that_only_fail_together_both_stay() {
    let scene = Scene::parse("by-chance.toml", TWO).unwrap_or_else(|e| panic!("{e}"));
    let small = minimised(&scene, Flaw::FreesFirst, Demand::FromServerDuplicated);
    let text = small.scene.to_toml("A test.");
    let kinds: Vec<&str> = text.lines().filter(|line| line.starts_with("kind = ")).collect();
    assert_eq!(kinds, ["kind = \"wifi-outage\"", "kind = \"server-kill\""], "{text}");
    assert!(small.scene.length() < scene.length());
}

#[test]
fn a_link_that_does_not_come_back_is_shown_with_one_crash() {
    let scene = random(3, 6, Link::Classic);
    let small = minimised(&scene, Flaw::NoReset, Demand::LinesPass);
    assert_eq!(small.scene.faults(), 1);
    assert!(small.scene.length() <= Duration::from_secs(30), "{}", small.scene.length());
}

#[test]
fn a_scene_keeps_the_time_that_it_needs() {
    let text = format!("{TWO}\n[must]\nback = \"3min\"\n");
    let scene = Scene::parse("by-chance.toml", &text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let small = scene.minimise(Some(Flaw::FreesFirst), |_| true).expect("it fails");
    let text = small.scene.to_toml("A test.");
    assert!(text.contains("back = \"3min\""), "{text}");
}

#[test]
fn the_smallest_so_far_is_left_when_it_is_ended() {
    let scene = random(1, 6, Link::Classic);
    let small =
        scene.minimise(Some(Flaw::Forgets), |progress| progress.runs < 8).expect("it fails");
    assert!(!small.complete && small.runs == 8, "{} runs", small.runs);
    assert!(small.scene.faults() < scene.faults());
    assert_eq!(small.scene.run_with(Flaw::Forgets).failure, Some(small.failure));
}
