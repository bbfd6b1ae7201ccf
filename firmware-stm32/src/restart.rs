//! The cause of a start, from the reset flags of an STM32F4.

pub use pblink_protocol::app::happening::RestartCause;

/// Flags of RCC_CSR (RM0090 §7.3.21, RM0383 §6.3.20, RM0390 §6.3.21), the most telling first. Each reset of the chip sets the one of the pin too,
/// since it drives the pin; a loss of power sets those of the brown-out and of the pin, and clears all others. So any other flag is
/// of a later reset than a loss of power.
const FLAGS: [(u32, RestartCause); 7] = [
    (1 << 31, RestartCause::LowPower),
    (1 << 30, RestartCause::WindowWatchdog),
    (1 << 29, RestartCause::IndependentWatchdog),
    (1 << 28, RestartCause::Software),
    (1 << 27, RestartCause::PowerOn),
    (1 << 25, RestartCause::BrownOut),
    (1 << 26, RestartCause::ResetPin),
];

/// Returns the cause that RCC_CSR has. The program must have cleared the flags of the start before.
pub fn cause(csr: u32) -> RestartCause {
    let flag = FLAGS.iter().find(|(flag, _)| csr & flag != 0);
    flag.map_or(RestartCause::Unknown, |(_, cause)| *cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The flags as they are after each reset of a chip whose flags were cleared before.
    #[test]
    fn each_reset_is_known_by_its_flags() {
        for (csr, expected) in [
            // The reset value after a loss of power; LSION and LSIRDY are no flags.
            (0x0e00_0003, RestartCause::PowerOn),
            (0x0600_0000, RestartCause::BrownOut),
            (0x0400_0000, RestartCause::ResetPin),
            (0x1400_0000, RestartCause::Software),
            (0x2400_0003, RestartCause::IndependentWatchdog),
            (0x4400_0000, RestartCause::WindowWatchdog),
            (0x8400_0000, RestartCause::LowPower),
            // A boot loader has jumped into the program.
            (0x0000_0003, RestartCause::Unknown),
            // Another program did not clear those of its start.
            (0x2e00_0000, RestartCause::IndependentWatchdog),
        ] {
            assert_eq!(cause(csr), expected, "{csr:#010x}");
        }
    }
}
