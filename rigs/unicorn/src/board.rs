//! The boards of the bench: chip, pins and crystal of each kind.

use pblink_image::map::{self, Map};

/// A pin of the chip: the address of its port's registers, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pin {
    /// Address of the port's registers.
    pub port: u64,
    /// Its number.
    pub number: u32,
}

impl Pin {
    /// A pin by its name: port `'A'` is the first.
    const fn new(port: char, number: u32) -> Self {
        Self { port: GPIOA + 0x400 * (port as u64 - 'A' as u64), number }
    }

    /// Returns the number of its port, which is the one that SYSCFG_EXTICR takes.
    pub(crate) fn port_number(self) -> u32 {
        ((self.port - GPIOA) / 0x400) as u32
    }
}

/// The registers of the first port (RM0090 §2.3).
pub(crate) const GPIOA: u64 = 0x4002_0000;

/// A kind of board.
#[derive(Debug)]
pub struct Board {
    /// Its memory.
    pub map: &'static Map,
    /// The wires.
    pub syn: Pin,
    /// See [`Self::syn`].
    pub reset: Pin,
    /// See [`Self::syn`].
    pub ack: Pin,
    /// Clock of I2C1.
    pub scl: Pin,
    /// Data of I2C1.
    pub sda: Pin,
    /// Pin of the console, USART2.
    pub console: Pin,
    /// The crystal, in kHz.
    pub crystal: u64,
    /// Most that core, APB1 and APB2 can do, in kHz.
    pub limits: [u64; 3],
    /// Offsets of registers that its RCC has, and that of the STM32F405 has not.
    pub(crate) more_rcc: &'static [u64],
    /// Offsets of registers that its RCC has not, and that of the STM32F405 has.
    pub(crate) less_rcc: &'static [u64],
    /// The regulator.
    pub(crate) regulator: Regulator,
}

/// Voltage scaling of the regulator: what the bits of PWR_CR's VOS allow the core, in kHz.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Regulator {
    /// VOS after a reset.
    pub(crate) vos: u32,
    /// The mask of VOS, from bit 14 on.
    pub(crate) mask: u32,
    /// Most that the core can do with each VOS; 0: there is no such.
    pub(crate) limits: [u64; 4],
}

/// The Pyboard v1.x. Limits: data sheet DS8626, table 14; voltage: RM0090 §5.1.3.
pub static PYBOARD: Board = Board {
    map: &map::PYBOARD,
    syn: Pin::new('C', 4),
    reset: Pin::new('C', 5),
    ack: Pin::new('B', 15),
    scl: Pin::new('B', 6),
    sda: Pin::new('B', 7),
    console: Pin::new('A', 2),
    crystal: 12_000,
    limits: [168_000, 42_000, 84_000],
    more_rcc: &[],
    less_rcc: &[],
    regulator: Regulator { vos: 1, mask: 1, limits: [144_000, 168_000, 0, 0] },
};

/// The Black Pill. Limits and voltage: RM0383 §5.1.3, §6.2; there is no AHB3.
pub static BLACK_PILL: Board = Board {
    map: &map::BLACK_PILL,
    syn: Pin::new('B', 8),
    reset: Pin::new('B', 9),
    ack: Pin::new('B', 5),
    scl: Pin::new('B', 6),
    sda: Pin::new('B', 7),
    console: Pin::new('A', 2),
    crystal: 25_000,
    limits: [100_000, 50_000, 100_000],
    more_rcc: &[DCKCFGR],
    less_rcc: &[0x18, 0x38, 0x58],
    regulator: Regulator { vos: 2, mask: 3, limits: [0, 64_000, 84_000, 100_000] },
};

/// The Nucleo-F446RE. Limits and voltage: RM0390 §5.1.3, §6.2; overdrive is not counted in.
pub static NUCLEO_F446: Board = Board {
    map: &map::NUCLEO_F446,
    syn: Pin::new('B', 6),
    reset: Pin::new('A', 9),
    ack: Pin::new('C', 7),
    scl: Pin::new('B', 8),
    sda: Pin::new('B', 9),
    console: Pin::new('A', 2),
    crystal: 8_000,
    limits: [180_000, 45_000, 90_000],
    // PLLSAICFGR, CKGATENR, DCKCFGR2.
    more_rcc: &[0x88, DCKCFGR, 0x90, 0x94],
    less_rcc: &[],
    regulator: Regulator { vos: 3, mask: 3, limits: [0, 120_000, 144_000, 168_000] },
};

/// Dedicated clocks. The F405 reserves it; the HAL writes its reset value, 0.
pub(crate) const DCKCFGR: u64 = 0x8c;

/// All of them.
pub static ALL: [&Board; 3] = [&PYBOARD, &BLACK_PILL, &NUCLEO_F446];

impl Default for &'static Board {
    fn default() -> Self {
        &PYBOARD
    }
}
