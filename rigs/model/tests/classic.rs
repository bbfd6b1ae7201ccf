//! The classic link's model: the exceptions of `docs/PROTOCOL.md` are found, and no others.

use pblink_model::classic::{Classic, DOUBLED_DOWN, Family, Fault, LOST_UP, Owner};
use pblink_model::report;
use pblink_protocol::time::Instant;

const ALL: usize = usize::MAX;

fn model(family: Family) -> Classic {
    Classic { family, faults: 1, lines: (1, 1), until: Instant::from_millis(1500), slow: false }
}

#[test]
fn each_fault_breaks_what_the_paper_says_and_nothing_else() {
    for family in Family::ALL {
        let mut model = model(family.clone());
        if family.faults.iter().any(|fault| matches!(fault, Fault::Reboot | Fault::LateReboot)) {
            // Nothing but what the board says is looked at, and it says it twice.
            model.lines = (2, 0);
            model.until = Instant::from_millis(9000);
        }
        let report = report::check(family.name, model, ALL);
        println!("{report}");
        assert!(report.has_only(family.exceptions) && report.whole, "{report}");
    }
}

#[test]
fn two_faults_break_no_more_than_one() {
    for family in &Family::ALL[..3] {
        let model = Classic { faults: 2, ..model(family.clone()) };
        let report = report::check(family.name, model, ALL);
        println!("{report}");
        assert!(report.has_only(family.exceptions) && report.whole, "{report}");
    }
}

/// A server with a log whose acknowledgement does not wait for the commit.
#[test]
fn lines_that_are_acknowledged_before_their_commit_are_lost() {
    let family = Family { owner: Owner::Hasty, ..Family::of("planted", &[Fault::Kill], &[]) };
    let report = report::check("planted", model(family), ALL);
    println!("{report}");
    assert!(report.has_only(&[LOST_UP]), "{report}");
}

/// A board that has settled knows no repetition any more: a line to it is repeated until its row is gone.
#[test]
fn rows_that_are_not_kept_until_their_commit_come_again_to_a_board_that_has_settled() {
    for (owner, broken) in [(Owner::Log, &[][..]), (Owner::Forgetful, &[DOUBLED_DOWN])] {
        let family = Family { owner, ..Family::of("settled", &[Fault::Kill], &[]) };
        let until = Instant::from_millis(7000);
        let report = report::check(
            "settled",
            Classic { lines: (0, 1), until, slow: true, ..model(family) },
            ALL,
        );
        println!("{report}");
        assert!(report.has_only(broken) && report.whole, "{report}");
    }
}
