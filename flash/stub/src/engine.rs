//! The commands, for any chip.
//!
//! A command is answered when it has been carried out, also a block of data when it is in flash. So the
//! host sends nothing while the flash is being written, when the stub could not take it from the 128 bytes
//! that the chip holds; no interrupt is needed, and an error belongs to the block whose answer it is.
//! The line rests while the flash is written: that costs less than the rest of a block's time, and
//! compression gains more.

use md5::{Digest, Md5};
use miniz_oxide::inflate::core::DecompressorOxide;

use crate::chip::Chip;
use crate::protocol::{
    BLOCK, BLOCK_HEADER, ERASE_BLOCK, Error, FRAME, GREETING, HEADER, LARGEST_FLASH, PACKET,
    SECTOR, SYNC_ANSWERS, command,
};
use crate::writing::{WINDOW, Writing, erase_some};

const SLIP_END: u8 = 0xc0;
const SLIP_ESCAPE: u8 = 0xdb;
const SLIP_ESCAPED_END: u8 = 0xdc;
const SLIP_ESCAPED_ESCAPE: u8 = 0xdd;

/// The most packets of READ_FLASH that are not acknowledged. The chip holds 128 bytes from the host, an
/// acknowledgement has at most 10, and none is looked at while a packet is sent.
const IN_FLIGHT: u32 = 8;

/// Microseconds for the host's adapter to pass on what has been sent, and for the line to settle.
const BEFORE_CHANGE: u32 = 10_000;
const AFTER_CHANGE: u32 = 1_000;

#[repr(align(4))]
struct Aligned<const N: usize>([u8; N]);

/// Memory for the stub: too large for a stack.
pub struct Memory {
    frame: Aligned<FRAME>,
    window: Aligned<WINDOW>,
    /// Buffer for reading, which may begin and end within a word.
    read: Aligned<{ PACKET as usize + 8 }>,
}

impl Memory {
    /// Zeroed.
    #[allow(clippy::new_without_default, reason = "made in a static only")]
    pub const fn new() -> Self {
        Self { frame: Aligned([0; _]), window: Aligned([0; _]), read: Aligned([0; _]) }
    }
}

/// The stub.
pub struct Stub<'a, C> {
    chip: C,
    memory: &'a mut Memory,
    decompressor: &'a mut DecompressorOxide,
    writing: Option<Writing>,
    flash_size: u32,
}

/// The bytes between two ends of frames.
enum Received {
    /// This many bytes.
    Whole(usize),
    /// This many bytes, and then something that no frame has.
    Broken(usize),
}

/// The action after the answer to a command.
enum Then {
    Nothing,
    Divider(u32),
    Read { address: u32, size: u32, packet: u32, in_flight: u32 },
    Reset,
}

/// The answer to a command.
#[derive(Default)]
struct Answer {
    value: u32,
    digest: Option<[u8; 16]>,
}

type Done = Result<(Answer, Then), Error>;

fn done() -> Done {
    Ok((Answer::default(), Then::Nothing))
}

impl<'a, C: Chip> Stub<'a, C> {
    /// Makes a stub on a chip whose flash is not set up yet.
    pub fn new(chip: C, memory: &'a mut Memory, decompressor: &'a mut DecompressorOxide) -> Self {
        Self { chip, memory, decompressor, writing: None, flash_size: LARGEST_FLASH }
    }

    /// Greets, and carries commands out. Returns when the chip shall go on to the program in flash
    /// (RUN_USER_CODE).
    pub fn run(&mut self) {
        self.chip.attach();
        // Every chip takes this; the host may give the exact values.
        let _ = self.set_parameters([0, LARGEST_FLASH, ERASE_BLOCK, SECTOR, 0x100, 0xffff]);
        self.send_frame(&[&GREETING]);
        let mut received = self.receive();
        loop {
            let (len, error) = match received {
                Received::Whole(len) => (len, None),
                Received::Broken(len) => (len, Some(Error::NotARequest)),
            };
            // Too short a frame has no number; no host waits for an answer to 0.
            let number = self.memory.frame.0[..len].get(1).copied().unwrap_or(0);
            let done = match error.or_else(|| self.is_bad(len)) {
                Some(error) => Err(error),
                None if number == command::RUN_USER_CODE => return,
                None => self.command(number, len - HEADER),
            };
            received = match done {
                Ok((answer, then)) => {
                    self.answer(number, &answer);
                    if number == command::SYNC {
                        for _ in 1..SYNC_ANSWERS {
                            self.answer(number, &answer);
                        }
                    }
                    self.then(then)
                }
                Err(error) => {
                    self.refuse(number, error);
                    None
                }
            }
            .unwrap_or_else(|| self.receive());
        }
    }

    // ---- frames ----

    /// Waits for a frame and leaves it in memory. Each end of a frame also begins one: so what was
    /// disturbed before does no harm.
    fn receive(&mut self) -> Received {
        let mut len = 0;
        let mut is_whole = true;
        loop {
            let byte = match self.chip.receive() {
                SLIP_END if len == 0 && is_whole => continue,
                SLIP_END if is_whole => return Received::Whole(len),
                SLIP_END => return Received::Broken(len),
                SLIP_ESCAPE => match self.chip.receive() {
                    SLIP_ESCAPED_END => SLIP_END,
                    SLIP_ESCAPED_ESCAPE => SLIP_ESCAPE,
                    SLIP_END => return Received::Broken(len),
                    _ => {
                        is_whole = false;
                        continue;
                    }
                },
                byte => byte,
            };
            if let Some(place) = self.memory.frame.0.get_mut(len) {
                *place = byte;
                len += 1;
            } else {
                is_whole = false;
            }
        }
    }

    fn send_frame(&mut self, parts: &[&[u8]]) {
        send_frame(&mut self.chip, parts);
    }

    fn answer(&mut self, number: u8, answer: &Answer) {
        let digest = answer.digest.as_ref().map_or(&[][..], |digest| &digest[..]);
        let [a, b, c, d] = answer.value.to_le_bytes();
        let header = [1, number, digest.len() as u8 + 2, 0, a, b, c, d];
        self.send_frame(&[&header, digest, &[0, 0]]);
    }

    fn refuse(&mut self, number: u8, error: Error) {
        self.send_frame(&[&[1, number, 2, 0, 0, 0, 0, 0, error as u8, 0]]);
    }

    /// Returns the fault of the frame, if it is not a request.
    fn is_bad(&self, len: usize) -> Option<Error> {
        match &self.memory.frame.0[..len] {
            [0, _, low, high, _, _, _, _, data @ ..] => {
                let told = usize::from(u16::from_le_bytes([*low, *high]));
                (told != data.len()).then_some(Error::Length)
            }
            _ => Some(Error::NotARequest),
        }
    }

    /// Returns the data of the frame as words, if it is exactly these.
    fn words<const N: usize>(&self, len: usize) -> Result<[u32; N], Error> {
        if len != 4 * N {
            return Err(Error::Length);
        }
        Ok(core::array::from_fn(|n| word(&self.memory.frame.0, HEADER + 4 * n)))
    }

    // ---- commands ----

    /// Carries a command out whose data has `len` bytes.
    fn command(&mut self, number: u8, len: usize) -> Done {
        match number {
            // Its data is ignored; its length distinguishes it from noise.
            command::SYNC if len == 36 => done(),
            command::SYNC => Err(Error::Length),
            command::READ_REG => {
                let [address] = self.words(len)?;
                let value = self.chip.peek(aligned(address)?);
                Ok((Answer { value, digest: None }, Then::Nothing))
            }
            command::WRITE_REG => self.write_registers(len),
            command::SPI_ATTACH => {
                let [_] = self.words(len)?;
                self.chip.attach();
                done()
            }
            command::SPI_SET_PARAMS => {
                let parameters = self.words(len)?;
                self.set_parameters(parameters)
            }
            command::CHANGE_BAUDRATE => {
                let [new, old] = self.words(len)?;
                // Which crystal the chip has is not known. Its clock follows from what works now.
                let clock = self.chip.divider().checked_mul(old).ok_or(Error::Range)?;
                let rounded = clock.checked_add(new / 2).ok_or(Error::Range)?;
                match rounded.checked_div(new) {
                    Some(divider @ 1..=0xf_ffff) => Ok((Answer::default(), Then::Divider(divider))),
                    _ => Err(Error::Range),
                }
            }
            command::FLASH_BEGIN | command::FLASH_DEFL_BEGIN => {
                self.begin(len, number == command::FLASH_DEFL_BEGIN)
            }
            command::FLASH_DATA | command::FLASH_DEFL_DATA => {
                self.data(len, number == command::FLASH_DEFL_DATA)
            }
            command::FLASH_END | command::FLASH_DEFL_END => {
                let [stay] = self.words(len)?;
                // Left also if it fails: there is nothing that could still be done.
                self.writing.take().ok_or(Error::NotBegun)?.end()?;
                let then = if stay == 0 { Then::Reset } else { Then::Nothing };
                Ok((Answer::default(), then))
            }
            command::SPI_FLASH_MD5 => {
                let [address, size, _, _] = self.words(len)?;
                self.check_range(address, size)?;
                self.digest(address, size)
            }
            command::ERASE_FLASH => {
                let [] = self.words(len)?;
                self.writing = None;
                self.chip.unlock().map_err(|_| Error::Unlock)?;
                self.chip.erase_chip().map_err(|_| Error::Flash)?;
                done()
            }
            command::ERASE_REGION => {
                let [address, size] = self.words(len)?;
                self.erase_region(address, size)
            }
            command::READ_FLASH => {
                let [address, size, packet, in_flight] = self.words(len)?;
                self.check_range(address, size)?;
                if !(1..=PACKET).contains(&packet) || in_flight == 0 {
                    return Err(Error::BlockSize);
                }
                let in_flight = in_flight.min(IN_FLIGHT);
                Ok((Answer::default(), Then::Read { address, size, packet, in_flight }))
            }
            _ => Err(Error::Unknown),
        }
    }

    /// Entries of address, value, mask, and microseconds to wait before.
    fn write_registers(&mut self, len: usize) -> Done {
        const ENTRY: usize = 16;
        if len == 0 || !len.is_multiple_of(ENTRY) {
            return Err(Error::Length);
        }
        for entry in (HEADER..HEADER + len).step_by(ENTRY) {
            let [address, value, mask, delay] =
                core::array::from_fn(|n| word(&self.memory.frame.0, entry + 4 * n));
            let address = aligned(address)?;
            self.chip.delay(delay);
            let kept = if mask == u32::MAX { 0 } else { self.chip.peek(address) & !mask };
            self.chip.poke(address, value & mask | kept);
        }
        done()
    }

    fn set_parameters(&mut self, parameters: [u32; 6]) -> Done {
        let size = parameters[1];
        if size == 0 || size > LARGEST_FLASH || !size.is_multiple_of(SECTOR) {
            return Err(Error::Range);
        }
        self.chip.set_parameters(parameters).map_err(|_| Error::Flash)?;
        self.flash_size = size;
        done()
    }

    /// That a range is within the flash.
    fn check_range(&self, address: u32, size: u32) -> Result<(), Error> {
        match address.checked_add(size) {
            Some(end) if end <= self.flash_size => Ok(()),
            _ => Err(Error::Range),
        }
    }

    /// Data: size to write, number of blocks, size of a block, address, and perhaps whether to encrypt,
    /// which this chip cannot.
    fn begin(&mut self, len: usize, is_deflated: bool) -> Done {
        self.writing = None;
        let [size, _, block, address] = match len {
            20 => {
                let [words @ .., encrypt] = self.words::<5>(len)?;
                if encrypt != 0 {
                    return Err(Error::Unknown);
                }
                words
            }
            _ => self.words(len)?,
        };
        if block as usize > BLOCK {
            return Err(Error::BlockSize);
        }
        self.check_range(address, size)?;
        if !address.is_multiple_of(SECTOR) {
            // What lies before it in the sector would be lost.
            return Err(Error::Range);
        }
        self.chip.unlock().map_err(|_| Error::Unlock)?;
        self.decompressor.init();
        self.writing = Some(Writing::new(address, size, is_deflated));
        done()
    }

    fn data(&mut self, len: usize, is_deflated: bool) -> Done {
        let writing = self.writing.as_mut().ok_or(Error::NotBegun)?;
        if writing.is_deflated() != is_deflated {
            return Err(Error::NotBegun);
        }
        let Memory { frame, window, .. } = &mut *self.memory;
        let frame = &frame.0[..HEADER + len];
        let Some(bytes) = frame.get(HEADER + BLOCK_HEADER..) else {
            return Err(Error::Length);
        };
        if word(frame, HEADER) as usize != bytes.len() || bytes.is_empty() {
            return Err(Error::Length);
        }
        let sum = bytes.iter().fold(0xef, |sum, byte| sum ^ byte);
        if word(frame, 4) != u32::from(sum) {
            return Err(Error::Checksum);
        }
        let number = word(frame, HEADER + 4);
        writing.block(&mut self.chip, number, bytes, &mut window.0, self.decompressor)?;
        done()
    }

    fn erase_region(&mut self, address: u32, size: u32) -> Done {
        self.check_range(address, size)?;
        if !address.is_multiple_of(SECTOR) || !size.is_multiple_of(SECTOR) {
            return Err(Error::Range);
        }
        self.writing = None;
        self.chip.unlock().map_err(|_| Error::Unlock)?;
        let (mut at, end) = (address / SECTOR, (address + size) / SECTOR);
        while at < end {
            at += erase_some(&mut self.chip, at, end).map_err(|_| Error::Flash)?;
        }
        done()
    }

    fn digest(&mut self, address: u32, size: u32) -> Done {
        let mut digest = Md5::new();
        let (mut at, end) = (address, address + size);
        while at < end {
            let len = PACKET.min(end - at);
            digest.update(read(&mut self.chip, &mut self.memory.read.0, at, len)?);
            at += len;
        }
        Ok((Answer { value: 0, digest: Some(digest.finalize().into()) }, Then::Nothing))
    }

    // ---- after the answer ----

    /// Returns what has been received meanwhile, if that is a request.
    fn then(&mut self, then: Then) -> Option<Received> {
        match then {
            Then::Nothing => None,
            Then::Divider(divider) => {
                self.chip.flush();
                self.chip.delay(BEFORE_CHANGE);
                self.chip.set_divider(divider);
                self.chip.delay(AFTER_CHANGE);
                None
            }
            Then::Reset => {
                self.chip.flush();
                self.chip.delay(BEFORE_CHANGE);
                self.chip.reset();
                None
            }
            Then::Read { address, size, packet, in_flight } => {
                self.read_flash(address, size, packet, in_flight)
            }
        }
    }

    /// Sends packets of flash as frames without headers, and their digest when the host has
    /// acknowledged the last: it answers with frames of the number of bytes that it has. Any other frame
    /// ends this, and is taken as the next request: a host that has given up is not waited for.
    fn read_flash(
        &mut self,
        address: u32,
        size: u32,
        packet: u32,
        in_flight: u32,
    ) -> Option<Received> {
        let mut digest = Md5::new();
        let (mut sent, mut acknowledged) = (0, 0);
        while acknowledged < size {
            while sent < size && (sent - acknowledged).div_ceil(packet) < in_flight {
                let len = packet.min(size - sent);
                let bytes = read(&mut self.chip, &mut self.memory.read.0, address + sent, len);
                match bytes {
                    Ok(bytes) => {
                        digest.update(bytes);
                        send_frame(&mut self.chip, &[bytes]);
                    }
                    Err(error) => {
                        // No packet looks like this, unless it has this very size.
                        self.refuse(command::READ_FLASH, error);
                        return None;
                    }
                }
                sent += len;
            }
            match self.receive() {
                Received::Whole(4) => {
                    let told = word(&self.memory.frame.0, 0);
                    if !(acknowledged..=sent).contains(&told) {
                        self.refuse(command::READ_FLASH, Error::Sequence);
                        return None;
                    }
                    acknowledged = told;
                }
                // An acknowledgement that was disturbed: a later one says more.
                Received::Broken(_) => {}
                request @ Received::Whole(_) => return Some(request),
            }
        }
        let digest: [u8; 16] = digest.finalize().into();
        self.send_frame(&[&digest]);
        None
    }
}

fn send_frame<C: Chip>(chip: &mut C, parts: &[&[u8]]) {
    chip.send(SLIP_END);
    for &byte in parts.iter().copied().flatten() {
        match byte {
            SLIP_END => {
                chip.send(SLIP_ESCAPE);
                chip.send(SLIP_ESCAPED_END);
            }
            SLIP_ESCAPE => {
                chip.send(SLIP_ESCAPE);
                chip.send(SLIP_ESCAPED_ESCAPE);
            }
            byte => chip.send(byte),
        }
    }
    chip.send(SLIP_END);
}

/// Reads flash from any address.
fn read<'b, C: Chip>(
    chip: &mut C,
    buffer: &'b mut [u8; PACKET as usize + 8],
    address: u32,
    len: u32,
) -> Result<&'b [u8], Error> {
    let skip = address % 4;
    let whole = (skip + len).next_multiple_of(4) as usize;
    chip.read(address - skip, &mut buffer[..whole]).map_err(|_| Error::Flash)?;
    Ok(&buffer[skip as usize..(skip + len) as usize])
}

/// Returns the word at a place in the frame.
fn word(frame: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]])
}

/// Returns an address that the chip can use without an exception.
fn aligned(address: u32) -> Result<u32, Error> {
    if address.is_multiple_of(4) { Ok(address) } else { Err(Error::Range) }
}
