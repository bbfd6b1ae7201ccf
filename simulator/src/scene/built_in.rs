//! The scenes of this crate.

macro_rules! built_in {
    [$($name:literal,)*] => {
        [$(($name, include_str!(concat!("../../scenarios/", $name, ".toml"))),)*]
    };
}

/// Names and texts of the files in `scenarios/`, in the order of their names.
pub const BUILT_IN: &[(&str, &str)] = &built_in![
    "crash-of-one-board-disturbs-no-other",
    "each-step-classic-esp8266-crash",
    "each-step-classic-esp8266-restart",
    "each-step-classic-power-cycle",
    "each-step-classic-server-kill",
    "each-step-classic-server-restart",
    "each-step-classic-stm32-restart",
    "each-step-classic-tcp-cut",
    "each-step-classic-wifi-outage",
    "each-step-pair-crash-and-cut",
    "each-step-secure-esp8266-crash",
    "each-step-secure-esp8266-restart",
    "each-step-secure-power-cycle",
    "each-step-secure-server-kill",
    "each-step-secure-server-restart",
    "each-step-secure-stm32-restart",
    "each-step-secure-tcp-cut",
    "each-step-secure-wifi-outage",
    "esp8266-crash-is-repaired",
    "garbled-bits-do-not-stop-the-link",
    "hang-costs-one-reset",
    "late-slave-is-asked-again",
    "number-stays-taken-until-commit",
    "program-that-does-not-read-loses-nothing",
    "real-cryptography-carries-lines",
    "secure-crash-loses-nothing",
    "secure-garbled-bits-change-no-line",
    "secure-kill-keeps-numbers",
    "secure-restart-keeps-what-waits",
    "server-kill-loses-nothing-acknowledged",
    "server-stall-is-no-outage",
    "slow-network-and-silent-server-lose-nothing",
    "stuck-ack-is-repaired",
    "stuck-reset-is-repaired",
    "stuck-syn-is-repaired",
    "tcp-cut-loses-nothing",
];
