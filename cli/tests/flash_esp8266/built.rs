//! What `pblink build` made, and what a release holds.

use super::*;

/// Returns a folder of sources with what `pblink build` leaves.
fn built(files: &Files) -> PathBuf {
    let source = files.folder.path().join("sources");
    for firmware in ["firmware-stm32", "firmware-esp8266"] {
        std::fs::create_dir_all(source.join(firmware)).unwrap();
        std::fs::write(source.join(firmware).join("build.sh"), "").unwrap();
    }
    let out = source.join("target/pblink");
    std::fs::create_dir_all(&out).unwrap();
    let mut images = Vec::new();
    for (name, address, bytes) in
        [("a.bin", "0x00000000", &files.program), ("b.bin", "0x00010000", &files.code)]
    {
        std::fs::write(out.join(name), bytes).unwrap();
        images.push(serde_json::json!({
            "board": "esp8266", "file": name, "address": address, "size": bytes.len(),
            "sha256": sha256(&out.join(name)), "flashable": true, "new_in_later_versions": 1,
        }));
    }
    images.push(serde_json::json!({
        "board": "esp8266", "file": "emulator.elf", "address": null, "sha256": "", "flashable": false,
    }));
    let manifest = serde_json::json!({ "version": "0.1.0", "images": images });
    std::fs::write(out.join("manifest.json"), manifest.to_string()).unwrap();
    source
}

/// Computes the sum by another program than the one under test.
fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn without_image_it_takes_what_was_built() {
    let (files, board) = (Files::new(), Board::with([]));
    let source = built(&files);
    let pty = board.pty();
    let flash = || pblink(pty.path()).args(YES).arg("--source").arg(&source).output().unwrap();
    let output = flash();
    assert!(output.status.success(), "{}", stderr(&output));
    // What was built keeps the size that it was built for.
    assert!(board.flash() == files.kept());

    let before = board.erased();
    std::fs::write(source.join("target/pblink/b.bin"), b"changed").unwrap();
    let output = flash();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("changed after it was built"), "{}", stderr(&output));
    std::fs::remove_file(source.join("target/pblink/manifest.json")).unwrap();
    let output = flash();
    assert_eq!(output.status.code(), Some(3));
    assert!(stderr(&output).contains("pblink build esp8266"), "{}", stderr(&output));
    assert_eq!(board.erased(), before);
}

/// As a release has it: no sources, and no tool chain.
#[test]
fn the_folder_of_a_release_is_an_image() {
    let (files, board) = (Files::new(), Board::with([]));
    let release = built(&files).join("target/pblink");
    let folder = release.to_str().unwrap();
    let pty = board.pty();
    let flash = |image: &str| {
        let mut command = pblink(pty.path());
        command.args(YES).args(["--image", image]).current_dir(files.folder.path());
        command.output().unwrap()
    };
    let output = flash(folder);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(board.flash() == files.kept());

    let before = board.erased();
    let output = flash(&format!("{folder}@0x1000"));
    assert_failed(&output, 1, "cannot read the image", "@0x10000");
    std::fs::write(release.join("a.bin"), b"changed").unwrap();
    assert_failed(
        &flash(folder),
        3,
        "is not what the manifest says",
        "pblink-esp8266-VERSION.tar.gz",
    );
    std::fs::remove_file(release.join("manifest.json")).unwrap();
    assert_failed(&flash(folder), 3, "manifest.json is missing", "pblink-esp8266-VERSION.tar.gz");
    assert_eq!(board.erased(), before);
}

#[test]
fn what_was_built_has_to_greet() {
    let files = Files::new();
    let source = built(&files);
    let says = b"Fatal exception 28\r\nepc1=0x4020abcd\r\n".repeat(3);
    let board = Board::new(Options { says, ..Options::default() });
    let pty = board.pty();
    let output = pblink(pty.path()).args(YES).arg("--source").arg(&source).output().unwrap();
    drop(pty);
    board.repair();
    assert_failed(&output, 1, "did not greet", "pblink build esp8266");
    assert!(stderr(&output).contains("epc1=0x4020abcd"), "{}", stderr(&output));
    // Another program may say what it likes.
    let output = run(&board, &files, &YES);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_program_that_restarts_again_and_again_is_a_warning_and_an_error_for_ours() {
    let files = Files::new();
    let source = built(&files);
    let rom = b" ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\n";
    let says = [GREETING.as_bytes(), b"Fatal exception 28\r\n", rom].concat().repeat(3);
    let board = Board::new(Options { says, ..Options::default() });
    let pty = board.pty();
    let output = pblink(pty.path()).args(YES).arg("--source").arg(&source).output().unwrap();
    drop(pty);
    board.repair();
    assert_failed(&output, 1, "restarts again and again (3 times so far)", "--flash-mode dout");
    let output = run(&board, &files, &[&YES[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("warning: the program restarts"), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["boot"]["restarts"], 3);
    let warning = report["boot"]["warning"].as_str().unwrap();
    assert!(warning.contains("restarts again and again") && warning.contains("dout"), "{warning}");
}
