//! Commands and replies of the loader, in ROM and in RAM.
//!
//! Source: Espressif's description of the serial protocol
//! (<https://docs.espressif.com/projects/esptool/en/latest/esp8266/advanced-topics/serial-protocol.html>).
//! A command is direction (0), operation, length of its data (16 bits), checksum (32 bits), data; a reply is
//! direction (1), operation, length, value (32 bits), data, of which the last two bytes are the status.
//! All numbers are little-endian. Commands with a payload carry a checksum of one byte, replies none.

use super::slip;

/// The operation that a command asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Erase, and get ready to write.
    FlashBegin = 0x02,
    /// Write a block.
    FlashData = 0x03,
    /// Leave, and restart (0) or run the program (1).
    FlashEnd = 0x04,
    /// Get ready to write RAM.
    MemBegin = 0x05,
    /// Jump to an address in RAM.
    MemEnd = 0x06,
    /// Write a block of RAM.
    MemData = 0x07,
    /// Ask for an answer.
    Sync = 0x08,
    /// Write a register.
    WriteReg = 0x09,
    /// Read a register.
    ReadReg = 0x0a,
    /// Stub: another speed of the line.
    ChangeBaudrate = 0x0f,
    /// Stub: like `FlashBegin` for compressed data.
    FlashDeflBegin = 0x10,
    /// Stub: a block of a zlib stream.
    FlashDeflData = 0x11,
    /// Stub: the stream has ended; its data is in flash.
    FlashDeflEnd = 0x12,
    /// Stub: MD5 of a part of flash.
    FlashMd5 = 0x13,
    /// Stub: erase sectors.
    EraseRegion = 0xd1,
    /// Stub: send a part of flash.
    ReadFlash = 0xd2,
    /// Stub: run the program in flash; no reply.
    RunUserCode = 0xd3,
}

/// Numbers as the data of a command.
pub fn words<const N: usize>(words: [u32; N]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Returns the checksum of a payload: its bytes, exclusive-or-ed with 0xEF.
pub fn checksum(payload: &[u8]) -> u32 {
    u32::from(payload.iter().fold(0xef, |sum, byte| sum ^ byte))
}

/// Returns a command as a frame.
pub fn command(op: Op, data: &[u8], checksum: u32) -> Vec<u8> {
    let mut packet = vec![0, op as u8];
    packet.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_le_bytes());
    packet.extend(checksum.to_le_bytes());
    packet.extend(data);
    slip::encode(&packet)
}

/// Returns the data of a command that carries a block: size, number, two unused words, the block.
pub fn block(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut data = words([payload.len() as u32, number, 0, 0]);
    data.extend(payload);
    data
}

/// An answer of the loader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The operation that it answers, as it came.
    pub op: u8,
    /// The value of a register.
    pub value: u32,
    /// Data without the status.
    pub data: Vec<u8>,
    /// 0 if it worked, else why not: see [`reason`].
    pub failed: u8,
}

impl Reply {
    /// Reads a frame as a reply; `None` if it is not one, or was garbled so that it shows.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let (header, body) = frame.split_at_checked(8)?;
        let length = usize::from(u16::from_le_bytes([header[2], header[3]]));
        let (data, status) = body.split_at_checked(body.len().checked_sub(2)?)?;
        if header[0] != 1 || length != body.len() {
            return None;
        }
        let value = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        // The ROM says whether and then why, stubs say why at once.
        let failed = match *status {
            [0, _] => 0,
            [1, why] => why.max(1),
            [why, _] => why,
            _ => return None,
        };
        Some(Self { op: header[1], value, data: data.to_vec(), failed })
    }
}

/// Returns the meaning of a failure's reason: those of the ROM, and those of stubs, from 0xc0.
pub fn reason(reason: u8) -> &'static str {
    match reason {
        0x05 | 0xc3 | 0xff => "the command was invalid",
        0x06 => "it could not be done",
        0x07 | 0xc1 => "the checksum was wrong",
        0x08 | 0xc4 => "erasing or writing flash failed",
        0x09 => "reading flash failed",
        0x0a | 0xc0 => "the length was wrong",
        0x0b | 0xc7 => "the compressed data was wrong",
        0xc5 => "the flash is locked",
        0xc6..=0xc9 | 0xcb => "the data did not come as announced",
        0xca => "the address is beyond the end of flash",
        _ => "it gave no reason",
    }
}

/// Returns true if the loader complains of what a bad line does to a command.
pub fn is_garbled(reason: u8) -> bool {
    matches!(reason, 0x05 | 0x07 | 0x0a | 0xc0 | 0xc1 | 0xc3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_the_bytes_of_the_description() {
        // READ_REG of 0x40001000.
        let frame = command(Op::ReadReg, &words([0x4000_1000]), 0);
        assert_eq!(frame, [0xc0, 0, 0x0a, 4, 0, 0, 0, 0, 0, 0, 0x10, 0, 0x40, 0xc0]);
        assert_eq!(checksum(b"\x01\x02"), 0xec);
        assert_eq!(block(7, b"ab")[..8], [2, 0, 0, 0, 7, 0, 0, 0]);
        assert_eq!(block(7, b"ab")[16..], *b"ab");
    }

    #[test]
    fn a_reply_is_taken_apart() {
        let reply = Reply::parse(&[1, 0x0a, 2, 0, 1, 0xc1, 0xf0, 0xff, 0, 0]).unwrap();
        assert_eq!((reply.op, reply.value), (0x0a, 0xfff0_c101));
        assert_eq!((reply.failed, reply.data.len()), (0, 0));
        let reply = Reply::parse(&[1, 0x03, 3, 0, 0, 0, 0, 0, 9, 1, 7]).unwrap();
        assert_eq!((reply.failed, reply.data), (7, vec![9]), "the ROM");
        let reply = Reply::parse(&[1, 0x03, 2, 0, 0, 0, 0, 0, 0xc1, 0]).unwrap();
        assert_eq!(reply.failed, 0xc1, "a stub");
    }

    #[test]
    fn what_is_no_reply_is_none() {
        let good = [1, 0x0a, 2, 0, 1, 0xc1, 0xf0, 0xff, 0, 0];
        assert!(Reply::parse(&good).is_some());
        for length in 0..good.len() {
            assert_eq!(Reply::parse(&good[..length]), None, "cut to {length}");
        }
        let mut command = good;
        command[0] = 0;
        assert_eq!(Reply::parse(&command), None, "the echo of a command");
        let mut wrong = good;
        wrong[3] = 0xff;
        assert_eq!(Reply::parse(&wrong), None, "a length of 65282");
    }
}
