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
