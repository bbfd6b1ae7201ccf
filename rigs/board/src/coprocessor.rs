//! The emulator board of a coprocessor, apart from the core that runs it.
//!
//! The emulators have none of the chips' peripherals. A core has one device, its console, and on it everything
//! passes that a chip has pins and a radio for: see [`frame`](crate::frame).

use core::fmt::{self, Write};

use heapless::Vec;
use pblink_coprocessor_program::{Board, Event, Program, SEND, Syn};
use pblink_protocol::i2c::BusFault;
use pblink_protocol::time::Duration;

use crate::frame::{self, from_board, to_board};
use crate::questions;

/// The requirements on a core.
pub trait Core {
    /// Returns the microseconds since some moment before the first call.
    fn micros(&mut self) -> u64;
    /// Sleeps for so many microseconds at most.
    fn idle(&mut self, micros: u32);
    /// Reads bytes of the console that are there: 0 if none are.
    fn read(&mut self, bytes: &mut [u8]) -> usize;
    /// Writes to the console.
    fn write(&mut self, bytes: &[u8]);
    /// Returns the size of what the stack has never reached, in bytes.
    fn stack_untouched(&mut self) -> u32;
}

/// The time that the core sleeps before it looks at the console again, in microseconds.
const NAP: u32 = 250;

/// The same in the middle of a frame or a transfer.
const BLINK: u32 = 25;

/// The longest wait for the answer to a transfer, in microseconds.
const TRANSFER: u64 = 2_000_000;

/// The board.
#[derive(Debug)]
pub struct Emulator<C> {
    core: C,
    input: Vec<u8, 4096>,
    syn: bool,
    /// Edges of `syn` have come since it was looked at.
    moved: bool,
    transfer: u8,
    connection: u8,
    connected: bool,
    sending: [u8; SEND],
}

/// A frame, copied out of the input.
#[derive(Debug)]
struct Frame {
    kind: u8,
    content: Vec<u8, { frame::MAX }>,
}

impl<C: Core> Emulator<C> {
    /// Makes the board, says so to the harness, and waits for the level of `syn`.
    pub fn new(core: C) -> Self {
        let mut board = Self {
            core,
            input: Vec::new(),
            syn: true,
            moved: false,
            transfer: 0,
            connection: 0,
            connected: false,
            sending: [0; SEND],
        };
        board.emit(from_board::BOOT, &[]);
        while board.take(|kind, _| kind == to_board::SYN).is_none() {
            board.core.idle(NAP);
        }
        board
    }

    fn emit(&mut self, kind: u8, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut bytes: Vec<u8, { frame::HEADER + frame::MAX }> = Vec::new();
        let fits = bytes.extend_from_slice(&frame::header(kind, len)).is_ok()
            && parts.iter().all(|part| bytes.extend_from_slice(part).is_ok());
        assert!(fits, "header() has checked the length");
        self.core.write(&bytes);
    }

    /// Takes the first frame that is wanted; the others stay, in order. The level of `syn` is noted
    /// as soon as it is here, as if the wire were looked at.
    fn take(&mut self, wanted: impl Fn(u8, &[u8]) -> bool) -> Option<Frame> {
        while self.input.capacity() - self.input.len() >= frame::CHUNK {
            let mut chunk = [0; frame::CHUNK];
            let n = self.core.read(&mut chunk);
            if n == 0 {
                break;
            }
            let _ = self.input.extend_from_slice(&chunk[..n]);
            self.emit(from_board::MORE, &[]);
        }
        let mut at = 0;
        loop {
            let found = frame::first(&self.input[at..]).expect("the harness is in step");
            let (kind, content, len) = found?;
            let frame = Frame { kind, content: content.iter().copied().collect() };
            if kind == to_board::SYN {
                self.syn = content.first() == Some(&1);
                self.moved = true;
            }
            let is_wanted = wanted(kind, content);
            if is_wanted || kind == to_board::SYN {
                self.input.copy_within(at + len.., at);
                self.input.truncate(self.input.len() - len);
                if is_wanted {
                    return Some(frame);
                }
            } else {
                at += len;
            }
        }
    }

    /// Waits for the answer to the transfer just begun; the bytes are those that were read.
    fn answer(&mut self) -> Result<Frame, BusFault> {
        let number = self.transfer;
        let limit = self.core.micros() + TRANSFER;
        loop {
            // The answer to one that was given up is dropped.
            if let Some(frame) = self.take(|kind, _| kind == to_board::I2C)
                && frame.content.first() == Some(&number)
            {
                return match frame.content.get(1) {
                    Some(&frame::OK) => Ok(frame),
                    Some(&frame::NO_ADDRESS) => Err(BusFault::NoAddress),
                    _ => Err(BusFault::Other),
                };
            }
            if self.core.micros() >= limit {
                return Err(BusFault::Other);
            }
            self.core.idle(BLINK);
        }
    }

    /// Returns the longest time to sleep.
    fn nap(&self) -> u32 {
        if self.input.is_empty() { NAP } else { BLINK }
    }

    /// Hands the program what has arrived. Returns whether there was anything.
    fn events(&mut self, program: &mut Program) -> bool {
        let mut any = false;
        while let Some(frame) = self.take(|kind, _| kind != to_board::I2C) {
            any = true;
            let micros = self.micros();
            let number = frame.content.first().copied();
            let event = match frame.kind {
                to_board::SYN => continue,
                to_board::WIFI => Event::Wifi(number == Some(1)),
                _ if !self.connected || number != Some(self.connection) => continue,
                to_board::CONNECTED => Event::Connected,
                to_board::SENT => Event::Sent,
                to_board::RECEIVED => {
                    program.event(Event::Received(&frame.content[1..]), micros);
                    self.emit(from_board::TAKEN, &[&[self.connection]]);
                    continue;
                }
                to_board::FAILED => {
                    self.connected = false;
                    Event::ConnectFailed
                }
                to_board::CLOSED => {
                    self.connected = false;
                    Event::Closed
                }
                _ => continue,
            };
            program.event(event, micros);
        }
        any || self.moved
    }
}

impl<C: Core> Board for Emulator<C> {
    fn micros(&mut self) -> u32 {
        self.core.micros() as u32
    }

    fn syn(&mut self) -> Syn {
        // Never wanted, but noted.
        let _ = self.take(|_, _| false);
        Syn { level: self.syn, moved: core::mem::take(&mut self.moved) }
    }

    fn set_ack(&mut self, level: bool) {
        self.emit(from_board::ACK, &[&[u8::from(level)]]);
    }

    fn i2c_read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), BusFault> {
        self.transfer = self.transfer.wrapping_add(1);
        self.emit(from_board::READ, &[&[self.transfer, address, bytes.len() as u8]]);
        let frame = self.answer()?;
        let read = frame.content.get(2..).filter(|read| read.len() == bytes.len());
        bytes.copy_from_slice(read.ok_or(BusFault::Other)?);
        Ok(())
    }

    fn i2c_write(&mut self, address: u8, bytes: &[u8]) -> Result<(), BusFault> {
        self.transfer = self.transfer.wrapping_add(1);
        self.emit(from_board::WRITE, &[&[self.transfer, address], bytes]);
        self.answer().map(|_| ())
    }

    /// Nobody gives out addresses here.
    fn set_host_name(&mut self, _: &str) {}

    fn join_remembered(&mut self) {
        self.emit(from_board::JOIN, &[]);
    }

    fn join(&mut self, ssid: &str, password: &str) {
        self.emit(from_board::JOIN, &[ssid.as_bytes(), &[0], password.as_bytes()]);
    }

    fn leave(&mut self) {
        self.emit(from_board::LEAVE, &[]);
    }

    fn ask(&mut self, len: usize) {
        let bytes = self.sending;
        self.emit(from_board::ASK, &[&bytes[..len]]);
    }

    fn connect(&mut self, server: &str, port: u16) {
        self.connection = self.connection.wrapping_add(1);
        self.connected = true;
        let parts = [&[self.connection][..], &port.to_le_bytes(), server.as_bytes()];
        self.emit(from_board::CONNECT, &parts);
    }

    fn disconnect(&mut self) {
        if core::mem::take(&mut self.connected) {
            self.emit(from_board::CLOSE, &[&[self.connection]]);
        }
    }

    fn send_buffer(&mut self) -> &mut [u8; SEND] {
        &mut self.sending
    }

    fn send(&mut self, len: usize) {
        let bytes = self.sending;
        self.emit(from_board::SEND, &[&[self.connection], &bytes[..len]]);
    }

    /// Returns the size of what the stack has never reached: the nearest to a heap that this board has.
    fn mem_free(&mut self) -> u32 {
        self.core.stack_untouched()
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        let mut text: heapless::String<160> = heapless::String::new();
        // A line that is too long is cut.
        let _ = text.write_fmt(line);
        self.emit(from_board::LOG, &[text.as_bytes()]);
    }
}

/// Runs the program for ever. `name` is the firmware's, for the console.
pub fn run<C: Core>(board: &mut Emulator<C>, program: &mut Program, name: fmt::Arguments<'_>) -> ! {
    program.start(board.syn().level);
    board.log(format_args!("{name} on the emulator"));
    loop {
        let pause = program.run(board).unwrap_or(Duration::from_secs(1));
        let until = board.core.micros() + pause.as_micros();
        while !board.events(program) {
            let now = board.core.micros();
            if now >= until {
                break;
            }
            let nap = u64::from(board.nap());
            board.core.idle((until - now).clamp(10, nap) as u32);
        }
    }
}

/// Answers questions for ever, instead of the program.
pub fn answer<C: Core>(board: &mut Emulator<C>) -> ! {
    loop {
        if let Some(case) = board.take(|kind, _| kind == to_board::CASE)
            && let Some((&question, input)) = case.content.split_first()
        {
            board.emit(from_board::ANSWER, &[&questions::answer(question, input)]);
        } else {
            let nap = board.nap();
            board.core.idle(nap);
        }
    }
}

/// Writes the last words of a program to the harness.
pub fn last_words(core: &mut impl Core, why: fmt::Arguments<'_>) {
    let mut text: heapless::String<300> = heapless::String::new();
    let _ = text.write_fmt(why);
    core.write(&frame::header(from_board::LOG, text.len()));
    core.write(text.as_bytes());
}
