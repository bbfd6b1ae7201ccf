//! `syn`, `ack` and reset (RM0090 §8, GPIO; §12, EXTI).
//!
//! Every edge of `ack` is latched by EXTI. Two of its pulses may be shorter than an interrupt takes
//! to be served: when one is over by then, the level is what it was before, and both edges are reported.

use core::marker::PhantomData;
use core::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use core::task::{Poll, Waker};

use embassy_stm32::Peri;
use embassy_stm32::gpio::{AnyPin, Flex, Level, Output, Pull, Speed};
use embassy_stm32::interrupt::typelevel::{self, Binding, Handler, Interrupt};
use embassy_stm32::pac::gpio::Gpio;
use embassy_stm32::pac::gpio::vals::Idr;
use embassy_stm32::pac::{EXTI, GPIOA, SYSCFG};
use embassy_sync::waitqueue::AtomicWaker;
use pblink_protocol::time::Duration;

use crate::hardware::Wires;

/// Pin, level and length of the pulse that resets the ESP8266.
pub struct Reset<'d> {
    /// The pin.
    pub pin: Peri<'d, AnyPin>,
    /// The level that resets. `Low`, straight to the RST pin: the pin is then open-drain with
    /// pull-up, so that a reset button does no harm. `High`, through a transistor: push-pull.
    pub active: Level,
    /// The length of the pulse. The reference's is 200 ms.
    pub pulse: Duration,
}

/// An interrupt that serves EXTI lines.
pub trait ExtiInterrupt: Interrupt {
    /// The lines, a bit for each.
    const LINES: u16;
}

macro_rules! exti {
    ($($name:ident: $lines:expr;)*) => {$(
        impl ExtiInterrupt for typelevel::$name {
            const LINES: u16 = $lines;
        }
    )*};
}
exti! {
    EXTI0: 1 << 0;
    EXTI1: 1 << 1;
    EXTI2: 1 << 2;
    EXTI3: 1 << 3;
    EXTI4: 1 << 4;
    EXTI9_5: 0x03e0;
    EXTI15_10: 0xfc00;
}

/// Why the pins cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WiringError {
    /// The EXTI line of the `ack` pin (its number within the port) is not served by the interrupt.
    Interrupt,
}

impl core::fmt::Display for WiringError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("bind the EXTI interrupt that serves the number of the ack pin")
    }
}

impl core::error::Error for WiringError {}

/// The edges of the only `ack` wire. They alternate, so their number is enough: with an even number the
/// level is the one that it was at the beginning. Only the interrupt handler counts.
static EDGES: AtomicU32 = AtomicU32::new(0);
/// Its line, a bit; 0 for none.
static LINE: AtomicU16 = AtomicU16::new(0);
/// Its port and pin, and (bit 8) its level at the beginning.
static PIN: AtomicU32 = AtomicU32::new(0);
static WAKER: AtomicWaker = AtomicWaker::new();

const INITIALLY_HIGH: u32 = 1 << 8;

/// Bind it to the EXTI interrupt of the `ack` pin: `EXTI0` to `EXTI4`, `EXTI9_5`, `EXTI15_10`.
pub struct AckHandler<I>(PhantomData<I>);

impl<I: ExtiInterrupt> Handler<I> for AckHandler<I> {
    #[allow(unsafe_code)]
    unsafe fn on_interrupt() {
        let line = LINE.load(Ordering::Relaxed);
        if line & I::LINES != 0 {
            on_edge(line);
        }
    }
}

fn port_and_pin() -> (Gpio, usize, bool) {
    let pin = PIN.load(Ordering::Relaxed);
    (port_registers((pin >> 4) as u8 & 0xf), pin as usize & 0xf, pin & INITIALLY_HIGH != 0)
}

/// The ports stand one behind the other (§2.3), in the order of their numbers, which are also those of SYSCFG_EXTICR
/// (§9.3.3). Which of them there are depends on the chip; `number` is that of a pin, so this one is there.
fn port_registers(number: u8) -> Gpio {
    const SIZE: usize = 0x400;
    // SAFETY: the address of a port's registers, which are read and written one word at a time.
    #[allow(unsafe_code)]
    unsafe {
        Gpio::from_ptr(GPIOA.as_ptr().byte_add(usize::from(number) * SIZE))
    }
}

fn on_edge(line: u16) {
    let (port, pin, initial) = port_and_pin();
    let mut level = false;
    // If the line is pending again after its level was read, it is not known whether the level is
    // that before or after: read again. A wire that never rests is left to the next interrupt.
    for _ in 0..8 {
        EXTI.pr(0).write(|w| w.0 = u32::from(line));
        level = port.idr().read().idr(pin) == Idr::HIGH;
        if EXTI.pr(0).read().0 & u32::from(line) == 0 {
            break;
        }
    }
    let edges = EDGES.load(Ordering::Relaxed);
    let known = initial ^ (edges & 1 != 0);
    // Level as before, and yet an edge: the pulse is over. Both edges are reported.
    let more = if known == level { 2 } else { 1 };
    EDGES.store(edges.wrapping_add(more), Ordering::Release);
    WAKER.wake();
}

/// The driver of the three wires. There can be one at a time.
pub struct AckSynReset<'d> {
    syn: Output<'d>,
    reset: Flex<'d>,
    active: Level,
    pulse: Duration,
    _ack: Flex<'d>,
    initial: bool,
    /// Edges that were reported.
    reported: u32,
}

impl<'d> AckSynReset<'d> {
    /// Takes the three pins. `syn` is high from here on, which makes the ESP8266 wait; `ack` gets
    /// a pull-up, since it is not driven while the ESP8266 boots.
    ///
    /// # Errors
    /// If the interrupt is not the one of the `ack` pin.
    pub fn new<I: ExtiInterrupt>(
        syn: Peri<'d, AnyPin>,
        ack: Peri<'d, AnyPin>,
        reset: Reset<'d>,
        _interrupt: impl Binding<I, AckHandler<I>>,
    ) -> Result<Self, WiringError> {
        use embassy_stm32::gpio::Pin;
        let (port, pin) = (ack.port(), ack.pin());
        let line = 1_u16 << (pin & 0xf);
        if I::LINES & line == 0 {
            return Err(WiringError::Interrupt);
        }
        let Reset { pin: reset, active, pulse } = reset;
        let mut reset = Flex::new(reset);
        reset.set_level(inactive(active));
        match active {
            Level::Low => reset.set_as_input_output_pull(Speed::Low, Pull::Up),
            Level::High => reset.set_as_output(Speed::Low),
        }
        let syn = Output::new(syn, Level::High, Speed::Low);
        let mut ack = Flex::new(ack);
        ack.set_as_input(Pull::Up);
        let initial = watch(port, pin, line);
        // SAFETY: the handler is bound, as `_interrupt` proves, and what it needs is set.
        #[allow(unsafe_code)]
        unsafe {
            I::enable();
        }
        Ok(Self { syn, reset, active, pulse, _ack: ack, initial, reported: 0 })
    }

    /// Returns the time that the reset wire is to be active.
    pub fn pulse(&self) -> Duration {
        self.pulse
    }
}

fn inactive(active: Level) -> Level {
    match active {
        Level::Low => Level::High,
        Level::High => Level::Low,
    }
}

/// Sets the line up for both edges; the level from which they are counted.
fn watch(port: u8, pin: u8, line: u16) -> bool {
    let number = usize::from(pin & 0xf);
    critical_section::with(|_| {
        EXTI.imr(0).modify(|w| w.set_line(number, false));
        // §9.3.3: which port feeds the line. The HAL has switched SYSCFG's clock on.
        SYSCFG.exticr(number / 4).modify(|w| w.set_exti(number % 4, port));
        EXTI.rtsr(0).modify(|w| w.set_line(number, true));
        EXTI.ftsr(0).modify(|w| w.set_line(number, true));
        let gpio = port_registers(port);
        let mut level = false;
        for _ in 0..8 {
            EXTI.pr(0).write(|w| w.0 = u32::from(line));
            level = gpio.idr().read().idr(number) == Idr::HIGH;
            if EXTI.pr(0).read().0 & u32::from(line) == 0 {
                break;
            }
        }
        EDGES.store(0, Ordering::Relaxed);
        let initially = if level { INITIALLY_HIGH } else { 0 };
        PIN.store(u32::from(port) << 4 | u32::from(pin & 0xf) | initially, Ordering::Relaxed);
        LINE.store(line, Ordering::Relaxed);
        EXTI.imr(0).modify(|w| w.set_line(number, true));
        level
    })
}

impl Wires for AckSynReset<'_> {
    fn set_syn(&mut self, high: bool) {
        self.syn.set_level(Level::from(high));
    }

    fn set_reset(&mut self, active: bool) {
        self.reset.set_level(if active { self.active } else { inactive(self.active) });
    }

    fn initial_ack(&self) -> bool {
        self.initial
    }

    fn poll_ack(&mut self, waker: &Waker) -> Poll<bool> {
        WAKER.register(waker);
        let waiting = EDGES.load(Ordering::Acquire).wrapping_sub(self.reported);
        if waiting == 0 {
            return Poll::Pending;
        }
        // A wire that is not driven may swing; of many edges only the last few matter, and their
        // number must stay odd or even.
        if waiting > 4 {
            self.reported = self.reported.wrapping_add((waiting - 3) & !1);
        }
        self.reported = self.reported.wrapping_add(1);
        Poll::Ready(self.initial ^ (self.reported & 1 != 0))
    }
}
