//! The question before all is erased, and what happens where nobody can be asked.

use super::*;

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_erased() {
    let (files, board) = (Files::new(), Board::with([]));
    let output = run(&board, &files, &["--before", "no-reset"]);
    assert_failed(&output, 2, "no terminal to ask on", "--yes");
    assert_untouched(&board);
    // The same where only a part is replaced, as on an STM32.
    let output = run(&board, &files, &["--before", "no-reset", "--no-erase"]);
    assert_failed(&output, 2, "would be replaced, and there is no terminal to ask on", "--yes");
    assert_untouched(&board);
    let before = board.flash();
    let output = run(&board, &files, &["--before", "no-reset", "--no-erase", "--yes"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("tap RESET once"), "{}", stderr(&output));
    assert!(board.flash()[..0x10000] != before[..0x10000]);
    assert!(board.flash()[0x80000..] == before[0x80000..]);
}

/// Runs it in a terminal of util-linux's `script`, and answers its question.
fn in_terminal(
    pty: &str,
    files: &Files,
    arguments: &[&str],
    answer: &str,
) -> (Option<i32>, String) {
    let mut line = format!("'{PBLINK}' flash esp8266 --serial {pty}");
    let images = files.images();
    let all = images.iter().map(String::as_str).chain(["--before", "no-reset"]);
    for argument in all.chain(arguments.iter().copied()) {
        line += &format!(" '{argument}'");
    }
    let mut child = Command::new("script")
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`script` of util-linux runs");
    let (mut keys, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = Vec::new();
    while ![&b"[y/N] "[..], b"[Y/n] "].iter().any(|choice| shown.ends_with(choice)) {
        let mut byte = [0];
        assert_eq!(screen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    keys.write_all(answer.as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    (child.wait().unwrap().code(), String::from_utf8_lossy(&shown).into_owned())
}

#[test]
fn on_a_terminal_it_asks_before_it_erases() {
    let (files, board) = (Files::new(), Board::with([]));
    let pty = board.pty();
    for answer in ["n\n", "\n"] {
        let (code, shown) = in_terminal(pty.path(), &files, &[], answer);
        assert_eq!(code, Some(130), "{shown}");
        assert!(
            shown.contains("files and passwords")
                && shown.contains("pull the reset wire")
                && shown.contains("before anything"),
            "{shown}"
        );
        assert_untouched(&board);
    }
    let (code, shown) = in_terminal(pty.path(), &files, &[], "y\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(board.flash() == files.kept());
    assert!(shown.contains("left"), "time left, on a bar: {shown}");
}

/// Nothing but the program is lost: the usual answer is yes, as on an STM32.
#[test]
fn on_a_terminal_it_asks_also_where_only_a_part_is_replaced() {
    let (files, board) = (Files::new(), Board::with([]));
    let pty = board.pty();
    let (code, shown) = in_terminal(pty.path(), &files, &["--no-erase"], "n\n");
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("program.bin, code.bin will be written"), "{shown}");
    assert!(shown.contains("the rest of its flash stays") && shown.contains("[Y/n]"), "{shown}");
    assert_untouched(&board);
    let (code, shown) = in_terminal(pty.path(), &files, &["--no-erase"], "\n");
    assert_eq!(code, Some(0), "{shown}");
}
