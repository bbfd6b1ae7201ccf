//! A console on a USART (RM0090 §30): transmitter only, interrupt driven, and never in the way.
//!
//! Printing copies into a ring of 1 KB and returns. When that is full the rest is dropped, and the next
//! text that fits reports the loss: a slow console must not slow the link down.

use core::cell::RefCell;
use core::fmt::{self, Write};
use core::marker::PhantomData;

use embassy_stm32::Peri;
use embassy_stm32::gpio::{AfType, Flex, OutputType, Speed};
use embassy_stm32::interrupt::typelevel::{Binding, Handler, Interrupt};
use embassy_stm32::pac::usart::Usart as Registers;
use embassy_stm32::peripherals;
use embassy_stm32::rcc::{self, RccPeripheral};
use embassy_stm32::usart::TxPin;
use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;

const SIZE: usize = 1024;

/// A USART that can be the console.
pub trait Instance: embassy_stm32::usart::Instance + RccPeripheral {
    /// Its registers.
    const REGISTERS: Registers;
}

macro_rules! instance {
    ($($name:ident),*) => {$(
        impl Instance for peripherals::$name {
            const REGISTERS: Registers = embassy_stm32::pac::$name;
        }
    )*};
}
instance!(USART1, USART2, USART6);
// The STM32F411 has none.
#[cfg(not(feature = "stm32f411"))]
instance!(USART3);

struct Ring {
    bytes: heapless::Deque<u8, SIZE>,
    registers: Option<Registers>,
    /// Characters were dropped since the last text that fitted.
    dropped: bool,
}

static RING: Mutex<CriticalSectionRawMutex, RefCell<Ring>> = Mutex::new(RefCell::new(Ring {
    bytes: heapless::Deque::new(),
    registers: None,
    dropped: false,
}));

/// Bind it to the USART's interrupt.
pub struct ConsoleHandler<T>(PhantomData<T>);

impl<T: Instance> Handler<T::Interrupt> for ConsoleHandler<T> {
    #[allow(unsafe_code)]
    unsafe fn on_interrupt() {
        RING.lock(|ring| {
            let ring = &mut *ring.borrow_mut();
            let r = T::REGISTERS;
            if !r.sr().read().txe() {
                return;
            }
            match ring.bytes.pop_front() {
                Some(byte) => r.dr().write(|w| w.set_dr(u16::from(byte))),
                None => r.cr1().modify(|w| w.set_txeie(false)),
            }
        });
    }
}

/// Console that texts are printed to. It is `Copy`; print from any task. There is one console.
#[derive(Debug, Clone, Copy)]
pub struct Console(());

impl Console {
    /// Takes the USART and its pin: 8 bits, no parity, 1 stop bit, `baud` bits a second.
    pub fn new<T: Instance>(
        _instance: Peri<'static, T>,
        tx: Peri<'static, impl TxPin<T>>,
        baud: u32,
        _interrupt: impl Binding<T::Interrupt, ConsoleHandler<T>>,
    ) -> Self {
        let af = tx.af_num();
        let mut pin = Flex::new(tx);
        pin.set_as_af_unchecked(af, AfType::output(OutputType::PushPull, Speed::Low));
        // The pin stays what it is now.
        core::mem::forget(pin);
        rcc::enable_and_reset::<T>();
        let r = T::REGISTERS;
        // §30.3.4: BRR is the clock divided by the baud rate, when each bit is sampled 16 times.
        let divider = (rcc::frequency::<T>().0 + baud / 2) / baud.max(1);
        r.brr().write(|w| w.set_brr(divider.clamp(16, 0xffff) as u16));
        r.cr1().write(|w| {
            w.set_ue(true);
            w.set_te(true);
        });
        RING.lock(|ring| ring.borrow_mut().registers = Some(r));
        // SAFETY: the handler is bound, as `_interrupt` proves.
        #[allow(unsafe_code)]
        unsafe {
            T::Interrupt::enable();
        }
        Self(())
    }

    /// Prints one line.
    pub fn line(self, text: fmt::Arguments<'_>) {
        // Writing into the ring cannot fail: what does not fit is dropped.
        let _ = Printer.write_fmt(format_args!("{text}\r\n"));
    }
}

struct Printer;

impl Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        RING.lock(|ring| {
            let ring = &mut *ring.borrow_mut();
            const NOTE: &str = "\r\n[console too slow: text dropped]\r\n";
            let note = if ring.dropped { NOTE } else { "" };
            if SIZE - ring.bytes.len() < note.len() + text.len() {
                ring.dropped = true;
                return;
            }
            ring.dropped = false;
            for byte in note.bytes().chain(text.bytes()) {
                let _ = ring.bytes.push_back(byte);
            }
            if let Some(r) = ring.registers {
                r.cr1().modify(|w| w.set_txeie(true));
            }
        });
        Ok(())
    }
}
