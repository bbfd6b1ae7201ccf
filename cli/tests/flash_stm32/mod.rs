//! `pblink flash stm32`, with fake boards in this process, and as a process without any.

mod lock;

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use pblink_cli::commands::flash::{Board, stm32};
use pblink_cli::commands::{Cli, Command};
use pblink_cli::exit::Exit;
use pblink_cli::hardware::confirm::Consent;
use pblink_fakes::stm32::{Bootloader, Chip, Debugger, Desk, Fault, Opens, START};
use pblink_flash::{Kind, Progress, Silent, Step};
use pblink_image::map::{BLACK_PILL, Map, NUCLEO_F446, PYBOARD};
use sha2::{Digest, Sha256};

use crate::process::PBLINK;

const SIZE: usize = 200 << 10;

/// Returns a program of this many bytes.
fn image(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|i| (i * 31 + (i >> 8)) as u8).collect();
    bytes[..4].copy_from_slice(&0x2002_0000_u32.to_le_bytes());
    bytes[4..8].copy_from_slice(&(START + 0x201).to_le_bytes());
    bytes
}

fn args(words: &[&str]) -> stm32::Args {
    let words = [&["pblink", "flash", "stm32"], words].concat();
    let Command::Flash(flash) = Cli::try_parse_from(words).expect("a good command line").command
    else {
        unreachable!("the words above")
    };
    match flash.board {
        Board::Stm32(args) => args,
        _ => unreachable!("the words above"),
    }
}

/// Runs the verb; the answer to its question is `yes`.
fn run(
    words: &[&str],
    desk: &mut Desk,
    progress: &mut dyn Progress,
    yes: bool,
) -> anyhow::Result<String> {
    let mut out = Vec::new();
    let mut questions = 0;
    let mut confirm = |question: &str| {
        questions += 1;
        assert!(question.starts_with("Write ") && question.ends_with('?'), "{question}");
        Ok(yes)
    };
    let consent = &mut Consent::Ask(&mut confirm);
    let result = stm32::work(&args(words), desk, progress, consent, &mut out);
    assert!(questions <= 1);
    result.map(|exit| {
        assert_eq!(exit, Exit::Ok);
        String::from_utf8(out).expect("text")
    })
}

/// Notes for the user, who may have stopped it.
#[derive(Default)]
struct Notes {
    text: String,
    stopped: bool,
}

impl Progress for Notes {
    fn begin(&mut self, _: Step, _: &str, _: u64) {}
    fn advance(&mut self, _: u64) {}
    fn end(&mut self) {}
    fn note(&mut self, text: &str) {
        self.text += text;
    }
    fn cancelled(&self) -> bool {
        self.stopped
    }
}

fn flash(words: &[&str], desk: &mut Desk) -> anyhow::Result<String> {
    run(words, desk, &mut Silent, true)
}

/// Returns a folder as `pblink build` leaves it.
fn source(bytes: &[u8], sha256: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for firmware in ["firmware-stm32", "firmware-esp8266"] {
        fs::create_dir(folder.path().join(firmware)).expect("new");
        fs::write(folder.path().join(firmware).join("build.sh"), "").expect("new");
    }
    let out = folder.path().join("target/pblink");
    fs::create_dir_all(&out).expect("new");
    fs::write(out.join("stm32.bin"), bytes).expect("new");
    let manifest = serde_json::json!({ "version": "0.1.0", "images": [
        { "board": "esp8266", "file": "esp8266-emulator.elf", "address": null, "size": 1,
          "sha256": "", "flashable": false },
        { "board": "stm32", "file": "stm32.bin", "address": "0x08000000", "size": bytes.len(),
          "sha256": sha256, "flashable": true },
    ]});
    fs::write(out.join("manifest.json"), manifest.to_string()).expect("new");
    folder
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders have simple names")
}

fn bootloader(chip: &Chip) -> Opens {
    Opens::Bootloader(Bootloader::of(chip))
}

fn debugger(chip: &Chip) -> Opens {
    Opens::Debugger(Debugger::of(chip))
}

#[test]
fn what_was_built_gets_onto_the_board_by_both_ways() {
    let bytes = image(SIZE);
    let source = source(&bytes, &sha256(&bytes));
    let words = ["--source", text(source.path())];
    for (via, opens) in [("DFU", bootloader as fn(&Chip) -> Opens), ("probe", debugger)] {
        let chip = Chip::new();
        let out = flash(&words, &mut Desk::default().with("A", opens(&chip))).expect("no fault");
        assert_eq!(chip.bytes(START, SIZE), bytes);
        assert!(chip.started());
        assert!(out.contains("204800 bytes written and compared") && out.contains(via), "{out}");

        let out = flash(&words, &mut Desk::default().with("A", opens(&chip))).expect("no fault");
        assert!(out.contains("204800 bytes were there already"), "{out}");
    }
}

#[test]
fn scripts_get_json() {
    let bytes = image(SIZE);
    let source = source(&bytes, &sha256(&bytes));
    let chip = Chip::new();
    let mut desk = Desk::default().with("A", debugger(&chip));
    let out = flash(&["--json", "--source", text(source.path())], &mut desk).expect("no fault");
    assert!(chip.started());
    let json: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let expected = serde_json::json!({
        "board": "stm32", "via": "probe", "device": "probe 0483:374b:A (STLink V2-1)",
        "bytes_written": SIZE, "bytes_unchanged": 0, "sectors_erased": 6,
        "started": true, "locked": false,
    });
    assert_eq!(json, expected);
}

#[test]
fn a_board_can_be_left_without_its_program_running() {
    let bytes = image(SIZE);
    let source = source(&bytes, &sha256(&bytes));
    for opens in [bootloader as fn(&Chip) -> Opens, debugger] {
        let chip = Chip::new();
        let words = ["--no-start", "--source", text(source.path())];
        let mut desk = Desk::default().with("A", opens(&chip));
        let out = flash(&words, &mut desk).expect("no fault");
        assert!(out.contains("the program was not started"), "{out}");
        assert!(!chip.started() && chip.would_start());
        // Also when the probe has let go of it.
        drop(desk);
        assert!(!chip.runs());

        // Started by the next command, which finds nothing to write.
        let mut desk = Desk::default().with("A", opens(&chip));
        let out = flash(&words[1..], &mut desk).expect("no fault");
        assert!(out.contains("were there already"), "{out}");
        assert!(chip.runs());
    }
}

/// Returns an ARM ELF file with these bytes at this load address.
fn elf(address: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x28\0".to_vec();
    let size = bytes.len() as u32;
    [1, 0, 52, 0, 0].iter().for_each(|n: &u32| out.extend(n.to_le_bytes()));
    [52, 32, 1, 40, 0, 0].iter().for_each(|n: &u16| out.extend(n.to_le_bytes()));
    [1, 84, address, address, size, size, 5, 4].iter().for_each(|n| out.extend(n.to_le_bytes()));
    out.extend(bytes);
    out
}

#[test]
fn files_that_are_named_are_written_where_they_belong() {
    let folder = tempfile::tempdir().expect("a folder");
    let [binary, second, program] =
        ["a@b.bin", "second.bin", "program.elf"].map(|n| folder.path().join(n));
    let bytes = image(5000);
    fs::write(&binary, &bytes).expect("new");
    fs::write(&second, [7; 100]).expect("new");
    fs::write(&program, elf(START, &bytes)).expect("new");
    let at = format!("{}@0x08020000", text(&second));

    for images in [vec![text(&binary), &at], vec![text(&program), &at]] {
        let words: Vec<_> = images.iter().flat_map(|image| ["--image", image]).collect();
        let chip = Chip::new();
        flash(&words, &mut Desk::default().with("A", bootloader(&chip))).expect("no fault");
        assert_eq!(chip.bytes(START, bytes.len()), bytes);
        assert_eq!(chip.bytes(0x0802_0000, 100), [7; 100]);
        assert_eq!(chip.erased(), [0, 5]);
    }

    let with_address = format!("{}@0x08000000", text(&program));
    let packed = folder.path().join("pybv11.dfu");
    fs::write(&packed, b"DfuSe\x01").expect("new");
    for (image, why) in [
        (text(&packed), "DfuSe file"),
        (with_address.as_str(), "its own addresses"),
        ("no/such/file.bin", "cannot be read"),
        (at.as_str(), "vector table"),
    ] {
        let chip = Chip::new();
        let mut desk = Desk::default().with("A", bootloader(&chip));
        let error = flash(&["--image", image], &mut desk).expect_err(why);
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(Exit::of(&error), Exit::Failure);
        assert!(chip.erased().is_empty());
    }
}

#[test]
fn an_image_that_is_missing_or_not_what_was_built_is_named() {
    let bytes = image(5000);
    let missing = source(&bytes, "");
    fs::remove_file(missing.path().join("target/pblink/manifest.json")).expect("it is there");
    let other = source(&bytes, "");
    let mut manifest = other.path().join("target/pblink/manifest.json");
    fs::write(&manifest, r#"{"images": []}"#).expect("it is there");
    let changed = source(&bytes, &sha256(&image(5001)));
    let damaged = source(&bytes, "");
    manifest = damaged.path().join("target/pblink/manifest.json");
    fs::write(&manifest, "{").expect("it is there");
    for (folder, why) in [
        (&missing, "run `pblink build stm32`"),
        (&other, "nothing was built for the stm32"),
        (&changed, "it was changed after it was built"),
        (&damaged, "cannot be understood"),
    ] {
        let chip = Chip::new();
        let mut desk = Desk::default().with("A", bootloader(&chip));
        let error = flash(&["--source", text(folder.path())], &mut desk).expect_err(why);
        assert!(format!("{error:#}").contains(why), "{error:#}");
        assert_eq!(chip.bytes(START, 8), [0xff; 8]);
    }
}

#[test]
fn the_users_no_and_ctrl_c_end_with_their_exit_code() {
    let bytes = image(5000);
    let source = source(&bytes, &sha256(&bytes));
    let words = ["--source", text(source.path())];
    let chip = Chip::new();
    let desk = || Desk::default().with("A", debugger(&chip));
    for error in [
        run(&words, &mut desk(), &mut Silent, false).expect_err("no"),
        run(&words, &mut desk(), &mut Notes { stopped: true, ..Notes::default() }, true)
            .expect_err("ctrl-C"),
    ] {
        assert_eq!(Exit::of(&error), Exit::Interrupted);
    }
    assert!(chip.erased().is_empty() && !chip.started());
}

#[test]
fn the_board_that_is_meant_is_found_or_the_choice_is_listed() {
    let bytes = image(5000);
    let source = source(&bytes, &sha256(&bytes));
    let folder = text(source.path());
    let (first, second) = (Chip::new(), Chip::new());
    let desk = || Desk::default().with("A", bootloader(&first)).with("B", debugger(&second));

    let error = flash(&["--source", folder], &mut desk()).expect_err("two");
    assert_eq!(Exit::of(&error), Exit::Failure);
    let message = error.to_string();
    assert!(message.contains("0483:df11:A") && message.contains("0483:374b:B"), "{message}");
    assert_eq!(message.lines().count(), 2, "what happened, and what to do: {message}");

    flash(&["--source", folder, "--via", "dfu"], &mut desk()).expect("one");
    assert!(first.started() && !second.started());
    flash(&["--source", folder, "--probe", "0483:374b:B"], &mut desk()).expect("one");
    assert!(second.started());

    let late = Chip::new();
    let mut desk = Desk::default().with_later("C", bootloader(&late), Duration::from_secs(20));
    flash(&["--source", folder], &mut desk).expect("it is waited for");
    assert!(late.started());
    let mut desk = Desk::default().with_later("C", bootloader(&late), Duration::from_secs(20));
    let error = flash(&["--source", folder, "--wait", "5"], &mut desk).expect_err("not so long");
    assert!(error.to_string().contains("P1/DFU"), "{error}");
}

#[test]
fn a_failure_says_what_happened_and_what_to_do() {
    let bytes = image(SIZE);
    let source = source(&bytes, &sha256(&bytes));
    let words = ["--source", text(source.path())];
    let chip = Chip::new();
    let fails = |opens: Opens, why: &str| {
        let error = flash(&words, &mut Desk::default().with("A", opens)).expect_err(why);
        let message = error.to_string();
        assert!(message.contains(why), "{message}");
        assert_eq!(message.lines().count(), 2, "{message}");
        assert_eq!(Exit::of(&error), Exit::Failure);
    };
    fails(
        Opens::Bootloader(Bootloader::of(&chip).with_fault(500, Fault::Vanish)),
        "vanished while",
    );
    assert!(!chip.would_start());
    fails(Opens::Debugger(Debugger::of(&chip).with_id(0x431)), "another chip");
    fails(bootloader(&chip.copy().with_readout_protection()), "read-out protection");
    fails(debugger(&Chip::new().with_protected(&[2])), "sector 2 at 0x08008000 is write-protected");
    fails(Opens::Fails(Kind::Permission), "cannot be opened");
    // And then it continues where it was left.
    flash(&words, &mut Desk::default().with("A", bootloader(&chip))).expect("no fault");
    assert_eq!(chip.bytes(START, SIZE), bytes);
}

/// One rule for both chips.
#[test]
fn where_nobody_can_be_asked_it_refuses_before_it_waits_and_a_flag_is_a_yes() {
    let bytes = image(5000);
    let source = source(&bytes, &sha256(&bytes));
    let chip = Chip::new();
    let mut desk = Desk::default().with_later("A", bootloader(&chip), Duration::from_secs(20));
    let args = args(&["--source", text(source.path())]);
    let mut out = Vec::new();
    let error = stm32::work(&args, &mut desk, &mut Silent, &mut Consent::Nobody, &mut out)
        .expect_err("nobody is there");
    assert_eq!((Exit::of(&error), desk.time()), (Exit::Usage, Duration::ZERO));
    assert!(error.to_string().contains("no terminal to ask on"), "{error}");
    assert!(error.to_string().contains("--yes") && chip.erased().is_empty(), "{error}");
    stm32::work(&args, &mut desk, &mut Silent, &mut Consent::Given, &mut out).expect("a yes");
    assert!(chip.started());
}

#[test]
fn without_a_terminal_nothing_is_asked() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("program.bin");
    fs::write(&file, image(5000)).expect("new");
    for (yes, code, refused) in [(&[][..], 2, true), (&["--yes"], 1, false)] {
        // No device has this vendor, so whatever is plugged into this computer is left alone.
        let words = ["--probe", "ffff:ffff:none", "--wait", "0", "--image", text(&file)];
        let output = std::process::Command::new(PBLINK)
            .stdin(std::process::Stdio::null())
            .args(["flash", "stm32"])
            .args(words)
            .args(yes)
            .output()
            .expect("it runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(output.stdout.is_empty());
        assert!(stderr.starts_with("pblink: ") && !stderr.contains("[Y/n]"), "{stderr}");
        assert_eq!(stderr.contains("no terminal to ask on"), refused, "{stderr}");
    }
}

#[test]
fn a_file_that_is_no_program_is_refused_before_anything_is_waited_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let hex = b":020000040800F2\r\n:0400000000000220DA\r\n";
    let cases: [(&str, &[u8], &str, &str); 8] = [
        ("a.hex", hex, "an Intel HEX file", "a.raw.bin@0x08000000"),
        ("a.bin", hex, "an Intel HEX file", "objcopy -I ihex"),
        ("a.uf2", b"UF2\n\x57\x51\x5d\x9e", "a UF2 file", "ELF file"),
        ("a.bin.gz", &[0x1f, 0x8b, 8, 0, 0], "packed with gzip", "gunzip --keep"),
        ("a.gz", &[0, 0, 2, 0x20], "the name of what is packed with gzip", "/a.bin"),
        ("a.dfu", b"DfuSe\x01", "a DfuSe file", "dfu-util"),
        ("text.bin", b"hello, world", "its stack pointer", "pblink build stm32"),
        ("empty.bin", b"", "the image is empty", "pblink build stm32"),
    ];
    for (name, bytes, cause, remedy) in cases {
        let file = folder.path().join(name);
        fs::write(&file, bytes).expect("new");
        let chip = Chip::new();
        let late = Duration::from_secs(20);
        let mut desk = Desk::default().with_later("A", bootloader(&chip), late);
        let error = flash(&["--image", text(&file)], &mut desk).expect_err(name);
        let said = error.to_string();
        assert!(said.contains(cause) && said.contains(remedy), "{said}");
        assert_eq!(said.lines().count(), 2, "what happened, and what to do: {said}");
        assert_eq!((Exit::of(&error), desk.time()), (Exit::Failure, Duration::ZERO), "{name}");
    }
}

#[test]
fn a_wrong_command_line_is_refused() {
    for words in [
        vec!["--probe", "stlink"],
        vec!["--via", "serial"],
        vec!["--wait", "soon"],
        vec!["program.bin"],
    ] {
        let words = [vec!["pblink", "flash", "stm32"], words].concat();
        assert_eq!(
            Cli::try_parse_from(words.clone()).expect_err("wrong").exit_code(),
            2,
            "{words:?}"
        );
    }
}

/// Returns a program that names its board, in a file.
fn program_for(folder: &Path, map: &Map) -> String {
    let mut bytes = image(2000);
    let identity = pblink_image::identity::bytes("demo", "1.0.0", map.board);
    bytes[0x188..0x188 + identity.len()].copy_from_slice(&identity);
    let path = folder.join(map.board);
    fs::write(&path, bytes).expect("new");
    text(&path).to_owned()
}

#[test]
fn a_program_knows_its_board_and_gets_onto_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = [&PYBOARD, &BLACK_PILL, &NUCLEO_F446];
    for built in all {
        let file = program_for(folder.path(), built);
        for there in all {
            // The chip that a probe looks for is that of the program; no flag has to say so.
            let chip = Chip::of(there);
            let mut desk = Desk::default().with("A", debugger(&chip));
            match flash(&["--image", &file], &mut desk) {
                Ok(out) => assert!(built == there && out.contains("2000 bytes written"), "{out}"),
                Err(error) => {
                    assert!(built != there, "{error}");
                    assert!(error.to_string().contains(there.title), "{error}");
                    assert!(chip.erased().is_empty());
                }
            }
            // Nor does one get by that says of the board what it is not.
            let mut desk = Desk::default().with("A", bootloader(&chip));
            let result = flash(&["--image", &file, "--kind", there.board], &mut desk);
            assert_eq!(result.is_ok(), built == there, "{} on {}", built.board, there.board);
            if let Err(error) = result {
                let error = error.to_string();
                assert!(error.contains(&format!("built for a {}", built.title)), "{error}");
                assert!(error.contains("--kind"), "{error}");
            }
        }
    }
}

#[test]
fn a_device_that_is_not_of_the_kind_is_refused_whatever_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("anybodys.bin");
    fs::write(&file, image(2000)).expect("new");
    let chip = Chip::new();
    for (kind, fits) in [("black-pill", false), ("pyboard", true)] {
        let mut desk = Desk::default().with("A", bootloader(&chip));
        let result = flash(&["--image", text(&file), "--kind", kind], &mut desk);
        assert_eq!(result.is_ok(), fits, "{kind}");
        if let Err(error) = result {
            assert!(error.to_string().contains("is no Black Pill: it has 1024 KB"), "{error}");
            assert!(chip.erased().is_empty());
        }
    }
    let words = ["pblink", "flash", "stm32", "--kind", "pyboard", "--chip", "STM32F405RGTx"];
    assert!(Cli::try_parse_from(words).is_err(), "one or the other");
}

#[test]
fn who_waits_learns_how_each_board_gets_into_its_bootloader() {
    let folder = tempfile::tempdir().expect("a folder");
    for (map, word) in
        [(&PYBOARD, "P1/DFU"), (&BLACK_PILL, "BOOT0"), (&NUCLEO_F446, "USB of the Nucleo")]
    {
        let file = program_for(folder.path(), map);
        let error = flash(&["--image", &file, "--wait", "0"], &mut Desk::default()).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
    }
}
