//! Common parts of the tests on the host and (from `rigs/qemu/`) in the emulator: a flash chip, a host
//! program's end of the line, and the tests themselves.

pub mod flash;
pub mod host;
pub mod scenarios;
