//! `pblink provision` in a real terminal: how it is stopped, and that it goes on.

use std::path::Path;

use crate::process::terminal::{Terminal, then_ask};

/// No probe has this number: nothing that is plugged in is touched.
const NOBODY: &str = "--probe ffff:ffff:none";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("pblink.toml"), "server.clients = [\"kitchen\", \"attic\"]\n").unwrap();
    std::fs::write(path("ids.csv"), "id,label\nkitchen,Over the sink\nattic\n").unwrap();
    folder
}

fn start(folder: &Path, flags: &str) -> Terminal {
    // The shell gets ctrl-C, too, and is to go on.
    let line = format!("trap : INT; $PBLINK provision --from ids.csv {flags}");
    Terminal::run(folder, &then_ask(&line))
}

#[test]
fn ctrl_c_at_the_question_says_how_far_it_is_and_leaves_the_terminal_as_it_was() {
    let folder = folder();
    let mut terminal = start(folder.path(), "--skip-flash");
    terminal.expect("1 of 2: connect the board for kitchen; Enter begins, s skips it, q stops: ");
    terminal.press("\x03");
    let text = terminal.finish();
    assert!(text.contains("\npblink: done: 0 of 2; the same command goes on\r\n"), "{text}");
    assert!(text.contains("code=130\r\n") && text.contains("\necho\r\n"), "{text}");
    assert_eq!(std::fs::read_to_string(folder.path().join("ids.csv.done")).unwrap(), "");
}

/// The question comes again, and ctrl-C still means what it did before a step has run.
#[test]
fn a_step_that_fails_is_named_and_the_board_can_be_passed_over() {
    let folder = folder();
    let mut terminal = start(folder.path(), &format!("--skip-flash --wait 0 {NOBODY}"));
    terminal.expect("1 of 2: connect the board for kitchen");
    terminal.press("\n");
    terminal.expect("kitchen failed; by hand: pblink config pull ");
    terminal.expect("1 of 2: connect the board for kitchen");
    terminal.press("s\n");
    terminal.expect("2 of 2: connect the board for attic");
    terminal.press("\x03");
    let text = terminal.finish();
    assert!(text.contains("done: 0 of 2; the same command goes on\r\n"), "{text}");
    assert!(text.contains("code=130\r\n"), "{text}");
    assert!(!folder.path().join("pblink.keys.toml").exists());
}

#[test]
fn the_end_of_the_input_and_q_stop_it_too() {
    let folder = folder();
    for keys in ["q\n", "\x04"] {
        let mut terminal = start(folder.path(), "");
        terminal.expect("q stops: ");
        terminal.press(keys);
        let text = terminal.finish();
        assert!(text.contains("done: 0 of 2; the same command goes on\r\n"), "{text}");
        assert!(text.contains("code=130\r\n"), "{text}");
    }
}
