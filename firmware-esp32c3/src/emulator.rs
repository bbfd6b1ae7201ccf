//! The emulator board: a core of QEMU with the chip's instructions and none of its peripherals,
//! `qemu-system-riscv32 -M virt`.
//!
//! It has one device, its UART: see [`coprocessor`](pblink_emulated_board::coprocessor). It sleeps until a byte comes or a
//! time is up; no interrupt is ever taken.
//!
//! Addresses: QEMU, `hw/riscv/virt.c`; UART: 16550; timer and interrupt controller: RISC-V ACLINT and PLIC specifications.

#![allow(unsafe_code, reason = "the boundary to the hardware and the linker script")]

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::fmt;
use core::panic::PanicInfo;

use pblink_emulated_board::coprocessor::{Core, last_words};

// The start of the core, in machine mode. The stack is painted, so that its deepest use can be measured.
global_asm!(
    ".section .reset, \"ax\"",
    ".global _reset",
    "_reset:",
    "la t0, 4f",
    "csrw mtvec, t0",
    "la t0, _bss_start",
    "la t1, _bss_end",
    "1: bgeu t0, t1, 2f",
    "sw zero, 0(t0)",
    "addi t0, t0, 4",
    "j 1b",
    "2: la sp, _stack_top",
    "la t0, _stack_bottom",
    "li t1, {paint}",
    "3: sw t1, 0(t0)",
    "addi t0, t0, 4",
    "bltu t0, sp, 3b",
    "tail pblink_emulator_main",
    // Goal of every trap, aligned as mtvec wants it. None of them is an interrupt, and none returns.
    ".balign 4",
    "4: tail {fault}",
    fault = sym on_fault,
    paint = const PAINT,
);

// emulator.ld
unsafe extern "C" {
    static _stack_bottom: UnsafeCell<u32>;
}

/// The word with which the stack is filled.
const PAINT: u32 = 0xa5a5_a5a5;

/// Ends the emulator: the device `sifive_test`.
const TEST: usize = 0x0010_0000;
const TEST_FAIL: u32 = 0x3333;

/// Time in units of 100 ns, and the time of the timer's interrupt: two words each, the lower one first.
const TIME: usize = 0x0200_bff8;
const TIME_COMPARE: usize = 0x0200_4000;
const PER_MICRO: u64 = 10;

/// The interrupt controller, for this core in machine mode.
const PRIORITIES: usize = 0x0c00_0000;
const ENABLE: usize = 0x0c00_2000;
const THRESHOLD: usize = 0x0c20_0000;
const CLAIM: usize = 0x0c20_0004;
const UART_SOURCE: usize = 10;

/// The UART's registers of a byte each: data, interrupts, FIFO, state.
const UART: usize = 0x1000_0000;
const UART_INTERRUPTS: usize = UART + 1;
const UART_FIFO: usize = UART + 2;
const UART_STATE: usize = UART + 5;
const RECEIVED: u8 = 1;
/// FIFOs on; the interrupt comes at eight bytes, which is as many as the harness sends at a time.
const FIFO_OF_8: u8 = 0x81;
const HAS_BYTE: u8 = 1;
const TAKES_BYTE: u8 = 1 << 5;

/// Interrupts that end a sleep, as bits of `mie`: the timer's, and those of the controller.
const WAKES: u32 = 1 << 7 | 1 << 11;

/// QEMU's core.
#[derive(Debug)]
pub struct Virt(());

impl Virt {
    /// Sets the core up.
    #[allow(clippy::new_without_default, reason = "it changes registers")]
    pub fn new() -> Self {
        write(PRIORITIES + 4 * UART_SOURCE, 1_u32);
        write(ENABLE, 1_u32 << UART_SOURCE);
        write(THRESHOLD, 0_u32);
        write(UART_FIFO, FIFO_OF_8);
        write(UART_INTERRUPTS, RECEIVED);
        // SAFETY: with interrupts off altogether, as they are from the start, these only end a sleep.
        unsafe { asm!("csrw mie, {}", in(reg) WAKES) };
        Self(())
    }
}

impl Core for Virt {
    fn micros(&mut self) -> u64 {
        ticks() / PER_MICRO
    }

    fn idle(&mut self, micros: u32) {
        // There is no moment in which the time is neither the old nor the new one, and earlier than both.
        let until = ticks() + u64::from(micros) * PER_MICRO;
        write(TIME_COMPARE + 4, u32::MAX);
        write(TIME_COMPARE, until as u32);
        write(TIME_COMPARE + 4, (until >> 32) as u32);
        // SAFETY: sleeps until the timer or a byte.
        unsafe { asm!("wfi") };
        let source: u32 = read(CLAIM);
        if source != 0 {
            write(CLAIM, source);
        }
    }

    fn read(&mut self, bytes: &mut [u8]) -> usize {
        let mut count = 0;
        while count < bytes.len() && read::<u8>(UART_STATE) & HAS_BYTE != 0 {
            bytes[count] = read(UART);
            count += 1;
        }
        count
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            while read::<u8>(UART_STATE) & TAKES_BYTE == 0 {}
            write(UART, byte);
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

/// Returns the time since the start of the emulator.
fn ticks() -> u64 {
    loop {
        let (high, low): (u32, u32) = (read(TIME + 4), read(TIME));
        // Else the lower word has begun anew in between.
        if high == read(TIME + 4) {
            return u64::from(high) << 32 | u64::from(low);
        }
    }
}

fn read<T: Copy>(register: usize) -> T {
    // SAFETY: only the registers above, which exist on this machine.
    unsafe { (register as *const T).read_volatile() }
}

fn write<T>(register: usize, value: T) {
    // SAFETY: as above.
    unsafe { (register as *mut T).write_volatile(value) }
}

/// An exception.
extern "C" fn on_fault() -> ! {
    let (cause, at, value): (u32, u32, u32);
    // SAFETY: reads registers.
    unsafe {
        asm!(
            "csrr {}, mcause",
            "csrr {}, mepc",
            "csrr {}, mtval",
            out(reg) cause,
            out(reg) at,
            out(reg) value,
        );
    }
    die(format_args!("exception {cause} at {at:#x}, address {value:#x}"), 2)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    die(format_args!("{info}"), 1)
}

fn die(why: fmt::Arguments<'_>, code: u32) -> ! {
    last_words(&mut Virt(()), why);
    loop {
        write(TEST, code << 16 | TEST_FAIL);
    }
}
