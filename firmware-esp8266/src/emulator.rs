//! The emulator board: QEMU's lx106 core, `qemu-system-xtensa -M sim -cpu lx106`.
//!
//! The core has no peripherals of the ESP8266. Its one device is the console of the simulator calls,
//! and on it everything passes that the chip has pins and a radio for: see [`frame`].

#![allow(unsafe_code, reason = "the boundary to emulator.S and the linker script")]

use core::cell::UnsafeCell;
use core::fmt::{self, Write};
use core::panic::PanicInfo;

use heapless::Vec;
use pblink_coprocessor_program::{Board, Event, Program, SEND, Syn};
use pblink_emulated_board::frame::{self, from_board, to_board};
use pblink_protocol::i2c::BusFault;
use pblink_protocol::time::Duration;

// emulator.S
unsafe extern "C" {
    fn pblink_simcall(number: u32, a: u32, b: u32, c: u32) -> u32;
    fn pblink_ccount() -> u32;
    fn pblink_idle(cycles: u32);
}

// emulator.ld
unsafe extern "C" {
    static _stack_bottom: UnsafeCell<u32>;
}

/// Numbers of the simulator calls: QEMU, `target/xtensa/xtensa-semi.c`.
const EXIT: u32 = 1;
const READ: u32 = 3;
const WRITE: u32 = 4;

/// QEMU's lx106 counts at this rate.
const CYCLES_PER_MICRO: u32 = 40;

/// The time that the core sleeps before it looks at the console again, in microseconds.
const NAP: u32 = 250;

/// The same in the middle of a frame or a transfer.
const BLINK: u32 = 25;

/// The longest wait for the answer to a transfer.
const TRANSFER: u64 = 2_000_000;

/// The word with which `emulator.S` fills the stack.
const PAINT: u32 = 0xa5a5_a5a5;

struct Emulator {
    micros: u64,
    cycles: u32,
    /// Cycles that are not a whole microsecond yet.
    rest: u32,
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
struct Frame {
    kind: u8,
    content: Vec<u8, { frame::MAX }>,
}

impl Emulator {
    fn new() -> Self {
        let mut board = Self {
            micros: 0,
            cycles: simple::ccount(),
            rest: 0,
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
            simple::idle(NAP);
        }
        board
    }

    fn time(&mut self) -> u64 {
        let cycles = simple::ccount();
        let passed = cycles.wrapping_sub(self.cycles);
        self.cycles = cycles;
        // Two parts, since the sum may not fit.
        self.rest += passed % CYCLES_PER_MICRO;
        let whole = passed / CYCLES_PER_MICRO + self.rest / CYCLES_PER_MICRO;
        self.rest %= CYCLES_PER_MICRO;
        self.micros += u64::from(whole);
        self.micros
    }

    fn emit(&mut self, kind: u8, parts: &[&[u8]]) {
        let len = parts.iter().map(|part| part.len()).sum();
        let mut bytes: Vec<u8, { frame::HEADER + frame::MAX }> = Vec::new();
        let fits = bytes.extend_from_slice(&frame::header(kind, len)).is_ok()
            && parts.iter().all(|part| bytes.extend_from_slice(part).is_ok());
        assert!(fits, "header() has checked the length");
        simple::write(&bytes);
    }

    /// Takes the first frame that is wanted; the others stay, in order. The level of `syn` is noted
    /// as soon as it is here, as if the wire were looked at.
    fn take(&mut self, wanted: impl Fn(u8, &[u8]) -> bool) -> Option<Frame> {
        while self.input.capacity() - self.input.len() >= frame::CHUNK {
            let mut chunk = [0; frame::CHUNK];
            let n = simple::read(&mut chunk);
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
        let limit = self.time() + TRANSFER;
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
            if self.time() >= limit {
                return Err(BusFault::Other);
            }
            simple::idle(BLINK);
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

impl Board for Emulator {
    fn micros(&mut self) -> u32 {
        self.time() as u32
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
        simple::stack_untouched()
    }

    fn log(&mut self, line: fmt::Arguments<'_>) {
        let mut text: heapless::String<160> = heapless::String::new();
        // A line that is too long is cut.
        let _ = text.write_fmt(line);
        self.emit(from_board::LOG, &[text.as_bytes()]);
    }
}

/// The calls into assembly, made safe.
mod simple {
    use super::{CYCLES_PER_MICRO, PAINT, READ, WRITE};

    pub(super) fn ccount() -> u32 {
        // SAFETY: reads a register.
        unsafe { super::pblink_ccount() }
    }

    pub(super) fn idle(micros: u32) {
        // SAFETY: waits for a timer that it sets itself.
        unsafe { super::pblink_idle(micros * CYCLES_PER_MICRO) }
    }

    /// Reads what is there; 0 if nothing is.
    pub(super) fn read(bytes: &mut [u8]) -> usize {
        let (at, len) = (bytes.as_mut_ptr() as u32, bytes.len() as u32);
        // SAFETY: the emulator writes at most `len` bytes there.
        let read = unsafe { super::pblink_simcall(READ, 0, at, len) };
        // -1 for "would block"
        if read <= len { read as usize } else { 0 }
    }

    pub(super) fn write(mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (at, len) = (bytes.as_ptr() as u32, bytes.len() as u32);
            // SAFETY: the emulator reads `len` bytes there.
            let written = unsafe { super::pblink_simcall(WRITE, 1, at, len) };
            if written > len {
                // The harness is gone, and nobody is left to report to.
                exit(3);
            }
            bytes = &bytes[written as usize..];
        }
    }

    pub(super) fn exit(code: u32) -> ! {
        loop {
            // SAFETY: does not return.
            unsafe { super::pblink_simcall(super::EXIT, code, 0, 0) };
        }
    }

    pub(super) fn stack_untouched() -> u32 {
        // SAFETY: between the symbol and the stack pointer is only memory that was painted; the
        // scan ends at the latest where this function's own frame begins.
        unsafe {
            let bottom = super::_stack_bottom.get().cast_const();
            let mut at = bottom;
            while at.read_volatile() == PAINT {
                at = at.add(1);
            }
            at.byte_offset_from(bottom) as u32
        }
    }
}

/// Memory for the program. It is too large for the stack of the chip.
struct Place(UnsafeCell<Program>);

// SAFETY: there is one thread, and one user: `pblink_emulator_main`.
unsafe impl Sync for Place {}

static PROGRAM: Place = Place(UnsafeCell::new(Program::idle()));

/// Entry from `emulator.S`.
#[unsafe(no_mangle)]
extern "C" fn pblink_emulator_main() -> ! {
    let mut board = Emulator::new();
    #[cfg(feature = "vectors")]
    answer(&mut board);
    #[cfg(not(feature = "vectors"))]
    run(&mut board)
}

/// Answers questions for ever.
#[cfg(feature = "vectors")]
fn answer(board: &mut Emulator) -> ! {
    loop {
        if let Some(case) = board.take(|kind, _| kind == to_board::CASE)
            && let Some((&question, input)) = case.content.split_first()
        {
            board.emit(
                from_board::ANSWER,
                &[&pblink_emulated_board::questions::answer(question, input)],
            );
        } else {
            simple::idle(board.nap());
        }
    }
}

/// Runs the program for ever.
#[cfg_attr(feature = "vectors", allow(dead_code, reason = "the other image's"))]
fn run(board: &mut Emulator) -> ! {
    // SAFETY: this function runs once, and is the only user.
    let program = unsafe { &mut *PROGRAM.0.get() };
    program.start(board.syn().level);
    board.log(format_args!("pblink-esp8266 {} on the emulator", env!("CARGO_PKG_VERSION")));
    loop {
        let pause = program.run(board).unwrap_or(Duration::from_secs(1));
        let until = board.time() + pause.as_micros();
        while !board.events(program) {
            let now = board.time();
            if now >= until {
                break;
            }
            simple::idle((until - now).clamp(10, u64::from(board.nap())) as u32);
        }
    }
}

/// Entry from `emulator.S` when the core has raised an exception.
#[unsafe(no_mangle)]
extern "C" fn pblink_emulator_fault(cause: u32, pc: u32, address: u32) -> ! {
    die(format_args!("exception {cause} at {pc:#x}, address {address:#x}"), 2)
}

/// A panic, which the compiler makes a call of `abort` (`emulator.S`), as on the chip. `from` is
/// behind that call, and `addr2line` knows in which function.
#[unsafe(no_mangle)]
extern "C" fn pblink_emulator_aborted(from: u32) -> ! {
    die(format_args!("panic before {from:#x}"), 1)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    die(format_args!("{info}"), 1)
}

fn die(why: fmt::Arguments<'_>, code: u32) -> ! {
    let mut text: heapless::String<300> = heapless::String::new();
    let _ = text.write_fmt(why);
    simple::write(&frame::header(from_board::LOG, text.len()));
    simple::write(text.as_bytes());
    simple::exit(code)
}
