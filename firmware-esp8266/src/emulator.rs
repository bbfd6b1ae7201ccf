//! The emulator board: QEMU's lx106 core, `qemu-system-xtensa -M sim -cpu lx106`.
//!
//! The core has no peripherals of the ESP8266. Its one device is the console of the simulator calls: see
//! [`coprocessor`](pblink_emulated_board::coprocessor).

#![allow(unsafe_code, reason = "the boundary to emulator.S and the linker script")]

use core::cell::UnsafeCell;
use core::fmt;
use core::panic::PanicInfo;

use pblink_emulated_board::coprocessor::{self, Core, Emulator};

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

/// The word with which `emulator.S` fills the stack.
const PAINT: u32 = 0xa5a5_a5a5;

/// QEMU's lx106.
struct Lx106 {
    micros: u64,
    cycles: u32,
    /// Cycles that are not a whole microsecond yet.
    rest: u32,
}

impl Lx106 {
    fn new() -> Self {
        Self { micros: 0, cycles: ccount(), rest: 0 }
    }
}

impl Core for Lx106 {
    fn micros(&mut self) -> u64 {
        let cycles = ccount();
        let passed = cycles.wrapping_sub(self.cycles);
        self.cycles = cycles;
        // Two parts, since the sum may not fit.
        self.rest += passed % CYCLES_PER_MICRO;
        let whole = passed / CYCLES_PER_MICRO + self.rest / CYCLES_PER_MICRO;
        self.rest %= CYCLES_PER_MICRO;
        self.micros += u64::from(whole);
        self.micros
    }

    fn idle(&mut self, micros: u32) {
        // SAFETY: waits for a timer that it sets itself.
        unsafe { pblink_idle(micros * CYCLES_PER_MICRO) }
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let (at, len) = (bytes.as_mut_ptr() as u32, bytes.len() as u32);
        // SAFETY: the emulator writes at most `len` bytes there.
        let read = unsafe { pblink_simcall(READ, 0, at, len) };
        // -1 for "would block"
        if read <= len { read as usize } else { 0 }
    }

    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (at, len) = (bytes.as_ptr() as u32, bytes.len() as u32);
            // SAFETY: the emulator reads `len` bytes there.
            let written = unsafe { pblink_simcall(WRITE, 1, at, len) };
            if written > len {
                // The harness is gone, and nobody is left to report to.
                exit(3);
            }
            bytes = &bytes[written as usize..];
        }
    }

    fn stack_untouched(&mut self) -> u32 {
        // SAFETY: between the symbol and the stack pointer is only memory that was painted; the
        // scan ends at the latest where this function's own frame begins.
        unsafe {
            let bottom = _stack_bottom.get().cast_const();
            let mut at = bottom;
            while at.read_volatile() == PAINT {
                at = at.add(1);
            }
            at.byte_offset_from(bottom) as u32
        }
    }
}

fn ccount() -> u32 {
    // SAFETY: reads a register.
    unsafe { pblink_ccount() }
}

fn exit(code: u32) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { pblink_simcall(EXIT, code, 0, 0) };
    }
}

/// Entry from `emulator.S`.
#[unsafe(no_mangle)]
extern "C" fn pblink_emulator_main() -> ! {
    let mut board = Emulator::new(Lx106::new());
    #[cfg(feature = "vectors")]
    coprocessor::answer(&mut board);
    #[cfg(not(feature = "vectors"))]
    coprocessor::run(
        &mut board,
        program(),
        format_args!("pblink-esp8266 {}", env!("CARGO_PKG_VERSION")),
    )
}

/// Returns the program, which is too large for the stack of the chip.
#[cfg(not(feature = "vectors"))]
fn program() -> &'static mut pblink_coprocessor_program::Program {
    use pblink_coprocessor_program::Program;

    struct Place(UnsafeCell<Program>);
    // SAFETY: there is one thread, and one user.
    unsafe impl Sync for Place {}
    static PROGRAM: Place = Place(UnsafeCell::new(Program::idle()));
    // SAFETY: `pblink_emulator_main` runs once, and calls this once.
    unsafe { &mut *PROGRAM.0.get() }
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
    coprocessor::last_words(&mut Lx106::new(), why);
    exit(code)
}
