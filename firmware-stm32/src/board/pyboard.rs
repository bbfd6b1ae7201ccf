//! The Pyboard v1.x (STM32F405RG), wired like the published micropython-iot.
//!
//! | Pyboard | STM32 | what | ESP8266 |
//! |---|---|---|---|
//! | X9 | PB6, I2C1 | scl | GPIO0 |
//! | X10 | PB7, I2C1 | sda | GPIO2 |
//! | X11 | PC4 | syn | GPIO5 |
//! | X12 | PC5 | reset, low 200 ms | RST |
//! | Y8 | PB15, EXTI 15 | ack | GPIO4 |
//! | X3 | PA2, USART2 | console, 115200 baud, 8N1 | |
//!
//! The chip runs at 84 MHz, made of its internal oscillator (HSI): that works with any crystal. The
//! settings are in the last flash sector (11, at `0x080e_0000`).

use embassy_stm32::gpio::Level;
use embassy_stm32::{bind_interrupts, peripherals};
use pblink_image::map;
use pblink_protocol::time::Duration;

use crate::built_in_settings;
use crate::hardware::Hardware;
use crate::settings::{MAX_SIZE, Settings, SettingsError};
use crate::stm32::clock;
use crate::stm32::console::{Console, ConsoleHandler};
use crate::stm32::i2c::{ErrorHandler, EventHandler, I2cSlave};
use crate::stm32::start;
use crate::stm32::watchdog::Independent;
use crate::stm32::wires::{AckHandler, AckSynReset, Reset};

bind_interrupts!(
    /// The interrupts that the board uses.
    pub struct Interrupts {
        I2C1_EV => EventHandler<peripherals::I2C1>;
        I2C1_ER => ErrorHandler<peripherals::I2C1>;
        EXTI15_10 => AckHandler<embassy_stm32::interrupt::typelevel::EXTI15_10>;
        USART2 => ConsoleHandler<peripherals::USART2>;
    }
);

/// The bus of the board.
pub type Bus = I2cSlave<'static, peripherals::I2C1>;

/// The board, ready for [`crate::new`].
pub struct Board {
    /// Bus and wires.
    pub hardware: Hardware<Bus, AckSynReset<'static>>,
    /// The console.
    pub console: Console,
    /// The watchdog. It runs already: run a [`Runner`](crate::Runner) with it within 5 s.
    pub watchdog: Independent<'static>,
}

impl Board {
    /// Takes the whole chip, in whatever state a boot loader has left it. Call it once, at the beginning of the program: a second call panics, like
    /// `embassy_stm32::init`.
    pub fn take() -> Self {
        start::take_over();
        let p = embassy_stm32::init(clock::config());
        let reset =
            Reset { pin: p.PC5.into(), active: Level::Low, pulse: Duration::from_millis(200) };
        let console = Console::new(p.USART2, p.PA2, 115_200, Interrupts);
        let bus = I2cSlave::new(p.I2C1, p.PB6, p.PB7, Interrupts);
        // PB15 is served by EXTI15_10; the types of the pins do not say so.
        let wires = AckSynReset::new::<embassy_stm32::interrupt::typelevel::EXTI15_10>(
            p.PC4.into(),
            p.PB15.into(),
            reset,
            Interrupts,
        );
        let Ok(wires) = wires else { unreachable!() };
        let reset_pulse = wires.pulse();
        let watchdog = Independent::start(p.IWDG);
        Self { hardware: Hardware { bus, wires, reset_pulse }, console, watchdog }
    }

    /// Returns the settings from flash. Without any, or with damaged ones, the
    /// [built-in](built_in_settings) ones, and why.
    pub fn settings() -> (Settings, Option<SettingsError>) {
        // SAFETY: this is flash, always readable, aligned for bytes, and nothing writes to it while
        // the program runs.
        #[allow(unsafe_code)]
        let sector =
            unsafe { core::slice::from_raw_parts(map::SETTINGS.start as *const u8, MAX_SIZE) };
        match Settings::read(sector) {
            Ok(settings) => (settings, None),
            Err(why) => (built_in_settings(), Some(why)),
        }
    }
}
