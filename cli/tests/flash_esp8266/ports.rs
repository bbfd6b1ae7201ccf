//! The port: one that is missing, closed to us, or none.

use super::*;

#[test]
fn a_port_without_reset_wires_is_no_obstacle() {
    let (files, board) = (Files::new(), Board::with([]));
    let output = run(&board, &files, &["--yes"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("cannot reset the board"), "{}", stderr(&output));
    assert!(board.flash() == files.kept());
}

#[test]
fn a_busy_port_is_reported() {
    let board = Board::with([]);
    let pty = board.pty();
    let _other = Serial::open(pty.path()).unwrap();
    let files = Files::new();
    let output = pblink(pty.path()).args(files.images()).args(YES).output().unwrap();
    assert_failed(&output, 1, "is used by another program", "close");
    assert!(stderr(&output).contains(pty.path()));
    assert_untouched(&board);
}

#[test]
fn a_port_without_permission_is_reported_with_the_fix() {
    let board = Board::with([]);
    let pty = board.pty();
    let files = Files::new();
    std::fs::set_permissions(pty.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = pblink(pty.path());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        // Root may do everything: somebody else has to try, with a copy that he can reach.
        let copy = files.folder.path().join("pblink");
        process::copy_program(&copy);
        for path in [files.folder.path(), &copy] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        command = Command::new(&copy);
        // The old name of the flag.
        command.args(["flash", "esp8266", "--port", pty.path()]).stdin(Stdio::null()).uid(65534);
    }
    let output = command.current_dir("/").args(files.images()).args(YES).output().unwrap();
    assert_failed(&output, 1, "you may not open", "sudo usermod -aG dialout $USER");
    assert_untouched(&board);
}

#[test]
fn the_words_of_system_and_library_are_for_those_who_want_more() {
    let files = Files::new();
    let output = pblink("/dev/null").args(files.images()).args(YES).arg("-v").output().unwrap();
    let said = stderr(&output);
    assert!(said.contains("/dev/null is not a serial port\n"), "{said}");
    assert!(said.contains("Not a typewriter"), "{said}");
    let output = pblink("/dev/null").args(files.images()).args(YES).output().unwrap();
    assert!(!stderr(&output).contains("typewriter"), "{}", stderr(&output));
}

#[test]
fn a_port_that_is_not_there_is_reported() {
    let files = Files::new();
    let nowhere = files.path("ttyUSB9");
    let mut command = pblink(&nowhere);
    let output = command.args(files.images()).args(YES).args(["--wait", "0"]).output().unwrap();
    assert_failed(&output, 1, "there is no port", "--serial");
}

#[test]
fn what_is_not_a_serial_port_is_reported() {
    let files = Files::new();
    let output = pblink(&files.path("code.bin")).args(files.images()).args(YES).output().unwrap();
    assert_failed(&output, 1, "is not a serial port", "--serial");
}

#[test]
fn a_port_that_comes_later_is_waited_for() {
    let (files, board) = (Files::new(), Board::with([]));
    let pty = board.pty();
    let later = files.path("ttyUSB9");
    let mut child = pblink(&later)
        .args(files.images())
        .args(YES)
        .args(["--wait", "5min"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let waits = format!("waiting for the port {later}");
    assert!(lines.any(|line| line == waits), "it says what it waits for");
    std::os::unix::fs::symlink(pty.path(), &later).unwrap();
    let rest: Vec<_> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    assert!(board.flash() == files.kept());
}

#[test]
fn a_file_that_is_no_program_is_refused_before_anything_is_waited_for() {
    let files = Files::new();
    let nowhere = files.path("ttyUSB9");
    for (name, bytes, cause, remedy) in [
        ("tasmota.bin.gz", &[0x1f, 0x8b, 8, 0][..], "packed with gzip", "gunzip --keep"),
        ("a.hex", b":00000001FF\n", "an Intel HEX file", "objcopy"),
        ("a.bin", b"hello, world", "no ESP8266 program", "nothing was erased"),
        ("b.bin", &files.program[..5000], "it is cut off", "nothing was erased"),
    ] {
        std::fs::write(files.path(name), bytes).unwrap();
        let mut command = pblink(&nowhere);
        // It would wait longer than the test may.
        command.args(["--wait", "1d", "--image", &files.path(name)]).args(YES);
        assert_failed(&command.output().unwrap(), 1, cause, remedy);
    }
}
