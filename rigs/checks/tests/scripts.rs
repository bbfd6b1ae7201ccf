//! The scripts take what their usage says, and nothing else.

use std::process::Command;

use pblink_checks::root;

/// Returns the exit status of the STM32's `build.sh check`, which builds nothing.
fn checked(arguments: &[&str]) -> Option<i32> {
    let script = root().join("firmware-stm32/build.sh");
    let output =
        Command::new("sh").arg(script).arg("check").args(arguments).output().expect("a shell");
    output.status.code()
}

#[test]
fn the_stm32s_script_takes_boards_that_can_be_bought_and_no_other_kind() {
    for arguments in [
        &["release", "emulator"][..],
        &["examples", "emulator"],
        &["emulator", "emulator"],
        &["vectors", "mainboard"],
        &["release", "stm32f405"],
        &["demo"],
    ] {
        assert_eq!(checked(arguments), Some(2), "{arguments:?}");
    }
    for arguments in
        [&[][..], &["release", "all"], &["examples", "black-pill"], &["emulator"], &["vectors"]]
    {
        // 3: this machine has no compiler for it.
        assert!(matches!(checked(arguments), Some(0 | 3)), "{arguments:?}");
    }
}

/// Returns the exit status of `.ci/notes` and what it prints.
fn notes(version: &str) -> (Option<i32>, String) {
    let output = Command::new("sh").arg(root().join(".ci/notes")).arg(version).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn notes_of_a_release_are_its_part_of_the_changelog_and_no_other() {
    let (status, text) = notes("Unreleased");
    assert_eq!(status, Some(0));
    assert!(text.starts_with("### ") && !text.contains("\n## "), "{text}");
    assert_eq!(notes("999.0.0"), (Some(1), String::new()));
}
