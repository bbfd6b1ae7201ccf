//! Commands as bytes: what both loaders refuse, and with which reasons.

use miniz_oxide::deflate::compress_to_vec_zlib;

use super::{Board, Fault, Options, Regions, Running};
use crate::espressif::Chip as _;
use crate::espressif::slip::{self, Slip};

const SYNC: [u32; 9] = [
    0x2012_0707,
    0x5555_5555,
    0x5555_5555,
    0x5555_5555,
    0x5555_5555,
    0x5555_5555,
    0x5555_5555,
    0x5555_5555,
    0x5555_5555,
];

/// Where the stub is put.
const RAM: u32 = 0x4038_0000;

/// The end of the line that sends commands.
struct Host {
    board: Board,
}

impl Host {
    /// Connects with the loader in ROM.
    fn rom(board: &Board) -> Self {
        let host = Self { board: board.clone() };
        assert_eq!(host.command(0x08, &SYNC).len(), 8);
        assert_eq!(host.status(0x0d, &[0, 0]), [0; 4]);
        host
    }

    /// Connects, and loads a stub.
    fn stub(board: &Board) -> Self {
        let host = Self::rom(board);
        assert_eq!(host.status(0x05, &[4, 1, 4, RAM]), [0; 4]);
        assert_eq!(host.block(0x07, 0, &[1, 2, 3, 4]), [0; 4]);
        let answers = host.command(0x06, &[0, RAM]);
        assert_eq!(answers[1], b"OHAI");
        assert_eq!(board.running(), Running::Stub);
        host
    }

    /// Sends bytes, and returns the frames that come back.
    fn send(&self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut chip = self.board.chip();
        chip.feed(bytes, 115_200);
        let output = std::mem::take(&mut chip.core().uart.output);
        let mut slip = Slip::default();
        let frames = output.into_iter().filter_map(|byte| slip.byte(byte));
        frames.filter(|frame| !frame.is_empty()).collect()
    }

    fn raw(&self, op: u8, data: &[u8], checksum: u8) -> Vec<Vec<u8>> {
        let mut packet = vec![0, op];
        packet.extend((data.len() as u16).to_le_bytes());
        packet.extend([checksum, 0, 0, 0]);
        packet.extend(data);
        self.send(&slip::frame(&packet))
    }

    fn command(&self, op: u8, numbers: &[u32]) -> Vec<Vec<u8>> {
        let data: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.raw(op, &data, 0)
    }

    /// Sends a command, and returns the status in its answer: 4 bytes of the ROM, 2 of a stub.
    fn status(&self, op: u8, numbers: &[u32]) -> Vec<u8> {
        self.checked(op, &self.command(op, numbers))
    }

    fn checked(&self, op: u8, answers: &[Vec<u8>]) -> Vec<u8> {
        let answer = &answers[0];
        assert_eq!(answer[..2], [1, op]);
        assert_eq!(usize::from(answer[2]), answer.len() - 8);
        let length = if self.board.running() == Running::Stub { 2 } else { 4 };
        answer[answer.len() - length..].to_vec()
    }

    /// Sends a block with this number, and returns the status in its answer.
    fn block(&self, op: u8, number: u32, bytes: &[u8]) -> Vec<u8> {
        let checksum = bytes.iter().fold(0xef, |sum, byte| sum ^ byte);
        self.checked(op, &self.raw(op, &payload(number, bytes), checksum))
    }
}

fn payload(number: u32, bytes: &[u8]) -> Vec<u8> {
    let words = [bytes.len() as u32, number, 0, 0];
    let mut data: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    data.extend(bytes);
    data
}

const INVALID: [u8; 4] = [1, 5, 0, 0];

#[test]
fn the_rom_waits_for_sync() {
    let board = Board::with([]);
    let host = Host { board: board.clone() };
    assert!(host.command(0x0a, &[0x4000_1000]).is_empty());
    Host::rom(&board);
    let answer = &host.command(0x0a, &[0x4000_1000])[0];
    assert_eq!(answer[4..8], 0x1b31_506f_u32.to_le_bytes());
}

#[test]
fn the_rom_refuses_wrong_lengths() {
    let host = Host::rom(&Board::with([]));
    let wrong: [(u8, &[u32]); 16] = [
        (0x02, &[0, 0, 0x400, 0]),
        (0x02, &[0, 0, 0x1804, 0, 0]),
        (0x05, &[0, 0, 0x400, 0, 0]),
        (0x06, &[0]),
        (0x08, &[0x2012_0707]),
        (0x09, &[0x6000_2058, 0, 0]),
        (0x0a, &[]),
        (0x0b, &[0, 4 << 20]),
        (0x0d, &[0]),
        (0x0f, &[115_200]),
        (0x10, &[0, 0, 0x400, 0]),
        (0x13, &[0, 16]),
        (0x14, &[0]),
        (0x03, &[0, 0]),
        (0x07, &[0, 0]),
        (0x11, &[0, 0]),
    ];
    for (op, numbers) in wrong {
        assert_eq!(host.status(op, numbers), INVALID, "{op:#x} {numbers:x?}");
    }
    // A header with another length than that of the data.
    let frame = slip::frame(&[0, 0x0a, 4, 0, 0, 0, 0, 0, 1, 2, 3]);
    assert_eq!(host.checked(0x0a, &host.send(&frame)), INVALID);
}

#[test]
fn the_rom_names_the_command_before_one_that_it_does_not_know() {
    let host = Host::rom(&Board::with([]));
    host.command(0x0a, &[0]);
    for op in [0x00, 0x0c, 0x15, 0xd0, 0xd1, 0xd2, 0xd3] {
        let answers = host.command(op, &[]);
        assert_eq!((answers.len(), answers[0][1]), (1, 0x0a), "{op:#x}");
        assert_eq!(answers[0][8..], INVALID);
    }
    host.command(0x08, &SYNC);
    assert_eq!(host.command(0xd0, &[]).len(), 8, "as often as the answer to SYNC");
}

#[test]
fn data_outside_a_write_are_refused() {
    let host = Host::rom(&Board::with([]));
    for op in [0x03, 0x07, 0x11] {
        assert_eq!(host.block(op, 0, &[0; 4]), INVALID, "{op:#x}");
    }
    assert_eq!(host.status(0x12, &[1]), [1, 6, 0, 0]);
    // Of one block, and then no more; and not into RAM.
    assert_eq!(host.status(0x02, &[4, 1, 4, 0, 0]), [0; 4]);
    assert_eq!(host.block(0x07, 0, &[0; 4]), INVALID);
    assert_eq!(host.block(0x03, 1, &[0; 4]), INVALID);
    assert_eq!(host.block(0x03, 0, &[0; 8]), INVALID);
    assert_eq!(host.block(0x03, 0, &[0; 3]), INVALID);
    assert_eq!(host.block(0x03, 0, &[0; 4]), [0; 4]);
    assert_eq!(host.block(0x03, 1, &[0; 4]), INVALID);

    let host = Host::stub(&Board::with([]));
    assert_eq!(host.block(0x03, 0, &[0; 4]), [0xc6, 0]);
    assert_eq!(host.block(0x11, 0, &[0; 4]), [0xc6, 0]);
    assert_eq!(host.status(0x12, &[1]), [0xc6, 0]);
    assert_eq!(host.status(0x10, &[4, 1, 0x4000, 0]), [0; 2]);
    assert_eq!(host.block(0x03, 0, &[0; 4]), [0xc6, 0], "compressed data were announced");
    assert_eq!(host.status(0x12, &[1]), [0xc8, 0]);
}

#[test]
fn a_number_is_used_up_by_a_wrong_check_sum() {
    let host = Host::rom(&Board::with([]));
    assert_eq!(host.status(0x02, &[8, 2, 4, 0, 0]), [0; 4]);
    assert_eq!(host.checked(0x03, &host.raw(0x03, &payload(0, &[1; 4]), 0)), [1, 7, 0, 0]);
    assert_eq!(host.block(0x03, 0, &[1; 4]), INVALID);

    let host = Host::stub(&Board::with([]));
    assert_eq!(host.status(0x02, &[4, 1, 4, 0]), [0; 2]);
    assert_eq!(host.checked(0x03, &host.raw(0x03, &payload(0, &[1; 4]), 0)), [0xc1, 0]);
    assert_eq!(host.block(0x03, 0, &[1; 4]), [0; 2], "a stub takes it again");
    assert_eq!(host.status(0x04, &[1]), [0; 2]);
}

#[test]
fn flash_is_not_ram() {
    let board = Board::with([]);
    let host = Host::rom(&board);
    // Nothing is erased, so bits that are 0 stay so: the ROM reads back and sees it.
    let old = board.flash()[4..8].to_vec();
    assert_eq!(host.status(0x02, &[0, 1, 8, 0, 0]), [0; 4]);
    assert_eq!(
        host.block(0x03, 0, &[0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff]),
        [1, 8, 0, 0]
    );
    assert_eq!(board.flash()[4..8], old);
    // Sectors are erased from their beginning.
    assert_eq!(host.status(0x02, &[4, 1, 4, 0x1004, 0]), [1, 6, 0, 0]);
    assert_eq!(host.status(0x02, &[0x1001, 1, 4, 0x1000, 0]), [0; 4]);
    assert_eq!(board.erased()[..4], [0, 1, 1, 0]);
}

#[test]
fn the_rom_needs_to_know_the_flash() {
    let board = Board::new(Options { flash_size: 8 << 20, ..Options::default() });
    let host = Host { board: board.clone() };
    host.command(0x08, &SYNC);
    assert_eq!(host.status(0x02, &[4096, 1, 4, 0, 0]), [1, 6, 0, 0], "not attached");
    assert_eq!(host.status(0x13, &[0, 16, 0, 0]), [1, 9, 0, 0]);
    assert_eq!(host.status(0x0d, &[0, 0]), [0; 4]);
    assert_eq!(host.status(0x02, &[4096, 1, 4, 0x40_0000, 0]), [1, 6, 0, 0], "4 MB at first");
    assert_eq!(host.status(0x0b, &[0, 8 << 20, 0x1_0000, 0x1000, 0x100, 0xffff]), [0; 4]);
    assert_eq!(host.status(0x02, &[4096, 1, 4, 0x40_0000, 0]), [0; 4]);
    assert_eq!(host.status(0x02, &[4096, 1, 4, 0x80_0000, 0]), [1, 6, 0, 0]);
    let answer = host.command(0x13, &[0, 16, 0, 0]).remove(0);
    assert!(answer[8..40].iter().all(u8::is_ascii_hexdigit) && answer.len() == 44);
}

#[test]
fn the_rom_refuses_streams_that_end_too_early_or_too_late() {
    let host = Host::rom(&Board::with([]));
    let stream = compress_to_vec_zlib(&[7; 4096], 6);
    let cases = [
        (4096, &stream[..], [0; 4]),
        (4096, &stream[..stream.len() - 1], [1, 0xb, 0, 0]),
        (4095, &stream, [1, 0xb, 0, 0]),
        (4096, &[&stream[..], &[0]].concat(), [1, 0xb, 0, 0]),
        // esptool announces whole blocks.
        (5120, &stream, [0; 4]),
    ];
    for (size, stream, expected) in cases {
        assert_eq!(host.status(0x10, &[size, 1, 0x400, 0, 0]), [0; 4]);
        assert_eq!(host.block(0x11, 0, stream), expected, "{size} {}", stream.len());
    }
}

#[test]
fn a_stub_tells_later_why_a_block_was_not_written() {
    let host = Host::stub(&Board::with([]));
    let stream = compress_to_vec_zlib(&[7; 4096], 6);
    let cases = [
        (4096, 0, &stream[..], [0; 2]),
        (4096, 0, &stream[..stream.len() - 5], [0xc8, 0]),
        (4095, 0, &stream, [0xc9, 0]),
        (5120, 0, &stream, [0xc8, 0]),
        (4096, 0, &[&stream[..], &[0]].concat(), [0xc7, 0]),
        (4096, 0x3f_f001, &stream, [0xc4, 0]),
    ];
    for (size, address, stream, expected) in cases {
        assert_eq!(host.status(0x10, &[size, 1, 0x4000, address]), [0; 2]);
        assert_eq!(host.block(0x11, 0, stream), [0; 2]);
        assert_eq!(host.status(0x12, &[1]), expected, "{size} {address:#x} {}", stream.len());
    }
}

#[test]
fn a_stub_refuses_wrong_lengths() {
    let host = Host::stub(&Board::with([]));
    let wrong: [(u8, &[u32], u8); 9] = [
        (0x02, &[0, 0, 0x400], 0xc0),
        (0x10, &[0, 0, 0x4001, 0], 0xc2),
        (0x0d, &[0, 0], 0xc0),
        (0x0f, &[115_200], 0xc0),
        (0x13, &[0, 16], 0xc0),
        (0xd0, &[0], 0xc0),
        (0xd1, &[0x1000, 1], 0xc0),
        (0xd2, &[0, 16, 4], 0xc0),
        (0x0e, &[0, 16], 0xff),
    ];
    for (op, numbers, reason) in wrong {
        assert_eq!(host.status(op, numbers), [reason, 0], "{op:#x} {numbers:x?}");
    }
    assert_eq!(host.command(0x13, &[0, 16, 0, 0])[0].len(), 26);
    assert_eq!(host.command(0x14, &[])[0].len(), 30);
    // It ends without an answer, and nothing comes after it.
    assert!(host.command(0xd3, &[]).is_empty());
    assert_eq!(host.board.running(), Running::Nothing);
}

#[test]
fn the_second_word_of_a_speed_is_for_the_stub() {
    for (prior, baud) in [(0, 230_400), (1, 640_000_000 / 230_400)] {
        let board = Board::with([]);
        Host::rom(&board).command(0x0f, &[230_400, prior]);
        assert_eq!(board.chip().core().uart.baud, Some(baud), "{prior}");
    }
    let board = Board::with([]);
    Host::stub(&board).command(0x0f, &[230_400, 115_200]);
    assert_eq!(board.chip().core().uart.baud, Some(230_400));
}

#[test]
fn answers_are_lost_and_late() {
    let host = Host::rom(&Board::with([]));
    let read = |address| host.command(0x0a, &[address]);
    host.board.fail(Fault::LoseAnswer(1));
    assert!(read(0).is_empty());
    host.board.fail(Fault::GarbleAnswer(1));
    assert_ne!(read(0)[0][2..4], [4, 0]);
    host.board.fail(Fault::DelayAnswer(1));
    assert!(read(0x4000_1000).is_empty());
    assert_eq!(read(0).len(), 2);
    host.board.fail(Fault::Refuse(0x0a, 6));
    assert_eq!(host.status(0x0a, &[0]), [1, 6, 0, 0]);
    host.board.fail(Fault::Silent);
    assert!(read(0).is_empty());
    host.board.fail(Fault::NoisyAbove(115_199));
    let answers: Vec<_> = (0..40).map(|_| read(0)).collect();
    assert!(answers.iter().any(|answer| *answer != answers[0]));
}

#[test]
fn the_watchdog_bites_when_it_is_unlocked_and_enabled() {
    let (watchdog, protect) = (0x6000_8090, 0x6000_80a8);
    let mode = 1 << 31 | 5 << 28 | 1 << 8 | 2;
    let board = Board::with([]);
    let host = Host::rom(&board);
    host.command(0x09, &[watchdog, mode, u32::MAX, 0]);
    host.command(0x0a, &[0]);
    assert_eq!(board.running(), Running::Rom, "locked");
    host.command(0x09, &[protect, 0x50d8_3aa1, u32::MAX, 0]);
    host.command(0x09, &[watchdog, mode, u32::MAX, 0]);
    assert_eq!(board.running(), Running::Rom, "not yet");
    // Without another command, time has to pass.
    (0..20).for_each(|_| board.chip().feed(&[], 115_200));
    assert_eq!(board.running(), Running::Nothing, "GPIO9 is not held, and flash has no program");
}

#[test]
fn only_three_whole_parts_start() {
    let regions = Regions::new(&[9; 1000]);
    let start = |damage: Option<usize>| {
        let mut flash = vec![0xff; 4 << 20];
        for (address, bytes) in regions.all() {
            flash[address as usize..][..bytes.len()].copy_from_slice(bytes);
        }
        if let Some(at) = damage {
            flash[at] ^= 0x40;
        }
        super::boot::start(&flash)
    };
    assert!(start(None).program);
    let app = 0x1_0000;
    let (boot_end, app_end) = (regions.bootloader.len(), app + regions.app.len());
    let damaged = [
        (0, "invalid header: 0xa9010220"),
        (1, "invalid header: "),
        (12, "invalid header: "),
        (40, "Checksum failure. "),
        (boot_end - 1, "SHA-256 comparison failed"),
        (0x8000, "Failed to verify partition table"),
        (0x8024, "Failed to verify partition table"),
        (0x8060, "Failed to verify partition table"),
        (0x8070, "Failed to verify partition table"),
        (app, "has invalid magic byte"),
        (app + 12, "has invalid magic byte"),
        (app + 40, "Checksum failed. "),
        (app + 8, "Image hash failed"),
        (app_end - 1, "Image hash failed"),
    ];
    for (at, words) in damaged {
        let start = start(Some(at));
        assert!(!start.program && start.words.contains(words), "{at:#x}: {}", start.words);
    }
}
