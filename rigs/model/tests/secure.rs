//! The secure link's model in its small form, and faults that are planted into it.

use pblink_model::report::{self, Report};
use pblink_model::secure::{
    Family, NO_COUNTER_TWICE, NO_OTHER_EXCEPTIONS, NO_REPEAT_DOWN, Rules, SHARED, Secure,
};

const ALL: usize = usize::MAX;

/// One fault at any instant, time for what follows from it, one line each way.
fn small(family: Family) -> Secure {
    // A machine's snapshot has more that is different, and a rotation more steps.
    let waits = match family {
        Family::REWIND => 0,
        Family::ROTATION => 1,
        _ => 2,
    };
    let rotations = u8::from(family == Family::ROTATION);
    Secure { waits, rotations, ..Secure::small(family) }
}

#[test]
fn one_fault_at_any_instant_loses_doubles_and_reorders_nothing() {
    for family in Family::ALL {
        let report = report::check(family.name, small(family), ALL);
        println!("{report}");
        // An older store that nobody notices takes two faults.
        assert!(report.has_only(&[]) && report.missing.is_empty() && report.whole, "{report}");
        assert!(report.states > 1000, "{report}");
    }
}

#[test]
fn two_faults_one_after_the_other_break_what_is_listed_and_nothing_else() {
    for family in [Family::CARRIER, Family::REPLAYER, Family::RESTORE_AND_POWER] {
        let model = Secure { faults: 2, ..Secure::small(family) };
        let report = report::check(family.name, model, ALL);
        println!("{report}");
        assert!(report.has_only(family.exceptions) && report.whole, "{report}");
    }
}

#[test]
fn two_lines_each_way_stay_in_order_over_cuts_and_crashes() {
    for family in [Family::CUTS, Family::CRASHES] {
        let model = Secure { lines: (2, 2), waits: 0, ..Secure::small(family) };
        let report = report::check(family.name, model, ALL);
        println!("{report}");
        assert!(report.has_only(&[]) && report.whole, "{report}");
    }
}

/// Runs a model with a fault that is planted.
fn planted(family: Family, faults: u8, lines: (u8, u8), rules: Rules) -> Report {
    let model = Secure { faults, rules, lines, ..Secure::small(family) };
    let report = report::find(&format!("{rules:?}"), model, ALL);
    println!("{report}");
    report
}

/// The board has forgotten them, and says so: they are missing, though nobody lost its power.
#[test]
fn lines_that_are_acknowledged_before_their_commit_are_lost() {
    let rules = Rules { acknowledges_early: true, ..Rules::default() };
    let report = planted(Family::CRASHES, 1, (1, 0), rules);
    assert!(report.has_only(&[NO_OTHER_EXCEPTIONS]), "{report}");
}

#[test]
fn a_board_that_is_not_known_by_its_epoch_gets_lines_again_or_loses_its_own() {
    let rules = Rules { checks_no_board: true, ..Rules::default() };
    let report = planted(Family::POWER, 1, (0, 1), rules);
    assert!(report.has_only(&[NO_REPEAT_DOWN]), "{report}");
    let report = planted(Family::POWER, 1, (2, 0), rules);
    assert!(!report.has_only(&[]), "{report}");
}

#[test]
fn a_store_whose_epochs_all_look_known_gives_a_number_to_two_lines_once_it_is_put_back() {
    let rules = Rules { knows_all_epochs: true, ..Rules::default() };
    let report = planted(Family::RESTORE, 1, (0, 2), rules);
    assert!(!report.has_only(&[]), "{report}");
}

#[test]
fn an_epoch_that_goes_back_to_a_snapshot_gives_a_number_to_two_lines() {
    let rules = Rules { keeps_epoch: true, ..Rules::default() };
    let report = planted(Family::REWIND, 1, (0, 2), rules);
    assert!(!report.has_only(&[]), "{report}");
}

#[test]
fn keys_that_go_back_to_a_snapshot_seal_two_packets_under_one_counter() {
    let rules = Rules { keeps_keys: true, ..Rules::default() };
    let report = planted(Family::REWIND, 1, (1, 1), rules);
    assert!(report.has_only(&[NO_COUNTER_TWICE]), "{report}");
}

#[test]
fn an_answer_before_its_commit_and_a_mark_that_is_forgotten_are_found() {
    let early = Rules { answers_early: true, ..Rules::default() };
    let report = planted(Family::CRASHES, 1, (1, 1), early);
    assert!(!report.has_only(&[]), "{report}");
    let forgets = Rules { forgets_mark: true, ..Rules::default() };
    let report = planted(Family::POWER, 2, (0, 1), forgets);
    assert!(report.has_only(&[NO_REPEAT_DOWN]), "{report}");
}

/// A model in which the board is given keys, one after the other.
fn rotation(rotations: u8, faults: u8, rules: Rules) -> Secure {
    Secure { rotations, faults, lines: (0, 0), rules, ..Secure::small(Family::ROTATION) }
}

#[test]
fn board_and_server_share_a_key_whatever_is_killed_or_taken_back_while_it_is_rotated() {
    for (rotations, faults) in [(1, 2), (2, 1)] {
        let model = rotation(rotations, faults, Rules::default());
        let report = report::check(&format!("{rotations} keys, {faults} faults"), model, ALL);
        println!("{report}");
        assert!(report.has_only(&[]) && report.missing.is_empty() && report.whole, "{report}");
    }
}

#[test]
fn a_key_that_either_end_forgets_too_early_locks_the_board_out() {
    let good = Rules::default();
    for (faults, rules) in [
        // Before the board has the new one.
        (0, Rules { forgets_key: true, ..good }),
        // Before the server's file says that it takes no other: that may be taken back.
        (1, Rules { settles_before_note: true, ..good }),
        (1, Rules { settles_when_taken: true, ..good }),
    ] {
        let report = report::find(&format!("{rules:?}"), rotation(1, faults, rules), ALL);
        println!("{report}");
        assert!(report.broken.contains_key(SHARED), "{report}");
    }
}
