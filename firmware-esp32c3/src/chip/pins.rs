//! The pins, and the interrupts of two of them. docs/WIRING.md has the table for boards.
//!
//! None of them is one of those that the chip looks at when it starts (GPIO2, 8, 9), of its console (20, 21) or of its USB
//! (18, 19): ESP32-C3 datasheet, "Strapping Pins".

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::signal::Signal;
use esp_hal::delay::Delay;
use esp_hal::gpio::{
    AnyPin, DriveMode, Event, Flex, Input, InputConfig, Io, Level, OutputConfig, Pull,
};
use esp_hal::handler;
use esp_hal::peripherals::IO_MUX;
use esp_hal::system::software_reset;
use pblink_coprocessor_program::Syn;
use pblink_coprocessor_program::i2c::Lines;

/// The pins by their names.
pub(super) struct Pins {
    /// GPIO6
    pub(super) sda: AnyPin<'static>,
    /// GPIO7
    pub(super) scl: AnyPin<'static>,
    /// GPIO4
    pub(super) syn: AnyPin<'static>,
    /// GPIO5
    pub(super) ack: AnyPin<'static>,
    /// GPIO10, for boards without a pin for the chip's own reset.
    pub(super) reset: AnyPin<'static>,
}

/// Inputs that have interrupts.
struct Watched {
    syn: Input<'static>,
    /// `syn` has moved since it was looked at.
    moved: bool,
    reset: Input<'static>,
}

static WATCHED: Mutex<RefCell<Option<Watched>>> = Mutex::new(RefCell::new(None));
/// `syn` has moved, for the task that runs the program.
pub(super) static EDGE: Signal<CriticalSectionRawMutex, ()> = Signal::new();

/// A pin has moved.
#[handler]
fn on_edge() {
    critical_section::with(|cs| {
        let mut watched = WATCHED.borrow_ref_mut(cs);
        let Some(Watched { syn, moved, reset }) = watched.as_mut() else { return };
        if syn.is_interrupt_set() {
            syn.clear_interrupt();
            *moved = true;
            EDGE.signal(());
        }
        if reset.is_interrupt_set() {
            reset.clear_interrupt();
            // The program waits at its start until the wire is released.
            if reset.is_low() {
                software_reset();
            }
        }
    });
}

/// The wires beside the bus.
pub(super) struct Wires {
    ack: Flex<'static>,
}

/// Sets the pins up. Waits as long as `reset` is held. `ack` stays an input, so that its pull-up holds it high, until it is
/// first set.
pub(super) fn set_up(pins: Pins, mux: IO_MUX<'static>) -> (Bus, Wires) {
    let pulled = InputConfig::default().with_pull(Pull::Up);
    let reset = Input::new(pins.reset, pulled);
    while reset.is_low() {}
    let open = OutputConfig::default().with_drive_mode(DriveMode::OpenDrain).with_pull(Pull::Up);
    let [scl, sda] = [pins.scl, pins.sda].map(|pin| {
        let mut pin = Flex::new(pin);
        pin.apply_output_config(&open);
        pin.set_high();
        pin.set_output_enable(true);
        pin.set_input_enable(true);
        pin
    });
    let mut ack = Flex::new(pins.ack);
    ack.apply_input_config(&pulled);
    Io::new(mux).set_interrupt_handler(on_edge);
    critical_section::with(|cs| {
        let (mut syn, mut reset) = (Input::new(pins.syn, pulled), reset);
        syn.listen(Event::AnyEdge);
        reset.listen(Event::FallingEdge);
        WATCHED.replace(cs, Some(Watched { syn, moved: false, reset }));
    });
    (Bus { scl, sda }, Wires { ack })
}

impl Wires {
    /// Returns the level of `syn`, and whether it has moved since this was last called.
    pub(super) fn syn(&self) -> Syn {
        critical_section::with(|cs| {
            let mut watched = WATCHED.borrow_ref_mut(cs);
            let Some(Watched { syn, moved, .. }) = watched.as_mut() else {
                return Syn { level: true, moved: false };
            };
            let mut moved = core::mem::take(moved);
            // If the wire has moved again after its level was read, it is not known whether that is the level before
            // or after: read again. A wire that never rests is left to the next call.
            for _ in 0..8 {
                let level = syn.is_high();
                if !syn.is_interrupt_set() {
                    return Syn { level, moved };
                }
                syn.clear_interrupt();
                moved = true;
            }
            Syn { level: syn.is_high(), moved: true }
        })
    }

    pub(super) fn set_ack(&mut self, level: bool) {
        self.ack.set_level(Level::from(level));
        self.ack.set_output_enable(true);
    }
}

/// The bus's pins.
pub(super) struct Bus {
    scl: Flex<'static>,
    sda: Flex<'static>,
}

impl Lines for Bus {
    fn set_scl(&mut self, level: bool) {
        self.scl.set_level(Level::from(level));
    }

    fn set_sda(&mut self, level: bool) {
        self.sda.set_level(Level::from(level));
    }

    fn scl(&mut self) -> bool {
        self.scl.is_high()
    }

    fn sda(&mut self) -> bool {
        self.sda.is_high()
    }

    fn half_clock(&mut self) {
        // The calls around it take the rest of 5 µs.
        Delay::new().delay_micros(4);
    }

    fn micros(&mut self) -> u32 {
        super::micros()
    }
}
