//! The independent watchdog (RM0090 §21): its own clock, and nothing but a reset stops it.

use embassy_stm32::Peri;
use embassy_stm32::peripherals::IWDG;
use embassy_stm32::wdg::IndependentWatchdog;

use crate::hardware::Watchdog;

/// The watchdog, running.
pub struct Independent<'d>(IndependentWatchdog<'d, IWDG>);

impl<'d> Independent<'d> {
    /// Starts it with a limit of 8 s. The watchdog's clock is only good to a factor of 2 (17 to 47 kHz
    /// instead of 32), so expect 5 to 15 s.
    pub fn start(instance: Peri<'d, IWDG>) -> Self {
        let mut watchdog = IndependentWatchdog::new(instance, 8_000_000);
        watchdog.unleash();
        Self(watchdog)
    }
}

impl Watchdog for Independent<'_> {
    fn feed(&mut self) {
        self.0.pet();
    }
}
