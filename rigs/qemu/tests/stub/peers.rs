//! Host programs that know stubs: ours, and Espressif's.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use pblink_emulation::image;
use pblink_fakes::esptool;
use pblink_flash::coprocessor::{Before, Erase, Port, Verified};
use pblink_flash::esp8266::{Connect, Job, Loader, Stub};
use pblink_flash::{Region, Silent};
use serialport::{SerialPort, TTYPort};

use super::common::flash::{SIZE, Shared};
use super::common::host::Host;
use super::common::scenarios::{image, noise};
use super::rom::{Core, start};

fn running() -> Option<(Core, Host)> {
    let (core, host) = start(&image::stub_bench()?, Stub::builtin().expect("the committed one"));
    // The greeting has been read: a host program that comes later finds a stub by its answer to SYNC.
    Some((core, host))
}

struct Line {
    to_stub: Sender<Vec<u8>>,
    from_stub: Receiver<Vec<u8>>,
    input: VecDeque<u8>,
}

impl Port for Line {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if self.input.is_empty() {
            match self.from_stub.recv_timeout(timeout) {
                Ok(bytes) => self.input.extend(bytes),
                Err(RecvTimeoutError::Timeout) => return Ok(0),
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        self.input.read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to_stub.send(bytes.to_vec()).map_err(io::Error::other)
    }

    fn set_baud(&mut self, _baud: u32) -> io::Result<()> {
        Ok(())
    }

    fn set_lines(&mut self, _dtr: bool, _rts: bool) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn drain(&mut self) -> io::Result<()> {
        self.input.clear();
        self.from_stub.try_iter().for_each(drop);
        Ok(())
    }

    fn wait(&mut self, _time: Duration) {}
}

fn connect(host: Host) -> (Loader<Line>, Shared) {
    let Host { to_stub, from_stub, board, .. } = host;
    let line = Line { to_stub, from_stub, input: VecDeque::new() };
    let options = Connect {
        before: Before::NoReset,
        baud: Some(115_200),
        stub: Stub::builtin(),
        ..Connect::default()
    };
    let loader = Loader::connect(line, options, &mut Silent).expect("a stub answers");
    (loader, board)
}

#[test]
fn our_own_loader_writes_verifies_and_reads() {
    let Some((_core, host)) = running() else { return };
    let (mut loader, board) = connect(host);
    assert!(loader.in_stub());
    assert_eq!(loader.device().flash_size as usize, SIZE);
    let region = |name: &str, address, bytes| Region { name: name.to_owned(), address, bytes };
    // The first is a program that the chip starts: one segment and its check sum.
    let data = image(0x8000);
    let mut first = vec![0xe9, 1, 0, 0x40, 0, 0, 0x10, 0x40, 0, 0, 0x10, 0x40, 0, 0x80, 0, 0];
    first.extend(&data);
    first.extend([0; 15]);
    first.push(data.iter().fold(0xef, |sum, byte| sum ^ byte));
    let regions = [region("program", 0, first), region("code", 0x1_0000, image(0x8_0000))];
    let written = loader.flash(&regions, &Job::default(), &mut Silent).expect("no faults");
    assert!(written.iter().all(|region| region.written && region.verified == Verified::Fully));
    board.with(|board| {
        for Region { address, bytes, .. } in &regions {
            let at = *address as usize;
            assert!(board.flash[at..at + bytes.len()] == bytes[..]);
        }
        // All of it was erased before.
        assert!(board.flash[0x10_0000..].iter().all(|byte| *byte == 0xff));
    });
    let read = loader.read(0xf000, 0x3000, &mut Silent).expect("no faults");
    board.with(|board| assert!(board.flash[0xf000..0x1_2000] == read));
    // What is there is not written again.
    let job = Job { erase: Erase::Needed, ..Job::default() };
    let again = loader.flash(&regions, &job, &mut Silent).expect("no faults");
    assert!(again.iter().all(|region| !region.written), "{again:?}");
}

/// Carries bytes between a pseudo-terminal and the stub. Returns its name.
fn pty(host: Host) -> (TTYPort, String, Shared) {
    let Host { to_stub, from_stub, board, .. } = host;
    let (mut ours, theirs) = TTYPort::pair().expect("a pseudo-terminal");
    let name = theirs.name().expect("a name");
    ours.set_timeout(Duration::from_millis(20)).expect("a pseudo-terminal");
    let mut writer = ours.try_clone_native().expect("a copy");
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            match ours.read(&mut buffer) {
                Ok(0) => return,
                Ok(len) if to_stub.send(buffer[..len].to_vec()).is_ok() => {}
                // Nothing came. The copy that the test holds ends this.
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                _ => return,
            }
        }
    });
    std::thread::spawn(move || {
        for bytes in from_stub {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                match writer.write(rest) {
                    Ok(len) => rest = &rest[len..],
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
                    Err(_) => return,
                }
            }
        }
    });
    (theirs, name, board)
}

#[test]
fn esptool_writes_verifies_reads_and_erases() {
    let Some(esptool) = esptool() else { return };
    let Some((_core, host)) = running() else { return };
    let (_terminal, port, board) = pty(host);
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("a path").to_owned();
    let (program, back) = (path("program.bin"), path("back.bin"));
    let bytes = [image(0x1_8000), noise(3, 0x1001)].concat();
    std::fs::write(&program, &bytes).expect("a file");
    // An emulated chip is as slow as the machine that it runs on: esptool is to wait for it, and not for three seconds.
    let patience = path("esptool.cfg");
    std::fs::write(
        &patience,
        "[esptool]\ntimeout = 120\nmd5_timeout_per_mb = 120\nerase_write_timeout_per_mb = 600\n",
    )
    .expect("a file");
    let run = |arguments: &[&str]| {
        let output = Command::new(esptool)
            .env("ESPTOOL_CFGFILE", &patience)
            .args(["--chip", "esp8266", "--port", &port, "--before", "no-reset"])
            .args(["--after", "no-reset-stub"])
            .args(arguments)
            .output()
            .expect("esptool runs");
        let said =
            [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        let (said, crash) = (said.concat(), board.with(|board| board.crash.clone()));
        assert!(output.status.success() && crash.is_none(), "{said}\n{crash:?}");
        assert!(said.contains("Stub flasher is already running"), "{said}");
        said
    };
    run(&["--baud", "460800", "write-flash", "0x10000", &program]);
    board.with(|board| {
        assert!(board.flash[0x1_0000..0x1_0000 + bytes.len()] == bytes);
        assert!(!board.dividers.is_empty());
    });
    run(&["--baud", "460800", "write-flash", "--no-compress", "0x40000", &program]);
    board.with(|board| assert!(board.flash[0x4_0000..0x4_0000 + bytes.len()] == bytes));
    run(&["--baud", "460800", "verify-flash", "0x40000", &program]);
    run(&["--baud", "460800", "read-flash", "0x3f001", "0x2fff", &back]);
    let read = std::fs::read(&back).expect("a file");
    board.with(|board| assert!(board.flash[0x3_f001..0x4_2000] == read));
    run(&["--baud", "460800", "erase-region", "0x40000", "0x1000"]);
    board.with(|board| assert!(board.flash[0x4_0000..0x4_1000].iter().all(|byte| *byte == 0xff)));
    run(&["--baud", "460800", "erase-flash"]);
    board.with(|board| assert!(board.flash.iter().all(|byte| *byte == 0xff)));
}
