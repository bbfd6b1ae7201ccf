//! Stands in for the chip's ROM on QEMU's lx106 core, which has none of the chip's peripherals.
//!
//! It loads the stub where it belongs and starts it, as the ROM does. The ROM's functions that the stub
//! calls ask the test over pipes ([`rpc`]), which has the flash. The UART's registers are watched by the
//! core's debug unit: each touch traps, and is carried out here. So the stub that runs is the one that
//! is loaded into chips, byte for byte.

#![allow(unsafe_code, reason = "the boundary to rom.S and the core")]

use core::cell::UnsafeCell;
use core::panic::PanicInfo;

use crate::rpc::{self, ask};

// rom.S
unsafe extern "C" {
    fn bench_simcall(number: u32, a: u32, b: u32, c: u32) -> u32;
    safe fn bench_watch(address: u32, control: u32);
    safe fn bench_level() -> u32;
    safe fn bench_restore(level: u32);
    fn bench_start(entry: u32) -> !;
}

/// Numbers of the simulator calls: QEMU, `target/xtensa/xtensa-semi.c`.
const EXIT: u32 = 1;
const READ: u32 = 3;
const WRITE: u32 = 4;
const OPEN: u32 = 5;
/// Flags of OPEN.
const READ_ONLY: u32 = 0;
const WRITE_ONLY: u32 = 1;

/// The UART, and the registers of it that are modelled.
const UART: u32 = 0x6000_0000;
const FIFO: u32 = 0;
const CLKDIV: u32 = 0x14;
const STATUS: u32 = 0x1c;
/// 64 bytes from there, loads and stores.
const WATCH: u32 = 0xc000_0000;
/// The divider of the chip's UART at 115200 baud with the usual crystal.
const DIVIDER: u32 = 52_000_000 / 115_200;

/// The SPI controller's command register, the first data register, and the command that asks for the id
/// of the flash chip when the host gives it by registers: SPI_USR, with RDID in SPI_USR2.
const SPI_CMD: *mut u32 = 0x6000_0200 as *mut u32;
const SPI_USR2: *mut u32 = 0x6000_0224 as *mut u32;
const SPI_W0: *mut u32 = 0x6000_0240 as *mut u32;
const USR: u32 = 1 << 18;
const RDID: u32 = 0x9f;
/// Winbond, 4 MB.
const FLASH_ID: u32 = 0x16_40ef;

/// The chip's fuses: an ESP8266EX with the address 18:fe:34:01:02:03.
const FUSES: u32 = 0x3ff0_0050;
const FUSE_WORDS: [u32; 4] = [0x0300_0000, 0x0000_0102, 0, 0];

/// The content of the RAM for the stub's data before it runs, so that a stub that relies on zeroes shows.
const PAINT: u32 = 0xa5a5_a5a5;
const DATA: core::ops::Range<u32> = 0x3ffe_8000..0x3fff_c000;

struct Bench {
    to_test: u32,
    to_board: u32,
    received: [u8; rpc::MOST],
    taken: usize,
    waiting: usize,
    sent: [u8; 1024],
    unsent: usize,
    /// The stub's last action was to check for incoming bytes.
    waits: bool,
    /// The UART's clock divider. The RAM at the UART's place is never touched by this module: the emulator
    /// would stop for ever at a watched place when the trap is closed.
    divider: u32,
    buffer: [u8; rpc::MOST],
}

struct Place(UnsafeCell<Bench>);

// SAFETY: there is one thread; no function holds the bench while it lets the stub run.
unsafe impl Sync for Place {}

static BENCH: Place = Place(UnsafeCell::new(Bench {
    to_test: 0,
    to_board: 0,
    received: [0; _],
    taken: 0,
    waiting: 0,
    sent: [0; _],
    unsent: 0,
    waits: false,
    divider: DIVIDER,
    buffer: [0; _],
}));

/// Does something with the bench. Nothing traps meanwhile.
fn with<R>(what: impl FnOnce(&mut Bench) -> R) -> R {
    let level = bench_level();
    // SAFETY: see `Place`; nothing in this module calls `with` within `with`.
    let result = what(unsafe { &mut *BENCH.0.get() });
    bench_restore(level);
    result
}

fn read_all(file: u32, mut bytes: &mut [u8]) {
    while !bytes.is_empty() {
        let (at, len) = (bytes.as_mut_ptr() as u32, bytes.len() as u32);
        // SAFETY: the emulator writes at most `len` bytes there.
        let read = unsafe { bench_simcall(READ, file, at, len) };
        if read == 0 || read > len {
            // The test is gone.
            exit(3);
        }
        bytes = &mut bytes[read as usize..];
    }
}

fn write_all(file: u32, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (at, len) = (bytes.as_ptr() as u32, bytes.len() as u32);
        // SAFETY: the emulator reads at most `len` bytes there.
        let written = unsafe { bench_simcall(WRITE, file, at, len) };
        if written > len {
            exit(3);
        }
        bytes = &bytes[written as usize..];
    }
}

fn open(name: &[u8], flags: u32) -> u32 {
    // SAFETY: the name ends with a zero.
    unsafe { bench_simcall(OPEN, name.as_ptr() as u32, flags, 0) }
}

fn exit(code: u32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { bench_simcall(EXIT, code, 0, 0) };
    }
}

impl Bench {
    /// Asks the test. The answer's bytes are in the buffer.
    fn ask(&mut self, what: u8, a: u32, b: u32, bytes: &[u8]) -> (u32, usize) {
        self.waits = false;
        self.send();
        self.ask_now(what, a, b, bytes)
    }

    fn ask_now(&mut self, what: u8, a: u32, b: u32, bytes: &[u8]) -> (u32, usize) {
        let mut question = [what; rpc::QUESTION];
        question[1..5].copy_from_slice(&a.to_le_bytes());
        question[5..9].copy_from_slice(&b.to_le_bytes());
        question[9..].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        write_all(self.to_test, &question);
        write_all(self.to_test, bytes);
        let mut answer = [[0; 4]; 2];
        read_all(self.to_board, answer.as_flattened_mut());
        let [status, len] = answer.map(u32::from_le_bytes);
        read_all(self.to_board, &mut self.buffer[..len as usize]);
        (status, len as usize)
    }

    /// Sends what the stub has given to the UART.
    fn send(&mut self) {
        let unsent = core::mem::take(&mut self.unsent);
        let sent = self.sent;
        if unsent > 0 {
            self.ask_now(ask::SEND, 0, 0, &sent[..unsent]);
        }
    }

    fn load(&mut self, register: u32) -> u32 {
        match register {
            FIFO if self.taken < self.waiting => {
                self.taken += 1;
                u32::from(self.received[self.taken - 1])
            }
            FIFO => self.crash("the stub read a byte that had not come"),
            STATUS => {
                // What has been given to it has always left.
                if self.taken == self.waiting {
                    // Who wants to send looks here once. Only who waits for the host does so again.
                    if !core::mem::replace(&mut self.waits, true) {
                        return 0;
                    }
                    let (_, len) = self.ask(ask::RECEIVE, 0, 0, &[]);
                    self.received[..len].copy_from_slice(&self.buffer[..len]);
                    (self.taken, self.waiting) = (0, len);
                }
                (self.waiting - self.taken).min(128) as u32
            }
            CLKDIV => self.divider,
            _ => self.crash("the stub read a register of the UART that is not modelled"),
        }
    }

    fn store(&mut self, register: u32, value: u32) {
        self.waits = false;
        match register {
            FIFO => {
                self.sent[self.unsent] = value as u8;
                self.unsent += 1;
                if self.unsent == self.sent.len() {
                    self.send();
                }
            }
            _ => self.crash("the stub wrote a register of the UART that it must not"),
        }
    }

    fn crash(&mut self, why: &str) -> ! {
        self.ask(ask::CRASH, 0, 0, why.as_bytes());
        exit(2)
    }
}

/// Address at which the core starts.
#[unsafe(no_mangle)]
extern "C" fn bench_main() -> ! {
    for at in DATA.step_by(4) {
        // SAFETY: RAM that is not in use yet.
        unsafe { (at as *mut u32).write_volatile(PAINT) };
    }
    let entry = with(|bench| {
        bench.to_test = open(b"to-test\0", WRITE_ONLY);
        bench.to_board = open(b"to-board\0", READ_ONLY);
        loop {
            let (status, len) = bench.ask(ask::SEGMENT, 0, 0, &[]);
            let [a, b, c, d, bytes @ ..] = &bench.buffer[..len] else {
                bench.crash("a segment without an address")
            };
            let address = u32::from_le_bytes([*a, *b, *c, *d]);
            if status != 0 {
                break address;
            }
            for (at, word) in (address..).step_by(4).zip(bytes.chunks(4)) {
                let mut whole = [0; 4];
                whole[..word.len()].copy_from_slice(word);
                // SAFETY: RAM of the stub.
                unsafe { (at as *mut u32).write_volatile(u32::from_le_bytes(whole)) };
            }
        }
    });
    bench_watch(UART, WATCH);
    // SAFETY: the program has been loaded there.
    unsafe { bench_start(entry) }
}

/// The core is about to touch the UART: carries that out, and returns where to go on. Its registers are
/// those at the trap.
#[unsafe(no_mangle)]
extern "C" fn bench_trap(registers: &mut [u32; 16], pc: u32) -> u32 {
    // SAFETY: the stub does not use the bench while it traps.
    let bench = unsafe { &mut *BENCH.0.get() };
    finish_flash_command();
    let Some(Access { is_load, t, address, next }) = Access::at(registers, pc) else {
        bench.crash("the stub used a register of the UART otherwise than as a word");
    };
    let register = address.wrapping_sub(UART);
    if is_load {
        registers[t] = bench.load(register);
    } else {
        bench.store(register, registers[t]);
    }
    next
}

/// An instruction that loads or stores a word.
struct Access {
    is_load: bool,
    /// Register that it is loaded to or stored from.
    t: usize,
    address: u32,
    /// Address of the next instruction.
    next: u32,
}

impl Access {
    /// Source: Xtensa ISA, L32I and S32I, L32I.N and S32I.N.
    fn at(registers: &[u32; 16], pc: u32) -> Option<Self> {
        // SAFETY: the core has just executed code there.
        let code: [u32; 3] = core::array::from_fn(|n| {
            u32::from(unsafe { ((pc + n as u32) as *const u8).read_volatile() })
        });
        let (t, s, r) = ((code[0] >> 4) as usize, (code[1] & 15) as usize, code[1] >> 4);
        let (is_load, offset, len) = match (code[0] & 15, r) {
            (2, 2) => (true, code[2] << 2, 3),
            (2, 6) => (false, code[2] << 2, 3),
            (8, _) => (true, r << 2, 2),
            (9, _) => (false, r << 2, 2),
            _ => return None,
        };
        Some(Self { is_load, t, address: registers[s].wrapping_add(offset), next: pc + len })
    }
}

/// Plays the SPI controller, by which the host reads the id of the flash chip. Its registers are plain
/// RAM here; they are looked at whenever the UART is touched, so before the host can look.
fn finish_flash_command() {
    // SAFETY: plain RAM in the emulator.
    unsafe {
        if SPI_CMD.read_volatile() & USR != 0 {
            if SPI_USR2.read_volatile() & 0xff == RDID {
                SPI_W0.write_volatile(FLASH_ID);
            }
            SPI_CMD.write_volatile(0);
        }
    }
}

/// The core has raised an exception. If it was about to read the chip's fuses, which the emulator lacks,
/// that is carried out; all else is the end.
#[unsafe(no_mangle)]
extern "C" fn bench_fault(registers: &mut [u32; 16], pc: u32, cause: u32, address: u32) -> u32 {
    if let Some(word) = address.checked_sub(FUSES).and_then(|at| FUSE_WORDS.get(at as usize / 4))
        && let Some(Access { is_load: true, t, next, .. }) = Access::at(registers, pc)
    {
        registers[t] = *word;
        return next;
    }
    bench_level();
    // SAFETY: whoever held the bench does not go on.
    let bench = unsafe { &mut *BENCH.0.get() };
    let mut text = *b"exception CC at PPPPPPPP, address AAAAAAAA";
    hex(&mut text[10..12], cause);
    hex(&mut text[16..24], pc);
    hex(&mut text[34..42], address);
    bench.ask(ask::CRASH, 0, 0, &text);
    exit(2)
}

fn hex(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

// ---- the ROM's functions ----

fn ask(what: u8, a: u32, b: u32) -> u32 {
    with(|bench| bench.ask(what, a, b, &[]).0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_isr_mask(mask: u32) {
    ask(ask::MASK, mask, 0);
}

#[unsafe(no_mangle)]
extern "C" fn rom_user_start(address: u32) {
    ask(ask::USER_START, address, 0);
}

#[unsafe(no_mangle)]
extern "C" fn rom_user_code() -> ! {
    ask(ask::USER_CODE, 0, 0);
    exit(0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_reset() -> ! {
    ask(ask::RESET, 0, 0);
    exit(0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_delay(micros: u32) {
    ask(ask::DELAY, micros, 0);
}

#[unsafe(no_mangle)]
extern "C" fn rom_div_modify(uart: u32, divider: u32) {
    with(|bench| {
        bench.ask(ask::DIVIDER, divider, uart, &[]);
        bench.divider = divider;
        // The ROM's empties both FIFOs.
        (bench.taken, bench.waiting) = (0, 0);
    });
}

#[unsafe(no_mangle)]
extern "C" fn rom_select() {
    ask(ask::ATTACH, 0, 0);
}

#[unsafe(no_mangle)]
extern "C" fn rom_attach() {
    ask(ask::ATTACH, 1, 0);
}

#[unsafe(no_mangle)]
extern "C" fn rom_unlock() -> u32 {
    ask(ask::UNLOCK, 0, 0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_erase_chip() -> u32 {
    ask(ask::ERASE_CHIP, 0, 0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_erase_block(number: u32) -> u32 {
    ask(ask::ERASE_BLOCK, number, 0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_erase_sector(number: u32) -> u32 {
    ask(ask::ERASE_SECTOR, number, 0)
}

#[unsafe(no_mangle)]
extern "C" fn rom_write(address: u32, from: *const u8, len: u32) -> u32 {
    with(|bench| {
        if !(from as u32).is_multiple_of(4) {
            bench.crash("the stub wrote flash from a place that is not aligned");
        }
        // SAFETY: the stub says that this many bytes are there.
        let bytes = unsafe { core::slice::from_raw_parts(from, len as usize) };
        bench.ask(ask::WRITE, address, 0, bytes).0
    })
}

#[unsafe(no_mangle)]
extern "C" fn rom_read(address: u32, to: *mut u8, len: u32) -> u32 {
    with(|bench| {
        if !(to as u32).is_multiple_of(4) {
            bench.crash("the stub read flash to a place that is not aligned");
        }
        let (status, read) = bench.ask(ask::READ, address, len, &[]);
        if status == 0 {
            // SAFETY: the stub says that there is room for this many bytes.
            let bytes = unsafe { core::slice::from_raw_parts_mut(to, len as usize) };
            bytes.copy_from_slice(&bench.buffer[..read]);
        }
        status
    })
}

#[unsafe(no_mangle)]
extern "C" fn rom_parameters(
    id: u32,
    size: u32,
    block: u32,
    sector: u32,
    page: u32,
    mask: u32,
) -> u32 {
    with(|bench| {
        let words = [id, size, block, sector, page, mask].map(u32::to_le_bytes);
        bench.ask(ask::PARAMETERS, 0, 0, words.as_flattened()).0
    })
}

/// Never called: in this build a panic is a jump to `abort`, see `build.sh`. The compiler wants one.
#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(1)
}
