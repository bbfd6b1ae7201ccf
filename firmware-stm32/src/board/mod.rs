//! The board that a program is built for: one of these, by its feature. All have the same I2C peripheral, and a program
//! for one builds for the others.
//!
//! | feature | board | pins |
//! |---|---|---|
//! | `pyboard` | Pyboard v1.x, STM32F405RG | `src/board/pyboard.rs` |
//! | `black-pill` | Black Pill, STM32F411CE | `src/board/black_pill.rs` |
//! | `nucleo-f446` | Nucleo-F446RE, STM32F446RE | `src/board/nucleo_f446.rs` |
//!
//! The chip runs at 84 MHz, made of its internal oscillator (HSI): that works with any crystal, and with none. The
//! settings are in the last flash sector, the keys of a secure link in the one below it.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;

use embassy_stm32::gpio::{AnyPin, Level};
use embassy_stm32::{Peri, bind_interrupts, peripherals, uid};
use pblink_image::map::{Area, Map};
use pblink_protocol::time::Duration;
use static_cell::ConstStaticCell;

use crate::built_in_settings;
use crate::hardware::Hardware;
use crate::secure::Vault;
use crate::settings::{MAX_SIZE, Settings, SettingsError};
use crate::stm32::clock;
use crate::stm32::console::{Console, ConsoleHandler};
use crate::stm32::flash::KeySector;
use crate::stm32::i2c::{ErrorHandler, EventHandler, I2cSlave};
use crate::stm32::start;
use crate::stm32::watchdog::Independent;
use crate::stm32::wires::{AckHandler, AckSynReset, Reset};

#[cfg(feature = "black-pill")]
#[path = "black_pill.rs"]
mod kind;
#[cfg(feature = "nucleo-f446")]
#[path = "nucleo_f446.rs"]
mod kind;
#[cfg(feature = "pyboard")]
#[path = "pyboard.rs"]
mod kind;

bind_interrupts!(
    /// The interrupts that the board uses. Boards differ in that of `ack` only.
    pub struct Interrupts {
        I2C1_EV => EventHandler<peripherals::I2C1>;
        I2C1_ER => ErrorHandler<peripherals::I2C1>;
        #[cfg(feature = "pyboard")]
        EXTI15_10 => AckHandler<kind::Ack>;
        #[cfg(any(feature = "black-pill", feature = "nucleo-f446"))]
        EXTI9_5 => AckHandler<kind::Ack>;
        USART2 => ConsoleHandler<peripherals::USART2>;
    }
);

/// The bus of the board.
pub type Bus = I2cSlave<'static, peripherals::I2C1>;

/// The board, ready for [`crate::new`].
pub struct Board {
    /// Bus and wires, and the keys of a secure link, if there are any.
    pub hardware: Hardware<Bus, AckSynReset<'static>>,
    /// The console.
    pub console: Console,
    /// The watchdog. It runs already: run a [`Runner`](crate::Runner) with it within 5 s.
    pub watchdog: Independent<'static>,
}

/// The parts of the chip that a kind of board uses.
struct Taken {
    console: Console,
    bus: Bus,
    syn: Peri<'static, AnyPin>,
    ack: Peri<'static, AnyPin>,
    reset: Peri<'static, AnyPin>,
    watchdog: Peri<'static, peripherals::IWDG>,
    /// Random bytes, if the chip has a source, and it is in order.
    noise: Option<[u8; 48]>,
}

/// Bytes that are kept through a reset.
const KEPT: usize = kind::MAP.kept.size as usize;

/// RAM that no start clears: the linker has a section for it, see [`pblink_image::map::MemoryX`]. With an older `memory.x` it is
/// in RAM that is not cleared either.
#[repr(align(8))]
struct Kept(UnsafeCell<MaybeUninit<[u8; KEPT]>>);

// SAFETY: `kept` gives it away once.
#[allow(unsafe_code)]
unsafe impl Sync for Kept {}

#[allow(unsafe_code)]
#[cfg_attr(target_os = "none", unsafe(link_section = ".pblink_kept"))]
static RAM: Kept = Kept(UnsafeCell::new(MaybeUninit::uninit()));

/// Returns the RAM that is kept. Once: [`Board::take`] is called once.
fn kept() -> &'static mut [u8] {
    // The compiler must not know that nothing was ever written there.
    let place = core::hint::black_box(RAM.0.get());
    // SAFETY: it is aligned and large enough, nobody else has it, and all patterns of RAM are bytes.
    #[allow(unsafe_code)]
    unsafe {
        core::slice::from_raw_parts_mut(place.cast(), KEPT)
    }
}

/// The flash sector of the keys. Once: [`Board::take`] is called once.
static KEYS: ConstStaticCell<KeySector> =
    ConstStaticCell::new(KeySector::new(kind::MAP.keys().start, kind::MAP.keys().size));

/// Returns bytes of the flash.
fn flash(area: Area, size: usize) -> &'static [u8] {
    // SAFETY: this is flash, always readable, aligned for bytes, and nothing writes to it while the program runs.
    #[allow(unsafe_code)]
    unsafe {
        core::slice::from_raw_parts(area.start as *const u8, size)
    }
}

impl Board {
    /// The memory of the board.
    pub const MAP: &'static Map = kind::MAP;

    /// Takes the whole chip, in whatever state a boot loader has left it. Call it once, at the beginning of the program: a second call panics, like
    /// `embassy_stm32::init`.
    pub fn take() -> Self {
        start::take_over();
        let restart = start::restart_cause();
        let Taken { console, bus, syn, ack, reset, watchdog, noise } =
            kind::take(embassy_stm32::init(clock::config()));
        let reset = Reset { pin: reset, active: Level::Low, pulse: Duration::from_millis(200) };
        // The pin of each board is served by its interrupt; the types of the pins do not say so.
        let Ok(wires) = AckSynReset::new::<kind::Ack>(syn, ack, reset, Interrupts) else {
            unreachable!()
        };
        let reset_pulse = wires.pulse();
        let watchdog = Independent::start(watchdog);
        let vault = Vault { keys: KEYS.take(), kept: kept(), unique: uid::uid(), noise };
        Self {
            hardware: Hardware { bus, wires, reset_pulse, vault: Some(vault), restart },
            console,
            watchdog,
        }
    }

    /// Returns the settings from flash. Without any, or with damaged ones, the
    /// [built-in](built_in_settings) ones, and why.
    pub fn settings() -> (Settings, Option<SettingsError>) {
        match Settings::read(flash(Self::MAP.settings(), MAX_SIZE)) {
            Ok(settings) => (settings, None),
            Err(why) => (built_in_settings(), Some(why)),
        }
    }
}
