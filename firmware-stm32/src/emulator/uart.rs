//! Bytes over USART2, the second serial port of QEMU's board (RM0090 §30.6).

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;
use heapless::Deque;

const USART2: *mut u32 = 0x4000_4400 as *mut u32;
/// The data register, in words from the first.
const DR: usize = 1;
/// The first control register.
const CR1: usize = 3;
/// Enabled: USART, transmitter, receiver.
const ON: u32 = 1 << 13 | 1 << 3 | 1 << 2;
/// Interrupt when a byte is there.
const RXNEIE: u32 = 1 << 5;

/// Room for several of the longest frames.
const ROOM: usize = 4096;

static RECEIVED: Mutex<RefCell<Deque<u8, ROOM>>> = Mutex::new(RefCell::new(Deque::new()));
pub(super) static WAKER: AtomicWaker = AtomicWaker::new();

fn write(register: usize, value: u32) {
    // SAFETY: a register of a peripheral that only this module uses.
    unsafe { USART2.add(register).write_volatile(value) }
}

/// Switches it on, with its interrupt. QEMU needs neither clock nor pins nor a baud rate for it.
pub(super) fn start() {
    write(CR1, ON | RXNEIE);
    // SAFETY: bit 6 of NVIC_ISER1 is interrupt 38; its handler is `on_interrupt`.
    unsafe { (0xe000_e104 as *mut u32).write_volatile(1 << (super::USART2 - 32)) }
}

/// Takes a byte that is there. If no task takes them, the interrupt stays off and QEMU keeps the next.
pub(super) fn on_interrupt() {
    critical_section::with(|cs| {
        let mut received = RECEIVED.borrow_ref_mut(cs);
        // SAFETY: as in `write`. The status is not looked at: only a byte interrupts. It is never written
        // either, since QEMU's model would take that for the loss of a byte.
        let byte = unsafe { USART2.add(DR).read_volatile() } as u8;
        let _ = received.push_back(byte);
        if received.is_full() {
            write(CR1, ON);
        }
    });
    WAKER.wake();
}

/// Takes the next byte.
pub(super) fn read() -> Option<u8> {
    critical_section::with(|cs| {
        let mut received = RECEIVED.borrow_ref_mut(cs);
        let was_full = received.is_full();
        let byte = received.pop_front();
        if was_full {
            write(CR1, ON | RXNEIE);
        }
        byte
    })
}

/// Sends. QEMU's transmitter is always empty: the byte is gone when the register is written.
pub(super) fn send(bytes: &[u8]) {
    for &byte in bytes {
        write(DR, byte.into());
    }
}
