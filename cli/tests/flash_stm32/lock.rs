//! `--lock`.

use pblink_fakes::stm32::{Chip, Desk, Opens, START};

use super::{Notes, SIZE, bootloader, debugger, image, run, sha256, source, text};

#[test]
fn a_board_can_be_locked_after_the_user_has_heard_what_it_costs() {
    let bytes = image(SIZE);
    let source = source(&bytes, &sha256(&bytes));
    let words = ["--lock", "--source", text(source.path())];
    for opens in [bootloader as fn(&Chip) -> Opens, debugger] {
        let chip = Chip::new();
        let mut notes = Notes::default();
        let mut desk = Desk::default().with("A", opens(&chip));
        run(&words, &mut desk, &mut notes, false).expect_err("the user says no");
        assert!(!chip.readout_protected());
        assert!(notes.text.contains("which erases program, settings and keys"), "{}", notes.text);

        let mut desk = Desk::default().with("A", opens(&chip));
        let out = run(&words, &mut desk, &mut notes, true).expect("no fault");
        assert!(out.contains("the chip is locked; unplug"), "{out}");
        assert!(chip.readout_protected());
        assert_eq!(chip.bytes(START, SIZE), bytes);

        let error = run(&words, &mut Desk::default().with("A", opens(&chip)), &mut notes, true);
        let error = error.expect_err("it is locked").to_string();
        assert!(error.contains("read-out protection is on"), "{error}");
    }
}
