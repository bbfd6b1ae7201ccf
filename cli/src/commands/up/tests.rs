//! Tests of the plan.

use super::*;

fn args(words: &[&str]) -> Args {
    let all = ["pblink", "up"].iter().chain(words);
    match Cli::try_parse_from(all).unwrap().command {
        super::super::Command::Up(args) => args,
        other => panic!("{other:?}"),
    }
}

fn lines(words: &[&str]) -> Vec<String> {
    plan(&args(words)).iter().map(|(_, words)| shown(words)).collect()
}

#[test]
fn every_line_of_every_plan_is_a_command_line_of_this_program() {
    let all = [
        &["--yes"][..],
        &["--config", "boards/a b.toml", "--client", "kitchen"],
        &["--serial", "/dev/ttyUSB0", "--via", "dfu", "--coprocessor-image", "fw.bin@0"],
        &["--before", "no-reset"],
        &["--coprocessor", "esp32c3", "--before", "no-reset", "--yes"],
        &["--coprocessor", "esp32c3", "--coprocessor-image", "fw.bin@0x10000"],
        &["--skip", "config"],
        &["--skip", "stm32"],
    ];
    for words in all {
        for (_, line) in plan(&args(words)) {
            let all = std::iter::once("pblink".to_owned()).chain(line.clone());
            assert!(Cli::try_parse_from(all).is_ok(), "{line:?}");
        }
    }
}

#[test]
fn the_plan_has_all_steps_in_order_and_skips_what_is_to_be_skipped() {
    let expected = [
        "pblink doctor",
        "pblink build all",
        "pblink flash stm32 --yes --no-start",
        "pblink flash esp8266 --yes",
        "pblink config push",
        "pblink serve --screen",
    ];
    assert_eq!(lines(&["--yes"]), expected);
    let some = lines(&["--skip", "check", "--skip", "config", "--skip", "esp8266"]);
    assert_eq!(some, ["pblink build all", "pblink flash stm32", "pblink serve --screen"]);
}

#[test]
fn another_coprocessor_is_built_and_flashed_in_its_place() {
    let expected = [
        "pblink doctor",
        "pblink build all --coprocessor esp32c3",
        "pblink flash stm32 --no-start",
        "pblink flash esp32c3 --serial /dev/ttyACM0",
        "pblink config push",
        "pblink serve --screen",
    ];
    assert_eq!(lines(&["--coprocessor", "esp32c3", "--serial", "/dev/ttyACM0"]), expected);
    // As the settings say; the flag takes precedence over them.
    let usual = Some(CoprocessorKind::Esp32c3);
    let of_settings = Args { usual, ..args(&[]) };
    assert_eq!(plan(&of_settings)[3].1, ["flash", "esp32c3"]);
    assert_eq!(plan(&of_settings)[1].1, ["build", "all"], "it reads the same settings");
    let flag = Args { usual, ..args(&["--coprocessor", "esp8266"]) };
    assert_eq!(plan(&flag)[3].1, ["flash", "esp8266"]);
    // Either name leaves the step out.
    for name in ["coprocessor", "esp8266", "esp32c3"] {
        let rest = lines(&["--coprocessor", "esp32c3", "--skip", name]);
        assert!(rest.iter().all(|line| !line.starts_with("pblink flash esp")), "{rest:?}");
    }
    // What only the other chip has is refused before the first step.
    let wrong = args(&["--coprocessor", "esp32c3", "--flash-mode", "dout"]);
    let why = check(&wrong, &plan(&wrong)).unwrap_err().to_string();
    assert!(why.contains("step esp32c3") && why.contains("--flash-mode"), "{why}");
}

/// It would reset an ESP8266 that is being flashed.
#[test]
fn the_stm32_is_held_while_the_esp8266_is_flashed_and_started_in_the_end() {
    let skip = ["--skip", "check", "--skip", "build", "--skip", "serve", "--via", "dfu"];
    let with = |more: &[&str]| lines(&[&skip[..], more].concat());
    assert_eq!(
        with(&["--skip", "config"]),
        [
            "pblink flash stm32 --via dfu --no-start",
            "pblink flash esp8266",
            "pblink flash stm32 --via dfu",
        ]
    );
    // Without the ESP8266 there is nothing to wait for; without the STM32 nothing to start but by its
    // settings.
    assert_eq!(with(&["--skip", "config", "--skip", "esp8266"]), ["pblink flash stm32 --via dfu"]);
    // One that is not flashed is held all the same, where it is to be reached anyway.
    assert_eq!(
        with(&["--skip", "stm32"]),
        [
            "pblink config pull --via dfu --no-start",
            "pblink flash esp8266",
            "pblink config push --via dfu",
        ]
    );
    assert_eq!(
        with(&["--skip", "stm32", "--skip", "hold"]),
        ["pblink flash esp8266", "pblink config push --via dfu"]
    );
    assert_eq!(with(&["--skip", "stm32", "--skip", "config"]), ["pblink flash esp8266"]);
    // Who wants it held gets it held.
    assert_eq!(with(&["--skip", "config", "--skip", "start"]).len(), 2);
}

#[test]
fn what_is_said_of_the_boards_reaches_the_steps_that_need_it() {
    let words = ["--config", "a b.toml", "--client", "k", "--via", "probe", "--serial", "COM 3"];
    let lines = lines(&words);
    assert_eq!(lines[0], "pblink doctor --config 'a b.toml'");
    assert_eq!(lines[1], "pblink build all --config 'a b.toml' --client k");
    assert_eq!(lines[2], "pblink flash stm32 --via probe --no-start");
    assert_eq!(lines[3], "pblink flash esp8266 --serial 'COM 3'");
    assert_eq!(lines[4], "pblink config push --config 'a b.toml' --client k --via probe");
}

#[test]
fn what_the_esp8266_s_flash_needs_reaches_its_step_alone() {
    let words = ["--flash-mode", "dout", "--flash-freq", "26", "--wait", "2min"];
    let lines = lines(&[&words[..], &["--yes", "--skip", "check", "--skip", "build"]].concat());
    assert_eq!(
        lines,
        [
            "pblink flash stm32 --wait 2min --yes --no-start",
            "pblink flash esp8266 --flash-mode dout --flash-freq 26 --wait 2min --yes",
            "pblink config push --wait 2min",
            "pblink serve --screen",
        ]
    );
    let wrong = args(&["--flash-mode", "quad"]);
    assert!(check(&wrong, &plan(&wrong)).unwrap_err().to_string().contains("step esp8266"));
}

#[test]
fn who_lacks_a_board_learns_how_his_own_gets_into_its_bootloader() {
    for (kind, words) in [
        (None, "P1/DFU"),
        (Some("pyboard"), "P1/DFU"),
        (Some("black-pill"), "Black Pill's BOOT0"),
        (Some("nucleo-f446"), "USB of the Nucleo"),
    ] {
        let args = Args { kind, ..args(&[]) };
        assert!(look::wanted(&args).how().contains(words), "{kind:?}");
    }
}
