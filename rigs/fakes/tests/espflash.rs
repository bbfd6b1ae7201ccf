//! The fake ESP32-C3 satisfies the library with which pblink writes a chip.

use std::borrow::Cow;
use std::io::Read;
use std::time::Duration;

use espflash::connection::{Connection, ResetAfterOperation, ResetBeforeOperation};
use espflash::flasher::{FlashSize, Flasher, SpiAttachParams};
use espflash::image_format::Segment;
use espflash::target::{Chip, DefaultProgressCallback};
use pblink_fakes::esp32c3::{Board, Fault, GREETING, Options, Pty, Regions, Running};
use serialport::{SerialPort, UsbPortInfo};

/// Opens a board's line, at a speed that every loader takes.
fn port(pty: &Pty) -> serialport::TTYPort {
    serialport::new(pty.path(), 115_200).timeout(Duration::from_secs(3)).open_native().unwrap()
}

fn connection(pty: &Pty, after: ResetAfterOperation) -> Connection {
    // Other crates of the workspace ask for features with which it has more fields.
    let usb: UsbPortInfo = serde_json::from_str(r#"{ "vid": 0, "pid": 0 }"#).unwrap();
    Connection::new(port(pty), usb, after, ResetBeforeOperation::NoReset, 115_200)
}

/// Connects, without or with a stub, and with a check of what is written.
fn connect(pty: &Pty, stub: bool, baud: Option<u32>) -> Result<Flasher, espflash::Error> {
    connect_and(pty, stub, baud, ResetAfterOperation::NoReset)
}

fn connect_and(
    pty: &Pty,
    stub: bool,
    baud: Option<u32>,
    after: ResetAfterOperation,
) -> Result<Flasher, espflash::Error> {
    Flasher::connect(connection(pty, after), stub, true, false, Some(Chip::Esp32c3), baud)
}

/// Returns a flash that starts: bytes that can hardly be compressed.
fn regions() -> Regions {
    let mut state = 1_u32;
    let mut next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    Regions::new(&(0..100_000).map(&mut next).collect::<Vec<u8>>())
}

fn write(flasher: &mut Flasher, regions: &Regions) -> Result<(), espflash::Error> {
    let segments = regions.all().map(|(addr, data)| Segment { addr, data: Cow::Borrowed(data) });
    flasher.write_bins_to_flash(&segments, &mut DefaultProgressCallback)
}

/// Returns what has come from a board when the greeting is in it, or nothing more comes for some seconds.
fn hear(port: &mut dyn SerialPort, until: &str) -> String {
    let (mut heard, mut buffer) = (String::new(), [0; 256]);
    while !heard.contains(until) {
        let Ok(count) = port.read(&mut buffer) else { break };
        heard += &String::from_utf8_lossy(&buffer[..count]);
    }
    heard
}

#[test]
fn espflash_writes_and_checks_with_its_stub() {
    let board = Board::with([]);
    let pty = board.pty();
    let mut flasher = connect(&pty, true, Some(460_800)).unwrap();
    let info = flasher.device_info().unwrap();
    assert_eq!((info.chip, info.flash_size), (Chip::Esp32c3, FlashSize::_4Mb));
    assert_eq!(info.revision, Some((0, 3)));
    assert_eq!(info.mac_address.as_deref(), Some("34:85:18:01:02:03"));
    let regions = regions();
    assert!(!board.would_start());
    write(&mut flasher, &regions).unwrap();
    assert!(board.would_start());
    for (address, bytes) in regions.all() {
        assert!(board.flash()[address as usize..].starts_with(bytes), "{address:#x}");
    }
    // The boot loader's sectors, the table's, the application's.
    let erased: Vec<_> = (0..1024).filter(|&sector| board.erased()[sector] == 1).collect();
    assert_eq!(erased, [0, 1, 8].into_iter().chain(16..41).collect::<Vec<_>>());
    // It ends in the loader of the ROM: GPIO9 was low when the chip was reset. espflash does not wait for the answer to
    // the command that asks for it.
    let mut port = flasher.into_connection().into_serial();
    assert!(port.read(&mut [0; 64]).unwrap() > 0);
    assert_eq!(board.running(), Running::Rom);
}

#[test]
fn espflash_erases_with_its_stub() {
    let board = Board::with([]);
    let pty = board.pty();
    let mut flasher = connect(&pty, true, None).unwrap();
    flasher.erase_region(0x1_0000, 0x2000).unwrap();
    assert!(board.flash()[0x1_0000..0x1_2000].iter().all(|&byte| byte == 0xff));
    assert_eq!(board.erased().iter().sum::<u32>(), 2);
    assert!(flasher.erase_region(0x1_0000, 0x123).is_err(), "not whole sectors");
    assert!(flasher.erase_region(0x3f_f000, 0x2000).is_err(), "behind the end");
    flasher.erase_flash().unwrap();
    assert!(board.flash().iter().all(|&byte| byte == 0xff));
}

#[test]
fn espflash_writes_without_a_stub() {
    let board = Board::with([]);
    let pty = board.pty();
    let mut flasher = connect(&pty, false, None).unwrap();
    // The ROM refuses the end of a write that is not of whole sectors, as espflash announces them.
    let mut regions = regions();
    regions.app.resize(regions.app.len().next_multiple_of(4096), 0xff);
    write(&mut flasher, &regions).unwrap();
    assert!(board.would_start());
    assert_eq!(board.running(), Running::Rom);
}

#[test]
fn without_whole_sectors_the_rom_refuses_the_end() {
    let board = Board::with([]);
    let pty = board.pty();
    let mut flasher = connect(&pty, false, None).unwrap();
    assert!(write(&mut flasher, &regions()).is_err());
    // All has been written, and the loader has ended.
    assert!(board.would_start());
    assert_eq!(board.running(), Running::Nothing);
}

#[test]
fn the_watchdog_starts_the_program() {
    for stub in [true, false] {
        let board = Board::with([]);
        let pty = board.pty();
        let after = ResetAfterOperation::NoResetNoStub;
        let mut flasher = connect_and(&pty, stub, None, after).unwrap();
        let regions = regions();
        if stub {
            write(&mut flasher, &regions).unwrap();
        } else {
            // The end of a write would lead out of the loader: its parts are written by themselves.
            let mut target =
                Chip::Esp32c3.flash_target(SpiAttachParams::default(), false, true, false);
            target.begin(flasher.connection()).unwrap();
            for (addr, data) in regions.all() {
                let segment = Segment { addr, data: Cow::Borrowed(data) };
                let progress = &mut DefaultProgressCallback;
                target.write_segment(flasher.connection(), segment, progress).unwrap();
            }
        }
        assert_eq!(board.running(), if stub { Running::Stub } else { Running::Rom });
        let mut connection = flasher.into_connection();
        Chip::Esp32c3.rtc_wdt_reset(&mut connection).unwrap();
        let heard = hear(&mut connection.into_serial(), GREETING);
        assert!(heard.ends_with(GREETING), "{heard}");
        let mode = "rst:0x10 (RTCWDT_RTC_RST),boot:0xc (SPI_FAST_FLASH_BOOT)\r\n";
        assert!(heard.contains(mode), "{heard}");
        assert_eq!(board.running(), Running::Program);
    }
}

#[test]
fn a_restart_by_software_ends_where_the_pins_were() {
    let latched = Board::with([]);
    let free = Board::new(Options { latched: false, ..Options::default() });
    let ends = ["waiting for download\r\n", GREETING];
    for (board, end) in [latched, free].into_iter().zip(ends) {
        let pty = board.pty();
        let mut flasher = connect(&pty, true, None).unwrap();
        write(&mut flasher, &regions()).unwrap();
        let heard = hear(&mut flasher.into_connection().into_serial(), end);
        assert!(heard.contains("rst:0x3 (RTC_SW_SYS_RST)") && heard.ends_with(end), "{heard}");
        // A person's finger starts it in any case.
        let mut port = port(&pty);
        board.tap_reset();
        let heard = hear(&mut port, GREETING);
        assert!(heard.contains("rst:0x1 (POWERON)") && heard.ends_with(GREETING), "{heard}");
    }
}

#[test]
fn nothing_starts_from_a_flash_without_a_program() {
    let board = Board::with([]);
    let pty = board.pty();
    let mut line = port(&pty);
    board.tap_reset();
    let heard = hear(&mut line, "invalid header: ");
    drop(line);
    assert!(heard.contains("boot:0xc (SPI_FAST_FLASH_BOOT)"), "{heard}");
    assert_eq!(board.running(), Running::Nothing);
    assert!(connect(&pty, true, None).is_err());
    board.repair();
    connect(&pty, true, None).unwrap();
}

#[test]
fn espflash_sees_the_faults() {
    fn fails(faults: Vec<Fault>, stub: bool) -> Board {
        let board = Board::with(faults.clone());
        let pty = board.pty();
        let result = connect(&pty, stub, None).and_then(|mut f| write(&mut f, &regions()));
        assert!(result.is_err() && !board.would_start(), "{faults:?}, stub: {stub}");
        board
    }
    // In either case a block of the application. Most of the time passes until espflash gives up.
    let kinds = [Fault::ForgetBlock, Fault::GarbleBlock, Fault::VanishAtBlock];
    std::thread::scope(|scope| {
        for stub in [true, false] {
            for kind in kinds {
                scope.spawn(move || fails(vec![kind(9)], stub));
            }
            scope.spawn(move || {
                let board = fails(vec![Fault::ResetAtBlock(9)], stub);
                assert_eq!((board.blocks(), board.running()), (9, Running::Nothing));
            });
        }
        scope.spawn(move || {
            let board = fails(vec![Fault::LoseStubAtBlock(9)], true);
            assert_eq!(board.running(), Running::Nothing);
            assert!(connect(&board.pty(), true, None).is_err(), "none answers any more");
            board.repair();
            connect(&board.pty(), true, None).unwrap();
        });
    });
    // Another chip.
    let board = Board::new(Options { chip_id: 9, ..Options::default() });
    assert!(connect(&board.pty(), false, None).is_err());
    // Noise before the first answer does no harm.
    let board = Board::with([Fault::Noise(b"\xffESP-ROM:esp32c3".to_vec())]);
    connect(&board.pty(), true, None).unwrap();
}
