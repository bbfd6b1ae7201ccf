//! The pins as wired in micropython-iot: GPIO0 scl, GPIO2 sda, GPIO5 syn, GPIO4 ack; and the speed of the
//! console.
//!
//! Registers: ESP8266 Technical Reference, chapter 1 and appendix (GPIO, IO_MUX); SDK,
//! `include/eagle_soc.h`.

use super::raw;
use pblink_coprocessor_program::i2c::Lines;

const SCL: u32 = 0;
const SDA: u32 = 2;
const ACK: u32 = 4;
const SYN: u32 = 5;

const GPIO: u32 = 0x6000_0300;
const OUT_SET: u32 = GPIO + 0x04;
const OUT_CLEAR: u32 = GPIO + 0x08;
const ENABLE_SET: u32 = GPIO + 0x10;
const ENABLE_CLEAR: u32 = GPIO + 0x14;
const IN: u32 = GPIO + 0x18;
/// The first of the pins' own registers: bit 2 open drain, bits 7–9 kind of interrupt.
const PIN: u32 = GPIO + 0x28;
const OPEN_DRAIN: u32 = 1 << 2;
const ANY_EDGE: u32 = 3 << 7;

/// IO_MUX of GPIO0, 2, 4, 5: function 0 is GPIO, bit 7 the pull-up.
const MUX: [u32; 4] = [0x6000_0834, 0x6000_0838, 0x6000_083c, 0x6000_0840];
const FUNCTION: u32 = 0x13 << 4;
const PULL_UP: u32 = 1 << 7;

/// UART_CLKDIV of UART0 (Technical Reference, 11.5): the divisor of its clock of 80 MHz.
const UART0_DIVISOR: u32 = 0x6000_0014;
/// Of the console, in bits per second: that of the boot messages of chips with a crystal of 26 MHz.
const CONSOLE: u32 = 74_880;

fn read(register: u32) -> u32 {
    // SAFETY: only the registers above, which always exist.
    unsafe { (register as *const u32).read_volatile() }
}

fn write(register: u32, value: u32) {
    // SAFETY: as above; they move pins and set a speed, nothing else.
    unsafe { (register as *mut u32).write_volatile(value) }
}

/// Sets the console's speed, whatever the crystal or a loader has left.
pub(super) fn set_console_speed() {
    write(UART0_DIVISOR, 80_000_000 / CONSOLE);
}

/// Sets the pins up. `ack` stays an input, so that its pull-up holds it high, until it is first set.
pub(super) fn set_up() {
    for mux in MUX {
        write(mux, read(mux) & !FUNCTION | PULL_UP);
    }
    write(OUT_SET, 1 << SCL | 1 << SDA);
    for pin in [SCL, SDA] {
        write(PIN + 4 * pin, OPEN_DRAIN);
    }
    write(ENABLE_SET, 1 << SCL | 1 << SDA);
    write(ENABLE_CLEAR, 1 << SYN | 1 << ACK);
    write(PIN + 4 * ACK, 0);
    write(PIN + 4 * SYN, ANY_EDGE);
}

pub(super) fn syn() -> bool {
    read(IN) >> SYN & 1 != 0
}

pub(super) fn set_ack(level: bool) {
    write(if level { OUT_SET } else { OUT_CLEAR }, 1 << ACK);
    write(ENABLE_SET, 1 << ACK);
}

/// The bus's pins.
#[derive(Debug)]
pub(super) struct Bus;

impl Lines for Bus {
    fn set_scl(&mut self, level: bool) {
        write(if level { OUT_SET } else { OUT_CLEAR }, 1 << SCL);
    }

    fn set_sda(&mut self, level: bool) {
        write(if level { OUT_SET } else { OUT_CLEAR }, 1 << SDA);
    }

    fn scl(&mut self) -> bool {
        read(IN) >> SCL & 1 != 0
    }

    fn sda(&mut self) -> bool {
        read(IN) >> SDA & 1 != 0
    }

    fn half_clock(&mut self) {
        // The calls around it take the rest of 5 µs.
        // SAFETY: counts cycles.
        unsafe { raw::ets_delay_us(4) }
    }

    fn micros(&mut self) -> u32 {
        // SAFETY: reads a timer.
        unsafe { raw::system_get_time() }
    }
}
