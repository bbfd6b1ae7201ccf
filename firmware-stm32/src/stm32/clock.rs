//! The clocks (RM0090 §7): all from the internal oscillator, so that any crystal will do, and none.

use embassy_stm32::Config;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Pll, PllMul, PllPDiv, PllPreDiv, PllQDiv, PllSource, Sysclk,
};

/// Returns the configuration for `embassy_stm32::init`: core and APB2 84 MHz, APB1 42 MHz, timers 84 MHz, and 48 MHz for
/// the random number generator, which works with no other; the STM32F411 and F446 have none. Bus, console and timers take
/// their dividers from it. It is the same for all chips: within the limits of the F411 (100 MHz, APB1 50; RM0383 §6.2) and
/// of the F446 (180 MHz, APB1 45; RM0390 §6.2), with the same wait states of the flash.
///
/// The internal oscillator is good to 1 % at 25 °C and to 4 % from −10 to 85 °C; USB would want better.
pub fn config() -> Config {
    let mut config = Config::default();
    let rcc = &mut config.rcc;
    rcc.pll_src = PllSource::HSI;
    // §7.3.2: 2 MHz into the PLL jitters least; it makes 336.
    rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV8,
        mul: PllMul::MUL168,
        divp: Some(PllPDiv::DIV4),
        divq: Some(PllQDiv::DIV7),
        divr: None,
    });
    rcc.sys = Sysclk::PLL1_P;
    rcc.ahb_pre = AHBPrescaler::DIV1;
    // At most 42 MHz.
    rcc.apb1_pre = APBPrescaler::DIV2;
    rcc.apb2_pre = APBPrescaler::DIV1;
    config
}
