//! The independent watchdog (RM0090 §21): its own clock, and nothing but a reset stops it.

use embassy_stm32::peripherals::IWDG;
use embassy_stm32::wdg::IndependentWatchdog;
use embassy_stm32::{Peri, pac};

use crate::hardware::Watchdog;

/// The watchdog, running.
pub struct Independent<'d>(IndependentWatchdog<'d, IWDG>);

impl<'d> Independent<'d> {
    /// Starts it with a limit of 8 s. The watchdog's clock is only good to a factor of 2 (17 to 47 kHz
    /// instead of 32), so expect 5 to 15 s. While a debugger has halted the core it stands still (RM0090 §38.16.4,
    /// DBGMCU_APB1_FZ): else each look at a variable would end in a reset.
    pub fn start(instance: Peri<'d, IWDG>) -> Self {
        pac::DBGMCU.apb1fzr().modify(|bits| bits.set_iwdg(true));
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
