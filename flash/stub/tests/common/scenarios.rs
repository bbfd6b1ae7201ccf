//! The tests themselves. Each gets a stub that has just been started.

use pblink_flash_stub::protocol::{BLOCK, Error, FRAME, command};

use super::flash::{End, SIZE};
use super::host::{Answer, Host, block, compress, frame, md5, request, words};

/// Makes a test of each scenario: `$run` gives it a stub.
#[macro_export]
macro_rules! scenarios {
    ($run:path) => {
        $crate::scenarios!($run: registers, an_image_deflated, an_image_as_it_is, short_and_odd_lengths,
            a_corrupted_block, a_repeated_block, what_cannot_be_inflated, too_much_and_not_enough,
            erasing, baud_rate, garbage, random_garbage, reading, reading_goes_wrong,
            a_host_that_does_not_wait, a_flash_that_fails, published_order_of_the_end, reset,
            on_to_the_program, another_flash_size);
    };
    ($run:path: $($name:ident),*) => {
        $(#[test]
        fn $name() {
            $run(common::scenarios::$name);
        })*
    };
}

const BLOCK_WORD: u32 = BLOCK as u32;

/// Returns bytes that cannot be compressed, the same for the same seed.
pub fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Like a program: noise, tables, text that repeats from far away, and long stretches of the same.
pub fn image(len: usize) -> Vec<u8> {
    let tables: Vec<u8> = (0..0x6000u32).flat_map(|n| (n * n).to_le_bytes()).collect();
    let parts = [noise(5, 0x9001), tables, vec![0xff; 0x1_2345], noise(5, 0x7fff), vec![0; 0x3000]];
    parts.concat().into_iter().cycle().take(len).collect()
}

pub fn registers(host: &mut Host) {
    assert_eq!(host.command(command::READ_REG, &[0x4000_1000]).value, 0xfff0_c101);
    let at = 0x6000_0300;
    host.command(command::WRITE_REG, &[at, 0x1234_5678, u32::MAX, 0]);
    assert_eq!(host.command(command::READ_REG, &[at]).value, 0x1234_5678);
    // Two at once, and only some bits.
    let entries = [at, 0xffff_ffff, 0xff00, 7, at + 4, 9, u32::MAX, 0];
    host.command(command::WRITE_REG, &entries);
    assert_eq!(host.command(command::READ_REG, &[at]).value, 0x1234_ff78);
    assert_eq!(host.command(command::READ_REG, &[at + 4]).value, 9);
    host.refused(command::READ_REG, &[at + 1], Error::Range);
    host.refused(command::WRITE_REG, &[at + 2, 0, 0, 0], Error::Range);
    host.refused(command::READ_REG, &[], Error::Length);
    host.refused(command::WRITE_REG, &[at, 0, 0], Error::Length);
    host.refused(command::WRITE_REG, &[], Error::Length);
}

pub fn an_image_deflated(host: &mut Host) {
    let image = image(0x8_0000);
    let before = host.board.with(|board| board.flash.clone());
    host.write(0, &image, true);
    let blocks: Vec<_> = (0..8).map(|n| (n * 0x1_0000, 0x1_0000)).collect();
    host.board.with(|board| {
        assert!(board.flash[..image.len()] == image, "another image is in flash");
        assert!(board.flash[image.len()..] == before[image.len()..], "more was written");
        assert_eq!(board.erased, blocks);
    });
    assert_eq!(host.digest(0, image.len() as u32), md5(&image));
    assert!(host.read(0, image.len() as u32, 0x1000, 64) == image, "another image is read");
}

pub fn an_image_as_it_is(host: &mut Host) {
    let image = image(0x1_8123);
    let before = host.board.with(|board| board.flash.clone());
    host.write(0x1_f000, &image, false);
    host.board.with(|board| {
        let end = 0x1_f000 + image.len();
        assert!(board.flash[0x1_f000..end] == image, "another image is in flash");
        assert!(board.flash[..0x1_f000] == before[..0x1_f000], "more was written");
        assert!(board.flash[end..0x3_8000].iter().all(|byte| *byte == 0xff), "not erased");
        assert!(board.flash[0x3_8000..] == before[0x3_8000..], "more was erased");
        let mut erased = vec![(0x1_f000, 0x1000), (0x2_0000, 0x1_0000)];
        erased.extend((0x30..0x38).map(|n| (n * 0x1000, 0x1000)));
        assert_eq!(board.erased, erased);
    });
    assert_eq!(host.digest(0x1_f000, image.len() as u32), md5(&image));
}

pub fn short_and_odd_lengths(host: &mut Host) {
    for (n, len) in
        [1, 2, 3, 4, 5, 255, 4095, 4096, 4097, 0x7fff, 0x8000, 0x8001].into_iter().enumerate()
    {
        let address = n as u32 * 0x1_0000;
        for is_deflated in [false, true] {
            let bytes = noise(len as u32 + u32::from(is_deflated), len);
            host.write(address, &bytes, is_deflated);
            let range = address as usize..address as usize + len;
            host.board.with(|board| assert!(board.flash[range] == bytes, "{len}"));
            assert_eq!(host.digest(address, len as u32), md5(&bytes));
        }
    }
    // The last block may be padded.
    host.command(command::FLASH_BEGIN, &[5, 1, BLOCK_WORD, 0]);
    assert_eq!(host.block(command::FLASH_DATA, 0, b"abcdeffffffffffffffff"), 0);
    host.command(command::FLASH_END, &[1]);
    host.board.with(|board| assert_eq!(board.flash[..8], *b"abcde\xff\xff\xff"));
    // Nothing is also something.
    host.command(command::FLASH_BEGIN, &[0, 0, BLOCK_WORD, 0]);
    host.command(command::FLASH_END, &[1]);
    host.board.with(|board| assert_eq!(board.flash[..5], *b"abcde"));
}

pub fn a_corrupted_block(host: &mut Host) {
    let image = noise(3, 3 * BLOCK);
    for is_deflated in [false, true] {
        let sent = if is_deflated { compress(&image) } else { image.clone() };
        let (begin, data, end) = if is_deflated {
            (command::FLASH_DEFL_BEGIN, command::FLASH_DEFL_DATA, command::FLASH_DEFL_END)
        } else {
            (command::FLASH_BEGIN, command::FLASH_DATA, command::FLASH_END)
        };
        host.command(begin, &[image.len() as u32, 4, BLOCK_WORD, 0]);
        for (index, bytes) in sent.chunks(BLOCK).enumerate() {
            let mut wire = block(data, index as u32, bytes);
            // Neither becomes nor was an escape.
            let at = (0..wire.len() - 1).rev().find(|at| wire[*at].max(wire[*at - 1]) < 0xc0);
            let at = at.expect("one");
            wire[at] ^= 1;
            host.send(&wire);
            assert_eq!(host.answer(data).error, Error::Checksum as u8);
            assert_eq!(host.block(data, index as u32, bytes), 0, "the same again, unharmed");
        }
        host.command(end, &[1]);
        assert_eq!(host.digest(0, image.len() as u32), md5(&image));
    }
    // The length in front of the bytes is garbled.
    host.command(command::FLASH_BEGIN, &[8, 1, BLOCK_WORD, 0]);
    host.refused(command::FLASH_DATA, &[9, 0, 0, 0, 1, 2], Error::Length);
    host.refused(command::FLASH_DATA, &[8, 0, 0], Error::Length);
    host.refused(command::FLASH_DATA, &[0, 0, 0, 0], Error::Length);
    assert_eq!(host.block(command::FLASH_DATA, 0, &[7; 8]), 0);
    host.command(command::FLASH_END, &[1]);
}

pub fn a_repeated_block(host: &mut Host) {
    let image = noise(4, 2 * BLOCK);
    let sent = compress(&image);
    host.command(command::FLASH_DEFL_BEGIN, &[image.len() as u32, 3, BLOCK_WORD, 0]);
    for (index, bytes) in sent.chunks(BLOCK).enumerate() {
        let index = index as u32;
        assert_eq!(host.block(command::FLASH_DEFL_DATA, index + 1, bytes), Error::Sequence as u8);
        // The answer to the first is lost, so it is sent again.
        assert_eq!(host.block(command::FLASH_DEFL_DATA, index, bytes), 0);
        assert_eq!(host.block(command::FLASH_DEFL_DATA, index, bytes), 0);
    }
    host.command(command::FLASH_DEFL_END, &[1]);
    assert_eq!(host.digest(0, image.len() as u32), md5(&image));
}

pub fn what_cannot_be_inflated(host: &mut Host) {
    let image = image(0x2_0000);
    let good = compress(&image);
    let mut no_zlib = good.clone();
    no_zlib[0] ^= 1;
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().expect("some") ^= 1;
    let nonsense = [&good[..2], &[0xff; 100]].concat();
    for bad in [no_zlib, wrong_sum, nonsense] {
        host.command(command::FLASH_DEFL_BEGIN, &[image.len() as u32, 9, BLOCK_WORD, 0]);
        let mut errors = Vec::new();
        for (index, bytes) in bad.chunks(BLOCK).enumerate() {
            errors.push(host.block(command::FLASH_DEFL_DATA, index as u32, bytes));
        }
        assert_eq!(errors.last(), Some(&(Error::Inflate as u8)));
        // Nothing makes that good again, but to begin anew.
        let next = errors.len() as u32;
        assert_eq!(host.block(command::FLASH_DEFL_DATA, next, &good[..99]), Error::Inflate as u8);
        host.refused(command::FLASH_DEFL_END, &[1], Error::Inflate);
        host.refused(command::FLASH_DEFL_END, &[1], Error::NotBegun);
        host.write(0, &image, true);
        assert_eq!(host.digest(0, image.len() as u32), md5(&image));
    }
}

pub fn too_much_and_not_enough(host: &mut Host) {
    host.refused(command::FLASH_END, &[1], Error::NotBegun);
    assert_eq!(host.block(command::FLASH_DATA, 0, &[1; 4]), Error::NotBegun as u8);
    host.command(command::FLASH_BEGIN, &[8, 1, BLOCK_WORD, 0]);
    assert_eq!(host.block(command::FLASH_DEFL_DATA, 0, &[1; 4]), Error::NotBegun as u8);
    assert_eq!(host.block(command::FLASH_DATA, 0, &[1; 4]), 0);
    host.refused(command::FLASH_END, &[1], Error::NotEnough);
    host.command(command::FLASH_BEGIN, &[8, 1, BLOCK_WORD, 0]);
    assert_eq!(host.block(command::FLASH_DATA, 0, &[1; 8]), 0);
    assert_eq!(host.block(command::FLASH_DATA, 1, &[1; 8]), Error::TooMuch as u8);
    host.refused(command::FLASH_END, &[1], Error::TooMuch);

    let image = image(0x2_0000);
    let sent = compress(&image);
    let size = image.len() as u32;
    let deflated = |host: &mut Host, size| {
        host.command(command::FLASH_DEFL_BEGIN, &[size, 9, BLOCK_WORD, 0]);
        let blocks = sent.chunks(BLOCK).enumerate();
        blocks.fold(0, |_, (n, bytes)| host.block(command::FLASH_DEFL_DATA, n as u32, bytes))
    };
    assert_eq!(deflated(host, size - 1), Error::TooMuch as u8);
    host.refused(command::FLASH_DEFL_END, &[1], Error::TooMuch);
    assert_eq!(deflated(host, size + 1), Error::NotEnough as u8);
    host.refused(command::FLASH_DEFL_END, &[1], Error::NotEnough);
    assert_eq!(deflated(host, size), 0);
    let next = sent.len().div_ceil(BLOCK) as u32;
    assert_eq!(host.block(command::FLASH_DEFL_DATA, next, &[0; 8]), Error::TooMuch as u8);
    // All is there but the sum at the end.
    host.command(command::FLASH_DEFL_BEGIN, &[size, 9, BLOCK_WORD, 0]);
    for (n, bytes) in sent[..sent.len() - 1].chunks(BLOCK).enumerate() {
        assert_eq!(host.block(command::FLASH_DEFL_DATA, n as u32, bytes), 0);
    }
    host.refused(command::FLASH_DEFL_END, &[1], Error::NotEnough);

    // A bomb: more than the flash has is never written.
    host.command(command::FLASH_DEFL_BEGIN, &[0x1000, 1, BLOCK_WORD, 0x1000]);
    let bomb = compress(&vec![0; 0x80_0000]);
    assert_eq!(host.block(command::FLASH_DEFL_DATA, 0, &bomb), Error::TooMuch as u8);

    let end = SIZE as u32;
    host.command(command::SPI_SET_PARAMS, &[0, end, 0x1_0000, 0x1000, 0x100, 0xffff]);
    for number in [command::FLASH_BEGIN, command::FLASH_DEFL_BEGIN] {
        host.refused(number, &[1, 1, BLOCK_WORD, end], Error::Range);
        host.refused(number, &[end + 1, 1, BLOCK_WORD, 0], Error::Range);
        host.refused(number, &[u32::MAX, 1, BLOCK_WORD, 0x1000], Error::Range);
        host.refused(number, &[4, 1, BLOCK_WORD, 4], Error::Range);
        host.refused(number, &[4, 1, BLOCK_WORD + 1, 0], Error::BlockSize);
        host.refused(number, &[4, 1, BLOCK_WORD], Error::Length);
        // This chip cannot encrypt.
        host.refused(number, &[4, 1, BLOCK_WORD, 0, 1], Error::Unknown);
        host.command(number, &[4, 1, BLOCK_WORD, 0, 0]);
    }
}

pub fn erasing(host: &mut Host) {
    let before = host.board.with(|board| board.flash.clone());
    host.command(command::ERASE_REGION, &[0xf000, 0x2_2000]);
    host.board.with(|board| {
        assert!(board.flash[0xf000..0x3_1000].iter().all(|byte| *byte == 0xff));
        assert!(board.flash[..0xf000] == before[..0xf000]);
        assert!(board.flash[0x3_1000..] == before[0x3_1000..]);
        let blocks =
            [(0xf000, 0x1000), (0x1_0000, 0x1_0000), (0x2_0000, 0x1_0000), (0x3_0000, 0x1000)];
        assert_eq!(board.erased, blocks);
    });
    host.command(command::ERASE_REGION, &[0, 0]);
    host.refused(command::ERASE_REGION, &[1, 0x1000], Error::Range);
    host.refused(command::ERASE_REGION, &[0, 0x1001], Error::Range);
    host.refused(command::ERASE_REGION, &[0xffff_f000, 0x2000], Error::Range);
    host.refused(command::ERASE_REGION, &[0], Error::Length);
    host.refused(command::ERASE_FLASH, &[0], Error::Length);
    host.command(command::ERASE_FLASH, &[]);
    host.board.with(|board| assert!(board.flash.iter().all(|byte| *byte == 0xff)));
}

pub fn baud_rate(host: &mut Host) {
    // 115200 baud from 52 MHz: 451.
    host.command(command::CHANGE_BAUDRATE, &[460_800, 115_200]);
    host.board.wait("the baud rate", |board| board.dividers == [113]);
    host.sync();
    host.command(command::CHANGE_BAUDRATE, &[115_200, 460_800]);
    host.board.wait("the baud rate", |board| board.dividers == [113, 452]);
    host.refused(command::CHANGE_BAUDRATE, &[0, 115_200], Error::Range);
    host.refused(command::CHANGE_BAUDRATE, &[115_200, 0], Error::Range);
    host.refused(command::CHANGE_BAUDRATE, &[1, 115_200], Error::Range);
    host.refused(command::CHANGE_BAUDRATE, &[115_200, u32::MAX], Error::Range);
    host.refused(command::CHANGE_BAUDRATE, &[u32::MAX, 115_200], Error::Range);
    host.refused(command::CHANGE_BAUDRATE, &[115_200], Error::Length);
    host.sync();
    host.board.with(|board| assert_eq!(board.dividers, [113, 452]));
}

pub fn garbage(host: &mut Host) {
    for number in [0x05, 0x06, 0x07, 0x0c, 0x0e, 0x14, 0x7f, 0xd4, 0xff] {
        host.refused(number, &[1, 2, 3, 4], Error::Unknown);
        host.refused(number, &[], Error::Unknown);
    }
    let refused = |host: &mut Host, bytes: &[u8], number: u8, error: Error| {
        host.send(bytes);
        let answer = host.answer(number);
        assert_eq!(answer, Answer { value: 0, data: vec![], error: error as u8 }, "{bytes:02x?}");
    };
    // Too short, not a request, of another length than announced.
    refused(host, &frame(&[0]), 0, Error::NotARequest);
    refused(host, &frame(&[0, 8, 0, 0, 0, 0, 0]), 8, Error::NotARequest);
    refused(host, &frame(&[1, 8, 0, 0, 0, 0, 0, 0]), 8, Error::NotARequest);
    refused(host, &frame(&[0, 8, 1, 0, 0, 0, 0, 0]), 8, Error::Length);
    refused(host, &frame(&[0, 8, 0, 0, 0, 0, 0, 0, 1]), 8, Error::Length);
    refused(host, &frame(&[0, 8, 0xff, 0xff, 0, 0, 0, 0]), 8, Error::Length);
    refused(host, &request(8, 0, &[7; 35]), 8, Error::Length);
    // Escapes that there are none of, also at the end.
    refused(host, &[0xc0, 0, 8, 0xdb, 0x00, 0, 0xc0], 8, Error::NotARequest);
    refused(host, &[0xc0, 0, 8, 0, 0, 0xdb, 0xc0], 8, Error::NotARequest);
    refused(host, &[0xc0, 0xdb, 0x01, 0xc0], 0, Error::NotARequest);
    // As long as can be, and longer.
    let longest = [&[0, 0xd4, 0x10, 0x40, 0, 0, 0, 0][..], &[0xc0; FRAME - 8]].concat();
    refused(host, &frame(&longest), 0xd4, Error::Unknown);
    refused(host, &frame(&[&longest[..], &[0]].concat()), 0xd4, Error::NotARequest);
    refused(host, &frame(&[longest.clone(), longest].concat()), 0xd4, Error::NotARequest);
    // Nothing at all is not a frame, and a frame that breaks off ends with the next.
    host.send(&[0xc0; 100]);
    host.sync();
    host.send(&request(command::READ_REG, 0, &[0; 4])[..7]);
    refused(host, &[0xc0], command::READ_REG, Error::NotARequest);
    host.sync();
    // Noise before a request spoils nothing but itself.
    host.send(b"\xfe\x01\x80");
    host.send(&request(command::READ_REG, 0, &words(&[0x4000_1000])));
    assert_eq!(host.answer(1).error, Error::NotARequest as u8);
    assert_eq!(host.answer(command::READ_REG).value, 0xfff0_c101);
}

pub fn random_garbage(host: &mut Host) {
    // They may do anything, by design.
    let powerful = [
        command::READ_REG,
        command::WRITE_REG,
        command::RUN_USER_CODE,
        command::FLASH_END,
        command::FLASH_DEFL_END,
        command::CHANGE_BAUDRATE,
        command::READ_FLASH,
    ];
    let bytes = noise(77, 0x1_0000);
    let mut rest = &bytes[..];
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at_checked(len)?;
        rest = left;
        Some(taken.to_vec())
    };
    let mut answered = 0;
    while let Some(head) = take(4) {
        let Some(data) = take(usize::from(head[1]) / 4 * (1 + usize::from(head[2]) % 8)) else {
            break;
        };
        let number = if head[0] < 0x80 { head[0] % 0x16 } else { 0xd0 + head[0] % 5 };
        if powerful.contains(&number) {
            continue;
        }
        match head[3] % 3 {
            0 => host.send(&request(number, u32::from(head[3]), &data)),
            1 => host.send(&block(number, u32::from(head[3]) / 128, &data)),
            _ => {
                // Of any kind, but never one of the powerful.
                let mut raw = vec![2, number];
                raw.extend(&data);
                host.send(&frame(&raw));
            }
        }
        let answer = host.receive();
        assert_eq!(answer[..2], [1, number]);
        answered += 1;
    }
    assert!(answered > 100, "{answered}");
    host.sync();
    host.write(0, b"still there", true);
    host.board.with(|board| assert_eq!(board.flash[..11], *b"still there"));
}

pub fn reading(host: &mut Host) {
    let flash = host.board.with(|board| board.flash.clone());
    for (address, size, packet, in_flight) in [
        (0, 0x1_0000, 0x1000, 64),
        (3, 0x3001, 0x1000, 1),
        (0x1001, 0x777, 0x101, 3),
        (2, 1, 0x400, 2),
        (0x10_0000, 0x2000, 1024, u32::MAX),
        (5, 100, 1, 8),
    ] {
        let range = address as usize..(address + size) as usize;
        assert!(
            host.read(address, size, packet, in_flight) == flash[range.clone()],
            "{address:#x}"
        );
        assert_eq!(host.digest(address, size), md5(&flash[range]));
    }
    assert_eq!(host.read(0, 0, 0x1000, 1), b"");
    assert_eq!(host.digest(77, 0), md5(b""));
}

pub fn reading_goes_wrong(host: &mut Host) {
    host.refused(command::READ_FLASH, &[0, 16, 0, 1], Error::BlockSize);
    host.refused(command::READ_FLASH, &[0, 16, 0x1001, 1], Error::BlockSize);
    host.refused(command::READ_FLASH, &[0, 16, 16, 0], Error::BlockSize);
    host.refused(command::READ_FLASH, &[0x100_0000, 1, 16, 1], Error::Range);
    host.refused(command::READ_FLASH, &[8, u32::MAX, 16, 1], Error::Range);
    host.refused(command::READ_FLASH, &[8, 8, 16], Error::Length);
    host.refused(command::SPI_FLASH_MD5, &[0x100_0000, 1, 0, 0], Error::Range);
    host.refused(command::SPI_FLASH_MD5, &[8, u32::MAX, 0, 0], Error::Range);
    // The host gives up, and asks for something else: that is answered.
    host.command(command::READ_FLASH, &[0, 0x8000, 0x1000, 2]);
    assert_eq!(host.receive().len(), 0x1000);
    assert_eq!(host.receive().len(), 0x1000);
    host.sync();
    // It acknowledges what it cannot have.
    host.command(command::READ_FLASH, &[0, 0x8000, 0x1000, 1]);
    assert_eq!(host.receive().len(), 0x1000);
    host.send(&frame(&words(&[0x1001])));
    assert_eq!(host.answer(command::READ_FLASH).error, Error::Sequence as u8);
    host.sync();
    // An acknowledgement gets lost, another is garbled. The next says it all.
    host.command(command::READ_FLASH, &[0, 300, 100, 3]);
    let packets = [host.receive(), host.receive(), host.receive()].concat();
    host.send(&[0xc0, 0xdb, 0, 0xc0]);
    host.send(&frame(&words(&[300])));
    assert_eq!(host.receive(), md5(&packets));
    host.sync();
}

pub fn a_host_that_does_not_wait(host: &mut Host) {
    let image = noise(9, 3 * BLOCK);
    host.command(command::FLASH_BEGIN, &[image.len() as u32, 3, BLOCK_WORD, 0]);
    // All at once: what comes while the flash is busy is lost.
    let all: Vec<u8> = image
        .chunks(BLOCK)
        .enumerate()
        .flat_map(|(n, bytes)| block(command::FLASH_DATA, n as u32, bytes))
        .collect();
    host.send(&all);
    assert_eq!(host.answer(command::FLASH_DATA).error, 0);
    host.board.with(|board| assert!(board.lost > 0));
    // What is left is half a block. Ended, it is refused, and sent again it is right.
    host.send(&[0xc0]);
    assert_eq!(host.answer(command::FLASH_DATA).error, Error::Length as u8);
    for (n, bytes) in image.chunks(BLOCK).enumerate().skip(1) {
        assert_eq!(host.block(command::FLASH_DATA, n as u32, bytes), 0);
    }
    host.command(command::FLASH_END, &[1]);
    assert_eq!(host.digest(0, image.len() as u32), md5(&image));
}

pub fn a_flash_that_fails(host: &mut Host) {
    host.board.with(|board| board.stays_locked = true);
    host.refused(command::FLASH_BEGIN, &[8, 1, BLOCK_WORD, 0], Error::Unlock);
    assert_eq!(host.block(command::FLASH_DATA, 0, &[1; 8]), Error::NotBegun as u8);
    host.refused(command::ERASE_REGION, &[0, 0x1000], Error::Unlock);
    host.refused(command::ERASE_FLASH, &[], Error::Unlock);
    host.board.with(|board| board.stays_locked = false);
    host.command(command::FLASH_BEGIN, &[0x1_0000, 4, BLOCK_WORD, 0]);
    assert_eq!(host.block(command::FLASH_DATA, 0, &[1; BLOCK]), 0);
    host.board.with(|board| board.is_broken = true);
    assert_eq!(host.block(command::FLASH_DATA, 1, &[1; BLOCK]), Error::Flash as u8);
    host.board.with(|board| board.is_broken = false);
    // A gap is never passed over.
    assert_eq!(host.block(command::FLASH_DATA, 1, &[1; BLOCK]), Error::Flash as u8);
    assert_eq!(host.block(command::FLASH_DATA, 2, &[1; BLOCK]), Error::Flash as u8);
    host.refused(command::FLASH_END, &[0], Error::Flash);
    host.board.with(|board| board.is_broken = true);
    host.refused(command::ERASE_REGION, &[0, 0x1_0000], Error::Flash);
    host.refused(command::ERASE_FLASH, &[], Error::Flash);
    host.refused(command::SPI_FLASH_MD5, &[0, 16, 0, 0], Error::Flash);
    host.command(command::READ_FLASH, &[0, 0x2000, 0x1000, 1]);
    assert_eq!(host.answer(command::READ_FLASH).error, Error::Flash as u8);
    host.sync();
}

pub fn published_order_of_the_end(host: &mut Host) {
    // As esptool does it: a write of nothing, then the end of the kind that was written last.
    host.write(0, b"first", true);
    host.command(command::FLASH_BEGIN, &[0, 0, BLOCK_WORD, 0, 0]);
    host.command(command::FLASH_DEFL_END, &[1]);
    host.command(command::SPI_ATTACH, &[0]);
    host.refused(command::SPI_ATTACH, &[], Error::Length);
    host.board.with(|board| assert_eq!(board.flash[..5], *b"first"));
}

pub fn reset(host: &mut Host) {
    host.write(0, b"first", false);
    host.command(command::FLASH_BEGIN, &[0, 0, BLOCK_WORD, 0]);
    host.command(command::FLASH_END, &[0]);
    host.board.wait("a reset", |board| board.end == Some(End::Reset));
}

pub fn on_to_the_program(host: &mut Host) {
    host.send(&request(command::RUN_USER_CODE, 0, &[]));
    host.board.wait("the program in flash", |board| board.end == Some(End::UserCode));
}

pub fn another_flash_size(host: &mut Host) {
    host.board.with(|board| assert_eq!(board.parameters[1], 0x100_0000));
    let parameters = |size| [0, size, 0x1_0000, 0x1000, 0x100, 0xffff];
    host.command(command::SPI_SET_PARAMS, &parameters(0x8_0000));
    host.board.with(|board| assert_eq!(board.parameters, parameters(0x8_0000)));
    host.refused(command::SPI_FLASH_MD5, &[0x8_0000 - 1, 2, 0, 0], Error::Range);
    host.refused(command::ERASE_REGION, &[0x7_f000, 0x2000], Error::Range);
    host.command(command::ERASE_REGION, &[0x7_f000, 0x1000]);
    for size in [0, 0x200_0000, 0x1001] {
        host.refused(command::SPI_SET_PARAMS, &parameters(size), Error::Range);
    }
    host.refused(command::SPI_SET_PARAMS, &[0; 5], Error::Length);
}
