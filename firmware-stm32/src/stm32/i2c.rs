//! The I2C slave (RM0090 §27), driven by its interrupts, without DMA.
//!
//! Why not the HAL's: its transfers have no time limit, dropping one leaves SCL stretched, and with
//! DMA bytes may come twice (embassy #5287). At 100 kHz a byte takes 90 µs, during which an interrupt
//! has ample time; when it is late, the peripheral stretches SCL and nothing is lost.

use core::cell::RefCell;
use core::marker::PhantomData;
use core::task::{Poll, Waker};

use embassy_stm32::gpio::{AfType, Flex, OutputType, Speed};
use embassy_stm32::i2c::{SclPin, SdaPin};
use embassy_stm32::interrupt::typelevel::{Binding, Handler, Interrupt};
use embassy_stm32::pac::i2c::I2c as Registers;
use embassy_stm32::pac::i2c::regs::Sr1;
use embassy_stm32::rcc::{self, RccPeripheral};
use embassy_stm32::{Peri, peripherals};
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::waitqueue::AtomicWaker;
use pblink_protocol::i2c::{ADDRESS, MAX_PAYLOAD};

use crate::hardware::{BusEvent, SlaveBus};

/// An I2C peripheral that can be the slave.
pub trait Instance: embassy_stm32::i2c::Instance + RccPeripheral {
    /// Its registers.
    const REGISTERS: Registers;
    /// Returns the state that its interrupt handlers and its driver share.
    fn shared() -> &'static Shared;
}

macro_rules! instance {
    ($($name:ident),*) => {$(
        impl Instance for peripherals::$name {
            const REGISTERS: Registers = embassy_stm32::pac::$name;
            fn shared() -> &'static Shared {
                static SHARED: Shared = Shared::new();
                &SHARED
            }
        }
    )*};
}
instance!(I2C1, I2C2, I2C3);

/// The state that the interrupt handlers and the driver share.
pub struct Shared {
    transfer: Mutex<CriticalSectionRawMutex, RefCell<Transfer>>,
    waker: AtomicWaker,
}

impl Shared {
    const fn new() -> Self {
        Self { transfer: Mutex::new(RefCell::new(Transfer::new())), waker: AtomicWaker::new() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut Transfer) -> R) -> R {
        self.transfer.lock(|transfer| f(&mut transfer.borrow_mut()))
    }
}

/// Bind it to the event interrupt (`I2C1_EV` and so on).
pub struct EventHandler<T>(PhantomData<T>);
/// Bind it to the error interrupt (`I2C1_ER` and so on).
pub struct ErrorHandler<T>(PhantomData<T>);

impl<T: Instance> Handler<T::EventInterrupt> for EventHandler<T> {
    #[allow(unsafe_code)]
    unsafe fn on_interrupt() {
        on_interrupt::<T>(Transfer::on_event);
    }
}

impl<T: Instance> Handler<T::ErrorInterrupt> for ErrorHandler<T> {
    #[allow(unsafe_code)]
    unsafe fn on_interrupt() {
        on_interrupt::<T>(Transfer::on_error);
    }
}

fn on_interrupt<T: Instance>(f: fn(&mut Transfer, Registers)) {
    let shared = T::shared();
    let happened = shared.with(|transfer| {
        f(transfer, T::REGISTERS);
        transfer.event.is_some()
    });
    if happened {
        shared.waker.wake();
    }
}

/// The driver.
pub struct I2cSlave<'d, T: Instance> {
    received: [u8; MAX_PAYLOAD],
    received_len: usize,
    _pins: [Flex<'d>; 2],
    _instance: Peri<'d, T>,
}

impl<'d, T: Instance> I2cSlave<'d, T> {
    /// Takes the peripheral, its pins and its two interrupts. The pull-ups of the bus are yours to
    /// fit: 4.7 kΩ each to 3.3 V; the chip's own are too weak.
    pub fn new(
        instance: Peri<'d, T>,
        scl: Peri<'d, impl SclPin<T>>,
        sda: Peri<'d, impl SdaPin<T>>,
        _interrupts: impl Binding<T::EventInterrupt, EventHandler<T>>
        + Binding<T::ErrorInterrupt, ErrorHandler<T>>,
    ) -> Self {
        let af = AfType::output(OutputType::OpenDrain, Speed::Medium);
        let numbers = [scl.af_num(), sda.af_num()];
        let mut pins = [Flex::new(scl), Flex::new(sda)];
        for (pin, number) in pins.iter_mut().zip(numbers) {
            pin.set_as_af_unchecked(number, af);
        }
        let mut slave =
            Self { received: [0; MAX_PAYLOAD], received_len: 0, _pins: pins, _instance: instance };
        slave.reset();
        // SAFETY: the handlers are bound, as `_interrupts` proves, and what they share is ready.
        #[allow(unsafe_code)]
        unsafe {
            T::EventInterrupt::enable();
            T::ErrorInterrupt::enable();
        }
        slave
    }

    fn arm(&mut self, direction: Direction, fill: impl FnOnce(&mut Transfer)) {
        T::shared().with(|transfer| {
            // A bus that looks busy now, between two transfers, has seen noise: begin clean.
            let busy = T::REGISTERS.sr2().read().busy();
            if busy || transfer.unclear || transfer.direction.is_some() {
                initialise::<T>(transfer);
            }
            transfer.begin(direction);
            fill(transfer);
            let r = T::REGISTERS;
            r.cr2().modify(|w| {
                w.set_itevten(true);
                w.set_iterren(true);
                w.set_itbufen(false);
            });
            // From here on the address is acknowledged (§27.6.1, ACK).
            r.cr1().modify(|w| w.set_ack(true));
        });
    }
}

/// Resets the peripheral through RCC (§7.3.11), which ends whatever it was in, and sets it up as slave.
fn initialise<T: Instance>(transfer: &mut Transfer) {
    rcc::enable_and_reset::<T>();
    let r = T::REGISTERS;
    let mhz = (rcc::frequency::<T>().0 / 1_000_000).clamp(2, 50) as u8;
    // §27.6.2: FREQ in MHz; no interrupt but errors until something is armed.
    r.cr2().write(|w| {
        w.set_freq(mhz);
        w.set_iterren(true);
    });
    r.oar1().write(|w| {
        w.set_add(u16::from(ADDRESS) << 1);
        // §27.6.3: bit 14 "should always be kept at 1 by software".
        w.0 |= 1 << 14;
    });
    // ACK stays 0: the address is not acknowledged. Stretching (NOSTRETCH = 0) is needed.
    r.cr1().write(|w| w.set_pe(true));
    *transfer = Transfer::new();
}

impl<T: Instance> SlaveBus for I2cSlave<'_, T> {
    fn arm_tx(&mut self, bytes: &[u8]) {
        self.arm(Direction::Tx, |transfer| {
            transfer.len = bytes.len().min(MAX_PAYLOAD);
            transfer.bytes[..transfer.len].copy_from_slice(&bytes[..transfer.len]);
        });
    }

    fn arm_rx(&mut self, len: usize) {
        self.arm(Direction::Rx, |transfer| transfer.len = len.min(MAX_PAYLOAD));
    }

    fn reset(&mut self) {
        T::shared().with(initialise::<T>);
    }

    fn received(&self) -> &[u8] {
        &self.received[..self.received_len]
    }

    fn poll_event(&mut self, waker: &Waker) -> Poll<BusEvent> {
        let shared = T::shared();
        shared.waker.register(waker);
        shared.with(|transfer| match transfer.event.take() {
            None => Poll::Pending,
            Some(event) => {
                if event == BusEvent::Received {
                    self.received_len = transfer.len;
                    self.received[..transfer.len].copy_from_slice(&transfer.bytes[..transfer.len]);
                }
                Poll::Ready(event)
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// The master reads.
    Tx,
    /// The master writes.
    Rx,
}

/// One transfer, as the interrupt handlers see it.
struct Transfer {
    /// The direction of the armed transfer; `None` without one.
    direction: Option<Direction>,
    /// The master has addressed us.
    addressed: bool,
    bytes: [u8; MAX_PAYLOAD],
    len: usize,
    /// Bytes that went through the data register.
    at: usize,
    /// The last byte has left the data register for the wire.
    shifted: bool,
    /// The data register may hold a byte: reset the peripheral before the next transfer.
    unclear: bool,
    event: Option<BusEvent>,
}

impl Transfer {
    const fn new() -> Self {
        Self {
            direction: None,
            addressed: false,
            bytes: [0; MAX_PAYLOAD],
            len: 0,
            at: 0,
            shifted: false,
            unclear: false,
            event: None,
        }
    }

    fn begin(&mut self, direction: Direction) {
        self.direction = Some(direction);
        self.addressed = false;
        self.len = 0;
        self.at = 0;
        self.shifted = false;
        self.event = None;
    }

    /// §27.3.2, slave mode; §27.6.6, SR1.
    fn on_event(&mut self, r: Registers) {
        let sr1 = r.sr1().read();
        if sr1.addr() {
            // ADDR is cleared by reading SR2 after SR1; SCL is stretched until then.
            let master_reads = r.sr2().read().tra();
            let expected = match self.direction {
                Some(Direction::Tx) => master_reads,
                Some(Direction::Rx) => !master_reads,
                None => false,
            };
            // A second address within a transfer is a repeated start: nothing of ours does that.
            if !expected || self.addressed {
                return self.fail(r);
            }
            self.addressed = true;
            r.cr2().modify(|w| w.set_itbufen(true));
            return;
        }
        match self.direction {
            Some(Direction::Tx) if self.addressed => self.on_transmit(r, sr1),
            Some(Direction::Rx) if self.addressed => self.on_receive(r, sr1),
            _ => self.fail(r),
        }
    }

    fn on_transmit(&mut self, r: Registers, sr1: Sr1) {
        if sr1.txe() {
            if self.at < self.len {
                r.dr().write(|w| w.set_dr(self.bytes[self.at]));
                self.at += 1;
                return;
            }
            // Nothing is left to write: silence TXE, and wait for the master's NACK (AF).
            self.shifted = true;
            r.cr2().modify(|w| w.set_itbufen(false));
        }
        // BTF: the master has acknowledged the last byte, so it wants more than there is. AF and BTF
        // do not come together.
        if sr1.stopf() || (sr1.btf() && self.shifted && !sr1.af()) {
            self.fail(r);
        }
    }

    fn on_receive(&mut self, r: Registers, sr1: Sr1) {
        if sr1.rxne() {
            let byte = r.dr().read().dr();
            if self.at >= self.len {
                return self.fail(r);
            }
            self.bytes[self.at] = byte;
            self.at += 1;
            // STOPF, if it is there already, is seen below only when nothing more is to be read:
            // with BTF there is a second byte behind this one.
            if sr1.btf() {
                return;
            }
        }
        if sr1.stopf() {
            // STOPF is cleared by writing CR1 after reading SR1, which `end` does.
            let event = if self.at == self.len { BusEvent::Received } else { BusEvent::Error };
            self.end(r, event);
        }
    }

    /// §27.6.6: AF is the master's NACK, with which a read ends; the others are errors.
    fn on_error(&mut self, r: Registers) {
        let sr1 = r.sr1().read();
        // The error flags are cleared by writing 0; 1 leaves them. Do not clear what was not seen.
        r.sr1().write_value(Sr1(!sr1.0 & 0xdf00));
        let only_af = sr1.af() && !(sr1.berr() || sr1.arlo() || sr1.ovr());
        let sent = self.direction == Some(Direction::Tx) && self.addressed && self.at == self.len;
        // A late interrupt finds TXE cleared by the stop (§27.6.6), and cannot tell whether the last
        // byte has left the data register. `ack` will tell; a byte that stayed must not be sent next.
        self.unclear = sent && !self.shifted && !sr1.txe();
        if only_af && sent {
            self.end(r, BusEvent::Sent);
        } else {
            self.fail(r);
        }
    }

    fn fail(&mut self, r: Registers) {
        self.end(r, BusEvent::Error);
        // What is pending stays so until the driver resets the peripheral: no interrupt until then.
        r.cr2().modify(|w| {
            w.set_itevten(false);
            w.set_itbufen(false);
            w.set_iterren(false);
        });
    }

    fn end(&mut self, r: Registers, event: BusEvent) {
        r.cr2().modify(|w| {
            w.set_itevten(false);
            w.set_itbufen(false);
        });
        // Nothing is armed: the address is not acknowledged any more.
        r.cr1().modify(|w| w.set_ack(false));
        self.direction = None;
        self.event = Some(event);
    }
}
