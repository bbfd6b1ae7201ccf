//! Campaigns of random scenes: what they find, and that they go on where they were ended.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use pblink_simulator::Flaw;
use pblink_simulator::campaign::{Campaign, Plan, Summary};

const PLAN: Plan = Plan { from: 40, seeds: 6, length_ms: 60_000 };

fn open(folder: &Path) -> Campaign {
    Campaign::open(&folder.join("campaign.jsonl"), PLAN).expect("a file of this plan")
}

fn whole(flaw: Option<Flaw>) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    open(folder.path()).run(2, flaw, &stop, |_| {}).unwrap()
}

#[test]
fn a_campaign_that_is_ended_and_cut_off_goes_on_to_the_same_sums() {
    let expected = whole(None);
    assert_eq!(expected.failed, []);
    assert!(expected.complete && expected.classic.lines > 500 && expected.secure.faults > 20);
    let folder = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    let begun = open(folder.path()).run(1, None, &stop, |summary| {
        let runs = summary.classic.runs + summary.secure.runs;
        stop.store(runs >= 5, Ordering::Relaxed);
    });
    let begun = begun.unwrap();
    assert!(!begun.complete && begun.classic.runs + begun.secure.runs < PLAN.runs());
    // Its machine lost power while it wrote.
    let file = folder.path().join("campaign.jsonl");
    let text = std::fs::read(&file).unwrap();
    std::fs::write(&file, &text[..text.len() - 20]).unwrap();
    let mut resumed = open(folder.path());
    let left = resumed.summary();
    assert_eq!(left.classic.runs + left.secure.runs + 1, begun.classic.runs + begun.secure.runs);
    let ended = resumed.run(1, None, &AtomicBool::new(false), |_| {}).unwrap();
    assert_eq!(ended, expected);
    assert_eq!(open(folder.path()).summary(), expected, "all of it is in the file");
}

#[test]
fn a_flaw_is_found_and_comes_with_the_command_that_makes_a_scene_of_it() {
    let summary = whole(Some(Flaw::Forgets));
    let failed = summary.failed.first().expect("a server that forgets doubles lines");
    assert!(failed.what.contains("duplicated"), "{failed:?}");
    let expected = format!(
        "pblink simulate --seed {} --for 60000ms --link classic --minimise seed-{0}.toml",
        failed.seed
    );
    assert_eq!(failed.command, expected);
}

#[test]
fn a_file_of_another_plan_and_one_that_is_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("campaign.jsonl");
    drop(open(folder.path()));
    let other = Campaign::open(&file, Plan { from: 41, ..PLAN }).expect_err("another plan");
    assert!(other.to_string().starts_with("it has another plan"), "{other}");
    std::fs::write(&file, "something else\n").unwrap();
    let none = Campaign::open(&file, PLAN).expect_err("no plan");
    assert!(none.to_string().starts_with("line 1 is no plan"), "{none}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "something else\n", "nothing is lost");
}
